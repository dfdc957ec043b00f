//! Nothing made for an acting user betrays what is internal (G4, I4): the same calls of acting users in two worlds, of
//! which one has staff with internal roles, are answered alike.
//!
//! What differs all the same, and has to:
//! - USER_NOT_AVAILABLE, where the one world would do what the other cannot (I4): a SINGLE_ROLE member has no room left, a
//!   MULTI_ROLE one too many roles. Then nothing is done in either, and the calls go on.
//! - Revisions, instants and numbers of roles and role sets: they count what happens in all orgs of all projects.
//! - The limit of different role sets a project (P7), for the same reason.
//! - What a user may do itself by an internal role of its own: staff acts here in neither world.

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

use crate::impacts::anonymous;
use crate::lifecycle::{Lifecycle, Lived};
use crate::manageable::ask;
use crate::model::Shown;
use crate::seen::seen;
use crate::strategies::Step;
use crate::tally::{Tally, hold};
use crate::teams::{self, PROJECT, START, Team, USERS, VISIBLE, end, members, team, write};
use crate::wishes::{Wish, wish};

/// They act, and hold no internal role.
const CUSTOMERS: [&str; 2] = ["ann", "bob"];
const STAFF: [&str; 3] = ["cid", "Ann", "nobody"];
/// Also names that exist in one world alone, and names near to them.
const NAMES: [&str; 9] = ["Owner", "Admin", "Auditor", "Member", "Guest", "Boss", "Bos", "Spy", "Gest"];

/// The commands that make staff: members of internal roles alone, or of internal roles as well.
fn staff() -> impl Strategy<Value = Vec<(&'static str, &'static str, Option<Time>)>> {
    vec((select(&STAFF[..]), select(&["Boss", "Spy"][..]), end()), 1..5)
}

struct World {
    lifecycle: Lifecycle,
}

impl World {
    fn new(commands: impl Iterator<Item = Command>) -> Self {
        let mut lifecycle = Lifecycle::new(rolecall::limits::Limits::default());
        for command in commands {
            lifecycle.live(&Step::plain(1, command));
        }
        Self { lifecycle }
    }

    /// The member's roles and these, or these alone.
    fn give(&mut self, user: &str, role: &str, expire_time: Option<Time>) {
        let project = self.lifecycle.state.project_keyed(PROJECT).expect("there").clone();
        let org = project.org(teams::ORG).expect("there");
        let kept = |role: RoleName| RoleAssignment { role, expire_time: None, permanent: false };
        let record = project.membership(org, &UserId::stored(user));
        let roles = record.as_ref().and_then(|record| project.role_sets.get(record.role_set));
        let mut given: Vec<RoleAssignment> =
            roles.into_iter().flat_map(|set| set.roles.iter()).map(|&id| kept(project.role_name(id))).collect();
        let new = RoleAssignment { role: RoleName::stored(role), expire_time, permanent: expire_time.is_none() };
        let write_as = if given.is_empty() { Write::Add } else { Write::Set };
        given.push(new);
        // Where it does not fit, or something has ended, nothing comes of it.
        self.lifecycle.live(&Step::plain(0, write(user, write_as(given))));
    }

    /// All that a caller is told, in the words of the answer.
    fn told(&self, lived: &Lived) -> String {
        let impact = lived.impact.as_ref().map(|impact| (anonymous(impact), impact.digest.clone()));
        let refusal =
            lived.refusal.as_ref().map(|refusal| (format!("{refusal:?}"), refusal.to_string(), refusal.rule()));
        let suggestion = match &lived.refusal {
            Some(Refusal::NotFound(noun @ Noun::Role, name)) => {
                let project = self.lifecycle.state.project_keyed(PROJECT).expect("there");
                Suggester::new(project, Visibility::VisibleOnly).suggest(*noun, name).map(str::to_string)
            }
            _ => None,
        };
        format!("{:?} {impact:?} {refusal:?} {suggestion:?}", lived.result)
    }

    /// What is manageable for a customer, by the names of roles.
    fn manageable(&self, acting: &str, target: Option<&str>) -> String {
        let limits = &self.lifecycle.limits;
        match manageable(&self.lifecycle.state, &ask(acting, target), self.lifecycle.clock, limits) {
            Ok(it) => {
                let roles = it.roles.iter();
                let roles = roles.map(|it| (it.role.to_string(), it.invite, it.give, it.take, it.expire_time_max));
                format!("{:?} {} {}", roles.collect::<Vec<_>>(), it.remove, it.more)
            }
            Err(refusal) => refusal.to_string(),
        }
    }
}

/// Mostly members are written; seldom the org itself.
fn wishes() -> impl Strategy<Value = Asked> {
    let of_org = (select(&CUSTOMERS[..]), any::<bool>()).prop_map(|(acting, delete)| {
        let (project, org_id) = (teams::project(), teams::org());
        let command = match delete {
            true => Command::DeleteOrg(DeleteOrg { project, org_id }),
            false => {
                let display_name = Some(format!("of {acting}"));
                Command::UpdateOrg(UpdateOrg { project, org_id, display_name, metadata: None })
            }
        };
        Asked::Step(Step { acting_user: Some(UserId::stored(acting)), ..Step::plain(1, command) })
    });
    prop_oneof![30 => wish(&CUSTOMERS, &NAMES).prop_map(Asked::Wish), 1 => of_org]
}

