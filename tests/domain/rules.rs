//! The rules of `domain.md` that this domain holds, one by one: the number of the rule begins the name of the test.

use rolecall::domain::Decision::*;
use rolecall::domain::command::{Command, RequestKey, Write};
use rolecall::domain::group::{Known, KnownRequest, Verdict, Work, decide_group};
use rolecall::domain::membership::Standing;
use rolecall::domain::name::BadName;
use rolecall::domain::project::{Environment, RoleStructure};
use rolecall::domain::refusal::Noun;
use rolecall::domain::{
    Ask, Call, Decision, OrgId, PermissionName, ProjectKey, Question, Reason, Refusal, Revision, RoleName, Time, UserId,
};
use rolecall::limits::Limits;

use crate::fixture::{World, seconds, world};
use crate::histories::call;
use crate::model::Answer;
use crate::seen::{answered, seen};

/// The plan example: Billing Manager exists on both plans and works on Paid alone.
const PLANS: &str = "
    permission billing.view, billing.pay
    role Billing Manager below Admin
    mapping Free: off Billing Manager; Billing Manager +billing.view; Owner +billing.view
    mapping Paid like Free: on Billing Manager; Billing Manager +billing.pay
";

fn plans() -> World {
    let mut world = world(PLANS);
    world.run("org acme on Free\n org globex on Paid\n add ann to acme: Owner\n add bob to globex: Billing Manager");
    world
}

fn member(world: &World, org: &str, user: &str) -> Option<Vec<(String, Option<Time>)>> {
    let model = seen(&world.state, &["ann", "bob", "cid", "dan", "eve"]);
    let project = model.projects.values().next_back().expect("a project");
    project.orgs[org].members.get(user).map(|roles| roles.clone().into_iter().collect())
}

