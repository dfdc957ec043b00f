//! Deleting a role (R4).

use rolecall::domain::Command;
use rolecall::domain::Decision::*;
use rolecall::domain::commands::command::Purge;
use rolecall::domain::model::membership::Origin;
use rolecall::domain::{Question, Reason, Refusal, UserId};

use crate::fixture::{World, seconds, world};
use crate::model::Answer;

type Roles = Vec<(String, Option<rolecall::domain::Time>, Origin)>;

fn multi(lines: &str) -> World {
    let mut world = world("project shop MULTI\n role Guest\n internal role Support\n internal role Spy\n org acme");
    world.run(lines);
    world
}

/// Parses `Admin until 60 by Migration, Member`. The origin is Direct if not given.
fn roles(text: &str) -> Option<Roles> {
    let role = |text: &str| {
        let (text, origin) = text.split_once(" by ").unwrap_or((text, "Direct"));
        let (name, expire_time) = text.split_once(" until ").unwrap_or((text, ""));
        let origin = match origin {
            "Direct" => Origin::Direct,
            "Creator" => Origin::Creator,
            "Migration" => Origin::Migration,
            other => panic!("{other}"),
        };
        (name.to_string(), expire_time.parse().ok().map(seconds), origin)
    };
    Some(text.split(", ").map(role).collect())
}

#[test]
fn r4_holders_get_the_replacement_or_the_default_role() {
    let mut world = world(
        "role Guest\n role Lead\n org acme\n add ann to acme: Guest\n add bob to acme: Lead\n add cid to acme: Guest",
    );
    assert_eq!(world.answer("delete role Guest for Admin"), Answer::Deleted(2));
    assert_eq!(world.roles_and_origins("acme", "ann"), roles("Admin by Migration"));
    assert_eq!(world.roles_and_origins("acme", "cid"), roles("Admin by Migration"));
    assert_eq!(world.answer("delete role Lead"), Answer::Deleted(1));
    assert_eq!(world.roles_and_origins("acme", "bob"), roles("Member by Migration"));
    world.check("ann", "acme", "rolecall::can_invite", Allowed);
    world.check("bob", "acme", "rolecall::can_invite", MissingPermission);
    world.ask("ann", "acme", Question::Role("Guest"), UnknownRole);
    assert_eq!(world.roles(), ["Owner", "Admin", "Member"]);
    world.refused("delete role Guest", Reason::RoleNotFound);
}

#[test]
fn r4_deleting_a_role_without_holders_removes_its_permission_rows() {
    let mut world = world(
        "role Guest\n mapping Free\n edit Free: off Guest; Guest +rolecall::can_invite\n edit Default: Guest +rolecall::can_invite",
    );
    assert_eq!(world.answer("delete role Guest for Admin"), Answer::Deleted(0));
    let project = world.project_model();
    assert!(project.mappings["Free"].grants.is_empty() && project.mappings["Free"].disabled.is_empty());
    assert!(!project.mappings["Default"].grants.contains_key("Guest"));
}

#[test]
fn r4_in_multi_role_a_holder_of_the_replacement_only_loses_the_role() {
    let mut world = multi("add ann to acme: Guest, Admin\n add bob to acme: Guest, Member");
    assert_eq!(world.answer("delete role Guest for Admin"), Answer::Deleted(2));
    assert_eq!(world.roles_and_origins("acme", "ann"), roles("Admin"));
    assert_eq!(world.roles_and_origins("acme", "bob"), roles("Admin by Migration, Member"));
}

