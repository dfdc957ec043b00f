//! Internal roles and acting users (I1, I4).

use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::rules::viewer::View;
use rolecall::domain::{Reason, Time, UserId};

use crate::fixture::{World, seconds, world};
use crate::model::Answer;

fn single() -> World {
    let mut world = world("internal role Spy below Owner\n role Guest\n org acme by ann");
    world.run("add bob to acme\n add spy to acme: Spy");
    world
}

fn multi() -> World {
    let mut world =
        world("project shop MULTI\n internal role Spy\n role Guest\n update role Owner: manages Owner, Member, Guest");
    world.run("org acme by ann\n add bob to acme\n add spy to acme: Spy\n add mix to acme: Spy, Member");
    world
}

#[track_caller]
fn answers(world: &mut World, line: &str, user: &str, roles: &[(&str, Option<Time>)]) {
    let Answer::Member { org, user: answered_user, roles: shown, origin } = world.answer(line) else {
        panic!("`{line}`")
    };
    assert_eq!((org.as_str(), answered_user.as_str(), origin), ("acme", user, None));
    let shown: Vec<_> = shown.iter().map(|(role, expire_time, ..)| (role.as_str(), *expire_time)).collect();
    assert_eq!(shown, roles, "{line}");
}

#[test]
fn i1_acting_users_cannot_assign_internal_roles() {
    for mut world in [single(), multi()] {
        for line in ["add new to acme: Spy", "set bob in acme: Spy", "set bob in acme: Member, Spy until 60"] {
            let refusal = world.refused(&format!("as:ann {line}"), Reason::RoleNotFound);
            let unknown = world.refused(&format!("as:ann {}", line.replace("Spy", "Ghost")), Reason::RoleNotFound);
            assert_eq!(refusal.to_string().replace("Spy", "Ghost"), unknown.to_string());
        }
        world.run("add new to acme: Spy");
    }
}

#[test]
fn i2_a_viewer_is_a_member_with_any_held_role_and_sees_others_by_a_live_one() {
    let mut world = world("project shop MULTI\n internal role Spy\n role Guest\n role Blind\n org acme\n org other");
    world.run("edit Default: Guest +rolecall::can_view_other_members; Spy +rolecall::can_view_other_members");
    world.run("add bob to acme: Blind\n add gus to acme: Guest\n add spy to acme: Spy\n add eve to other: Guest");
    world.run("add cid to acme: Guest until 60\n add dan to acme: Blind, Guest until 60");
    let view = |world: &World, user: &str| {
        world.project().view_of(world.project().org("acme").unwrap(), &UserId::stored(user), world.now).ok()
    };
    for (user, expected) in [
        ("bob", Some(View::OnlySelf)),
        ("gus", Some(View::AllMembers)),
        ("spy", Some(View::AllMembers)),
        ("cid", Some(View::AllMembers)),
        ("dan", Some(View::AllMembers)),
        ("eve", None),
        ("nobody", None),
    ] {
        assert_eq!(view(&world, user), expected, "{user}");
    }
    world.at(60);
    assert_eq!(view(&world, "cid"), None, "the only role has expired");
    assert_eq!(view(&world, "dan"), Some(View::OnlySelf));
    world.run("suspending edit Default: off Guest");
    assert_eq!(view(&world, "gus"), Some(View::OnlySelf), "a suspended role is held, but not live");
}

#[test]
fn i4_an_internal_member_is_not_found() {
    for mut world in [single(), multi()] {
        for line in ["set spy in acme: Member", "remove spy from acme"] {
            let refusal = world.refused(&format!("as:ann {line}"), Reason::MemberNotFound);
            let unknown = world.refused(&format!("as:ann {}", line.replace("spy", "eve")), Reason::MemberNotFound);
            assert_eq!(refusal.to_string().replace("spy", "eve"), unknown.to_string());
        }
    }
}

#[test]
fn i4_in_multi_role_an_internal_member_can_be_added_with_visible_roles() {
    let mut world = multi();
    answers(&mut world, "as:ann add spy to acme: Member", "spy", &[("Member", None)]);
    assert_eq!(world.role_states("acme", "spy"), "Member live, Spy live");
    world.refused("as:ann add spy to acme: Member", Reason::MemberAlreadyExists);
}

#[test]
fn i4_in_multi_role_set_and_remove_change_only_visible_roles() {
    let mut world = multi();
    answers(&mut world, "as:ann set mix in acme: Guest until 60", "mix", &[("Guest", Some(seconds(60)))]);
    assert_eq!(world.role_states("acme", "mix"), "Spy live, Guest live until 60");
    assert_eq!(world.answer("as:ann remove mix from acme"), Answer::Removed);
    assert_eq!(world.role_states("acme", "mix"), "Spy live");
    world.refused("as:ann remove mix from acme", Reason::MemberNotFound);
}

