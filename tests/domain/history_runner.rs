//! Runs the steps of a history on the domain and on the model.

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestCaseResult};

use rolecall::domain::commands::command::Purge;
use rolecall::domain::commands::group::{Commit, Known, Verdict, Work, decide_group};
use rolecall::domain::impact::report::Impact;
use rolecall::domain::model::id::OrgNo;
use rolecall::domain::{Call, Command, Outcome, Project, Reason, Refusal, State, Terms, Time, UserId, decide};
use rolecall::limits::Limits;

use crate::impact_comparison::{self, BeforeAndAfter, Digests};
use crate::model::{CallOptions, Model, ModelOutcome, project_of};
use crate::placeholders;
use crate::random_history::{Digest, Step, USERS, empty_state};
use crate::state_to_model::answer_of;

/// Runs one step after another on the domain.
pub struct HistoryRunner {
    pub state: State,
    pub clock: Time,
    pub limits: Limits,
}

pub struct StepOutcome {
    /// The clock when the command was decided.
    pub now: Time,
    pub commit_time: Time,
    pub result: Result<ModelOutcome, Reason>,
    pub refusal: Option<Refusal>,
    pub impact: Option<Impact>,
    pub commit: Option<Commit>,
}

pub fn call() -> Call {
    Call {
        actor: "tester".into(),
        key: None,
        request: None,
        fingerprint: 0,
        reason: "".into(),
        acting_user: None,
        impact_digest: None,
    }
}

impl HistoryRunner {
    pub fn new(limits: Limits) -> Self {
        Self { state: empty_state(), clock: Time(0), limits }
    }

    /// Advances the clock and decides one command as the writer would.
    pub fn run(&mut self, step: &Step) -> StepOutcome {
        self.clock = Time(self.clock.0 + step.advance);
        let before = self.state.revision();
        let (now, commit_time) = (self.clock, Time(self.clock.0.max(before.at.0 + 1)));
        let tag = (before.number as u32).wrapping_mul(0x9e37_79b9);
        let command = placeholders::fill(&self.state, &step.command);
        let call = Call { acting_user: step.acting_user.clone(), ..call() };
        let impact_digest = match step.digest {
            Digest::None => None,
            Digest::Fitting => {
                let preview =
                    decide(&self.state, &command, &Terms { commit_time, ..Terms::new(&call, now, &self.limits) });
                preview.ok().map(|preview| preview.impact.digest.as_str().into())
            }
            Digest::Stale => Some("stale".into()),
        };
        let work = Work { command, call: Call { impact_digest, ..call }, tag };
        let group = decide_group(self.state.clone(), &[work], &Known::new(), self.clock, &self.limits);
        self.state = group.next;
        let commit = group.commits.into_iter().next();
        let (result, refusal, impact) = match group.verdicts.into_iter().next() {
            Some(Verdict::Done { outcome, replayed: false, impact, .. }) => {
                (Ok(done(&outcome, commit.is_some())), None, Some(Impact::clone(&impact)))
            }
            Some(Verdict::Refused(refusal)) => (Err(refusal.reason()), Some(refusal), None),
            _ => panic!("a command without a request id was replayed"),
        };
        StepOutcome { now, commit_time, result, refusal, impact, commit }
    }

    /// Purges deleted data, `rows` memberships at a time, with at most `commands` commands for each project. Returns
    /// each commit with the state after it.
    pub fn purge(&mut self, rows: usize, commands: usize) -> Vec<(Commit, State)> {
        let mut commits = Vec::new();
        for project in self.state.all_projects().map(|project| project.id).collect::<Vec<_>>() {
            for _ in 0..commands {
                let before = self.state.project_numbered(project).expect("the project stays").clone();
                if !before.has_data_to_purge() {
                    break;
                }
                let (to_purge, existing): (Vec<_>, Vec<_>) =
                    memberships(&before).into_iter().partition(|(_, to_purge)| *to_purge);
                // An existing member that is named by mistake stays.
                let named =
                    to_purge.iter().take(rows).chain(existing.first()).map(|(member, _)| member.clone()).collect();
                let last = to_purge.len() <= rows;
                let outcome = self.run(&Step::plain(1, Command::Purge(Purge { project, members: named, last })));
                let commit = outcome.commit.expect("data to purge is purged");
                assert_eq!(memberships(self.state.project_numbered(project).expect("the project stays")).len(), {
                    existing.len() + to_purge.len() - to_purge.len().min(rows)
                });
                commits.push((commit, self.state.clone()));
            }
        }
        commits
    }
}

