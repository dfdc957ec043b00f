//! Random histories of commands. Few names make collisions, repeats and unknown names likely.

mod commands;
mod set_up;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::contextualize_config;

use rolecall::domain::collections::hash::HashKey;
use rolecall::domain::commands::command::OnDisabled;
use rolecall::domain::{Command, State, Time, UserId};
use rolecall::limits::{EXPIRED_SECONDS, Limits};

use commands::command;
use set_up::{initial_projects, set_up_commands};

/// Commands of one history, without the set-up.
pub const STEPS: usize = 80;

pub const PROJECTS: [&str; 2] = ["single", "multi"];
/// The keys of all projects, and one that is reserved.
pub const KEYS: [&str; 5] = ["single", "multi", "third", "default", "workspace"];
pub const ORGS: [&str; 4] = ["acme", "Acme", "globex", "nowhere"];
pub const USERS: [&str; 5] = ["ann", "bob", "cid", "Ann", "nobody"];
/// `rolecall::can_fly` is reserved and never exists.
pub const PERMISSIONS: [&str; 6] = ["read", "Read", "write", "list", "rolecall::can_invite", "rolecall::can_fly"];
pub const ROLES: [&str; 9] = ["Owner", "Admin", "Member", "Auditor", "Boss", "auditor", "Straße", "STRASSE", "Ghost"];
pub const MAPPINGS: [&str; 7] = ["Default", "Free", "free", "Paid", "Trial", "Gold", "Nothing"];

/// Commands one after another. The clock may also go back.
#[derive(Clone, Debug)]
pub struct History {
    pub limits: Limits,
    pub steps: Vec<Step>,
    /// How long after the last command the checks are compared.
    pub asked_at: Vec<Time>,
}

#[derive(Clone, Debug)]
pub struct Step {
    /// How far the clock advances before the command.
    pub advance: i64,
    pub command: Command,
    pub acting_user: Option<UserId>,
    pub digest: Digest,
}

/// The impact digest that a command names (R9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    None,
    /// The digest that a preview returns just before.
    Fitting,
    Stale,
}

impl Step {
    /// Returns a step without acting user and digest.
    pub fn plain(advance: i64, command: Command) -> Self {
        Self { advance, command, acting_user: None, digest: Digest::None }
    }
}

/// Returns a configuration with PROPTEST_CASES cases if that is set, else `cases`. Only the macro `proptest!` applies
/// the environment to an explicit `ProptestConfig`, so this does it for all tests.
pub fn config(cases: u32) -> ProptestConfig {
    let config =
        ProptestConfig { cases, failure_persistence: None, max_shrink_time: 20_000, ..ProptestConfig::default() };
    contextualize_config(config)
}

pub fn hash_key() -> HashKey {
    HashKey::new(*b"a key for tests.")
}

pub fn empty_state() -> State {
    State::new(hash_key())
}

pub fn history() -> BoxedStrategy<History> {
    let set_up = prop_oneof![9 => Just(true), 1 => Just(false)];
    let asked_at = vec((0i64..600).prop_map(Time), 2);
    (limits(), set_up, vec(step(), STEPS), asked_at)
        .prop_map(|(limits, set_up, steps, asked_at)| {
            let before = initial_projects().into_iter().chain(if set_up { set_up_commands() } else { Vec::new() });
            let mut steps: Vec<Step> = before.map(|command| Step::plain(0, command)).chain(steps).collect();
            // How many role sets are kept after a role was deleted, or for members who wait to be purged, is not specified.
            if limits.role_sets < Limits::default().role_sets {
                steps.retain(|step| !alters_sets(&step.command));
            }
            History { limits, steps, asked_at }
        })
        .boxed()
}

/// Returns the commands that every history begins with.
pub fn set_up() -> Vec<Command> {
    initial_projects().into_iter().chain(set_up_commands()).collect()
}

/// Returns true if the command may rewrite role sets, or leave sets that only deleted members hold.
fn alters_sets(command: &Command) -> bool {
    let remaps = |on_disabled: &OnDisabled| matches!(on_disabled, OnDisabled::Remap { .. });
    match command {
        Command::DeleteRole(_)
        | Command::ConvertRoleStructure(_)
        | Command::DeleteOrg(_)
        | Command::RemoveExpired(_)
        | Command::ApplyConfiguration(_) => true,
        Command::CreateRoleMapping(command) => remaps(&command.on_disabled),
        Command::UpdateRoleMapping(command) => remaps(&command.on_disabled),
        Command::DeleteRoleMapping(command) => remaps(&command.on_disabled),
        Command::SubscribeOrg(command) => remaps(&command.on_disabled),
        Command::BatchSubscribeOrgs(command) => remaps(&command.on_disabled),
        _ => false,
    }
}

/// Each limit is sometimes small enough to be reached.
fn limits() -> impl Strategy<Value = Limits> {
    let limit = |tight: std::ops::Range<u64>, default| prop_oneof![5 => Just(default), 1 => tight];
    let defaults = Limits::default();
    let tight = (
        limit(5..8, defaults.roles),
        limit(11..14, defaults.permissions),
        limit(3..6, defaults.role_mappings),
        limit(38..60, defaults.grants),
        limit(3..7, defaults.role_sets),
        limit(1..4, defaults.member_roles),
        limit(4..14, defaults.managed_roles),
        limit(1..3, defaults.org_invitations),
    );
    tight.prop_map(
        move |(roles, permissions, role_mappings, grants, role_sets, member_roles, managed_roles, org_invitations)| {
            Limits {
                roles,
                permissions,
                role_mappings,
                grants,
                role_sets,
                member_roles,
                managed_roles,
                org_invitations,
                ..defaults
            }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    // Once in a while so far that expired roles are removed (B5).
    let month = Time::default().plus_seconds(EXPIRED_SECONDS).0;
    let advance = prop_oneof![100 => 0i64..4, 100 => 0i64..40, 20 => -60i64..0, 1 => month..month + 100];
    let acting_user = prop_oneof![1 => Just(None), 1 => select(&ACTING[..]).prop_map(|id| Some(UserId::stored(id)))];
    let digest = prop_oneof![14 => Just(Digest::None), 2 => Just(Digest::Fitting), 1 => Just(Digest::Stale)];
    (advance, command(), acting_user, digest).prop_map(|(advance, mut command, acting_user, digest)| {
        let acting_user = acting_user.filter(|_| command.takes_acting_user());
        if let (Command::WriteMember(command), Some(_)) = (&mut command, &acting_user) {
            command.allow_ownerless = false;
        }
        Step { advance, command, acting_user, digest }
    })
}

/// Mostly users with many permissions.
const ACTING: [&str; 6] = ["Ann", "Ann", "ann", "bob", "cid", "nobody"];

/// The permissions that acting users need.
pub const ABILITIES: [&str; 7] = [
    "rolecall::can_view_other_members",
    "rolecall::can_invite",
    "rolecall::can_change_roles",
    "rolecall::can_remove_users",
    "rolecall::can_delete_org",
    "rolecall::can_update_org_metadata",
    "rolecall::can_edit_org_access",
];
