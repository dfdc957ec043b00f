//! Keys end with the membership of their operator (W6), and are archived by those who may manage it (W7).

use rolecall::domain::commands::command::{BlockUser, DeleteRole, DeleteUser, RemoveExpired, UnblockUser, Write};
use rolecall::domain::{Command, Reason, RoleName, Time, UserId};
use rolecall::limits::{EXPIRED_SECONDS, Limits};

use super::world::{HOUR, World, archive_key, create_key, disable, grant, key, permanent, until, write};

/// A world where an operator has this role and a key.
fn with_key(operator: &str, roles: Write) -> World {
    let mut world = World::new();
    world.system(write(operator, roles));
    world.system(create_key(operator, 1, None));
    assert_eq!(world.operators_with_keys(), [operator]);
    world
}

fn temporary(hours: i64) -> Write {
    Write::Add(vec![until("Developer", Time(World::new().now.0 + hours * HOUR))])
}

fn is_archived(world: &World) -> bool {
    world.operators_with_keys().is_empty()
}

#[test]
fn w6_keys_are_archived_with_the_membership_whatever_ends_it() {
    let mut world = with_key("friend", Write::Add(vec![permanent("Developer")]));
    world.system(write("friend", Write::Remove));
    assert!(is_archived(&world));

    let mut world = with_key("friend", Write::Add(vec![permanent("Developer")]));
    let user_id = UserId::stored("friend");
    world.system(Command::DeleteUser(DeleteUser { project: key(), user_id, keep_invitations: false }));
    assert!(is_archived(&world));

    // An internal role without a replacement leaves its holders with nothing, until the purger removes them (R4.e).
    let mut world = World::new();
    world.system(super::world::internal_role("Spy"));
    world.system(write("friend", Write::Add(vec![permanent("Spy")])));
    world.system(create_key("friend", 1, None));
    let name = RoleName::stored("Spy");
    world.system(Command::DeleteRole(DeleteRole { project: key(), name, etag: None, replacement: None }));
    assert!(is_archived(&world));
}

#[test]
fn w6_keys_of_an_expired_operator_are_archived_when_the_membership_is_removed_or_begins_again() {
    let mut world = with_key("friend", temporary(1));
    world.now = Time(world.now.0 + 2 * HOUR);
    world.system(Command::RemoveExpired(RemoveExpired { project: key() }));
    assert!(!is_archived(&world), "the membership is kept for 30 days, and the key does nothing");
    world.system(write("reader", Write::Set(vec![permanent("Member")])));
    assert!(!is_archived(&world), "a write about another operator concerns no key of this one");
    world.system(write("friend", Write::Add(vec![permanent("Developer")])));
    assert!(is_archived(&world));

    let mut world = with_key("friend", temporary(1));
    world.now = Time(world.now.0 + 2 * HOUR + EXPIRED_SECONDS * 1_000_000);
    world.system(Command::RemoveExpired(RemoveExpired { project: key() }));
    assert!(is_archived(&world));
    world.system(write("friend", Write::Add(vec![permanent("Developer")])));
    assert!(is_archived(&world));
}

#[test]
fn w6_keys_stay_with_an_operator_whose_role_changes() {
    let mut world = with_key("friend", temporary(1));
    world.system(write("friend", Write::Set(vec![permanent("ReadOnly"), until("Developer", world.in_hours(2))])));
    world.now = world.in_hours(3);
    world.system(write("friend", Write::Set(vec![permanent("Member")])));
    assert_eq!(world.operators_with_keys(), ["friend"]);
}

#[test]
fn w6_only_an_operator_with_a_role_gets_a_key() {
    let mut world = World::new();
    world.system(write("friend", temporary(1)));
    world.now = world.in_hours(2);
    let refused = world.decide("owner", &create_key("friend", 1, None)).unwrap_err();
    assert_eq!(refused.reason(), Reason::MemberNotFound);
}

