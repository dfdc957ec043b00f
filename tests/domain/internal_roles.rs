//! Acting users learn nothing about internal roles (G4, I4). The same calls get the same answers in two projects, and
//! only one of the two has internal members.
//!
//! These differences are intended:
//! - USER_NOT_AVAILABLE if an internal role prevents a write that is possible without it (I4). The case goes on from
//!   before the write.
//! - Revisions, times, and the numbers of roles and role sets. They count changes in all orgs of all projects.
//! - The limit on role sets (P7), for the same reason.
//! - What a user may do with an internal role. No user with an internal role acts here.
//! - Whether a user with an internal role joins by an e-mail domain or accepts an invitation. No acting user makes these
//!   calls, so they are left out.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use rolecall::domain::commands::command::{
    AcceptInvitation, BlockUser, CreateInvitations, DeleteOrg, NewInvitation, NewOrgDomain, ProvisionMember,
    RevokeInvitation, RoleAssignment, SetOrgDomains, UpdateOrg, VerifyOrgDomain, Write,
};
use rolecall::domain::commands::manageable::manageable;
use rolecall::domain::model::email::{EmailAddress, EmailDomain};
use rolecall::domain::model::invitation::InvitationId;
use rolecall::domain::model::refusal::Noun;
use rolecall::domain::rules::invitation::{Invitation, InvitationViewer};
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::rules::suggestions::Suggester;
use rolecall::domain::rules::visibility::Visibility;
use rolecall::domain::{Command, Reason, Refusal, RoleName, Time, UserId};

use crate::case_counts::{CaseCounts, check_cases};
use crate::history_runner::{HistoryRunner, StepOutcome};
use crate::impact_comparison::without_user_ids;
use crate::manageable::ask;
use crate::model::ShownRole;
use crate::placeholders::EMAILS;
use crate::random_history::Step;
use crate::random_org::{self, PROJECT, RandomOrg, START, USERS, VISIBLE, expiry, members, random_org, write};
use crate::random_writes::{RandomWrite, random_write};
use crate::state_to_model::model_of;

/// The acting users. They hold no internal role.
const ACTING_USERS: [&str; 2] = ["ann", "bob"];
const INTERNAL_USERS: [&str; 3] = ["cid", "Ann", "nobody"];
/// Includes names that exist in one project only, and misspelled names.
const NAMES: [&str; 9] = ["Owner", "Admin", "Auditor", "Member", "Guest", "Boss", "Bos", "Spy", "Gest"];

