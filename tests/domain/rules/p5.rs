//! Converting the role structure (P5).

use rolecall::domain::Decision::*;
use rolecall::domain::model::membership::Origin;
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::{Question, Reason, Refusal};

use crate::fixture::{World, world};

fn multi(lines: &str) -> World {
    let mut world = world(
        "project shop MULTI\n role Guest\n internal role Spy\n internal role Bug\n mapping Free: off Admin\n org acme",
    );
    world.run(lines);
    world
}

/// Returns the roles that a member keeps, with `roles` before and the org on `mapping`.
fn kept(roles: &str, mapping: &str) -> String {
    let mut world = multi(&format!("add ann to acme: {roles}"));
    world.run(&format!("suspending subscribe acme to {mapping}\n ownerless convert SINGLE: *"));
    world.role_states("acme", "ann")
}

#[test]
fn p5_to_multi_role_members_keep_their_roles_and_roles_manage_what_they_did() {
    let mut world = world(
        "role Guest\n internal role Spy above Admin\n org acme\n add ann to acme: Admin, Owner until 60\n add bob to acme",
    );
    world.run("convert MULTI");
    let project = world.project_model();
    assert_eq!(project.structure, RoleStructure::MultiRole);
    let managed = |role: &str| project.manages.get(role).map(|it| it.iter().cloned().collect::<Vec<_>>().join(" "));
    assert_eq!(managed("Owner").as_deref(), Some("Admin Guest Member Owner"));
    assert_eq!(managed("Spy").as_deref(), Some("Admin Guest Member"), "no role manages an internal role");
    assert_eq!(managed("Admin").as_deref(), Some("Guest Member"));
    assert_eq!(managed("Member").as_deref(), Some("Guest"));
    assert_eq!(managed("Guest"), None);
    assert_eq!(world.role_states("acme", "ann"), "Owner live until 60, Admin live");
    assert_eq!(world.project_model().orgs["acme"].members["ann"].origin, Origin::Direct, "no member changed");
    world.ask("bob", "acme", Question::AtLeastRole("Guest"), MissingPermission);
    world.refused("convert MULTI", Reason::WrongRoleStructure);
}

#[test]
fn p5_the_highest_visible_role_manages_itself_below_an_internal_role() {
    let mut world = world("internal role Spy above Owner");
    world.run("convert MULTI");
    assert!(world.project_model().manages["Owner"].contains("Owner"));
    assert!(!world.project_model().manages["Spy"].contains("Spy"));
}

#[test]
fn p5_to_single_role_needs_the_order_of_all_roles() {
    let mut world = multi("");
    world.refused("convert SINGLE", Reason::IncompleteOrder);
    world.refused("convert SINGLE: Owner, Admin, Member, Guest, Spy", Reason::IncompleteOrder);
    world.refused("convert SINGLE: Owner, Owner, *", Reason::RepeatedRole);
    world.refused("convert SINGLE: Ghost, *", Reason::RoleNotFound);
    world.refused("etag:stale update project: name Shop", Reason::EtagMismatch);
    world.run("update project: name Shop");
    world.refused("etag:stale convert SINGLE: *", Reason::EtagMismatch);
    world.run("etag:fresh convert SINGLE: Guest, Member, *");
    assert_eq!(world.roles()[..2], ["Guest", "Member"]);
    assert!(world.project_model().manages.is_empty());
    world.refused("convert SINGLE: *", Reason::WrongRoleStructure);
}

#[test]
fn p5_the_highest_enabled_visible_role_is_kept() {
    for (roles, mapping, expected) in [
        ("Admin, Member", "Default", "Admin live"),
        ("Member, Guest", "Default", "Member live"),
        ("Spy, Guest", "Default", "Guest live"),
        ("Spy, Bug", "Default", "Spy live"),
        ("Admin, Member", "Free", "Member live"),
        ("Admin, Spy", "Free", "Admin suspended"),
        ("Admin", "Free", "Admin suspended"),
        ("Owner, Admin, Member, Guest, Spy, Bug", "Free", "Owner live"),
    ] {
        assert_eq!(kept(roles, mapping), expected, "{roles} on {mapping}");
    }
}

