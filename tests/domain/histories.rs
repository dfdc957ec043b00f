//! Random histories: the service and the model must agree on every refusal, every answer and every check.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use rolecall::domain::decide::Outcome;
use rolecall::domain::group::{Commit, Known, Verdict, Work, decide_group};
use rolecall::domain::{Ask, Call, Command, Question, Reason, State, Time};
use rolecall::limits::Limits;

use crate::model::{Answer, Model, ModelOutcome};
use crate::seen::{answered, check, seen};
use crate::strategies::{History, ORGS, PERMISSIONS, PROJECTS, USERS, config, empty_state, history};

/// A history that is being lived through, one command after another.
pub struct Life {
    pub state: State,
    pub clock: Time,
    pub limits: Limits,
}

/// What became of one command.
pub struct Lived {
    /// The instant at which it was decided.
    pub now: Time,
    pub result: Result<ModelOutcome, Reason>,
    pub commit: Option<Commit>,
}

pub fn call() -> Call {
    Call { actor: "tester".into(), request: None, fingerprint: 0, reason: "".into() }
}

impl Life {
    pub fn new(limits: Limits) -> Self {
        Self { state: empty_state(), clock: Time(0), limits }
    }

    /// Decides one command, `advance` later, as the writer would.
    pub fn live(&mut self, advance: i64, command: &Command) -> Lived {
        self.clock = Time(self.clock.0 + advance);
        let before = self.state.revision();
        let now = Time(self.clock.0.max(before.at.0 + 1));
        let tag = (before.number as u32).wrapping_mul(0x9e37_79b9);
        let work = Work { command: command.clone(), call: call(), tag };
        let group = decide_group(self.state.clone(), &[work], &Known::new(), self.clock, &self.limits);
        self.state = group.next;
        let commit = group.commits.into_iter().next();
        let result = match group.verdicts.into_iter().next() {
            Some(Verdict::Done { outcome, replayed: false, .. }) => Ok(done(&outcome, commit.is_some())),
            Some(Verdict::Refused(refusal)) => Err(refusal.reason()),
            _ => panic!("a command without a request id was replayed"),
        };
        Lived { now, result, commit }
    }
}

fn done(outcome: &Outcome, changed: bool) -> ModelOutcome {
    ModelOutcome { changed, answer: answered(outcome) }
}

/// Asks everything that can be asked with the names of the strategies, and some that nobody has.
fn agree_on_every_check(state: &State, model: &Model, now: Time) -> TestCaseResult {
    for project in PROJECTS {
        for org in ORGS {
            for user in USERS {
                for permission in PERMISSIONS {
                    let (is, should) = (
                        check(state, project, org, user, permission, now),
                        model.check(project, org, user, permission, now),
                    );
                    prop_assert_eq!(is, should, "{} {} {} {} at {:?}", project, org, user, permission, now);
                }
            }
        }
    }
    Ok(())
}

/// The first end of a role that is recorded: the instant itself and the one before are asked about.
fn some_end(model: &Model) -> Option<Time> {
    let spaces = model.projects.values();
    let members = spaces.flat_map(|space| space.orgs.values()).flat_map(|customer| customer.members.values());
    members.flat_map(|roles| roles.values().flatten()).next().copied()
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn a_history_ends_as_the_model_says(history in history()) {
        let mut life = Life::new(history.limits);
        let mut model = Model::default();
        for (number, step) in history.steps.iter().enumerate() {
            let lived = life.live(step.advance, &step.command);
            let should = model.run(&step.command, lived.now, &history.limits);
            prop_assert_eq!(&lived.result, &should, "step {}, {:?}", number, &step.command);
            if number % 16 == 15 {
                prop_assert_eq!(&seen(&life.state, &USERS), &model, "after step {}", number);
                agree_on_every_check(&life.state, &model, lived.now)?;
            }
        }
        prop_assert_eq!(&seen(&life.state, &USERS), &model);
        let end = some_end(&model).into_iter().flat_map(|end| [end, Time(end.0 - 1)]);
        for now in history.asked_at.iter().copied().chain([life.state.revision().at]).chain(end) {
            agree_on_every_check(&life.state, &model, now)?;
        }
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn a_refused_command_changes_nothing(history in history()) {
        let mut life = Life::new(history.limits);
        let mut copied = seen(&life.state, &USERS);
        for step in &history.steps {
            let before = life.state.clone();
            let lived = life.live(step.advance, &step.command);
            let after = seen(&life.state, &USERS);
            if lived.result.is_err() {
                prop_assert!(lived.commit.is_none());
                prop_assert!(life.state == before);
                prop_assert_eq!(life.state.revision(), before.revision());
                prop_assert_eq!(&after, &copied);
            }
            copied = after;
        }
    }

    #[test]
    fn a_command_that_changes_nothing_takes_no_revision(history in history()) {
        let mut life = Life::new(history.limits);
        let mut copied = seen(&life.state, &USERS);
        for step in &history.steps {
            let before = life.state.revision();
            let lived = life.live(step.advance, &step.command);
            let after = seen(&life.state, &USERS);
            let changed = after != copied;
            copied = after;
            prop_assert_eq!(lived.commit.is_some(), changed, "{:?}", &step.command);
            prop_assert_eq!(life.state.revision() != before, changed);
            if let Some(commit) = lived.commit {
                prop_assert!(!commit.changes.is_empty());
            }
        }
    }

    #[test]
    fn revisions_count_by_one_and_time_grows_though_the_clock_goes_back(history in history()) {
        let mut life = Life::new(history.limits);
        for step in &history.steps {
            let before = life.state.revision();
            if let Some(commit) = life.live(step.advance, &step.command).commit {
                prop_assert_eq!(commit.revision, life.state.revision());
                prop_assert_eq!(commit.revision.number, before.number + 1);
                prop_assert!(commit.revision.at > before.at);
                prop_assert!(commit.revision.at >= life.clock);
                prop_assert_eq!(commit.kind.as_ref(), step.command.kind());
            }
        }
    }

    #[test]
    fn a_clone_is_not_altered_by_what_comes_later(history in history()) {
        let mut life = Life::new(history.limits);
        let mut kept = Vec::new();
        for (number, step) in history.steps.iter().enumerate() {
            if number % 5 == 2 {
                kept.push((life.state.clone(), seen(&life.state, &USERS), life.state.revision()));
            }
            life.live(step.advance, &step.command);
        }
        for (clone, copied, revision) in kept {
            prop_assert_eq!(clone.revision(), revision);
            prop_assert_eq!(&seen(&clone, &USERS), &copied);
            if PROJECTS.iter().all(|key| copied.projects.contains_key(*key)) {
                agree_on_every_check(&clone, &copied, revision.at)?;
            }
        }
    }

    #[test]
    fn k3_a_batch_is_the_checks_one_by_one_in_the_order_asked(
        history in history(),
        picks in prop::collection::vec((0..=ORGS.len(), 0..=USERS.len(), 0..=PERMISSIONS.len()), 0..200),
    ) {
        let History { limits, steps, .. } = history;
        let mut life = Life::new(limits);
        for step in &steps {
            life.live(step.advance, &step.command);
        }
        let asks: Vec<Ask<'_>> = picks.iter().map(|&(org, user, permission)| Ask {
            org_id: ORGS.get(org).copied().unwrap_or(""),
            user_id: USERS.get(user).copied().unwrap_or(""),
            question: Question::Permission(PERMISSIONS.get(permission).copied().unwrap_or("")),
        }).collect();
        for key in PROJECTS {
            let project = life.state.project_keyed(key).expect("every history has both");
            let mut decisions = Vec::new();
            project.check_batch(asks.iter().copied(), life.clock, &mut decisions);
            let one_by_one: Vec<_> = asks.iter().map(|ask| project.check(ask, life.clock)).collect();
            prop_assert_eq!(decisions, one_by_one);
        }
    }
}

