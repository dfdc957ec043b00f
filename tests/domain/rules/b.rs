//! Memberships (B1 to B6).

use rolecall::domain::Command;
use rolecall::domain::Decision::*;
use rolecall::domain::commands::command::Write;
use rolecall::domain::model::membership::Origin;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::{Question, Reason, Refusal, Time, UserId};

use crate::fixture::{World, seconds, world};
use crate::model::Answer;

#[test]
fn b1_in_single_role_a_member_holds_at_most_one_permanent_and_one_temporary_role() {
    let mut world = world("org acme\n add ann to acme");
    assert_eq!(world.member("acme", "ann"), Some(vec![("Member".into(), None)]));
    world.refused("set ann in acme: Member, Admin", Reason::TooManyRoles);
    world.refused("set ann in acme: Member, Admin until 9, Owner until 9", Reason::TooManyRoles);
    world.refused("set ann in acme: Member until 9, Admin until 9", Reason::TooManyRoles);
    world.refused("set ann in acme: Member, Member until 9", Reason::RepeatedRole);
    world.run("set ann in acme: Member, Admin until 9");
    world.run("add bob to acme: Owner until 9");
}

#[test]
fn b1_in_multi_role_a_member_holds_several_different_roles() {
    let mut world = world("project shop MULTI\n org acme\n add ann to acme: Owner, Admin, Member until 9");
    world.refused("set ann in acme: Owner, Owner", Reason::RepeatedRole);
    world.refused("set ann in acme: Owner, Boss", Reason::RoleNotFound);
    world.refused("set ann in acme: Owner until 0", Reason::EndInThePast);
    assert_eq!(world.member("acme", "ann").map(|roles| roles.len()), Some(3));
}

#[test]
fn b1_a_user_who_holds_no_role_is_not_a_member() {
    let mut world = world("org acme\n add ann to acme: Admin until 60\n add bob to acme\n remove bob from acme");
    world.refused("set bob in acme: Admin", Reason::MemberNotFound);
    world.check("bob", "acme", "rolecall::can_invite", NotAMember);
    world.at(60).refused("set ann in acme: Admin", Reason::MemberNotFound);
    world.refused("remove ann from acme", Reason::MemberNotFound);
    world.check("ann", "acme", "rolecall::can_invite", RoleExpired);
    // Such a user is added, not set.
    world.run("add ann to acme: Member");
    assert_eq!(world.member("acme", "ann"), Some(vec![("Member".into(), None)]));
}

#[test]
fn b2_adding_a_member_again_is_refused_and_setting_replaces_all_roles() {
    let mut world = world("project shop MULTI\n org acme\n add ann to acme: Admin, Member");
    world.refused("add ann to acme: Owner", Reason::MemberAlreadyExists);
    world.refused("set bob in acme: Owner", Reason::MemberNotFound);
    world.refused("add bob to nowhere", Reason::OrgNotFound);
    world.run("set ann in acme: Owner");
    assert_eq!(world.member("acme", "ann"), Some(vec![("Owner".into(), None)]));
    world.unchanged("set ann in acme: Owner");
    // A user whose only role is suspended is a member.
    world.run("add cid to acme: Admin\n suspending edit Default: off Admin");
    world.refused("add cid to acme: Member", Reason::MemberAlreadyExists);
}

#[test]
fn b2_a_repeated_role_keeps_its_expiry_unless_the_request_sets_one() {
    let mut world = world("project shop MULTI\n org acme\n add ann to acme: Admin until 60");
    let admin_until = |time: i64| Some(vec![("Admin".to_string(), Some(seconds(time)))]);
    world.unchanged("set ann in acme: Admin");
    world.run("set ann in acme: Admin, Member");
    world.run("set ann in acme: Admin");
    assert_eq!(world.member("acme", "ann"), admin_until(60));
    world.run("set ann in acme: Admin until 90");
    assert_eq!(world.member("acme", "ann"), admin_until(90));
    world.run("set ann in acme: Admin permanent");
    assert_eq!(world.member("acme", "ann"), Some(vec![("Admin".into(), None)]));
    world.run("set ann in acme: Member\n set ann in acme: Admin");
    assert_eq!(world.member("acme", "ann"), Some(vec![("Admin".into(), None)]));
}