/// The internal roles to give, some to users with visible roles.
fn assignments() -> impl Strategy<Value = Vec<(&'static str, &'static str, Option<Time>)>> {
    vec((select(&INTERNAL_USERS[..]), select(&["Boss", "Spy"][..]), expiry()), 1..5)
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
        let project = self.runner.state.project_keyed(PROJECT).expect("it exists").clone();
        let org = project.org(random_org::ORG).expect("it exists");
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

    /// Invites an address to an internal role. A refused call changes nothing.
    fn invite(&mut self, email: &str, role: &str) {
        self.runner.run(&Step::plain(0, invite(email, Some(role), false)));
    }

    /// Returns the id of the pending invitation of an address.
    fn invitation_of(&self, email: &str) -> Option<InvitationId> {
        let project = self.runner.state.project_keyed(PROJECT)?;
        let org = project.org(random_org::ORG)?;
        project.invitation_of(org, &EmailAddress::stored(email)).map(|invitation| invitation.id)
    }

    /// Returns the invitations as each acting user reads them, without their ids.
    fn invitations(&self) -> Vec<String> {
        let project = self.runner.state.project_keyed(PROJECT).expect("it exists");
        let Some(org) = project.org(random_org::ORG) else { return Vec::new() };
        let of_viewer = |user: &str| {
            let user = UserId::stored(user);
            let viewer = InvitationViewer::new(project, org, &user, self.runner.clock);
            let viewer = viewer.map_err(|refusal| refusal.to_string())?;
            let shown = EMAILS.iter().filter_map(|email| {
                let found = project.invitation_of(org, &EmailAddress::stored(*email))?;
                let shown = project.invitation(org, (found.id, &found.record), Some(&viewer), self.runner.clock)?;
                // The two worlds were set up at different times.
                let (id, never) = (InvitationId(0), Time(0));
                Some(format!("{:?}", Invitation { id, create_time: never, expire_time: never, ..shown }))
            });
            Ok::<_, String>(shown.collect::<Vec<_>>())
        };
        ACTING_USERS.iter().map(|user| format!("{:?}", of_viewer(user))).collect()
    }

    /// Everything that the response tells the caller. `ids` are the ids that the call may name.
    fn response_text(&self, outcome: &StepOutcome, ids: &[InvitationId]) -> String {
        let impact = outcome.impact.as_ref().map(|impact| (without_user_ids(impact), impact.digest.clone()));
        let refusal =
            outcome.refusal.as_ref().map(|refusal| (format!("{refusal:?}"), refusal.to_string(), refusal.rule()));
        let suggestion = match &outcome.refusal {
            Some(Refusal::NotFound(noun @ Noun::Role, name)) => {
                let project = self.runner.state.project_keyed(PROJECT).expect("it exists");
                Suggester::new(project, Visibility::VisibleOnly).suggest(*noun, name).map(str::to_string)
            }
            _ => None,
        };
        let text = format!("{:?} {impact:?} {refusal:?} {suggestion:?}", outcome.result);
        // The same address can have another id in the other world.
        let ids = ids.iter().chain([&InvitationId(u128::MAX)]);
        ids.fold(text, |text, id| text.replace(&id.to_string(), "id").replace(&format!("{id:?}"), "id"))
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

const DOMAINS: [&str; 2] = ["acme.example", "other.example"];

/// Sets the e-mail domains of the org, each with at most one role.
fn set_domains(names: &'static [&'static str]) -> BoxedStrategy<Command> {
    let domain = |domain: &'static str| {
        let role = proptest::option::weighted(0.7, select(names).prop_map(RoleName::stored));
        let domain = (role, any::<bool>()).prop_map(move |(role, apply_to_existing)| NewOrgDomain {
            domain: EmailDomain::stored(domain),
            roles: role.into_iter().collect(),
            apply_to_existing,
        });
        proptest::option::weighted(0.8, domain)
    };
    (domain(DOMAINS[0]), domain(DOMAINS[1]))
        .prop_map(|(one, other)| {
            let (project, org_id) = (random_org::project(), random_org::org());
            Command::SetOrgDomains(SetOrgDomains { project, org_id, domains: one.into_iter().chain(other).collect() })
        })
        .boxed()
}

/// Calls about domains, of acting users and without one. The latter name only visible roles.
fn domain_steps() -> BoxedStrategy<RandomStep> {
    let by = |acting_user, command| RandomStep::Step(Box::new(Step { acting_user, ..Step::plain(1, command) }));
    let by_user = (select(&ACTING_USERS[..]), set_domains(&NAMES))
        .prop_map(move |(acting, command)| by(Some(UserId::stored(acting)), command));
    let verify = select(&DOMAINS[..]).prop_map(|domain| {
        let (project, org_id) = (random_org::project(), random_org::org());
        Command::VerifyOrgDomain(VerifyOrgDomain { project, org_id, domain: EmailDomain::stored(domain) })
    });
    let provision = (select(&USERS[..]), select(&DOMAINS[..]), any::<bool>()).prop_map(|(user, domain, verified)| {
        Command::ProvisionMember(ProvisionMember {
            project: random_org::project(),
            org_id: random_org::org(),
            user_id: UserId::stored(user),
            email: EmailAddress::stored(format!("{user}@{domain}")),
            email_verified: verified || user != "nobody",
            allow_provisioning: verified && domain == DOMAINS[1],
        })
    });
    let by_nobody = prop_oneof![2 => set_domains(&VISIBLE), 1 => verify, 8 => provision];
    prop_oneof![1 => by_user, 1 => by_nobody.prop_map(move |command| by(None, command))].boxed()
}

/// Returns the call that invites an address, to one role or to the default role.
fn invite(email: &str, role: Option<&str>, replace: bool) -> Command {
    let given = |role: &str| RoleAssignment { role: RoleName::stored(role), expire_time: None, permanent: true };
    let row = NewInvitation {
        id: InvitationId(0),
        email: EmailAddress::stored(email),
        roles: role.into_iter().map(given).collect(),
        expire_time: None,
        replace,
    };
    let (project, org_id) = (random_org::project(), random_org::org());
    Command::CreateInvitations(CreateInvitations { project, org_id, rows: vec![row], batch: false })
}

