//! Blocked and deleted users (U1, U2), also as acting users and viewers (G1, I2, I4).

use rolecall::domain::{Decision, Question, Reason, UserId};

use super::plans;
use crate::fixture::{World, seconds, world};
use crate::model::Answer;

fn member() -> World {
    let world = world("permission read\n edit Default: Member +read\n org acme by ann\n add bob to acme");
    world.check("bob", "acme", "read", Decision::Allowed);
    world
}

#[test]
fn u1_every_check_of_a_blocked_user_is_denied_until_the_user_is_unblocked() {
    let mut world = member();
    world.at(5).run("block bob");
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (known, unknown) = (names(&["read"]), names(&["read", "fly"]));
    world.check("bob", "acme", "read", Decision::UserBlocked);
    for question in [
        Question::Role("Member"),
        Question::Role("Owner"),
        Question::AtLeastRole("Member"),
        Question::AllOf(&known),
        Question::AnyOf(&known),
    ] {
        world.ask("bob", "acme", question, Decision::UserBlocked);
    }
    // K2: these come first.
    world.check("bob", "nowhere", "read", Decision::OrgNotFound);
    world.check("bob", "acme", "fly", Decision::UnknownPermission);
    world.ask("bob", "acme", Question::Role("Ghost"), Decision::UnknownRole);
    world.ask("bob", "acme", Question::AllOf(&unknown), Decision::UnknownPermission);
    world.ask("bob", "acme", Question::AnyOf(&unknown), Decision::UnknownPermission);
    assert_eq!(world.role_states("acme", "bob"), "Member live", "the membership stays");
    world.run("unblock bob");
    world.check("bob", "acme", "read", Decision::Allowed);
}

#[test]
fn u1_an_id_that_nobody_mentioned_can_be_blocked_and_comes_before_not_a_member() {
    let mut world = member();
    world.run("block eve");
    world.check("eve", "acme", "read", Decision::UserBlocked);
    world.check("dan", "acme", "read", Decision::NotAMember);
}

#[test]
fn u1_blocking_twice_keeps_the_time_and_unblocking_twice_changes_nothing() {
    let mut world = member();
    let blocked = Answer::User { user: "bob".into(), blocked: Some(seconds(5)) };
    assert_eq!(world.at(5).answer("block bob"), blocked);
    world.at(9).unchanged("block bob");
    assert_eq!(world.answer("block bob"), blocked);
    let unblocked = Answer::User { user: "bob".into(), blocked: None };
    assert_eq!(world.answer("unblock bob"), unblocked);
    world.unchanged("unblock bob");
}

#[test]
fn u1_a_block_is_of_one_project() {
    let mut world = member();
    world.run("project shop SINGLE\n org acme by bob\n block bob");
    world.check("bob", "acme", "rolecall::can_invite", Decision::UserBlocked);
    world.project = "default".into();
    world.check("bob", "acme", "read", Decision::Allowed);
}

#[test]
fn u1_a_blocked_user_cannot_be_added_but_a_member_can_be_set_and_removed() {
    let mut world = member();
    world.run("block bob\n block eve");
    world.refused("add eve to acme", Reason::UserNotAvailable);
    world.refused("write: add dan to acme | add eve to acme", Reason::UserNotAvailable);
    world.refused("org globex by eve", Reason::UserNotAvailable);
    world.refused("add bob to acme", Reason::MemberAlreadyExists);
    world.run("set bob in acme: Admin\n remove bob from acme");
    world.refused("add bob to acme", Reason::UserNotAvailable);
    world.run("unblock bob\n add bob to acme");
}

#[test]
fn u1_a_blocked_owner_counts_as_an_owner() {
    let mut world = member();
    world.run("block ann\n remove bob from acme\n add dan to acme");
    world.refused("set ann in acme: Member", Reason::LastOwner);
}

#[test]
fn g1_a_blocked_acting_user_is_refused() {
    let mut world = member();
    world.run("block ann");
    for line in ["add dan to acme", "set bob in acme: Admin", "remove bob from acme", "remove ann from acme"] {
        world.refused(&format!("as:ann {line}"), Reason::ActingUserBlocked);
    }
    world.refused("as:ann delete org acme", Reason::ActingUserBlocked);
    world.refused("as:ann update org acme: text x", Reason::ActingUserBlocked);
    // Even a user who is not a member.
    world.run("block eve");
    world.refused("as:eve add dan to acme", Reason::ActingUserBlocked);
    world.run("unblock ann\n as:ann add dan to acme");
}

#[test]
fn i2_a_blocked_viewer_sees_nothing() {
    let mut world = member();
    let view = |world: &World| {
        let project = world.project();
        project.view_of(project.org("acme").unwrap(), &UserId::stored("ann"), world.now).ok()
    };
    assert!(view(&world).is_some());
    world.run("block ann");
    assert!(view(&world).is_none());
}

#[test]
fn i4_adding_a_blocked_user_is_refused_like_adding_an_internal_member() {
    let mut world = world("internal role Spy below Owner\n org acme by ann\n add bob to acme\n add spy to acme: Spy");
    world.run("block eve");
    for roles in ["", ": Member", ": Member until 60"] {
        let internal = world.refused(&format!("as:ann add spy to acme{roles}"), Reason::UserNotAvailable);
        let blocked = world.refused(&format!("as:ann add eve to acme{roles}"), Reason::UserNotAvailable);
        assert_eq!(internal.to_string().replace("spy", "eve"), blocked.to_string());
        assert_eq!(internal.rule(), blocked.rule());
    }
    // What would be refused in any case gets that refusal.
    for user in ["spy", "eve"] {
        world.refused(&format!("as:ann add {user} to acme: Ghost"), Reason::RoleNotFound);
        world.refused(&format!("as:bob add {user} to acme"), Reason::ActingUserMissingPermission);
    }
}

#[test]
fn u2_deleting_a_user_removes_the_memberships_in_every_org_and_checks_no_owners() {
    let mut world = plans();
    world.run("add eve to acme\n add ann to globex: Member until 60\n org initech by bob\n add cid to initech");
    world.at(70);
    let impact = world.preview("delete user ann");
    assert_eq!((impact.orgs, impact.members), (1, 1), "the expired role in globex was not held");
    assert_eq!(impact.orgs_left_ownerless.first.iter().map(|org| org.as_str()).collect::<Vec<_>>(), ["acme"]);
    assert_eq!(world.answer("delete user ann"), Answer::Deleted(2));
    for org in ["acme", "globex"] {
        assert_eq!(world.role_states(org, "ann"), "");
    }
    assert_eq!(world.role_states("acme", "eve"), "Member live");
    world.unchanged("delete user ann");
    assert_eq!(world.answer("delete user nobody"), Answer::Deleted(0));
    world.run("add ann to acme");
}

#[test]
fn u1_a_block_outlives_deleting_the_user() {
    let mut world = member();
    world.run("block bob\n delete user bob");
    world.check("bob", "acme", "read", Decision::UserBlocked);
}

#[test]
fn p6_the_blocks_of_a_deleted_project_are_purged() {
    let mut world = member();
    world.run("project shop SINGLE\n org acme by ann\n block bob\n block eve");
    let id = world.project().id;
    world.run("forced delete project shop");
    world.purge_all(1);
    let project = world.state.project_numbered(id).expect("the key stays");
    assert!(project.block_of("bob").is_none() && project.block_of("eve").is_none());
}