/// Returns the memberships of a project, and the removals to be purged. The flag is true if it is to be purged.
fn memberships(project: &Project) -> Vec<((OrgNo, UserId), bool)> {
    let mut found = Vec::new();
    let numbers = (1..project.next_org().number()).filter_map(OrgNo::new);
    for org in numbers.filter_map(|no| project.org_numbered(no)) {
        for user in USERS.into_iter().chain(["dan", "eve"]).map(UserId::stored) {
            let deleted = !project.record.lifecycle.exists() || !org.record.lifecycle.exists();
            match project.membership(org, &user) {
                Some(record) => {
                    let without_roles = project.role_sets_being_purged().contains(&record.role_set);
                    found.push(((org.no, user), deleted || without_roles));
                }
                // Its removal is purged.
                None if deleted && project.was_removed(org, &user) => found.push(((org.no, user), true)),
                None => {}
            }
        }
    }
    found
}

/// Runs the same steps on the domain and on the model.
pub struct Comparison {
    pub runner: HistoryRunner,
    pub model: Model,
    digests: Digests,
}

impl Comparison {
    pub fn new(runner: HistoryRunner, model: Model) -> Self {
        Self { runner, model, digests: Digests::default() }
    }

    /// Compares the results and the impacts of one step.
    pub fn step(&mut self, step: &Step) -> TestCaseResult {
        // The model knows the other placeholders.
        let command = match &step.command {
            Command::ApplyConfiguration(_) => &placeholders::fill(&self.runner.state, &step.command),
            command => command,
        };
        self.compare(step, command).map_err(|failure| TestCaseError::fail(format!("{command:?}: {failure}")))
    }

    fn compare(&mut self, step: &Step, command: &Command) -> TestCaseResult {
        let was = self.runner.state.clone();
        let outcome = self.runner.run(step);
        let options = CallOptions { commit_time: Some(outcome.commit_time), ..call_options(step) };
        let should = self.model.after(command, options, outcome.now, &self.runner.limits);
        let (should, next) = match (should, command, &outcome.result) {
            // Reads do not show whether something was purged.
            (Ok((it, next)), Command::Purge(_), Ok(is)) => (Ok(ModelOutcome { changed: is.changed, ..it }), Some(next)),
            (Ok((it, next)), ..) => (Ok(it), Some(next)),
            // A configuration with two faults is refused for either.
            (Err(_), Command::ApplyConfiguration(_), Err(is)) => (Err(*is), None),
            (Err(reason), ..) => (Err(reason), None),
        };
        prop_assert_eq!(&outcome.result, &should);
        let Some(next) = next else { return Ok(()) };
        let before = std::mem::replace(&mut self.model, next);
        let Some(impact) = outcome.impact.filter(|_| !matches!(command, Command::Purge(_) | Command::RemoveExpired(_)))
        else {
            return Ok(());
        };
        let report = before.report(command, &self.model, step.acting_user.is_some(), outcome.now);
        let project = project_of(command);
        let no_sample = step.acting_user.is_some() && matches!(command, Command::DeleteOrg(_));
        let after = &self.runner.state;
        impact_comparison::agree(
            &impact,
            &report,
            &BeforeAndAfter { project: &project, before: &was, after, users: &USERS, no_sample },
        )?;
        self.digests.keep(&impact)
    }
}

pub fn call_options(step: &Step) -> CallOptions<'_> {
    let acting_user = step.acting_user.as_ref().map(UserId::as_str);
    CallOptions { acting_user, stale_digest: step.digest == Digest::Stale, commit_time: None }
}

fn done(outcome: &Outcome, changed: bool) -> ModelOutcome {
    ModelOutcome { changed, answer: answer_of(outcome) }
}