/// Calls about invitations. Only acting users invite and revoke.
fn invitation_steps() -> BoxedStrategy<RandomStep> {
    let by = |acting_user, command| RandomStep::Step(Box::new(Step { acting_user, ..Step::plain(1, command) }));
    let role = proptest::option::weighted(0.7, select(&NAMES[..]));
    let create =
        (select(&EMAILS[..]), role, any::<bool>()).prop_map(|(email, role, replace)| invite(email, role, replace));
    let revoke = (0..EMAILS.len() as u128).prop_map(|at| {
        let (project, org_id) = (random_org::project(), random_org::org());
        Command::RevokeInvitation(RevokeInvitation { project, org_id, id: InvitationId(at) })
    });
    let by_user = (select(&ACTING_USERS[..]), prop_oneof![5 => create, 2 => revoke])
        .prop_map(move |(acting, command)| by(Some(UserId::stored(acting)), command));
    let accept = (select(&USERS[..]), 0..EMAILS.len()).prop_map(|(user, at)| {
        Command::AcceptInvitation(AcceptInvitation {
            project: random_org::project(),
            org_id: random_org::org(),
            id: InvitationId(at as u128),
            user_id: UserId::stored(user),
            email: EmailAddress::stored(EMAILS[at]),
            email_verified: true,
        })
    });
    prop_oneof![4 => by_user, 1 => accept.prop_map(move |command| by(None, command))].boxed()
}

/// Mostly member writes, sometimes a write of the org itself, about its domains, or about invitations.
fn writes() -> impl Strategy<Value = RandomStep> {
    let of_org = (select(&ACTING_USERS[..]), any::<bool>()).prop_map(|(acting, delete)| {
        let (project, org_id) = (random_org::project(), random_org::org());
        let command = match delete {
            true => Command::DeleteOrg(DeleteOrg { project, org_id }),
            false => {
                let display_name = Some(format!("of {acting}"));
                Command::UpdateOrg(UpdateOrg { project, org_id, display_name, metadata: None })
            }
        };
        RandomStep::Step(Box::new(Step { acting_user: Some(UserId::stored(acting)), ..Step::plain(1, command) }))
    });
    let of_members = random_write(&ACTING_USERS, &NAMES).prop_map(RandomStep::Write);
    prop_oneof![30 => of_members, 1 => of_org, 12 => domain_steps(), 12 => invitation_steps()]
}

fn is_not_available(outcome: &StepOutcome) -> bool {
    outcome.result == Err(Reason::UserNotAvailable)
}

#[derive(Clone, Debug)]
enum RandomStep {
    Write(RandomWrite),
    Step(Box<Step>),
}

/// Minimum counts per thousand cases.
const WANTED: [(&str, u32); 20] = [
    ("a changing write", 1_200),
    ("RoleOutOfScope", 200),
    ("RoleNotFound", 150),
    ("MemberNotFound", 100),
    ("UserNotAvailable", 50),
    ("ActingUserBlocked", 100),
    ("an internal role beside a visible one", 100),
    ("a member with internal roles only", 100),
    ("a suspended internal role", 50),
    ("a fallback role beside an internal role", 20),
    ("an acting user sets domains", 60),
    ("a user joins by a domain", 25),
    ("DomainNotListed", 20),
    ("RemovedBefore", 2),
    ("an internal member is blocked in one world", 50),
    ("an acting user invites", 60),
    ("an acting user revokes", 5),
    ("a user accepts", 5),
    ("InvitationAlreadyExists", 5),
    ("InvitationNotFound", 5),
];

