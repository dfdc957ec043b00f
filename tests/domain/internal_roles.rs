//! Acting users learn nothing about internal roles (G4, I4). The same calls get the same answers in two projects, and
//! only one of the two has internal members.
//!
//! These differences are intended:
//! - USER_NOT_AVAILABLE if an internal role prevents a write that is possible without it (I4). The case goes on from
//!   before the write.
//! - Revisions, times, and the numbers of roles and role sets. They count changes in all orgs of all projects.
//! - The limit on role sets (P7), for the same reason.
//! - What a user may do with an internal role. No user with an internal role acts here.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use rolecall::domain::commands::command::{DeleteOrg, RoleAssignment, UpdateOrg, Write};
use rolecall::domain::commands::manageable::manageable;
use rolecall::domain::model::refusal::Noun;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::rules::suggestions::Suggester;
use rolecall::domain::rules::visibility::Visibility;
use rolecall::domain::{Command, Reason, Refusal, RoleName, Time, UserId};

use crate::case_counts::{CaseCounts, check_cases};
use crate::history_runner::{HistoryRunner, StepOutcome};
use crate::impact_comparison::anonymous;
use crate::manageable::ask;
use crate::model::Shown;
use crate::random_history::Step;
use crate::random_org::{self, PROJECT, RandomOrg, START, USERS, VISIBLE, end, members, random_org, write};
use crate::random_writes::{RandomWrite, random_write};
use crate::state_to_model::model_of;

/// The acting users. They hold no internal role.
const CUSTOMERS: [&str; 2] = ["ann", "bob"];
const STAFF: [&str; 3] = ["cid", "Ann", "nobody"];
/// Includes names that exist in one project only, and misspelled names.
const NAMES: [&str; 9] = ["Owner", "Admin", "Auditor", "Member", "Guest", "Boss", "Bos", "Spy", "Gest"];

/// The internal roles to give, some to users with visible roles.
fn staff() -> impl Strategy<Value = Vec<(&'static str, &'static str, Option<Time>)>> {
    vec((select(&STAFF[..]), select(&["Boss", "Spy"][..]), end()), 1..5)
}

struct World {
    runner: HistoryRunner,
}

impl World {
    fn new(commands: impl Iterator<Item = Command>) -> Self {
        let mut runner = HistoryRunner::new(rolecall::limits::Limits::default());
        for command in commands {
            runner.run(&Step::plain(1, command));
        }
        Self { runner }
    }

    /// Adds a role to the roles of a member, or adds a member with this role.
    fn give(&mut self, user: &str, role: &str, expire_time: Option<Time>) {
        let project = self.runner.state.project_keyed(PROJECT).expect("there").clone();
        let org = project.org(random_org::ORG).expect("there");
        let kept = |role: RoleName| RoleAssignment { role, expire_time: None, permanent: false };
        let record = project.membership(org, &UserId::stored(user));
        let roles = record.as_ref().and_then(|record| project.role_sets.get(record.role_set));
        let mut given: Vec<RoleAssignment> =
            roles.into_iter().flat_map(|set| set.roles.iter()).map(|&id| kept(project.role_name(id))).collect();
        let new = RoleAssignment { role: RoleName::stored(role), expire_time, permanent: expire_time.is_none() };
        let write_as = if given.is_empty() { Write::Add } else { Write::Set };
        given.push(new);
        // A refused write changes nothing.
        self.runner.run(&Step::plain(0, write(user, write_as(given))));
    }

    /// Everything that the response tells the caller.
    fn told(&self, outcome: &StepOutcome) -> String {
        let impact = outcome.impact.as_ref().map(|impact| (anonymous(impact), impact.digest.clone()));
        let refusal =
            outcome.refusal.as_ref().map(|refusal| (format!("{refusal:?}"), refusal.to_string(), refusal.rule()));
        let suggestion = match &outcome.refusal {
            Some(Refusal::NotFound(noun @ Noun::Role, name)) => {
                let project = self.runner.state.project_keyed(PROJECT).expect("there");
                Suggester::new(project, Visibility::VisibleOnly).suggest(*noun, name).map(str::to_string)
            }
            _ => None,
        };
        format!("{:?} {impact:?} {refusal:?} {suggestion:?}", outcome.result)
    }

    fn manageable(&self, acting: &str, target: Option<&str>) -> String {
        let limits = &self.runner.limits;
        match manageable(&self.runner.state, &ask(acting, target), self.runner.clock, limits) {
            Ok(it) => {
                let roles = it.roles.iter();
                let roles = roles.map(|it| (it.role.to_string(), it.invite, it.give, it.take, it.expire_time_max));
                format!("{:?} {} {}", roles.collect::<Vec<_>>(), it.remove, it.more)
            }
            Err(refusal) => refusal.to_string(),
        }
    }
}

/// Mostly member writes, sometimes a write of the org itself.
fn writes() -> impl Strategy<Value = Asked> {
    let of_org = (select(&CUSTOMERS[..]), any::<bool>()).prop_map(|(acting, delete)| {
        let (project, org_id) = (random_org::project(), random_org::org());
        let command = match delete {
            true => Command::DeleteOrg(DeleteOrg { project, org_id }),
            false => {
                let display_name = Some(format!("of {acting}"));
                Command::UpdateOrg(UpdateOrg { project, org_id, display_name, metadata: None })
            }
        };
        Asked::Step(Step { acting_user: Some(UserId::stored(acting)), ..Step::plain(1, command) })
    });
    prop_oneof![30 => random_write(&CUSTOMERS, &NAMES).prop_map(Asked::RandomWrite), 1 => of_org]
}