#[test]
fn r4_the_replacement_keeps_the_expiry_and_the_later_of_two_applies() {
    // The roles of ann before and after Guest is replaced by Admin.
    let table = [
        ("Guest until 60", "Admin until 60 by Migration"),
        ("Guest until 60, Member", "Admin until 60 by Migration, Member"),
        ("Guest, Member until 60", "Admin by Migration, Member until 60"),
        ("Guest until 60, Admin until 90", "Admin until 90"),
        ("Guest until 90, Admin until 60", "Admin until 90"),
        ("Guest until 60, Admin until 60", "Admin until 60"),
        ("Guest until 60, Admin", "Admin"),
        ("Guest, Admin until 60", "Admin"),
        ("Guest, Admin", "Admin"),
    ];
    for (before, after) in table {
        let mut world = multi(&format!("add ann to acme: {before}\n add bob to acme: Guest, Admin"));
        assert_eq!(world.answer("delete role Guest for Admin"), Answer::Deleted(2));
        assert_eq!(world.roles_and_origins("acme", "ann"), roles(after), "{before}");
    }
}

#[test]
fn r4_an_expired_role_is_removed_without_replacement() {
    let table = [
        // No role is left, not even an expired one.
        ("Guest until 60", None),
        ("Guest until 60, Member", roles("Member")),
        ("Guest until 60, Member until 50", roles("Member until 50")),
        // An expired replacement is given again.
        ("Guest, Admin until 60", roles("Admin by Migration")),
        ("Guest until 90, Admin until 60", roles("Admin until 90 by Migration")),
        ("Guest until 60, Admin until 90", roles("Admin until 90")),
        ("Guest until 60, Admin until 60", roles("Admin until 60")),
    ];
    for (before, after) in table {
        let mut world = multi(&format!("add ann to acme: {before}"));
        let held = u64::from(before.contains("Guest,") || before.contains("Guest until 90"));
        assert_eq!(world.at(60).answer("delete role Guest for Admin"), Answer::Deleted(held), "{before}");
        assert_eq!(world.roles_and_origins("acme", "ann"), after, "{before}");
        if after.is_none() {
            world.check("ann", "acme", "rolecall::can_invite", NotAMember);
            world.run("add ann to acme: Member");
        }
    }
}

#[test]
fn r4_in_single_role_temporary_and_permanent_roles_are_replaced_alike() {
    let table = [
        ("Guest, Member until 60", "Admin", "Admin by Migration, Member until 60"),
        ("Member, Guest until 60", "Admin", "Admin until 60 by Migration, Member"),
        ("Guest, Member until 60", "Member", "Member"),
        ("Member, Guest until 60", "Member", "Member"),
        ("Guest until 60", "Member", "Member until 60 by Migration"),
    ];
    for (before, replacement, after) in table {
        let mut world = world(&format!("role Guest\n org acme\n add ann to acme: {before}"));
        world.run(&format!("delete role Guest for {replacement}"));
        assert_eq!(world.roles_and_origins("acme", "ann"), roles(after), "{before} for {replacement}");
    }
}

#[test]
fn r4_an_internal_role_without_replacement_is_removed_from_its_holders() {
    let mut world =
        multi("add ann to acme: Support\n add bob to acme: Support, Member\n add cid to acme: Support until 60");
    world.run("add dan to acme: Support until 60, Member until 50\n add eve to acme: Spy, Support");
    assert_eq!(world.answer("delete role Support"), Answer::Deleted(5));
    for user in ["ann", "cid"] {
        assert_eq!(world.roles_and_origins("acme", user), None);
        world.check(user, "acme", "rolecall::can_invite", NotAMember);
        world.ask(user, "acme", Question::Role("Member"), NotAMember);
        world.refused(&format!("set {user} in acme: Member"), Reason::MemberNotFound);
        world.refused(&format!("remove {user} from acme"), Reason::MemberNotFound);
    }
    assert_eq!(world.roles_and_origins("acme", "bob"), roles("Member"));
    assert_eq!(world.roles_and_origins("acme", "dan"), roles("Member until 50"));
    assert_eq!(world.roles_and_origins("acme", "eve"), roles("Spy"));
    // A user who is no longer a member can be added again, before or after the purge.
    world.run("add ann to acme: Guest");
    world.purge_all(1);
    assert_eq!(world.roles_and_origins("acme", "ann"), roles("Guest"));
    assert_eq!(world.roles_and_origins("acme", "cid"), None);
}