#[test]
fn b2_an_expired_role_is_given_again_only_on_request() {
    let mut world = world("org acme\n add ann to acme: Member, Admin until 60");
    // A client that reads roles and writes their names back must not revive an expired one.
    world.at(60).refused("set ann in acme: Admin", Reason::EndInThePast);
    world.run("set ann in acme: Admin permanent");
    assert_eq!(world.member("acme", "ann"), Some(vec![("Admin".into(), None)]));
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
    assert_eq!(world.member("acme", "dan"), None);
    let before = world.state.revision().number;
    let answer = world.answer(
        "write: add dan to acme: Owner | set ann in acme: Admin | set bob in acme: Member | remove cid from acme | add dan to globex",
    );
    assert_eq!(answer, Answer::Tally { added: 2, set: 1, removed: 1, unchanged: 1 });
    assert_eq!(world.state.revision().number, before + 1);
    world.refused("write: remove dan from acme | remove dan from acme", Reason::RepeatedRow);
}

#[test]
fn b2_a_bulk_write_counts_the_refused_rows_it_does_not_list() {
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
    let refusal = world.decide(&Command::BatchWriteMembers(batch)).err().expect("no user is a member");
    let Refusal::Rows { rows, total } = refusal else { panic!("{refusal}") };
    assert_eq!((rows.len(), total), (rolecall::limits::VIOLATIONS_MAX, 50));
}

#[test]
fn b5_a_role_grants_until_its_expiry_and_not_at_it() {
    let mut world = world("project shop MULTI\n org acme\n add ann to acme: Admin until 60");
    world.now = Time(seconds(60).0 - 1);
    world.check("ann", "acme", "rolecall::can_invite", Allowed);
    world.at(60).check("ann", "acme", "rolecall::can_invite", RoleExpired);
    world.refused("add bob to acme: Admin until 60", Reason::EndInThePast);
    world.run("add bob to acme: Admin until 61");
}

#[test]
fn b5_in_single_role_a_temporary_role_overrides_the_permanent_one_until_it_expires() {
    let mut world = world("permission base, temporary\n edit Default: Member +base; Admin +temporary\n org acme");
    world.run("add ann to acme: Member, Admin until 60");
    world.check("ann", "acme", "temporary", Allowed);
    world.check("ann", "acme", "base", MissingPermission);
    world.at(60).check("ann", "acme", "temporary", RoleExpired);
    world.check("ann", "acme", "base", Allowed);
}

#[test]
fn b5_in_multi_role_a_temporary_role_overrides_nothing() {
    let mut world = world("project shop MULTI\n permission one, other\n org acme");
    world.run("edit Default: Member +one; Admin +other\n add ann to acme: Member, Admin until 60");
    world.check("ann", "acme", "one", Allowed);
    world.check("ann", "acme", "other", Allowed);
    world.at(60).check("ann", "acme", "one", Allowed);
    world.check("ann", "acme", "other", RoleExpired);
}

#[test]
fn b5_a_suspended_temporary_role_does_not_override_the_permanent_one() {
    let mut world = world("permission base, temporary\n edit Default: Member +base; Admin +temporary\n org acme");
    world.run("add ann to acme: Member, Admin until 60\n suspending edit Default: off Admin");
    world.check("ann", "acme", "base", Allowed);
    world.check("ann", "acme", "temporary", RoleDisabled);
    world.at(60).check("ann", "acme", "temporary", RoleExpired);
}

#[test]
fn b5_a_temporary_role_also_overrides_the_fallback_role_of_the_permanent_one() {
    let mut world = world("permission p\n role Low\n edit Default: Low +p\n org acme");
    world.run("add ann to acme: Admin, Member until 60\n suspending:Low edit Default: off Admin");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Low overridden), Member live until 60");
    world.check("ann", "acme", "p", MissingPermission);
    world.ask("ann", "acme", Question::Role("Low"), MissingPermission);
    world.ask("ann", "acme", Question::Role("Admin"), MissingPermission);
    world.at(60).check("ann", "acme", "p", Allowed);
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Low), Member expired until 60");
    world.ask("ann", "acme", Question::Role("Admin"), RoleDisabled);
}