fn is_unavailable(lived: &Lived) -> bool {
    lived.result == Err(Reason::UserNotAvailable)
}

/// What a step is, once it is known how things stand.
#[derive(Clone, Debug)]
enum Asked {
    Wish(Wish),
    Step(Step),
}

/// As often in a thousand cases.
const WANTED: [(&str, u32); 9] = [
    ("a changing wish", 1_200),
    ("RoleOutOfScope", 200),
    ("RoleNotFound", 150),
    ("MemberNotFound", 100),
    ("UserNotAvailable", 50),
    ("staff with visible roles as well", 100),
    ("staff with internal roles alone", 100),
    ("a suspended internal role", 50),
    ("a suspended role with a fallback role beside an internal one", 20),
];

/// What there is of staff.
fn met_at_first(world: &World, tally: &Tally) {
    let seen = seen(&world.lifecycle.state, &USERS);
    let space = &seen.projects[PROJECT];
    let customer = &space.orgs[teams::ORG];
    let internal = |role: &String| space.about_role(role).marked;
    let staff = customer.members.values().filter(|member| member.roles.keys().any(internal));
    let staff: Vec<Vec<Shown>> = staff.map(|member| space.shown(customer, member, Time(START))).collect();
    let any = |is: &dyn Fn(&Shown) -> bool| staff.iter().any(|roles| roles.iter().any(is));
    tally.met_if(any(&|it| !internal(&it.0)), "staff with visible roles as well");
    tally.met_if(staff.iter().any(|roles| roles.iter().all(|it| internal(&it.0))), "staff with internal roles alone");
    tally.met_if(any(&|it| internal(&it.0) && it.2 == RoleState::Suspended), "a suspended internal role");
    tally.met_if(any(&|it| it.4.is_some()), "a suspended role with a fallback role beside an internal one");
}

#[test]
fn i4_acting_users_are_told_the_same_whether_there_is_staff_or_not() {
    let worlds = (team(), any::<bool>(), members(&[]), staff());
    let cases = (worlds, vec(wishes(), 8), select(&USERS[..]));
    hold(&cases, &WANTED, |((team, roles_too, visible, staff), wishes, target), tally| {
        let Team { structure, visible: project, internal, disabled, .. } = team;
        let visible: Vec<Command> = visible.iter().map(|member| member.command(structure)).collect();
        // Without staff there may be no internal role at all.
        let without = internal.clone().into_iter().filter(|_| roles_too);
        let mut one = World::new(project.iter().cloned().chain(without).chain(visible.clone()));
        let mut other = World::new(project.iter().cloned().chain(internal).chain(visible));
        for (user, role, expire_time) in staff {
            other.give(user, role, expire_time);
        }
        for command in disabled {
            let this = one.lifecycle.live(&Step::plain(0, without_internal(&command)));
            let that = other.lifecycle.live(&Step::plain(0, command));
            prop_assert_eq!(this.result.is_ok(), that.result.is_ok());
        }
        // Whatever it took to come so far, it is the same instant in both.
        for world in [&mut one, &mut other] {
            world.lifecycle.clock = Time(START);
        }
        met_at_first(&other, tally);
        let mut now = seen(&one.lifecycle.state, &USERS);
        for (number, wish) in wishes.iter().enumerate() {
            let wish = match wish {
                Asked::Wish(wish) => wish.step(&now.projects[PROJECT], one.lifecycle.clock),
                Asked::Step(step) => step.clone(),
            };
            let (before_one, before_other) = (one.lifecycle.state.clone(), other.lifecycle.state.clone());
            let (this, that) = (one.lifecycle.live(&wish), other.lifecycle.live(&wish));
            if let Err(reason) = that.result {
                tally.met(format!("{reason:?}"));
            }
            if is_unavailable(&that) {
                prop_assert!(this.result.is_ok(), "{:?} is refused otherwise: {:?}", wish, this.result);
                one.lifecycle.state = before_one;
                other.lifecycle.state = before_other;
            } else {
                prop_assert_eq!(one.told(&this), other.told(&that), "{:?}", wish);
                prop_assert_eq!(this.commit.is_some(), that.commit.is_some(), "one takes a revision: {:?}", wish);
                if this.commit.is_some() {
                    tally.met("a changing wish");
                    now = seen(&one.lifecycle.state, &USERS);
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

/// The same visible roles are disabled in both worlds; internal ones only where there is staff.
fn without_internal(command: &Command) -> Command {
    let mut command = command.clone();
    if let Command::UpdateRoleMapping(update) = &mut command {
        update.edits.disable.retain(|role| VISIBLE.contains(&role.as_str()));
    }
    command
}

impl World {
    /// Whether a target holds internal roles: then what it can be given is less (I4).
    fn full(&self, target: Option<&str>) -> bool {
        let project = self.lifecycle.state.project_keyed(PROJECT).expect("there");
        let Some(org) = project.org(teams::ORG) else { return false };
        let record = target.and_then(|target| project.membership(org, &UserId::stored(target)));
        let set = record.and_then(|record| project.role_sets.get(record.role_set).map(AsRef::as_ref));
        set.is_some_and(|set: &rolecall::domain::model::role_set::RoleSet| {
            set.roles.iter().any(|&role| !project.is_visible(role))
        })
    }
}