#[test]
fn r4_a_user_without_roles_is_not_counted_as_a_member() {
    let mut world = multi("add ann to acme: Support\n add bob to acme: Support\n delete role Support");
    assert_eq!(world.answer("delete org acme"), Answer::Deleted(0));
}

#[test]
fn r4_internal_roles_replace_internal_ones_and_visible_roles_visible_ones() {
    let mut world = multi("add ann to acme: Support\n add bob to acme: Guest");
    world.refused("delete role Support for Member", Reason::ReplacementUnsuitable);
    world.refused("delete role Guest for Support", Reason::ReplacementUnsuitable);
    world.run("delete role Support for Spy");
    assert_eq!(world.roles_and_origins("acme", "ann"), roles("Spy by Migration"));
    // Also if nobody holds it.
    world.run("remove ann from acme");
    world.refused("delete role Spy for Member", Reason::ReplacementUnsuitable);
}

#[test]
fn r4_a_role_cannot_be_replaced_by_itself_or_an_unknown_role() {
    let mut world = multi("update role Guest: name Visitor");
    world.refused("delete role Guest for Visitor", Reason::Contradiction);
    world.refused("delete role Visitor for Guest", Reason::Contradiction);
    world.refused("delete role Guest for Nobody", Reason::RoleNotFound);
    world.refused("etag:stale delete role Guest", Reason::EtagMismatch);
    world.run("etag:fresh delete role Guest");
}

#[test]
fn r4_the_replacement_must_be_enabled_where_a_member_gets_it() {
    let mut world = multi(
        "mapping Free: off Admin\n org globex on Free\n add ann to globex: Guest\n add bob to globex: Guest, Member",
    );
    world.run("add cid to acme: Guest");
    match world.refused("delete role Guest for Admin", Reason::ReplacementDisabled) {
        Refusal::ReplacementDisabled { replacement, disabled_in } => {
            let disabled_in: Vec<_> = disabled_in.iter().map(|(name, members)| (name.as_str(), *members)).collect();
            assert_eq!((replacement.as_str(), disabled_in), ("Admin", vec![("Free", 2)]));
        }
        other => panic!("{other}"),
    }
    world.run("delete org globex\n delete role Guest for Admin");
    assert_eq!(world.roles_and_origins("acme", "cid"), roles("Admin by Migration"));
}

#[test]
fn r4_suspended_holders_get_the_replacement_too() {
    let mut world =
        multi("mapping Free: off Guest; off Admin\n add ann to acme: Guest\n suspending subscribe acme to Free");
    world.refused("delete role Guest for Admin", Reason::ReplacementDisabled);
    assert_eq!(world.answer("delete role Guest"), Answer::Deleted(1));
    world.ask("ann", "acme", Question::Role("Member"), Allowed);
}

#[test]
fn r4_the_replacement_may_be_disabled_where_nobody_gets_it() {
    // Already held for as long, or the deleted role has expired.
    let held = ["Guest, Admin", "Guest until 60, Admin", "Guest until 60, Admin until 60", "Member, Guest until 5"];
    for roles in held {
        let mut world = multi(&format!("add ann to acme: {roles}\n suspending edit Default: off Admin"));
        world.at(10).run("delete role Guest for Admin");
        world.ask("ann", "acme", Question::Role("Guest"), UnknownRole);
    }
    // A longer expiry gives the member something.
    for roles in ["Guest, Admin until 60", "Guest until 60, Admin until 50"] {
        let mut world = multi(&format!("add ann to acme: {roles}\n suspending edit Default: off Admin"));
        world.at(10).refused("delete role Guest for Admin", Reason::ReplacementDisabled);
    }
}