fn count_start(world: &World, counts: &CaseCounts) {
    let model = model_of(&world.runner.state, &USERS);
    let project_model = &model.projects[PROJECT];
    let org_model = &project_model.orgs[random_org::ORG];
    let internal = |role: &String| project_model.is_internal(role);
    let members = org_model.members.values().filter(|member| member.roles.keys().any(internal));
    let members: Vec<Vec<ShownRole>> =
        members.map(|member| project_model.member_roles(org_model, member, Time(START))).collect();
    let any = |is: &dyn Fn(&ShownRole) -> bool| members.iter().any(|roles| roles.iter().any(is));
    counts.count_if(any(&|it| !internal(&it.0)), "an internal role beside a visible one");
    counts.count_if(
        members.iter().any(|roles| roles.iter().all(|it| internal(&it.0))),
        "a member with internal roles only",
    );
    counts.count_if(any(&|it| internal(&it.0) && it.2 == RoleState::Suspended), "a suspended internal role");
    counts.count_if(any(&|it| it.4.is_some()), "a fallback role beside an internal role");
}

#[test]
fn i4_acting_users_get_the_same_answers_with_and_without_internal_members() {
    let blocked = vec(select(&["bob", "cid", "Ann", "nobody"][..]), 0..3);
    let removed = proptest::option::weighted(0.9, select(&USERS[2..4]).prop_map(|user| write(user, Write::Remove)));
    // Both worlds begin with domains and an invitation, and mostly with a user whom somebody removed.
    let start = (set_domains(&VISIBLE), removed)
        .prop_map(|(domains, removed)| [Some(domains), Some(invite(EMAILS[0], None, false)), removed]);
    let worlds = (random_org(), any::<bool>(), (members(&[]), start), assignments(), blocked);
    let hidden_invitations = vec((select(&EMAILS[1..]), select(&["Boss", "Spy"][..])), 0..3);
    let cases = (worlds, vec(writes(), 12), select(&USERS[..]), (any::<bool>(), hidden_invitations));
    check_cases(
        &cases,
        &WANTED,
        |(
            (random_org, keep_internal_roles, (visible, start), assignments, blocked),
            writes,
            target,
            (block_internal, hidden_invitations),
        ),
         counts| {
            let RandomOrg { structure, visible: project, internal, disabled, .. } = random_org;
            let visible: Vec<Command> =
                visible.iter().map(|member| member.command(structure)).chain(start.into_iter().flatten()).collect();
            // Without internal members there may be no internal role at all.
            let unused_internal = internal.clone().into_iter().filter(|_| keep_internal_roles);
            let mut without_internal =
                World::new(project.iter().cloned().chain(unused_internal).chain(visible.clone()));
            let mut with_internal = World::new(project.iter().cloned().chain(internal).chain(visible));
            for (user, role, expire_time) in assignments {
                with_internal.give(user, role, expire_time);
            }
            for command in disabled {
                let outcome = without_internal.runner.run(&Step::plain(0, visible_only(&command)));
                let other = with_internal.runner.run(&Step::plain(0, command));
                prop_assert_eq!(outcome.result.is_ok(), other.result.is_ok());
            }
            for user in blocked {
                let (project, user_id) = (random_org::project(), UserId::stored(user));
                let block = Step::plain(0, Command::BlockUser(BlockUser { project, user_id }));
                without_internal.runner.run(&block);
                with_internal.runner.run(&block);
            }
            for (email, role) in &hidden_invitations {
                with_internal.invite(email, role);
            }
            if block_internal && with_internal.block_internal_members(&without_internal) {
                counts.count("an internal member is blocked in one world");
            }
            // The set-up took different times. Continue both at the same time.
            for world in [&mut without_internal, &mut with_internal] {
                world.runner.clock = Time(START);
            }
            count_start(&with_internal, counts);
            let mut now = model_of(&without_internal.runner.state, &USERS);
            for (number, random_step) in writes.iter().enumerate() {
                let step = match random_step {
                    RandomStep::Write(write) => write.step(&now.projects[PROJECT], without_internal.runner.clock),
                    RandomStep::Step(step) => Step::clone(step),
                };
                if let Command::ProvisionMember(command) = &step.command
                    && with_internal.holds_internal_role(Some(command.user_id.as_str()))
                {
                    continue;
                }
                let (state_without_internal, state_with_internal) =
                    (without_internal.runner.state.clone(), with_internal.runner.state.clone());
                if let Command::AcceptInvitation(command) = &step.command {
                    let email = command.email.as_str();
                    let hidden =
                        with_internal.invitation_of(email).is_some() && without_internal.invitation_of(email).is_none();
                    if hidden || with_internal.holds_internal_role(Some(command.user_id.as_str())) {
                        continue;
                    }
                }
                let ids =
                    |world: &World| EMAILS.iter().filter_map(|email| world.invitation_of(email)).collect::<Vec<_>>();
                let (ids, other_ids) = (ids(&without_internal), ids(&with_internal));
                let (outcome, other) = (without_internal.runner.run(&step), with_internal.runner.run(&step));
                if let Err(reason) = &other.result {
                    counts.count(format!("{reason:?}"));
                }
                if is_not_available(&other) && !is_not_available(&outcome) {
                    prop_assert!(outcome.result.is_ok(), "{:?} is refused in both: {:?}", step, outcome.result);
                    without_internal.runner.state = state_without_internal;
                    with_internal.runner.state = state_with_internal;
                } else {
                    prop_assert_eq!(
                        without_internal.response_text(&outcome, &ids),
                        with_internal.response_text(&other, &other_ids),
                        "{:?}",
                        step
                    );
                    prop_assert_eq!(
                        outcome.commit.is_some(),
                        other.commit.is_some(),
                        "only one takes a revision: {:?}",
                        step
                    );
                    prop_assert_eq!(without_internal.domains(), with_internal.domains());
                    prop_assert_eq!(without_internal.invitations(), with_internal.invitations());
                    if outcome.commit.is_some() {
                        counts.count("a changing write");
                        match &step.command {
                            Command::SetOrgDomains(_) if step.acting_user.is_some() => {
                                counts.count("an acting user sets domains");
                            }
                            Command::ProvisionMember(_) => counts.count("a user joins by a domain"),
                            Command::CreateInvitations(_) => counts.count("an acting user invites"),
                            Command::RevokeInvitation(_) => counts.count("an acting user revokes"),
                            Command::AcceptInvitation(_) => counts.count("a user accepts"),
                            _ => {}
                        }
                        now = model_of(&without_internal.runner.state, &USERS);
                    }
                }
                if number % 4 == 3 {
                    for target in [None, Some(target), Some("ann")] {
                        let (is, should) =
                            (with_internal.manageable("ann", target), without_internal.manageable("ann", target));
                        if !with_internal.holds_internal_role(target) {
                            prop_assert_eq!(is, should, "{:?}", target);
                        }
                    }
                }
            }
            Ok(())
        },
    );
}