fn is_unavailable(outcome: &StepOutcome) -> bool {
    outcome.result == Err(Reason::UserNotAvailable)
}

#[derive(Clone, Debug)]
enum Asked {
    RandomWrite(RandomWrite),
    Step(Step),
}

/// Minimum counts per thousand cases.
const WANTED: [(&str, u32); 9] = [
    ("a changing random_write", 1_200),
    ("RoleOutOfScope", 200),
    ("RoleNotFound", 150),
    ("MemberNotFound", 100),
    ("UserNotAvailable", 50),
    ("staff with visible roles as well", 100),
    ("staff with internal roles alone", 100),
    ("a suspended internal role", 50),
    ("a suspended role with a fallback role beside an internal one", 20),
];

fn count_start(world: &World, counts: &CaseCounts) {
    let seen = model_of(&world.runner.state, &USERS);
    let project_model = &seen.projects[PROJECT];
    let org_model = &project_model.orgs[random_org::ORG];
    let internal = |role: &String| project_model.is_internal(role);
    let staff = org_model.members.values().filter(|member| member.roles.keys().any(internal));
    let staff: Vec<Vec<Shown>> = staff.map(|member| project_model.shown(org_model, member, Time(START))).collect();
    let any = |is: &dyn Fn(&Shown) -> bool| staff.iter().any(|roles| roles.iter().any(is));
    counts.count_if(any(&|it| !internal(&it.0)), "staff with visible roles as well");
    counts
        .count_if(staff.iter().any(|roles| roles.iter().all(|it| internal(&it.0))), "staff with internal roles alone");
    counts.count_if(any(&|it| internal(&it.0) && it.2 == RoleState::Suspended), "a suspended internal role");
    counts.count_if(any(&|it| it.4.is_some()), "a suspended role with a fallback role beside an internal one");
}

#[test]
fn i4_acting_users_get_the_same_answers_with_and_without_internal_members() {
    let worlds = (random_org(), any::<bool>(), members(&[]), staff());
    let cases = (worlds, vec(writes(), 8), select(&USERS[..]));
    check_cases(&cases, &WANTED, |((random_org, roles_too, visible, staff), writes, target), counts| {
        let RandomOrg { structure, visible: project, internal, disabled, .. } = random_org;
        let visible: Vec<Command> = visible.iter().map(|member| member.command(structure)).collect();
        // Without internal members there may be no internal role at all.
        let without = internal.clone().into_iter().filter(|_| roles_too);
        let mut one = World::new(project.iter().cloned().chain(without).chain(visible.clone()));
        let mut other = World::new(project.iter().cloned().chain(internal).chain(visible));
        for (user, role, expire_time) in staff {
            other.give(user, role, expire_time);
        }
        for command in disabled {
            let this = one.runner.run(&Step::plain(0, without_internal(&command)));
            let that = other.runner.run(&Step::plain(0, command));
            prop_assert_eq!(this.result.is_ok(), that.result.is_ok());
        }
        // The set-up took different times. Continue both at the same time.
        for world in [&mut one, &mut other] {
            world.runner.clock = Time(START);
        }
        count_start(&other, counts);
        let mut now = model_of(&one.runner.state, &USERS);
        for (number, random_write) in writes.iter().enumerate() {
            let random_write = match random_write {
                Asked::RandomWrite(random_write) => random_write.step(&now.projects[PROJECT], one.runner.clock),
                Asked::Step(step) => step.clone(),
            };
            let (before_one, before_other) = (one.runner.state.clone(), other.runner.state.clone());
            let (this, that) = (one.runner.run(&random_write), other.runner.run(&random_write));
            if let Err(reason) = that.result {
                counts.count(format!("{reason:?}"));
            }
            if is_unavailable(&that) {
                prop_assert!(this.result.is_ok(), "{:?} is refused otherwise: {:?}", random_write, this.result);
                one.runner.state = before_one;
                other.runner.state = before_other;
            } else {
                prop_assert_eq!(one.told(&this), other.told(&that), "{:?}", random_write);
                prop_assert_eq!(
                    this.commit.is_some(),
                    that.commit.is_some(),
                    "one takes a revision: {:?}",
                    random_write
                );
                if this.commit.is_some() {
                    counts.count("a changing random_write");
                    now = model_of(&one.runner.state, &USERS);
                }
            }
            if number % 4 == 3 {
                for target in [None, Some(target), Some("ann")] {
                    let (is, should) = (other.manageable("ann", target), one.manageable("ann", target));
                    if !other.full(target) {
                        prop_assert_eq!(is, should, "{:?}", target);
                    }
                }
            }
        }
        Ok(())
    });
}

/// Leaves only visible roles to be disabled. Both projects disable the same visible roles.
fn without_internal(command: &Command) -> Command {
    let mut command = command.clone();
    if let Command::UpdateRoleMapping(update) = &mut command {
        update.edits.disable.retain(|role| VISIBLE.contains(&role.as_str()));
    }
    command
}

impl World {
    /// Returns true if the target holds internal roles, which limit what it can be given (I4).
    fn full(&self, target: Option<&str>) -> bool {
        let project = self.runner.state.project_keyed(PROJECT).expect("there");
        let Some(org) = project.org(random_org::ORG) else { return false };
        let record = target.and_then(|target| project.membership(org, &UserId::stored(target)));
        let set = record.and_then(|record| project.role_sets.get(record.role_set).map(AsRef::as_ref));
        set.is_some_and(|set: &rolecall::domain::model::role_set::RoleSet| {
            set.roles.iter().any(|&role| !project.is_visible(role))
        })
    }
}