#[test]
fn i4_in_single_role_an_internal_member_is_not_available() {
    let mut world = single();
    world.refused("as:ann add spy to acme", Reason::UserNotAvailable);
    world.refused("as:ann add spy to acme: Guest until 60", Reason::UserNotAvailable);
    // Missing permissions are reported first.
    world.refused("as:bob add spy to acme", Reason::ActingUserMissingPermission);
    world.refused("as:ann add spy to acme: Ghost", Reason::RoleNotFound);
    world.run("set spy in acme: Spy until 60\n add tim to acme: Spy until 60");
    world.at(60).run("as:ann add spy to acme");
    assert_eq!(world.role_states("acme", "spy"), "Member live");
}

#[test]
fn i4_in_single_role_a_role_that_conflicts_with_an_internal_one_is_not_available() {
    let mut world = single();
    world.run("set bob in acme: Member, Spy until 60");
    world.refused("as:ann set bob in acme: Member, Guest until 60", Reason::UserNotAvailable);
    answers(&mut world, "as:ann set bob in acme: Guest", "bob", &[("Guest", None)]);
    assert_eq!(world.role_states("acme", "bob"), "Spy live until 60, Guest overridden");
    world.run("set bob in acme: Spy permanent, Member until 60");
    world.refused("as:ann set bob in acme: Member permanent", Reason::UserNotAvailable);
    answers(&mut world, "as:ann set bob in acme: Guest until 50", "bob", &[("Guest", Some(seconds(50)))]);
}

#[test]
fn i4_other_refusals_come_before_not_available() {
    for internal in ["", ", Spy until 60"] {
        let mut world = single();
        world.run(&format!("add cid to acme: Owner{internal}\n set ann in acme: Admin, Owner until 90"));
        world.refused("as:ann set cid in acme: Owner until 50", Reason::LastOwner);
    }
}

#[test]
fn i4_role_states_ignore_internal_roles() {
    let mut world = single();
    world.run("set bob in acme: Member, Spy until 60");
    assert_eq!(world.role_states("acme", "bob"), "Spy live until 60, Member overridden");
    let Answer::Member { roles, .. } = world.answer("as:ann set bob in acme: Guest") else { panic!("not a member") };
    assert_eq!(roles[0].2, RoleState::Live);
}

#[test]
fn i4_internal_roles_count_for_the_limit_without_being_revealed() {
    let mut world = multi();
    world.limits.member_roles = 2;
    world.refused("as:ann set mix in acme: Member, Guest", Reason::UserNotAvailable);
    world.refused("as:ann set bob in acme: Member, Guest, Owner", Reason::LimitExceeded);
    world.run("as:ann set bob in acme: Member, Guest");
}

#[test]
fn i4_a_write_that_changes_no_visible_role_changes_nothing() {
    let mut world = multi();
    world.run("set mix in acme: Member, Spy until 60");
    world.at(60).unchanged("as:ann set mix in acme: Member");
    assert_eq!(world.role_states("acme", "mix"), "Member live, Spy expired until 60");
}

#[test]
fn i4_deleting_an_org_reports_only_visible_members() {
    let mut world = multi();
    world.run("set mix in acme: Member, Spy until 60");
    let impact = world.preview("as:ann delete org acme");
    assert_eq!((impact.members, impact.orgs), (3, 1));
    assert!(impact.sample.is_empty(), "grouping members would reveal internal roles");
    assert!(impact.roles.iter().all(|it| it.role.as_str() != "Spy"));
    assert_eq!(world.answer("as:ann delete org acme"), Answer::Deleted(3));
}

#[test]
fn i4_the_impact_ignores_internal_roles() {
    let mut world = single();
    world.run("set bob in acme: Member, Spy until 60");
    let impact = world.impact("as:ann set bob in acme: Guest");
    let roles: Vec<_> = impact.roles.iter().map(|it| (it.role.as_str(), it.given, it.removed)).collect();
    assert_eq!((roles, impact.members), (vec![("Member", 0, 1), ("Guest", 1, 0)], 1));
    assert!(!impact.sample[0].permissions_lost.first.is_empty(), "without internal roles the role was live");
    // An internal member appears as a new member.
    let mut world = multi();
    let (known, new) = (world.preview("as:ann add spy to acme: Guest"), world.preview("as:ann add eve to acme: Guest"));
    assert_eq!(known.digest, new.digest);
}

#[test]
fn i4_internal_members_act_with_their_internal_roles() {
    let mut world = single();
    world.run("edit Default: Spy +rolecall::can_invite\n as:spy add eve to acme: Guest");
    world.refused("as:spy add dan to acme: Owner", Reason::RoleOutOfScope);
    world.run("order Spy, *\n edit Default: Spy -rolecall::can_change_roles\n set bob in acme: Member, Spy until 60");
    world.refused("as:bob set bob in acme: Owner", Reason::ActingUserMissingPermission);
    // Acting users can neither step down from an internal role nor remove it.
    world.refused("as:spy set spy in acme: Member", Reason::MemberNotFound);
    world.refused("as:spy remove spy from acme", Reason::MemberNotFound);
}
