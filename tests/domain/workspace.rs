//! No sequence of calls raises an operator above the callers, or makes a key stronger than its maker (W7). Keys end with the
//! membership of their operator (W6).

mod keys;
mod steps;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use rolecall::domain::model::project::BOOTSTRAP;
use rolecall::domain::{Command, Time, UserId};

use crate::case_counts::{CaseCounts, check_cases};
use steps::{Step, steps};
use world::{BOOTSTRAP_HOURS, HOUR, USERS, World};

/// Callers without `team.manage`, by their position in `USERS`.
const CALLERS: [&str; 5] = ["settings", "dev", "cm", "member", "reader"];

/// When every temporary role has expired.
const END: Time = Time(1_000 * 24 * 365 * HOUR);

/// What everybody holds, now and later. A temporary role must not hide what a call gives.
struct Snapshot {
    times: Vec<Time>,
    holds: BTreeMap<(&'static str, Time), BTreeSet<&'static str>>,
    roles: BTreeMap<(&'static str, Time), Option<String>>,
    /// The role order.
    order: Vec<String>,
    owner_role: String,
    operators_with_keys: Vec<String>,
}

impl Snapshot {
    fn of(world: &World, times: Vec<Time>) -> Self {
        let all = || USERS.into_iter().flat_map(|user| times.iter().map(move |&time| (user, time)));
        let (workspace, permissions) = (world.workspace(), world.permissions());
        Self {
            holds: all().map(|(user, time)| ((user, time), world.holds(&permissions, user, time))).collect(),
            roles: all().map(|(user, time)| ((user, time), world.role_of(user, time))).collect(),
            order: workspace.role_order.iter().map(|&role| workspace.role_name(role).to_string()).collect(),
            owner_role: workspace.role_name(workspace.record.default_owner_role).to_string(),
            operators_with_keys: world.operators_with_keys(),
            times,
        }
    }

    fn now(world: &World) -> Self {
        let later = [0, 2 * HOUR, 18 * HOUR].map(|micros| Time(world.now.0 + micros));
        Self::of(world, later.into_iter().chain([END]).collect())
    }

    fn is_owner(&self, user: &'static str) -> bool {
        self.roles[&(user, self.times[0])].as_ref() == Some(&self.owner_role)
    }

    /// Returns true if the live role of one operator is above each role of another, or is the highest.
    fn manages(&self, caller: &'static str, other: &'static str) -> bool {
        let rank = |role: &String| self.order.iter().position(|it| it == role);
        let Some(own) = self.roles[&(caller, self.times[0])].as_ref().and_then(rank) else { return false };
        let others = self.times.iter().filter_map(|&time| self.roles[&(other, time)].as_ref().and_then(rank));
        others.into_iter().all(|rank| own == 0 || own < rank)
    }
}

/// Runs calls, and checks after each that nobody holds more than before, unless the caller held it.
fn run(callers: &[&'static str], calls: Vec<(Index, Step)>, counts: &CaseCounts) -> Result<World, TestCaseError> {
    let mut world = World::new();
    // Most calls are refused, and change nothing.
    let mut unchanged: Option<Snapshot> = None;
    for (caller, step) in calls {
        let caller = callers[caller.index(callers.len())];
        let Some(command) = step.command(&mut world) else {
            unchanged = None;
            counts.count(format!("{step:?}").split('(').next().unwrap());
            continue;
        };
        let before = unchanged.take().unwrap_or_else(|| Snapshot::now(&world));
        let archived = match &command {
            Command::ArchiveApiKey(archived) => world.workspace().api_keys.get(archived.id).cloned(),
            _ => None,
        };
        let accepted = world.call(caller, &command);
        counts.count(format!("{} {}", command.kind(), if accepted { "accepted" } else { "refused" }));
        if !accepted {
            unchanged = Some(before);
            continue;
        }
        let after = Snapshot::of(&world, before.times.clone());
        check_nobody_is_raised(caller, &step, &command, &before, &after)?;
        check_keys(caller, &command, &before, &after)?;
        if let Some(key) = archived {
            let operator = USERS.into_iter().find(|user| *user == key.operator.as_str()).unwrap();
            let manages = before.holds[&(caller, before.times[0])].contains("team.manage");
            let may = operator == caller || manages && before.manages(caller, operator);
            prop_assert!(may, "{caller} archived a key of {operator}");
            counts.count(if operator == caller { "an own key archived" } else { "a key of another archived" });
        }
    }
    Ok(world)
}

fn check_nobody_is_raised(
    caller: &'static str,
    step: &Step,
    command: &Command,
    before: &Snapshot,
    after: &Snapshot,
) -> Result<(), TestCaseError> {
    let now = before.times[0];
    let manages = before.holds[&(caller, now)].contains("team.manage");
    let is_owner = before.is_owner(caller);
    // Roles may not outlast the caller's (G6), unless it is `bootstrap` (W9). What a role grants, and who is blocked, has no
    // expiry.
    let gives_roles = matches!(
        command,
        Command::WriteMember(_)
            | Command::BatchWriteMembers(_)
            | Command::AcceptInvitation(_)
            | Command::ProvisionMember(_)
    );
    for user in USERS {
        for &time in &before.times {
            // Ending a temporary role gives back the permanent one, which was held all along (G3.e).
            let had: BTreeSet<_> = before.holds[&(user, time)].union(&before.holds[&(user, END)]).collect();
            let raised: Vec<_> = after.holds[&(user, time)].iter().filter(|it| !had.contains(it)).collect();
            let as_of = if gives_roles && caller != BOOTSTRAP { time } else { now };
            let covered = is_owner || raised.iter().all(|it| before.holds[&(caller, as_of)].contains(**it));
            prop_assert!(covered, "{caller} raised {user} by {raised:?} at {time:?} with {step:?}");
        }
        let role = &after.roles[&(user, now)];
        if !manages && role.is_some() {
            prop_assert_eq!(role, &before.roles[&(user, now)], "{} gave {} a role with {:?}", caller, user, step);
        }
    }
    Ok(())
}

/// Checks that a new key is not stronger than its maker, at any time while it lasts, and that nobody who becomes an operator
/// gets an earlier key.
fn check_keys(
    caller: &'static str,
    command: &Command,
    before: &Snapshot,
    after: &Snapshot,
) -> Result<(), TestCaseError> {
    let now = before.times[0];
    if let Command::CreateApiKey(created) = command {
        let operator = USERS.into_iter().find(|user| created.operator == Some(UserId::stored(*user))).unwrap();
        let is_owner = before.is_owner(caller);
        let lasts = |time: &Time| created.expire_time.is_none_or(|expire_time| *time < expire_time);
        for &time in before.times.iter().filter(|time| lasts(time)).filter(|_| !is_owner) {
            // What `bootstrap` gives may outlast its own role (W9).
            let as_of = if caller == BOOTSTRAP { now } else { time };
            let more: Vec<_> = before.holds[&(operator, time)].difference(&before.holds[&(caller, as_of)]).collect();
            prop_assert!(more.is_empty(), "{caller} made a key of {operator}, who also holds {more:?} at {time:?}");
        }
        return Ok(());
    }
    for user in USERS {
        let joined = before.roles[&(user, now)].is_none() && after.roles[&(user, now)].is_some();
        // A blocked operator, or one whose role is disabled, keeps keys for later.
        let begins = joined && matches!(command.kind(), "AddMember" | "AcceptInvitation" | "ProvisionMember");
        let has_key = after.operators_with_keys.iter().any(|it| it == user);
        prop_assert!(!(begins && has_key), "{user} got an earlier key");
    }
    Ok(())
}

fn calls() -> impl Strategy<Value = Vec<(Index, Step)>> {
    proptest::collection::vec((any::<Index>(), steps()), 1..40)
}

#[test]
fn w7_no_sequence_of_calls_without_team_manage_raises_anybody() {
    let wanted = [
        ("CreateApiKey accepted", 30),
        ("UpdateRoleMapping accepted", 50),
        ("UpdatePermission accepted", 10),
        ("DeletePermission accepted", 30),
        ("an own key archived", 2),
        ("Wait", 50),
    ];
    check_cases(&calls(), &wanted, |calls, counts| run(&CALLERS, calls, counts).map(|_| ()));
}

#[test]
fn w7_no_sequence_of_calls_raises_anybody_above_the_callers() {
    // Neither the Owner nor `bootstrap` takes part: an Owner may give everything.
    let callers = [&["admin", "admin", "admin", "shift", "shift"][..], &CALLERS].concat();
    let wanted = [
        ("AddMember accepted", 20),
        ("SetMemberRoles accepted", 20),
        ("AcceptInvitation accepted", 5),
        ("a key of another archived", 5),
        ("RemoveExpired", 50),
    ];
    check_cases(&calls(), &wanted, |calls, counts| run(&callers, calls, counts).map(|_| ()));
}

#[test]
fn w9_bootstrap_is_never_an_owner_who_stays() {
    let callers = ["bootstrap", "bootstrap", "bootstrap", "owner", "admin"];
    let wanted = [("AddMember accepted", 50), ("RemoveMember accepted", 20), ("BlockUser accepted", 20)];
    let last = Time(World::new().now.0 + BOOTSTRAP_HOURS * HOUR);
    check_cases(&calls(), &wanted, |calls, counts| {
        let world = run(&callers, calls, counts)?;
        prop_assert!(world.role_of("bootstrap", last).is_none(), "no call extends or renews its role");
        // Neither it nor a temporary Owner counts as the last one (W7.c).
        let workspace = world.workspace();
        let owner = workspace.role_name(workspace.record.default_owner_role).to_string();
        let owners = USERS.into_iter().filter(|user| world.role_of(user, END).as_ref() == Some(&owner));
        prop_assert!(owners.count() > 0, "nobody is an Owner who stays");
        Ok(())
    });
}