/// How often the histories come to what they are made for: a strategy that always refuses proves nothing.
#[test]
fn histories_reach_every_answer_and_every_refusal() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    use std::collections::BTreeMap;

    let mut runner = TestRunner::deterministic();
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..300 {
        let history = history().new_tree(&mut runner).expect("strategies do not filter").current();
        let mut life = Life::new(history.limits);
        for step in &history.steps {
            let lived = life.live(step.advance, &step.command);
            let name = match &lived.result {
                Ok(ModelOutcome { changed, answer }) => {
                    if let Answer::Member { roles, .. } = answer {
                        for (_, _, standing) in roles {
                            *met.entry(format!("member: {standing:?}")).or_default() += 1;
                        }
                    }
                    format!("{} {}", step.command.kind(), if *changed { "changed" } else { "unchanged" })
                }
                Err(reason) => format!("{reason:?}"),
            };
            *met.entry(name).or_default() += 1;
        }
        for project in PROJECTS {
            for (org, user) in ORGS.iter().flat_map(|org| USERS.map(|user| (org, user))) {
                for permission in PERMISSIONS {
                    let decision = check(&life.state, project, org, user, permission, life.clock);
                    *met.entry(format!("check: {decision:?}")).or_default() += 1;
                }
            }
        }
    }
    let wanted = [
        "CreateProject changed",
        "CreatePermission changed",
        "CreatePermission unchanged",
        "BatchCreatePermissions changed",
        "CreateRole changed",
        "CreateRoleMapping changed",
        "UpdateRoleMapping changed",
        "UpdateRoleMapping unchanged",
        "PromoteRoleMapping changed",
        "PromoteRoleMapping unchanged",
        "CreateOrg changed",
        "SubscribeOrg changed",
        "SubscribeOrg unchanged",
        "AddMember changed",
        "SetMemberRoles changed",
        "SetMemberRoles unchanged",
        "RemoveMember changed",
        "BatchWriteMembers changed",
        "BatchWriteMembers unchanged",
        "ProjectNotFound",
        "PermissionNotFound",
        "RoleNotFound",
        "RoleMappingNotFound",
        "OrgNotFound",
        "MemberNotFound",
        "ProjectAlreadyExists",
        "PermissionAlreadyExists",
        "RoleAlreadyExists",
        "RoleMappingAlreadyExists",
        "OrgAlreadyExists",
        "MemberAlreadyExists",
        "ReservedName",
        "LimitExceeded",
        "Contradiction",
        "DefaultRoleDisabled",
        "RoleDisabled",
        "RepeatedRole",
        "EndInThePast",
        "TooManyRoles",
        "RepeatedRow",
        "member: Live",
        "member: Suspended",
        "member: Shadowed",
        "check: Allowed",
        "check: NotAMember",
        "check: MissingPermission",
        "check: RoleDisabled",
        "check: RoleExpired",
        "check: OrgNotFound",
        "check: UnknownPermission",
    ];
    let missed: Vec<_> = wanted.iter().filter(|name| met.get(**name).is_none_or(|&times| times < 10)).collect();
    assert!(missed.is_empty(), "hardly ever met: {missed:?} of {met:#?}");
    println!("{met:#?}");
}