fn limits(change: impl Fn(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[track_caller]
fn over(world: &mut World, line: &str, expected: (&str, u64, u64)) {
    match world.refused(line, Reason::LimitExceeded) {
        Refusal::LimitExceeded { limit, max, asked } => assert_eq!((limit, max, asked), expected),
        Refusal::Rows { rows, .. } => match &rows[0].1 {
            Refusal::LimitExceeded { limit, max, asked } => assert_eq!((*limit, *max, *asked), expected),
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    }
}

#[test]
fn p1_a_project_has_a_key_an_environment_and_a_structure_and_its_key_is_taken_once() {
    let mut world = world("");
    world.run("project shop MULTI");
    let model = seen(&world.state, &[]);
    let project = &model.projects["shop"];
    assert_eq!((project.environment, project.structure), (Environment::Live, RoleStructure::MultiRole));
    assert_eq!(model.projects["default"].structure, RoleStructure::SingleRole);
    world.refused("project shop SINGLE", Reason::ProjectAlreadyExists);
    for bad in ["Shop", "1shop", "", "shop_eu", &"s".repeat(64)] {
        assert!(ProjectKey::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn p1_projects_do_not_see_each_other() {
    let mut world = world("permission read\n role Guest\n mapping Free\n org acme\n add ann to acme: Owner");
    world.run("project shop MULTI\n org acme");
    world.check("ann", "acme", "read", UnknownPermission);
    world.check("ann", "acme", "rolecall::can_invite", NotAMember);
    world.refused("role Lead above Guest", Reason::RoleNotFound);
    world.refused("subscribe acme to Free", Reason::RoleMappingNotFound);
    world.run("role Guest\n mapping Free\n permission read");
}

#[test]
fn p2_an_empty_project_is_the_project_default() {
    assert_eq!(ProjectKey::default_project().as_str(), "default");
}

#[test]
fn p2_an_unknown_project_is_not_found_by_any_command() {
    let mut world = world("");
    let commands = [
        "permission read",
        "role Guest",
        "mapping Free",
        "edit Default: on Admin",
        "promote Default",
        "org acme",
        "subscribe acme to default",
        "add ann to acme",
        "write: add ann to acme",
    ];
    world.project = "nowhere".into();
    for line in commands {
        let refusal = world.refused(line, Reason::ProjectNotFound);
        assert_eq!(refusal, Refusal::NotFound(Noun::Project, "nowhere".into()), "{line}");
    }
    // Nor by a batch without rows, which has nothing else to refuse.
    let Command::BatchWriteMembers(mut empty) = world.command("write: add ann to acme") else { unreachable!() };
    empty.rows.clear();
    let refusal = world.decide(&Command::BatchWriteMembers(empty)).err().expect("refused");
    assert_eq!(refusal.reason(), Reason::ProjectNotFound);
}

#[test]
fn p3_the_template_makes_three_roles_one_mapping_and_the_built_in_permissions() {
    let mut world = world("org acme\n add ann to acme: Owner\n add bob to acme: Admin\n add cid to acme");
    assert_eq!(world.roles(), ["Owner", "Admin", "Member"]);
    // Owner, Admin, Member
    let table = [
        ("can_view_other_members", [Allowed, Allowed, Allowed]),
        ("can_invite", [Allowed, Allowed, MissingPermission]),
        ("can_change_roles", [Allowed, Allowed, MissingPermission]),
        ("can_remove_users", [Allowed, Allowed, MissingPermission]),
        ("can_manage_api_keys", [Allowed, Allowed, MissingPermission]),
        ("can_setup_sso", [Allowed, Allowed, MissingPermission]),
        ("can_delete_org", [Allowed, MissingPermission, MissingPermission]),
        ("can_edit_org_access", [Allowed, MissingPermission, MissingPermission]),
        ("can_update_org_metadata", [Allowed, Allowed, MissingPermission]),
    ];
    for (permission, decisions) in table {
        for (user, decision) in ["ann", "bob", "cid"].into_iter().zip(decisions) {
            world.check(user, "acme", &format!("rolecall::{permission}"), decision);
        }
    }
    let model = seen(&world.state, &["ann", "bob", "cid"]);
    let project = &model.projects["default"];
    assert_eq!(project.permissions.len(), 9);
    assert!(project.permissions.values().all(|about| about.marked), "built in");
    assert!(project.roles.iter().all(|(_, about)| !about.marked), "visible");
    assert_eq!(project.mappings.keys().collect::<Vec<_>>(), ["Default"]);
    assert!(project.mappings["Default"].disabled.is_empty());
    let defaults = [&project.default_role, &project.default_owner_role, &project.default_mapping];
    assert_eq!(defaults, ["Member", "Owner", "Default"]);
    // Everything a template makes can be edited afterwards.
    world.run("edit Default: off Admin; Member +rolecall::can_invite -rolecall::can_view_other_members");
    world.check("bob", "acme", "rolecall::can_invite", RoleDisabled);
    world.check("cid", "acme", "rolecall::can_invite", Allowed);
    world.check("cid", "acme", "rolecall::can_view_other_members", MissingPermission);
}

#[test]
fn p4_the_prefix_of_the_built_in_permissions_is_reserved() {
    let mut world = world("");
    world.refused("permission rolecall::can_fly", Reason::ReservedName);
    world.refused("permission rolecall::can_invite", Reason::ReservedName);
    world.run("permission Rolecall::can_fly, rolecall:can_fly, my.rolecall::can_fly");
}

#[test]
fn p7_roles_a_project() {
    let mut world = world("");
    world.limits = limits(|limits| limits.roles = 4);
    world.run("role Guest");
    over(&mut world, "role Auditor", ("roles", 4, 5));
    world.run("project shop SINGLE\n role Auditor");
}

#[test]
fn p7_permissions_a_project() {
    let mut world = world("");
    world.limits = limits(|limits| limits.permissions = 11);
    over(&mut world, "permission a, b, c", ("permissions", 11, 12));
    world.run("permission a, b");
    over(&mut world, "permission c", ("permissions", 11, 12));
}

#[test]
fn p7_role_mappings_a_project() {
    let mut world = world("");
    world.limits = limits(|limits| limits.role_mappings = 2);
    world.run("mapping Free");
    over(&mut world, "mapping Paid", ("role_mappings", 2, 3));
}

#[test]
fn p7_grants_a_project() {
    // The template grants 9 + 7 + 1.
    let mut world = world("permission a, b");
    world.limits = limits(|limits| limits.grants = 18);
    world.run("edit Default: Member +a");
    over(&mut world, "edit Default: Member +b", ("grants", 18, 19));
    over(&mut world, "mapping Copy like Default", ("grants", 18, 36));
    // Giving one for another, or fewer, is no more than before; so it stays even above a limit that was lowered.
    world.run("edit Default: Member -a +b");
    world.limits = limits(|limits| limits.grants = 10);
    world.run("edit Default: Admin -rolecall::can_invite");
    world.run("edit Default: Admin -rolecall::can_setup_sso +rolecall::can_invite");
    over(&mut world, "edit Default: Admin +rolecall::can_setup_sso", ("grants", 10, 18));
}

#[test]
fn p7_different_role_sets_a_project() {
    let mut world = world("org acme");
    world.limits = limits(|limits| limits.role_sets = 2);
    world.run("add ann to acme: Owner\n add bob to acme: Admin\n add cid to acme: Owner");
    over(&mut world, "add dan to acme: Member", ("role_sets", 2, 3));
    over(&mut world, "write: add dan to acme: Admin | add eve to acme: Owner, Admin until 9", ("role_sets", 2, 3));
    world.run("add dan to acme: Admin until 100");
}

#[test]
fn p7_roles_a_member() {
    let mut world = world("project shop MULTI\n org acme");
    world.limits = limits(|limits| limits.member_roles = 2);
    world.run("add ann to acme: Owner, Admin");
    over(&mut world, "set ann in acme: Owner, Admin, Member", ("member_roles", 2, 3));
    over(&mut world, "write: add bob to acme: Owner, Admin, Member until 9", ("member_roles", 2, 3));
}

#[test]
fn p7_by_default_a_member_holds_fifty_roles() {
    let mut world = world("project shop MULTI\n org acme");
    let names: Vec<String> = (0..51).map(|number| format!("R{number}")).collect();
    names.iter().for_each(|name| world.run(&format!("role {name}")));
    world.run(&format!("add ann to acme: {}", names[..50].join(", ")));
    over(&mut world, &format!("set ann in acme: {}", names.join(", ")), ("member_roles", 50, 51));
}

#[test]
fn r1_role_and_mapping_names_are_unique_after_case_folding_and_looked_up_exactly() {
    let mut world = world("role Straße\n mapping Frei\n org acme");
    for line in ["role OWNER", "role owner", "role Owner", "role STRASSE", "role strasse"] {
        world.refused(line, Reason::RoleAlreadyExists);
    }
    for line in ["mapping FREI", "mapping default"] {
        world.refused(line, Reason::RoleMappingAlreadyExists);
    }
    world.refused("add ann to acme: owner", Reason::RoleNotFound);
    world.refused("org globex on frei", Reason::RoleMappingNotFound);
    // A role and a mapping may share a name.
    world.run("role Frei\n mapping Owner");
}

#[test]
fn r1_names_hold_nothing_that_cannot_be_seen() {
    // Two roles `Owner` that nobody could tell apart; the characters are of Unicode's Default_Ignorable_Code_Point.
    let hidden = [
        '\u{00AD}',
        '\u{034F}',
        '\u{061C}',
        '\u{115F}',
        '\u{1160}',
        '\u{17B4}',
        '\u{180B}',
        '\u{180F}',
        '\u{200B}',
        '\u{200F}',
        '\u{202E}',
        '\u{2065}',
        '\u{206A}',
        '\u{206F}',
        '\u{3164}',
        '\u{FE00}',
        '\u{FE0F}',
        '\u{FEFF}',
        '\u{FFA0}',
        '\u{FFF9}',
        '\u{1BCA0}',
        '\u{1D173}',
        '\u{E0001}',
        '\u{E0041}',
        '\u{E0100}',
    ];
    for character in hidden {
        let name = format!("Owner{character}");
        assert_eq!(RoleName::parse(&name), Err(BadName::Invisible), "{character:?}");
        assert_eq!(PermissionName::parse(&name), Err(BadName::Invisible), "{character:?}");
    }
    for name in ["Propriétaire", "Владелец", "所有者", "مالك", "मालिक", "เจ้าของ", "소유자", "Owner ★", "🚀"]
    {
        assert!(RoleName::parse(name).is_ok(), "{name}");
    }
}

#[test]
fn r1_permission_names_are_compared_byte_for_byte() {
    let mut world =
        world("permission Read, read, READ\n org acme\n add ann to acme: Owner\n edit Default: Owner +read");
    world.check("ann", "acme", "read", Allowed);
    world.check("ann", "acme", "Read", MissingPermission);
    world.check("ann", "acme", "rEAD", UnknownPermission);
    world.check("ann", "acme", "read ", UnknownPermission);
    world.refused("permission read", Reason::PermissionAlreadyExists);
}

#[test]
fn r2_a_new_role_goes_last_or_above_or_below_another() {
    let mut world = world("role Guest");
    assert_eq!(world.roles(), ["Owner", "Admin", "Member", "Guest"]);
    world.run("role Founder above Owner\n role Lead below Admin\n role Intern above Member\n role Ghost below Guest");
    assert_eq!(world.roles(), ["Founder", "Owner", "Admin", "Lead", "Intern", "Member", "Guest", "Ghost"]);
    world.refused("role Nobody above Somebody", Reason::RoleNotFound);
}

#[test]
fn r2_there_is_always_room_between_two_roles() {
    for place in ["above Owner", "below Owner", "above Admin", "below Admin", "above Member"] {
        let (other, above) = (&place[6..], place.starts_with("above"));
        let mut world = world("");
        let mut expected = world.roles();
        for number in 0..80 {
            world.run(&format!("role R{number} {place}"));
            let at = expected.iter().position(|name| name == other).unwrap();
            expected.insert(if above { at } else { at + 1 }, format!("R{number}"));
            assert_eq!(world.roles(), expected, "{place}");
        }
    }
}

#[test]
fn r2_between_roles_that_come_from_both_sides_there_is_always_room() {
    let mut world = world("role R0 above Admin");
    let mut expected = world.roles();
    for number in 1..100 {
        let before = format!("R{}", number - 1);
        let place = if number % 2 == 0 { "above" } else { "below" };
        world.run(&format!("role R{number} {place} {before}"));
        let at = expected.iter().position(|name| *name == before).unwrap();
        expected.insert(at + number % 2, format!("R{number}"));
        assert_eq!(world.roles(), expected);
    }
}

#[test]
fn r2_a_new_role_is_enabled_everywhere_and_grants_nothing_unless_told() {
    let mut world = world("mapping Free\n role Guest\n role Auditor, off in Free, Default\n org acme on Free");
    let model = seen(&world.state, &[]);
    let mappings = &model.projects["default"].mappings;
    for name in ["Default", "Free"] {
        assert_eq!(mappings[name].disabled.iter().collect::<Vec<_>>(), ["Auditor"]);
        assert!(!mappings[name].grants.contains_key("Guest") && !mappings[name].grants.contains_key("Auditor"));
    }
    world.run("add ann to acme: Guest");
    world.refused("add bob to acme: Auditor", Reason::RoleDisabled);
    world.refused("role Lead, off in Nowhere", Reason::RoleMappingNotFound);
}

#[test]
fn r7_a_role_grants_what_its_own_row_says_and_nothing_from_below() {
    let mut world = world("permission read\n org acme\n add ann to acme: Owner\n add cid to acme: Member");
    world.run("edit Default: Member +read");
    world.check("cid", "acme", "read", Allowed);
    world.check("ann", "acme", "read", MissingPermission);
}

#[test]
fn r7_a_role_grants_in_each_mapping_what_the_row_there_says() {
    let mut world = plans();
    world.run("subscribe acme to Paid\n set ann in acme: Billing Manager");
    world.check("ann", "acme", "billing.pay", Allowed);
    world.run("subscribe acme to Default");
    world.check("ann", "acme", "billing.pay", MissingPermission);
}

#[test]
fn m1_there_is_one_default_mapping_and_promoting_moves_the_mark_alone() {
    let mut world = plans();
    world.run("org before\n promote Free\n org after");
    let model = seen(&world.state, &["ann", "bob"]);
    let project = &model.projects["default"];
    assert_eq!(project.default_mapping, "Free");
    assert_eq!((project.orgs["before"].mapping.as_str(), project.orgs["after"].mapping.as_str()), ("Default", "Free"));
    world.idle("promote Free");
    world.refused("promote Nowhere", Reason::RoleMappingNotFound);
}

#[test]
fn m2_a_mapping_is_created_as_a_duplicate_with_edits_and_orgs_in_one_commit() {
    let mut world = plans();
    let before = world.state.revision().number;
    world.run("mapping Trial like Paid for acme, globex: off Billing Manager; Billing Manager -billing.pay; Member +billing.view");
    assert_eq!(world.state.revision().number, before + 1);
    let model = seen(&world.state, &["ann", "bob"]);
    let project = &model.projects["default"];
    let (trial, paid) = (&project.mappings["Trial"], &project.mappings["Paid"]);
    assert_eq!(trial.disabled.iter().collect::<Vec<_>>(), ["Billing Manager"]);
    assert!(paid.disabled.is_empty(), "the original stays as it was");
    assert_eq!(trial.grants["Owner"], paid.grants["Owner"]);
    assert_eq!(trial.grants["Billing Manager"].iter().collect::<Vec<_>>(), ["billing.view"]);
    assert_eq!(paid.grants["Billing Manager"].len(), 2);
    assert!(project.orgs.values().all(|org| org.mapping == "Trial"));
    world.check("bob", "globex", "billing.view", RoleDisabled);
    world.check("bob", "globex", "billing.pay", MissingPermission);
    // A later edit of one is not seen in the other.
    world.run("edit Paid: Owner -billing.view");
    world.check("ann", "acme", "billing.view", Allowed);
}

#[test]
fn m2_a_duplicate_copies_what_is_disabled() {
    let mut world = plans();
    world.run("mapping Free 2 like Free for globex");
    world.check("bob", "globex", "billing.view", RoleDisabled);
    world.refused("mapping Copy like Nowhere", Reason::RoleMappingNotFound);
    world.refused("mapping Copy for acme, nowhere", Reason::OrgNotFound);
}

#[test]
fn m2_edits_that_contradict_each_other_are_refused() {
    let mut world = plans();
    world.refused("edit Free: on Admin; off Admin", Reason::Contradiction);
    world.refused("edit Free: Owner +billing.pay -billing.pay", Reason::Contradiction);
    world.refused("edit Free: Owner +billing.sell", Reason::PermissionNotFound);
    world.refused("edit Free: Seller +billing.pay", Reason::RoleNotFound);
    world.refused("edit Nowhere: on Admin", Reason::RoleMappingNotFound);
    // Several edits of one role go in their order.
    world.idle("edit Free: Admin +billing.pay; Admin -billing.pay");
    world.idle("edit Free: off Billing Manager; on Admin; Owner +billing.view -billing.pay");
}

#[test]
fn m3_a_disabled_role_cannot_be_given_and_grants_nothing_and_keeps_its_row() {
    let mut world = plans();
    world.refused("add cid to acme: Billing Manager", Reason::RoleDisabled);
    world.refused("set ann in acme: Billing Manager", Reason::RoleDisabled);
    world.refused("add cid to acme: Member, Billing Manager until 60", Reason::RoleDisabled);
    world.check("bob", "globex", "billing.view", Allowed);
    world.run("edit Paid: off Billing Manager");
    world.check("bob", "globex", "billing.view", RoleDisabled);
    world.run("edit Paid: on Billing Manager");
    world.check("bob", "globex", "billing.view", Allowed);
    world.check("bob", "globex", "billing.pay", Allowed);
}

#[test]
fn m3_who_holds_a_disabled_role_may_have_it_repeated() {
    let mut world = world("project shop MULTI\n org acme\n add ann to acme: Admin\n edit Default: off Admin");
    let answer = world.answer("set ann in acme: Admin, Member");
    let roles = vec![("Admin".into(), None, Standing::Suspended), ("Member".into(), None, Standing::Live)];
    assert_eq!(answer, Answer::Member { org: "acme".into(), user: "ann".into(), roles });
    world.refused("add bob to acme: Admin", Reason::RoleDisabled);
    world.run("set ann in acme: Member");
    world.refused("set ann in acme: Admin, Member", Reason::RoleDisabled);
}

#[test]
fn m3_a_role_that_ended_is_not_repeated_but_given_anew() {
    let mut world = world("project shop MULTI\n org acme\n add ann to acme: Member, Admin until 60");
    world.at(60).run("edit Default: off Admin");
    world.refused("set ann in acme: Member, Admin", Reason::EndInThePast);
    world.refused("set ann in acme: Member, Admin lasting", Reason::RoleDisabled);
}

#[test]
fn m4_the_default_roles_are_enabled_in_every_mapping() {
    let mut world = plans();
    for line in ["edit Free: off Owner", "edit Free: off Member", "mapping Trial: off Admin; off Owner"] {
        world.refused(line, Reason::DefaultRoleDisabled);
    }
}

#[test]
fn s1_an_org_gets_the_mapping_named_or_the_default_of_the_moment() {
    let mut world = world("mapping Free\n org a\n org b on Free\n promote Free\n org c\n org d on Default");
    let model = seen(&world.state, &[]);
    let mappings: Vec<_> = model.projects["default"].orgs.values().map(|org| org.mapping.as_str()).collect();
    assert_eq!(mappings, ["Default", "Free", "Free", "Default"]);
    world.refused("org e on Nowhere", Reason::RoleMappingNotFound);
}

#[test]
fn s2_an_org_moves_to_a_mapping_or_back_to_the_default() {
    let mut world = plans();
    world.check("ann", "acme", "billing.view", Allowed);
    world.run("subscribe acme to default");
    world.check("ann", "acme", "billing.view", MissingPermission);
    world.idle("subscribe acme to Default");
    world.refused("subscribe acme to Nowhere", Reason::RoleMappingNotFound);
    world.refused("subscribe nowhere to Free", Reason::OrgNotFound);
}

#[test]
fn s5_an_org_id_is_the_callers_own_and_compared_byte_for_byte() {
    let mut world = world("org acme\n org Acme\n org Zürich\n add ann to Acme: Owner");
    world.refused("org acme", Reason::OrgAlreadyExists);
    world.check("ann", "Acme", "rolecall::can_invite", Allowed);
    world.check("ann", "acme", "rolecall::can_invite", NotAMember);
    world.check("ann", "ACME", "rolecall::can_invite", OrgNotFound);
    for bad in ["", "a b", "a\n", "a\0", &"a".repeat(129)] {
        assert!(OrgId::parse(bad).is_err() && UserId::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn b1_single_holds_one_role_and_at_most_one_lent_one() {
    let mut world = world("org acme\n add ann to acme");
    assert_eq!(member(&world, "acme", "ann"), Some(vec![("Member".into(), None)]));
    world.refused("set ann in acme: Member, Admin", Reason::TooManyRoles);
    world.refused("set ann in acme: Member, Admin until 9, Owner until 9", Reason::TooManyRoles);
    world.refused("set ann in acme: Member until 9, Admin until 9", Reason::TooManyRoles);
    world.refused("set ann in acme: Member, Member until 9", Reason::RepeatedRole);
    world.run("set ann in acme: Member, Admin until 9");
    world.run("add bob to acme: Owner until 9");
}

#[test]
fn b1_multi_holds_many_roles_each_once() {
    let mut world = world("project shop MULTI\n org acme\n add ann to acme: Owner, Admin, Member until 9");
    world.refused("set ann in acme: Owner, Owner", Reason::RepeatedRole);
    world.refused("set ann in acme: Owner, Boss", Reason::RoleNotFound);
    world.refused("set ann in acme: Owner until 0", Reason::EndInThePast);
    assert_eq!(member(&world, "acme", "ann").map(|roles| roles.len()), Some(3));
}

#[test]
fn b1_who_holds_no_role_is_no_member() {
    let mut world = world("org acme\n add ann to acme: Admin until 60\n add bob to acme\n remove bob from acme");
    world.refused("set bob in acme: Admin", Reason::MemberNotFound);
    world.check("bob", "acme", "rolecall::can_invite", NotAMember);
    world.at(60).refused("set ann in acme: Admin", Reason::MemberNotFound);
    world.refused("remove ann from acme", Reason::MemberNotFound);
    world.check("ann", "acme", "rolecall::can_invite", RoleExpired);
    // Adding such a one is adding, not setting.
    world.run("add ann to acme: Member");
    assert_eq!(member(&world, "acme", "ann"), Some(vec![("Member".into(), None)]));
}

#[test]
fn b2_adding_a_member_again_is_refused_and_setting_replaces_the_whole_set() {
    let mut world = world("project shop MULTI\n org acme\n add ann to acme: Admin, Member");
    world.refused("add ann to acme: Owner", Reason::MemberAlreadyExists);
    world.refused("set bob in acme: Owner", Reason::MemberNotFound);
    world.refused("add bob to nowhere", Reason::OrgNotFound);
    world.run("set ann in acme: Owner");
    assert_eq!(member(&world, "acme", "ann"), Some(vec![("Owner".into(), None)]));
    world.idle("set ann in acme: Owner");
    // Somebody whose role is suspended is a member.
    world.run("add cid to acme: Admin\n edit Default: off Admin");
    world.refused("add cid to acme: Member", Reason::MemberAlreadyExists);
}

#[test]
fn b2_a_repeated_role_keeps_its_end_unless_the_request_sets_one() {
    let mut world = world("project shop MULTI\n org acme\n add ann to acme: Admin until 60");
    let end = |time: i64| Some(vec![("Admin".to_string(), Some(seconds(time)))]);
    world.idle("set ann in acme: Admin");
    world.run("set ann in acme: Admin, Member");
    world.run("set ann in acme: Admin");
    assert_eq!(member(&world, "acme", "ann"), end(60));
    world.run("set ann in acme: Admin until 90");
    assert_eq!(member(&world, "acme", "ann"), end(90));
    world.run("set ann in acme: Admin lasting");
    assert_eq!(member(&world, "acme", "ann"), Some(vec![("Admin".into(), None)]));
    world.run("set ann in acme: Member\n set ann in acme: Admin");
    assert_eq!(member(&world, "acme", "ann"), Some(vec![("Admin".into(), None)]));
}

#[test]
fn b2_a_role_that_ended_is_given_anew_only_by_saying_so() {
    let mut world = world("org acme\n add ann to acme: Member, Admin until 60");
    // Who reads roles and writes their names back must not revive one by accident.
    world.at(60).refused("set ann in acme: Admin", Reason::EndInThePast);
    world.run("set ann in acme: Admin lasting");
    assert_eq!(member(&world, "acme", "ann"), Some(vec![("Admin".into(), None)]));
    world.check("ann", "acme", "rolecall::can_invite", Allowed);
}

#[test]
fn b2_a_bulk_write_is_all_or_nothing_and_names_every_bad_row() {
    let mut world = world("org acme\n org globex\n add ann to acme\n add bob to acme\n add cid to acme");
    let refusal = world.refused(
        "write: add dan to acme | add ann to acme | add dan to globex | remove eve from acme | set bob in acme: Boss | set dan in acme: Owner",
        Reason::MemberAlreadyExists,
    );
    let Refusal::Rows { rows, total } = refusal else { panic!("{refusal}") };
    let reasons: Vec<_> = rows.iter().map(|(row, refusal)| (*row, refusal.reason())).collect();
    assert_eq!(total, 4);
    assert_eq!(
        reasons,
        [
            (1, Reason::MemberAlreadyExists),
            (3, Reason::MemberNotFound),
            (4, Reason::RoleNotFound),
            (5, Reason::RepeatedRow),
        ]
    );
    assert_eq!(member(&world, "acme", "dan"), None);
    let before = world.state.revision().number;
    let answer = world.answer(
        "write: add dan to acme: Owner | set ann in acme: Admin | set bob in acme: Member | remove cid from acme | add dan to globex",
    );
    assert_eq!(answer, Answer::Tally { added: 2, set: 1, removed: 1, unchanged: 1 });
    assert_eq!(world.state.revision().number, before + 1);
    world.refused("write: remove dan from acme | remove dan from acme", Reason::RepeatedRow);
}

#[test]
fn b2_a_bulk_write_counts_the_rows_it_does_not_name() {
    let mut world = world("org acme");
    let Command::BatchWriteMembers(mut batch) = world.command("write: remove ann from acme") else { unreachable!() };
    let row = batch.rows[0].clone();
    batch.rows = (0..50)
        .map(|number| {
            let mut row = row.clone();
            row.user_id = UserId::stored(format!("u{number}"));
            row.write = Write::Remove;
            row
        })
        .collect();
    let refusal = world.decide(&Command::BatchWriteMembers(batch)).err().expect("nobody is a member");
    let Refusal::Rows { rows, total } = refusal else { panic!("{refusal}") };
    assert_eq!((rows.len(), total), (rolecall::limits::VIOLATIONS_MAX, 50));
}

#[test]
fn b5_a_role_grants_until_its_end_and_not_at_it() {
    let mut world = world("project shop MULTI\n org acme\n add ann to acme: Admin until 60");
    world.now = Time(seconds(60).0 - 1);
    world.check("ann", "acme", "rolecall::can_invite", Allowed);
    world.at(60).check("ann", "acme", "rolecall::can_invite", RoleExpired);
    world.refused("add bob to acme: Admin until 60", Reason::EndInThePast);
    world.run("add bob to acme: Admin until 61");
}

#[test]
fn b5_in_single_a_role_is_lent_over_the_base_role_which_counts_again_afterwards() {
    let mut world = world("permission base, lent\n edit Default: Member +base; Admin +lent\n org acme");
    world.run("add ann to acme: Member, Admin until 60");
    world.check("ann", "acme", "lent", Allowed);
    world.check("ann", "acme", "base", MissingPermission);
    world.at(60).check("ann", "acme", "lent", RoleExpired);
    world.check("ann", "acme", "base", Allowed);
}

#[test]
fn b5_in_multi_a_role_with_an_end_stands_beside_the_others() {
    let mut world = world("project shop MULTI\n permission one, other\n org acme");
    world.run("edit Default: Member +one; Admin +other\n add ann to acme: Member, Admin until 60");
    world.check("ann", "acme", "one", Allowed);
    world.check("ann", "acme", "other", Allowed);
    world.at(60).check("ann", "acme", "one", Allowed);
    world.check("ann", "acme", "other", RoleExpired);
}

#[test]
fn b5_a_lent_role_that_is_suspended_does_not_lie_over_the_base_role() {
    let mut world = world("permission base, lent\n edit Default: Member +base; Admin +lent\n org acme");
    world.run("add ann to acme: Member, Admin until 60\n edit Default: off Admin");
    world.check("ann", "acme", "base", Allowed);
    world.check("ann", "acme", "lent", RoleDisabled);
    world.at(60).check("ann", "acme", "lent", RoleExpired);
}

#[test]
fn k1_allowed_is_a_live_role_that_grants_it_in_that_org() {
    let mut world = world(
        "permission billing.view
        org acme
        org globex
        add ann to acme: Admin",
    );
    world.check("ann", "acme", "billing.view", MissingPermission);
    world.run("edit Default: Admin +billing.view");
    world.check("ann", "acme", "billing.view", Allowed);
    world.check("ann", "globex", "billing.view", NotAMember);
    world.check("Ann", "acme", "billing.view", NotAMember);
    world.run("edit Default: Admin -billing.view");
    world.check("ann", "acme", "billing.view", MissingPermission);
    world.run("remove ann from acme");
    world.check("ann", "acme", "billing.view", NotAMember);
}

/// In a MULTI_ROLE project a user holds roles of every kind. Each row: what grants the permission, and the answer.
#[test]
fn k2_the_first_decision_that_fits_is_the_answer() {
    let table = [
        ("", MissingPermission),
        ("Live", Allowed),
        ("Suspended", RoleDisabled),
        ("Ended", RoleExpired),
        ("Both", RoleExpired), // ended and disabled: it is held no longer
        ("Other", MissingPermission),
        ("Live Suspended", Allowed),
        ("Live Ended", Allowed),
        ("Live Other", Allowed),
        ("Suspended Ended", RoleDisabled),
        ("Suspended Both", RoleDisabled),
        ("Suspended Other", RoleDisabled),
        ("Ended Other", RoleExpired),
        ("Live Suspended Ended Both Other", Allowed),
    ];
    for (granting, decision) in table {
        let mut world = world("project shop MULTI\n permission p\n org acme");
        for role in ["Live", "Suspended", "Ended", "Both", "Other"] {
            world.run(&format!("role {role}"));
        }
        world.run("add ann to acme: Live, Suspended, Ended until 60, Both until 60");
        world.run("edit Default: off Suspended; off Both");
        for role in granting.split_whitespace() {
            world.run(&format!("edit Default: {role} +p"));
        }
        world.at(60).check("ann", "acme", "p", decision);
        // What comes before all of that, in its order.
        world.check("bob", "acme", "p", NotAMember);
        world.check("ann", "acme", "q", UnknownPermission);
        world.check("bob", "acme", "q", UnknownPermission);
        world.check("ann", "globex", "p", OrgNotFound);
        world.check("bob", "globex", "q", OrgNotFound);
    }
}

/// The same for a SINGLE_ROLE project: base role Member, lent role Admin. Each row: which of them is disabled, what grants
/// the permission, and the answer before and after the end.
#[test]
fn k2_in_single_the_lent_role_stands_before_the_base_role() {
    let table = [
        ("", "Base", MissingPermission, Allowed),
        ("", "Lent", Allowed, RoleExpired),
        ("", "Base Lent", Allowed, Allowed),
        ("", "", MissingPermission, MissingPermission),
        ("Base", "Base", RoleDisabled, RoleDisabled),
        ("Base", "Lent", Allowed, RoleExpired),
        ("Base", "Base Lent", Allowed, RoleDisabled),
        ("Lent", "Base", Allowed, Allowed),
        ("Lent", "Lent", RoleDisabled, RoleExpired),
        ("Lent", "Base Lent", Allowed, Allowed),
        ("Base Lent", "Base", RoleDisabled, RoleDisabled),
        ("Base Lent", "Lent", RoleDisabled, RoleExpired),
        ("Base Lent", "Base Lent", RoleDisabled, RoleDisabled),
    ];
    for (disabled, granting, before, after) in table {
        let mut world = world("permission p\n org acme\n role Base\n role Lent\n add ann to acme: Base, Lent until 60");
        disabled.split_whitespace().for_each(|role| world.run(&format!("edit Default: off {role}")));
        granting.split_whitespace().for_each(|role| world.run(&format!("edit Default: {role} +p")));
        world.now = Time(seconds(60).0 - 1);
        world.check("ann", "acme", "p", before);
        world.at(60).check("ann", "acme", "p", after);
    }
}

#[test]
fn k3_a_batch_is_answered_in_the_order_asked_at_one_instant() {
    let mut world = plans();
    world.run("add cid to globex: Member, Billing Manager until 60");
    let rows = [
        ("acme", "ann", "billing.view", Allowed),
        ("acme", "ann", "billing.pay", MissingPermission),
        ("globex", "bob", "billing.pay", Allowed),
        ("globex", "cid", "billing.pay", RoleExpired),
        ("nowhere", "bob", "billing.pay", OrgNotFound),
        ("globex", "bob", "billing.pay", Allowed),
        ("globex", "bob", "", UnknownPermission),
        ("", "bob", "billing.pay", OrgNotFound),
        ("acme", "", "billing.view", NotAMember),
        ("acme", "ann", "billing.view", Allowed),
        ("acme", "ann", "billing.sell", UnknownPermission),
    ];
    let ask = |&(org_id, user_id, permission, _): &(&'static str, &'static str, &'static str, Decision)| Ask {
        org_id,
        user_id,
        question: Question::Permission(permission),
    };
    let project = world.state.project_keyed("default").unwrap();
    // What stands in `out` already stays there.
    let mut decisions = vec![UserBlocked];
    project.check_batch(rows.iter().map(ask), seconds(60), &mut decisions);
    assert_eq!(decisions[1..], rows.map(|(.., decision)| decision));
    assert_eq!(decisions[0], UserBlocked);
    decisions.clear();
    project.check_batch(rows.iter().rev().map(ask), seconds(60), &mut decisions);
    assert!(decisions.iter().eq(rows.iter().rev().map(|(.., decision)| decision)));
}

fn work(world: &mut World, line: &str, request: &str, fingerprint: u128) -> Work {
    let request = RequestKey { caller: "ops".into(), request_id: request.into() };
    let call = Call { request: Some(request), fingerprint, ..call() };
    Work { command: world.command(line), call, tag: 3 }
}

/// The verdicts in words.
fn told(verdicts: &[Verdict]) -> Vec<String> {
    let word = |verdict: &Verdict| match verdict {
        Verdict::Done { revision, replayed: false, .. } => format!("done at {}", revision.number),
        Verdict::Done { revision, outcome, replayed: true } => {
            format!("replayed from {}: {:?}", revision.number, answered(outcome))
        }
        Verdict::Remembered { revision, outcome } => {
            format!("remembered from {}: {}", revision.number, String::from_utf8_lossy(outcome))
        }
        Verdict::Refused(refusal) => format!("{:?}", refusal.reason()),
    };
    verdicts.iter().map(word).collect()
}

#[test]
fn a4_a_repeated_request_id_is_answered_as_before_and_changes_nothing() {
    let mut world = world("org acme");
    let group = [
        work(&mut world, "add ann to acme", "1", 10),
        work(&mut world, "add ann to acme", "1", 10), // would be MemberAlreadyExists
        work(&mut world, "add ann to acme", "1", 11), // another body
        work(&mut world, "add bob to nowhere", "2", 10), // refused: not remembered
        work(&mut world, "add bob to acme", "2", 11),
        work(&mut world, "set bob in acme: Member", "3", 10), // changes nothing: not remembered
        work(&mut world, "set bob in acme: Admin", "3", 11),
        work(&mut world, "add cid to acme", "past", 10),
        work(&mut world, "add cid to acme", "past", 11),
    ];
    let key = RequestKey { caller: "ops".into(), request_id: "past".into() };
    let revision = Revision { number: 1, tag: 3, at: Time(1) };
    let known = Known::from([(key, KnownRequest { fingerprint: 10, revision, outcome: b"as it was".to_vec() })]);
    assert_eq!(world.state.revision().number, 2);
    let group = decide_group(world.state.clone(), &group, &known, world.now, &world.limits);
    let ann =
        Answer::Member { org: "acme".into(), user: "ann".into(), roles: vec![("Member".into(), None, Standing::Live)] };
    assert_eq!(
        told(&group.verdicts),
        [
            "done at 3".to_string(),
            format!("replayed from 3: {ann:?}"),
            "RequestIdReused".into(),
            "OrgNotFound".into(),
            "done at 4".into(),
            "done at 4".into(),
            "done at 5".into(),
            "remembered from 1: as it was".into(),
            "RequestIdReused".into(),
        ]
    );
    assert_eq!(group.commits.len(), 3);
    assert_eq!(group.next.revision().number, 5);
}

#[test]
fn a4_request_ids_of_different_callers_do_not_meet() {
    let mut world = world("org acme");
    let mut group = vec![work(&mut world, "add ann to acme", "1", 10), work(&mut world, "add bob to acme", "1", 11)];
    group[1].call.request = Some(RequestKey { caller: "billing".into(), request_id: "1".into() });
    let group = decide_group(world.state.clone(), &group, &Known::new(), world.now, &world.limits);
    assert_eq!(told(&group.verdicts), ["done at 3", "done at 4"]);
}

#[test]
fn refusals_name_their_rule() {
    let mut world = plans();
    let table = [
        ("project default SINGLE", "P1"),
        ("permission rolecall::x", "P4"),
        ("role owner", "R1"),
        ("org acme", "S5"),
        ("add ann to acme", "B2"),
        ("edit Free: off Owner", "M4"),
        ("add cid to acme: Billing Manager", "M3"),
        ("add cid to acme: Owner, Admin", "B1"),
        ("add cid to acme: Owner until 0", "B5"),
        ("edit Free: on Admin; off Admin", "M2"),
        ("write: remove ann from acme | remove ann from acme", "B2"),
    ];
    for (line, rule) in table {
        let command = world.command(line);
        let refusal = world.decide(&command).err().unwrap_or_else(|| panic!("`{line}` is accepted"));
        assert_eq!(refusal.rule(), rule, "{line}");
        let text = refusal.to_string();
        assert!(
            !text.ends_with('.') && text.chars().next().is_some_and(|c| c.is_lowercase() || c.is_numeric()),
            "{text}"
        );
    }
}