#[test]
fn r4_the_names_and_aliases_of_a_deleted_role_can_be_used_again() {
    let mut world = multi("add ann to acme: Guest\n update role Guest: name Visitor\n delete role Visitor for Admin");
    world.run("role Guest\n role visitor");
    world.ask("ann", "acme", Question::Role("Guest"), MissingPermission);
    world.ask("ann", "acme", Question::Role("Admin"), Allowed);
}

#[test]
fn r4_other_roles_keep_their_origin() {
    let mut world = multi("org globex by ann\n add bob to globex: Guest");
    world.run("set ann in globex: Owner, Guest\n delete role Guest for Admin");
    assert_eq!(world.roles_and_origins("globex", "ann"), roles("Admin by Migration, Owner by Creator"));
    assert_eq!(world.roles_and_origins("globex", "bob"), roles("Admin by Migration"));
    let project = world.project_model();
    assert!(project.orgs["globex"].members.values().all(|member| member.origin == Origin::Migration));
    // Repeating the roles changes nothing. Another write is the latest change, but the roles keep their origins.
    world.unchanged("set bob in globex: Admin");
    world.run("set bob in globex: Admin, Member");
    assert_eq!(world.roles_and_origins("globex", "bob"), roles("Admin by Migration, Member"));
    assert_eq!(world.project_model().orgs["globex"].members["bob"].origin, Origin::Direct);
}

#[test]
fn r4_a_later_member_with_the_same_roles_has_origin_direct() {
    let world =
        multi("add ann to acme: Guest\n add bob to acme: Admin\n delete role Guest for Admin\n add cid to acme: Admin");
    assert_eq!(world.roles_and_origins("acme", "ann"), roles("Admin by Migration"));
    assert_eq!(world.roles_and_origins("acme", "bob"), roles("Admin"));
    assert_eq!(world.roles_and_origins("acme", "cid"), roles("Admin"));
    let origins: Vec<_> = world.project_model().orgs["acme"].members.values().map(|member| member.origin).collect();
    assert_eq!(origins, [Origin::Migration, Origin::Direct, Origin::Direct]);
}

#[test]
fn r4_roles_can_be_deleted_one_after_another() {
    let mut world = multi("add ann to acme: Guest\n add bob to acme: Guest, Member until 60\n role Lead");
    world.run(
        "delete role Guest for Lead\n delete role Lead for Admin\n set ann in acme: Admin, Member\n delete role Admin",
    );
    assert_eq!(world.roles_and_origins("acme", "ann"), roles("Member"));
    assert_eq!(world.roles_and_origins("acme", "bob"), roles("Member"));
}

#[test]
fn r4_memberships_of_deleted_orgs_are_not_counted() {
    let mut world =
        multi("org globex\n add ann to globex: Guest\n add bob to globex: Guest until 60, Member\n delete org globex");
    assert_eq!(world.answer("delete role Guest"), Answer::Deleted(0));
    world.purge_all(1);
    assert!(world.state.all_projects().all(|project| !project.has_data_to_purge()));
}

#[test]
fn r4_a_role_set_stays_while_a_membership_of_a_deleted_org_uses_it() {
    let mut world = multi("org globex\n add ann to globex: Support\n add bob to globex: Guest\n delete org globex");
    world.run("delete role Guest\n delete role Support");
    let complete = |world: &World| {
        let project = world.project();
        let org = project.orgs_being_purged().first().and_then(|&no| project.org_numbered(no)).expect("not purged");
        ["ann", "bob"].map(UserId::stored).iter().all(|user| {
            let membership = project.membership(org, user);
            membership.is_some_and(|it| project.role_sets.get(it.role_set).is_some())
        })
    };
    assert!(complete(&world), "the role sets of the memberships exist");
    let project = world.project().id;
    world.decide(&Command::Purge(Purge { project, members: vec![], last: true })).unwrap();
    assert!(complete(&world), "role sets are purged after the memberships");
    world.purge_all(1);
    assert!(
        world
            .state
            .all_projects()
            .all(|project| !project.has_data_to_purge() && project.role_sets_being_purged().is_empty())
    );
}