#[test]
fn b3_the_last_permanent_owner_cannot_leave_members() {
    let mut world =
        world("org acme by ann\n add bob to acme\n org globex by ann\n add bob to globex: Owner\n add cid to globex");
    for line in ["remove ann from acme", "set ann in acme: Admin", "set ann in acme: Owner until 60"] {
        match world.refused(line, Reason::LastOwner) {
            Refusal::LastOwner { role, first, orgs } => {
                assert_eq!((role.as_str(), first.as_str(), orgs), ("Owner", "acme", 1));
            }
            other => panic!("{other}"),
        }
    }
    // Allowed: another owner is left, or no member.
    world.run("remove ann from globex");
    world.refused("remove bob from globex", Reason::LastOwner);
    world.run("remove bob from acme\n remove ann from acme\n org third by ann");
    // A former owner counts as a member.
    world.refused("set ann in third: Admin", Reason::LastOwner);
    world.refused("set ann in third: Owner until 60", Reason::LastOwner);
    world.run("ownerless remove bob from globex");
}

#[test]
fn b3_a_temporary_owner_does_not_count() {
    let mut world =
        world("org acme by ann\n add bob to acme: Owner until 60\n add cid to acme: Member, Owner until 60");
    world.refused("remove ann from acme", Reason::LastOwner);
    world.run("set bob in acme: Owner permanent\n remove ann from acme");
    world.refused("set bob in acme: Owner until 60", Reason::LastOwner);
    // Losing a temporary owner is allowed.
    world.run("set cid in acme: Member");
}

#[test]
fn b3_an_org_without_an_owner_is_not_checked() {
    let mut world = world("org acme\n add ann to acme\n add bob to acme: Owner until 60\n add cid to acme");
    world.run("remove bob from acme\n remove ann from acme\n set cid in acme: Admin");
}

#[test]
fn b3_internal_and_expired_members_do_not_count() {
    let mut world = world("project shop MULTI\n internal role Support\n org acme by ann\n add bob to acme: Support");
    world.run("add cid to acme: Member until 60\n add dan to acme: Support, Member until 60");
    world.refused("remove ann from acme", Reason::LastOwner);
    world.at(60).run("remove ann from acme");
    world.run("org globex by ann\n add bob to globex: Support, Member");
    world.refused("remove ann from globex", Reason::LastOwner);
}

#[test]
fn b3_a_member_with_a_suspended_role_counts() {
    let mut world = world("org acme by ann\n add bob to acme: Admin\n suspending edit Default: off Admin");
    world.refused("remove ann from acme", Reason::LastOwner);
}

#[test]
fn b3_a_bulk_write_is_checked_after_all_its_rows() {
    let mut world = world("org acme by ann\n add bob to acme\n org globex by ann\n add bob to globex");
    // The order of the rows does not matter.
    world.run("write: remove ann from acme | set bob in acme: Owner");
    world.run("write: set bob in acme: Member | add ann to acme: Owner");
    world.run("write: remove ann from acme | remove bob from acme\n add ann to acme: Owner\n add bob to acme");
    let line = "write: set bob in acme: Admin | remove ann from acme | remove ann from globex";
    let Refusal::Rows { rows, total } = world.refused(line, Reason::LastOwner) else { panic!("no rows") };
    assert_eq!((rows.iter().map(|(row, _)| *row).collect::<Vec<_>>(), total), (vec![1, 2], 2));
    // Refusals of single rows come first.
    world.refused("write: remove ann from acme | remove eve from acme", Reason::MemberNotFound);
    world.run(&format!("ownerless {line}"));
}

#[test]
fn b3_owners_cannot_all_be_demoted_or_removed_together() {
    let mut world = world("org acme by ann\n add bob to acme: Owner");
    world.refused("write: set ann in acme: Member | set bob in acme: Member", Reason::LastOwner);
    world.refused("write: set ann in acme: Member | remove bob from acme", Reason::LastOwner);
    world.run("write: remove ann from acme | remove bob from acme");
}

#[test]
fn b3_changing_the_default_owner_role_leaves_no_org_without_an_owner() {
    let mut world = world("org acme by ann\n add bob to acme: Admin\n org globex by ann\n add bob to globex: Member");
    match world.refused("update project: owner Admin", Reason::LastOwner) {
        Refusal::LastOwner { role, first, orgs } => {
            assert_eq!((role.as_str(), first.as_str(), orgs), ("Admin", "globex", 1));
        }
        other => panic!("{other}"),
    }
    world.run("set bob in globex: Admin until 60");
    world.refused("update project: owner Admin", Reason::LastOwner);
    world.run("set bob in globex: Admin permanent\n org third\n add cid to third\n org empty\n org fourth by dan");
    // An org that has only owners needs one too.
    world.refused("update project: owner Admin", Reason::LastOwner);
    world.run("remove dan from fourth\n update project: owner Admin");
    world.refused("remove bob from acme", Reason::LastOwner);
    world.run("remove ann from acme");
    world.unchanged("update project: owner Admin");
    world.refused("update project: owner Member; name Shop", Reason::LastOwner);
    world.run("ownerless update project: owner Member; name Shop");
}