/// Leaves only visible roles to be disabled. Both projects disable the same visible roles.
fn visible_only(command: &Command) -> Command {
    let mut command = command.clone();
    if let Command::UpdateRoleMapping(update) = &mut command {
        update.edits.disable.retain(|role| VISIBLE.contains(&role.as_str()));
    }
    command
}

impl World {
    /// Blocks the members who do not exist in the other world. Returns true if there is one.
    fn block_internal_members(&mut self, other: &World) -> bool {
        let hidden =
            USERS.into_iter().filter(|user| self.is_member(user) && !other.is_member(user)).collect::<Vec<_>>();
        for user in &hidden {
            let (project, user_id) = (random_org::project(), UserId::stored(*user));
            self.runner.run(&Step::plain(0, Command::BlockUser(BlockUser { project, user_id })));
        }
        !hidden.is_empty()
    }

    fn is_member(&self, user: &str) -> bool {
        let project = self.runner.state.project_keyed(PROJECT).expect("it exists");
        project.org(random_org::ORG).is_some_and(|org| project.membership(org, &UserId::stored(user)).is_some())
    }

    /// Returns the domains as reads show them.
    fn domains(&self) -> String {
        let project = self.runner.state.project_keyed(PROJECT).expect("it exists");
        format!("{:?}", project.org(random_org::ORG).map(|org| project.shown_domains(org)))
    }

    /// Returns true if the target holds internal roles, which limit what it can be given (I4).
    fn holds_internal_role(&self, target: Option<&str>) -> bool {
        let project = self.runner.state.project_keyed(PROJECT).expect("it exists");
        let Some(org) = project.org(random_org::ORG) else { return false };
        let record = target.and_then(|target| project.membership(org, &UserId::stored(target)));
        let set = record.and_then(|record| project.role_sets.get(record.role_set).map(AsRef::as_ref));
        set.is_some_and(|set: &rolecall::domain::model::role_set::RoleSet| {
            set.roles.iter().any(|&role| !project.is_visible(role))
        })
    }
}
