//! Roles and permissions (R1 to R10); deleting a role is in `r4.rs`.

use rolecall::domain::Command;
use rolecall::domain::Decision::*;
use rolecall::domain::model::name::BadName;
use rolecall::domain::{PermissionName, Question, Reason, Refusal, RoleName};

use super::plans;
use crate::fixture::world;
use crate::model::Answer;

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
fn r1_names_contain_no_invisible_characters() {
    // Two roles named `Owner` could look the same. The characters are from Unicode's Default_Ignorable_Code_Point.
    let invisible = [
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
    for character in invisible {
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
fn r2_a_new_role_is_placed_last_or_above_or_below_another() {
    let mut world = world("role Guest");
    assert_eq!(world.roles(), ["Owner", "Admin", "Member", "Guest"]);
    world.run("role Founder above Owner\n role Lead below Admin\n role Intern above Member\n role Ghost below Guest");
    assert_eq!(world.roles(), ["Founder", "Owner", "Admin", "Lead", "Intern", "Member", "Guest", "Ghost"]);
    world.refused("role Nobody above Somebody", Reason::RoleNotFound);
}

#[test]
fn r2_eighty_roles_fit_at_any_one_position() {
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
fn r2_a_hundred_roles_fit_between_the_last_two_created() {
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
fn r2_a_new_role_grants_nothing_and_is_enabled_unless_disabled_in_the_request() {
    let mut world = world("mapping Free\n role Guest\n role Auditor, off in Free, Default\n org acme on Free");
    let model = world.model();
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
fn r7_a_role_inherits_no_permissions_from_lower_roles() {
    let mut world = world("permission read\n org acme\n add ann to acme: Owner\n add cid to acme: Member");
    world.run("edit Default: Member +read");
    world.check("cid", "acme", "read", Allowed);
    world.check("ann", "acme", "read", MissingPermission);
}

#[test]
fn r7_a_role_grants_what_its_row_in_each_mapping_lists() {
    let mut world = plans();
    world.run("subscribe acme to Paid\n ownerless set ann in acme: Billing Manager");
    world.check("ann", "acme", "billing.pay", Allowed);
    world.run("subscribe acme to Default");
    world.check("ann", "acme", "billing.pay", MissingPermission);
}

#[test]
fn r3_the_old_name_of_a_permission_keeps_working() {
    let mut world = world("permission read\n edit Default: Member +read\n org acme\n add ann to acme");
    world.run("update permission read: name docs.read; text Reads documents.");
    for name in ["read", "docs.read"] {
        world.check("ann", "acme", name, Allowed);
    }
    world.check("ann", "acme", "write", UnknownPermission);
    assert_eq!(world.project_model().permissions["docs.read"].aliases, ["read"]);
    world.run("edit Default: Admin +read; Member -read");
    world.check("ann", "acme", "docs.read", MissingPermission);
    world.refused("edit Default: Member +read -docs.read", Reason::Contradiction);
    world.run("update permission read: name documents.read");
    assert_eq!(world.project_model().permissions["documents.read"].aliases, ["read", "docs.read"]);
}

#[test]
fn r3_the_old_name_of_a_role_keeps_working_everywhere() {
    let mut world = world("project shop MULTI\n mapping Free\n org acme\n role Guest");
    world.run("update role Admin: name Boss\n update role Boss: name Chief");
    assert_eq!(world.roles(), ["Owner", "Chief", "Member", "Guest"]);
    world.run("add ann to acme: Admin\n set ann in acme: Boss, Guest");
    assert_eq!(world.member("acme", "ann"), Some(vec![("Chief".into(), None), ("Guest".into(), None)]));
    world.refused("set ann in acme: Boss, Admin", Reason::RepeatedRole);
    world.ask("ann", "acme", Question::Role("Admin"), Allowed);
    world.ask("ann", "acme", Question::AtLeastRole("Boss"), Allowed);
    world.run("edit Free: off Boss\n edit Free: on Admin; Admin +rolecall::can_invite");
    world.refused("edit Free: on Boss; off Admin", Reason::Contradiction);
    world.run("role Lead above Admin\n order Admin, *");
    assert_eq!(world.roles()[0], "Chief");
    world.refused("order Admin, Boss, *", Reason::RepeatedRole);
    world.run("update project: default Boss\n org globex\n add bob to globex");
    assert_eq!(world.member("globex", "bob"), Some(vec![("Chief".into(), None)]));
}

#[test]
fn r3_the_old_name_of_a_mapping_keeps_working() {
    let mut world = plans();
    world.run("update mapping Paid: name Gold; text The dear one.\n org a on Paid\n subscribe acme to Paid");
    world.run("promote Paid\n mapping Trial like Paid\n edit Paid: Member +billing.view\n org b");
    let project = world.project_model();
    assert_eq!((project.default_mapping.as_str(), project.orgs["b"].mapping.as_str()), ("Gold", "Gold"));
    assert_eq!(project.mappings["Gold"].details.aliases, ["Paid"]);
    assert_eq!(project.mappings["Gold"].details.description, "The dear one.");
    assert!(project.mappings["Trial"].details.aliases.is_empty(), "a duplicate has a name of its own");
    world.refused("mapping Paid", Reason::RoleMappingAlreadyExists);
    world.refused("mapping PAID", Reason::RoleMappingAlreadyExists);
    world.run("update mapping Gold: aliases\n mapping Paid");
}

#[test]
fn r3_an_alias_cannot_be_given_to_another_object_until_it_is_dropped() {
    let mut world = world("permission read, write\n role Guest");
    world.run("update role Admin: name Boss\n update permission read: name see");
    for line in ["role Admin", "role ADMIN", "update role Guest: name Admin", "update role Guest: name admin"] {
        match world.refused(line, Reason::RoleAlreadyExists) {
            Refusal::AliasOf { of, .. } => assert_eq!(of, "Boss"),
            other => panic!("{other}"),
        }
    }
    for line in ["permission read", "update permission write: name read"] {
        match world.refused(line, Reason::PermissionAlreadyExists) {
            Refusal::AliasOf { of, .. } => assert_eq!(of, "see"),
            other => panic!("{other}"),
        }
    }
    world.run("permission Read");
    world.run("update role Boss: aliases\n update permission see: aliases");
    world.refused("update role Admin: text Nobody.", Reason::RoleNotFound);
    world.refused("update permission read: text Nothing.", Reason::PermissionNotFound);
    world.run("role Admin\n permission read");
    assert!(!world.project_model().mappings["Default"].grants.contains_key("Admin"), "it inherits nothing");
}

#[test]
fn r3_an_update_can_drop_some_aliases() {
    let mut world = world("role A\n update role A: name B\n update role B: name C\n update role C: name D");
    world.refused("update role D: aliases A, X", Reason::UnknownAlias);
    world.refused("update role D: aliases D", Reason::UnknownAlias);
    world.unchanged("update role D: aliases C, B, A");
    world.run("update role D: aliases C, A");
    assert_eq!(world.project_model().role_details("D").aliases, ["A", "C"]);
    world.refused("update role B: text Nobody.", Reason::RoleNotFound);
    // The name given up in the same request becomes the newest alias.
    world.run("update role D: name E; aliases C");
    assert_eq!(world.project_model().role_details("E").aliases, ["C", "D"]);
}

#[test]
fn r3_an_object_may_take_back_an_alias_or_change_its_case() {
    let mut world = world("role Guest\n update role Guest: name Visitor\n update role Visitor: name Guest");
    assert_eq!(world.project_model().role_details("Guest").aliases, ["Visitor"]);
    world.run("update role Guest: name GUEST");
    assert_eq!(world.project_model().role_details("GUEST").aliases, ["Visitor", "Guest"]);
    world.refused("role guest", Reason::RoleAlreadyExists);
    world.run("update role GUEST: aliases Visitor");
    world.refused("update role Guest: text Nobody.", Reason::RoleNotFound);
    world.refused("role guest", Reason::RoleAlreadyExists);
    world.unchanged("update role Visitor: name GUEST");
}

#[test]
fn r3_a_deleted_name_and_its_aliases_can_be_used_again_and_inherit_nothing() {
    let mut world = world("permission a\n edit Default: Owner +a; Admin +a\n update permission a: name b");
    world.run("role Guest\n update role Guest: name Visitor\n edit Default: off Visitor; Visitor +b");
    world.run("mapping Free: Owner +b\n update mapping Free: name Basic");
    world.run("delete permission b\n delete role Visitor\n delete mapping Basic");
    world.run("permission a, b\n role Guest\n role Visitor\n mapping Free\n mapping Basic");
    world.run("org acme by ann\n add bob to acme: Visitor");
    world.check("ann", "acme", "a", MissingPermission);
    world.check("ann", "acme", "b", MissingPermission);
    world.ask("bob", "acme", Question::Role("Guest"), MissingPermission);
    let project = world.project_model();
    assert!(project.mappings["Basic"].grants.is_empty() && project.mappings["Default"].disabled.is_empty());
}

#[test]
fn r5_default_roles_cannot_be_deleted_internal_or_disabled() {
    let mut world = world("mapping Free\n internal role Support\n role Guest, off in Free");
    for role in ["Owner", "Member"] {
        world.refused(&format!("delete role {role} for Admin"), Reason::DefaultRoleUnsuitable);
        world.refused(&format!("update role {role}: internal"), Reason::DefaultRoleUnsuitable);
        world.refused(&format!("edit Free: off {role}"), Reason::DefaultRoleDisabled);
        world.refused(&format!("suspending edit Free: off {role}"), Reason::DefaultRoleDisabled);
    }
    for what in ["default", "owner"] {
        world.refused(&format!("update project: {what} Support"), Reason::DefaultRoleUnsuitable);
        world.refused(&format!("update project: {what} Guest"), Reason::DefaultRoleUnsuitable);
        world.refused(&format!("update project: {what} Nobody"), Reason::RoleNotFound);
    }
    // After others are chosen, they can be deleted.
    world.run("edit Free: on Guest\n update project: default Guest; owner Admin");
    world.refused("delete role Guest", Reason::DefaultRoleUnsuitable);
    world.run("delete role Owner for Admin\n delete role Member\n org acme by ann\n add bob to acme");
    assert_eq!(world.member("acme", "ann"), Some(vec![("Admin".into(), None)]));
    assert_eq!(world.member("acme", "bob"), Some(vec![("Guest".into(), None)]));
}

#[test]
fn r6_an_order_names_every_role_once() {
    let mut world = world("role Guest");
    assert_eq!(world.answer("order Guest, Member, Owner, Admin"), Answer::RolesReordered);
    assert_eq!(world.roles(), ["Guest", "Member", "Owner", "Admin"]);
    world.unchanged("order Guest, Member, Owner, Admin");
    match world.refused("order Guest, Member, Admin", Reason::IncompleteOrder) {
        Refusal::IncompleteOrder { missing } => assert_eq!(missing.as_str(), "Owner"),
        other => panic!("{other}"),
    }
    world.refused("order Guest, Member, Owner, Admin, Guest", Reason::RepeatedRole);
    world.refused("order Guest, Member, Owner, Boss", Reason::RoleNotFound);
    let Command::ReorderRoles(mut empty) = world.command("order Owner") else { unreachable!() };
    empty.roles.clear();
    let refusal = world.decide(&Command::ReorderRoles(empty)).err().expect("refused");
    assert_eq!(refusal.reason(), Reason::IncompleteOrder);
}

#[test]
fn r6_the_order_decides_at_least() {
    let mut world = world("org acme\n add ann to acme: Admin");
    world.ask("ann", "acme", Question::AtLeastRole("Member"), Allowed);
    world.run("order Owner, Member, Admin\n role Guest above Admin\n role Lead below Owner");
    assert_eq!(world.roles(), ["Owner", "Lead", "Member", "Guest", "Admin"]);
    world.ask("ann", "acme", Question::AtLeastRole("Member"), MissingPermission);
    world.ask("ann", "acme", Question::AtLeastRole("Admin"), Allowed);
}

#[test]
fn r8_deleting_a_permission_removes_it_from_every_mapping() {
    let mut world = plans();
    world.run("edit Default: Member +billing.view");
    let before = world.project().grants;
    // Owner and Billing Manager on Free and on Paid, and Member on Default.
    assert_eq!(world.answer("delete permission billing.view"), Answer::Deleted(5));
    assert_eq!(world.project().grants, before - 5);
    let project = world.project_model();
    assert!(!project.permissions.contains_key("billing.view"));
    assert!(project.mappings["Free"].grants.is_empty());
    world.check("ann", "acme", "billing.view", UnknownPermission);
    world.check("bob", "globex", "billing.pay", Allowed);
    world.refused("delete permission billing.view", Reason::PermissionNotFound);
    assert_eq!(world.answer("delete permission billing.pay"), Answer::Deleted(1));
}

#[test]
fn r10_the_internal_flag_changes_only_while_nobody_holds_the_role() {
    let mut world =
        world("project shop MULTI\n role Guest\n org acme\n org globex\n add ann to globex: Guest until 60, Member");
    match world.refused("update role Guest: internal", Reason::RoleInUse) {
        Refusal::RoleInUse { members, .. } => assert_eq!(members, 1),
        other => panic!("{other}"),
    }
    world.unchanged("update role Guest: visible");
    world.run("update role Guest: text Comes and goes.; name Visitor");
    // An expired role is not held.
    world.at(60).run("update role Guest: internal");
    assert!(world.project_model().is_internal("Visitor"));
    world.run("set ann in globex: Guest permanent, Member");
    world.refused("update role Guest: visible", Reason::RoleInUse);
    // A suspended role is held. A role in a deleted org is not.
    world.run("suspending edit Default: off Guest");
    world.refused("update role Guest: visible", Reason::RoleInUse);
    world.run("delete org globex\n update role Guest: visible");
}