#[test]
fn b6_a_membership_carries_the_origin_of_its_latest_change_and_each_role_its_own() {
    let mut world = world("project shop MULTI\n role Guest\n org acme by ann\n add bob to acme: Guest");
    world.unchanged("set ann in acme: Owner");
    assert_eq!(world.project_model().orgs["acme"].members["ann"].origin, Origin::Creator);
    let answer = world.answer("set ann in acme: Owner, Guest until 60");
    let roles = vec![
        ("Owner".into(), None, RoleState::Live, Origin::Creator, None),
        ("Guest".into(), Some(seconds(60)), RoleState::Live, Origin::Direct, None),
    ];
    let (org, user) = ("acme".into(), "ann".into());
    assert_eq!(answer, Answer::Member { org, user, roles, origin: Some(Origin::Direct) });
    // A new expiry does not change the origin.
    world.run("ownerless set ann in acme: Owner until 90, Guest");
    assert_eq!(
        world.roles_and_origins("acme", "ann").unwrap()[1],
        ("Owner".into(), Some(seconds(90)), Origin::Creator)
    );
    // A role that was removed or had expired gets the origin of the new assignment.
    world.run("set ann in acme: Guest\n set ann in acme: Owner, Guest");
    assert_eq!(world.roles_and_origins("acme", "ann").unwrap()[1], ("Owner".into(), None, Origin::Direct));
    world.run("delete role Guest for Admin\n set bob in acme: Admin until 70");
    assert_eq!(
        world.roles_and_origins("acme", "bob"),
        Some(vec![("Admin".into(), Some(seconds(70)), Origin::Migration)])
    );
    world.at(70).run("add bob to acme: Admin");
    assert_eq!(world.roles_and_origins("acme", "bob"), Some(vec![("Admin".into(), None, Origin::Direct)]));
}

#[test]
fn b5_an_expired_role_is_removed_30_days_later_and_leaves_the_others_as_they_were() {
    let month = 30 * 24 * 60 * 60;
    let mut world = world("project shop MULTI\n org acme by ann");
    world.run(
        "add bob to acme: Admin until 60\n add cid to acme: Admin until 60, Member\n add dan to acme: Admin until 61",
    );
    let cid = |world: &World| world.roles_and_origins("acme", "cid");
    assert_eq!(cid(&world).map(|roles| roles.len()), Some(2));
    world.at(60 + month - 1).unchanged("expire");
    world.check("bob", "acme", "rolecall::can_invite", RoleExpired);
    world.at(60 + month).run("expire");
    world.check("bob", "acme", "rolecall::can_invite", NotAMember);
    world.check("cid", "acme", "rolecall::can_invite", MissingPermission);
    world.check("dan", "acme", "rolecall::can_invite", RoleExpired);
    assert_eq!(cid(&world), Some(vec![("Member".into(), None, Origin::Direct)]));
    world.unchanged("expire");
    world.at(61 + month).run("expire");
    world.check("dan", "acme", "rolecall::can_invite", NotAMember);
    assert_eq!(world.member("acme", "ann"), Some(vec![("Owner".into(), None)]));
}

#[test]
fn b5_expired_roles_are_removed_at_the_limit_of_role_sets_too() {
    let mut world = world("project shop MULTI\n org acme by ann\n add bob to acme: Admin until 60");
    world.run("add cid to acme: Owner, Admin until 60, Member");
    world.limits.role_sets = world.project().role_sets.len() as u64;
    // `bob` needs no new set and frees one, which `cid` needs.
    world.at(60 + 30 * 24 * 60 * 60).run("expire");
    assert_eq!(
        (world.role_states("acme", "bob"), world.role_states("acme", "cid").matches(',').count()),
        ("".into(), 2)
    );
    world.run("expire");
    assert_eq!(world.role_states("acme", "cid"), "Owner live, Member live");
    world.unchanged("expire");
}