#[test]
fn p5_a_temporary_role_is_kept_if_preferred_to_the_permanent_one() {
    for (roles, mapping, expected) in [
        ("Member, Admin until 60", "Default", "Admin live until 60, Member overridden"),
        ("Member, Admin until 60, Owner until 70", "Default", "Owner live until 70, Member overridden"),
        ("Admin, Member until 60", "Default", "Admin live"),
        ("Admin, Member until 60", "Free", "Admin suspended, Member live until 60"),
        ("Member, Admin until 60", "Free", "Member live"),
        ("Spy, Guest until 60", "Default", "Guest live until 60, Spy overridden"),
        ("Guest, Spy until 60", "Default", "Guest live"),
        ("Admin until 60, Member until 70", "Default", "Admin live until 60"),
        ("Admin, Member, Guest until 60", "Default", "Admin live"),
        ("Guest, Member, Admin until 60", "Default", "Admin live until 60, Member overridden"),
    ] {
        assert_eq!(kept(roles, mapping), expected, "{roles} on {mapping}");
    }
}

#[test]
fn p5_expired_roles_are_dropped_unless_no_other_role_is_left() {
    for (roles, expected) in [
        ("Member, Admin until 60", "Member live"),
        ("Member until 60, Admin until 60", "Admin expired until 60"),
        ("Member until 70, Admin until 60", "Member live until 70"),
    ] {
        let mut world = multi(&format!("add ann to acme: {roles}"));
        world.at(60).run("convert SINGLE: *");
        assert_eq!(world.role_states("acme", "ann"), expected, "{roles}");
    }
}

#[test]
fn p5_the_role_kept_depends_on_the_mapping_of_the_org() {
    let mut world =
        multi("org globex on Free\n org third\n add ann to acme: Admin, Member\n add ann to globex: Member");
    world.run("suspending subscribe acme to Free\n add bob to third: Admin, Member\n subscribe globex to Default");
    world.run("set ann in globex: Admin, Member\n suspending subscribe globex to Free\n add cid to third: Admin, Member until 60");
    world.run("add dan to third: Member, Admin until 60\n convert SINGLE: *");
    let members = [("acme", "ann"), ("globex", "ann"), ("third", "bob"), ("third", "cid"), ("third", "dan")];
    let states = members.map(|(org, user)| world.role_states(org, user));
    assert_eq!(
        states,
        ["Member live", "Member live", "Admin live", "Admin live", "Admin live until 60, Member overridden"]
    );
    for (org, user) in [("acme", "ann"), ("globex", "ann"), ("third", "bob"), ("third", "cid")] {
        let member = world.project_model().orgs[org].members[user].clone();
        assert_eq!(member.origin, Origin::Migration, "{org} {user}");
        assert!(member.roles.values().all(|given| given.origin == Origin::Direct), "the role keeps its origin");
    }
    assert_eq!(world.project_model().orgs["third"].members["dan"].origin, Origin::Direct, "dan did not change");
    world.run("set ann in acme: Guest\n add eve to acme: Member\n set bob in third: Member");
    assert_eq!(world.role_states("globex", "ann"), "Member live");
}

#[test]
fn p5_the_role_kept_depends_on_the_order() {
    let mut world = multi("add ann to acme: Owner, Guest");
    world.run("ownerless convert SINGLE: Guest, *");
    assert_eq!(world.role_states("acme", "ann"), "Guest live");
    world.ask("ann", "acme", Question::AtLeastRole("Owner"), Allowed);
}

#[test]
fn p5_a_conversion_that_removes_the_last_owner_is_refused() {
    let mut world = multi("add ann to acme: Owner, Guest\n add bob to acme");
    match world.refused("convert SINGLE: Guest, *", Reason::LastOwner) {
        Refusal::LastOwner { first, orgs, .. } => assert_eq!((first.as_str(), orgs), ("acme", 1)),
        other => panic!("{other}"),
    }
    world.run("ownerless convert SINGLE: Guest, *");
    let mut world = multi("add ann to acme: Owner, Guest\n add bob to acme");
    world.run("convert SINGLE: Owner, *");
}

#[test]
fn p5_a_fallback_role_stays_with_its_suspended_role() {
    let mut world =
        multi("add ann to acme: Admin\n add bob to acme: Admin, Member\n suspending:Guest subscribe acme to Free");
    world.run("convert SINGLE: *");
    assert_eq!(
        (world.role_states("acme", "ann"), world.role_states("acme", "bob")),
        ("Admin suspended (Guest)".into(), "Member live".into())
    );
    world.run("convert MULTI");
    assert_eq!(world.role_states("acme", "ann"), "Admin suspended (Guest)");
}

#[test]
fn p5_converting_twice_restores_the_project() {
    let mut world = world("role Guest\n org acme by ann\n add bob to acme: Guest, Admin until 60");
    let before = world.project_model();
    world.run("convert MULTI\n convert SINGLE: *");
    assert_eq!(world.project_model(), before);
}