#[test]
fn w7_a_key_of_another_operator_is_archived_by_those_who_may_manage_the_operator() {
    let mut world = World::new();
    for (hash, operator) in [(1, "owner"), (2, "admin"), (3, "dev"), (4, "cm")] {
        world.system(create_key(operator, hash, None));
    }
    for (caller, hash, reason) in [
        ("dev", 1, Reason::ActingUserMissingPermission),
        ("dev", 4, Reason::ActingUserMissingPermission),
        ("admin", 1, Reason::RoleOutOfScope),
        ("friend", 3, Reason::ActingUserNotAMember),
    ] {
        let refused = world.decide(caller, &archive_key(hash)).unwrap_err();
        assert_eq!(refused.reason(), reason, "{caller} and key {hash}");
    }
    assert_eq!(world.operators_with_keys().len(), 4);
    for (caller, hash) in [("dev", 3), ("admin", 4), ("bootstrap", 1), ("admin", 2)] {
        world.decide(caller, &archive_key(hash)).unwrap();
    }
    assert!(is_archived(&world));
    // Archiving again changes nothing, and is refused all the same.
    assert_eq!(world.decide("dev", &archive_key(4)).unwrap_err().reason(), Reason::ActingUserMissingPermission);
}

#[test]
fn w7_an_operator_with_a_fallback_role_is_managed_by_those_who_manage_that_role() {
    let mut world = World::new();
    world.system(create_key("cm", 1, None));
    let block = Command::BlockUser(BlockUser { project: key(), user_id: UserId::stored("cm") });
    world.system(disable("Customer Management", Some("Owner")));
    assert_eq!(world.role_of("cm", world.now).as_deref(), Some("Owner"));
    for command in [create_key("cm", 2, None), archive_key(1), block] {
        let refused = world.decide("admin", &command).unwrap_err();
        assert_eq!(refused.reason(), Reason::RoleOutOfScope, "{}", command.kind());
        world.decide("owner", &command).unwrap();
    }
}

#[test]
fn w7_nobody_exceeds_the_caller_at_the_limit_of_role_sets() {
    let mut world = World::new();
    world.system(super::world::role_above("Manager", "Admin"));
    world.system(grant("Manager", &["team.view", "team.manage"], &[]));
    world.system(write("friend", Write::Add(vec![permanent("Manager")])));
    // A set that nobody holds any more. Then the limit is reached, and only a collection of unused sets makes room.
    world.system(write("reader", Write::Set(vec![permanent("ReadOnly"), until("Member", world.in_hours(1))])));
    world.system(write("reader", Write::Set(vec![permanent("ReadOnly")])));
    let limits = Limits { role_sets: world.workspace().role_sets.len() as u64, ..Limits::default() };
    let stronger = write("new", Write::Add(vec![permanent("Member"), until("Admin", world.in_hours(1))]));
    assert_eq!(world.decide_within(&limits, "friend", &stronger).unwrap_err().reason(), Reason::ExceedsCaller);
    world.decide_within(&limits, "owner", &stronger).unwrap();
    assert_eq!(
        world.workspace().role_sets.len() as u64,
        limits.role_sets,
        "the new set took the place of the unused one"
    );
}

#[test]
fn w9_only_a_live_operator_who_is_not_blocked_manages_the_team() {
    let mut world = World::empty();
    let manages = |world: &World| world.state.has_team_manager(world.now);
    assert!(!manages(&world));
    world.system(write("dev", Write::Add(vec![permanent("Developer")])));
    assert!(!manages(&world));
    world.system(write("ann", Write::Add(vec![permanent("Admin")])));
    assert!(manages(&world));
    let (project, user_id) = (key(), UserId::stored("ann"));
    world.system(Command::BlockUser(BlockUser { project: project.clone(), user_id: user_id.clone() }));
    assert!(!manages(&world), "blocked");
    world.system(Command::UnblockUser(UnblockUser { project, user_id }));
    assert!(manages(&world));
    world.system(write("ann", Write::Set(vec![permanent("Developer"), until("Admin", world.in_hours(1))])));
    assert!(manages(&world));
    assert!(!world.state.has_team_manager(world.in_hours(1)), "expired");
    world.system(disable("Admin", None));
    assert!(!manages(&world), "suspended");
    world.system(disable("Developer", Some("Owner")));
    assert!(manages(&world), "by a fallback role");
}
