//! A group gives the same result as its commands decided one by one, repeated request ids included (A4).

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use rolecall::domain::commands::command::{CreateInvitations, NewInvitation, RevokeInvitation};
use rolecall::domain::commands::group::{Commit, Known, KnownRequest, Verdict, Work, decide_group};
use rolecall::domain::model::email::EmailAddress;
use rolecall::domain::model::invitation::{InvitationId, InvitationState};
use rolecall::domain::{
    Call, Change, Command, OrgId, ProjectKey, Reason, RequestKey, Revision, State, Terms, Time, decide,
};
use rolecall::limits::Limits;

use crate::fixture::{seconds, world};
use crate::model::Answer;
use crate::placeholders;
use crate::random_history::{Digest, History, config, empty_state, history};
use crate::state_to_model::answer_of;

/// The response to a caller.
#[derive(Clone, Debug, PartialEq)]
enum Response {
    Done { revision: Revision, answer: Answer, digest: String, replayed: bool },
    Refused(Reason),
}

/// Decides commands strictly one after another and remembers request ids itself.
struct OneByOne {
    state: State,
    memory: HashMap<RequestKey, (u128, Revision, Answer, String)>,
    committed: Vec<(Revision, Vec<Change>)>,
}

impl OneByOne {
    fn next(&mut self, work: &Work, clock: Time, limits: &Limits) -> Response {
        let remembered = work.call.request.as_ref().and_then(|key| self.memory.get(key));
        if let Some((fingerprint, revision, answer, digest)) = remembered {
            return if *fingerprint == work.call.fingerprint {
                Response::Done { revision: *revision, answer: answer.clone(), digest: digest.clone(), replayed: true }
            } else {
                Response::Refused(Reason::RequestIdReused)
            };
        }
        let before = self.state.revision();
        let commit_time = clock.max(Time(before.at.0 + 1));
        let terms = Terms { commit_time, ..Terms::new(&work.call, clock, limits) };
        let decided = match decide(&self.state, &work.command, &terms) {
            Ok(decided) => decided,
            Err(refusal) => return Response::Refused(refusal.reason()),
        };
        let (answer, digest) = (answer_of(&decided.outcome), decided.impact.digest.clone());
        if decided.changes.is_empty() {
            return Response::Done { revision: before, answer, digest, replayed: false };
        }
        let revision = Revision { number: before.number + 1, tag: work.tag, at: commit_time };
        // Build the state from the changes instead of taking it from the decision.
        self.state.apply_commit(revision, &decided.changes);
        self.committed.push((revision, decided.changes));
        if let Some(key) = &work.call.request {
            self.memory.insert(key.clone(), (work.call.fingerprint, revision, answer.clone(), digest.clone()));
        }
        Response::Done { revision, answer, digest, replayed: false }
    }
}

/// Decides commands in groups. The commits of earlier groups are the known requests.
struct InGroups {
    state: State,
    known: Known,
    answers: HashMap<Vec<u8>, (Answer, String)>,
    committed: Vec<Commit>,
}

impl InGroups {
    fn next(&mut self, group: &[Work], clock: Time, limits: &Limits) -> Vec<Response> {
        let group = decide_group(self.state.clone(), group, &self.known, clock, limits);
        self.state = group.next;
        for commit in &group.commits {
            let Some(request) = &commit.request else { continue };
            let answer = (answer_of(&request.outcome), request.impact.digest.clone());
            let outcome = format!("{answer:?}").into_bytes();
            self.answers.insert(outcome.clone(), answer);
            let known = KnownRequest { fingerprint: request.fingerprint, revision: commit.revision, outcome };
            assert!(self.known.insert(request.key.clone(), known).is_none(), "one request id committed twice");
        }
        self.committed.extend(group.commits);
        let responses = group.verdicts.iter().map(|verdict| match verdict {
            Verdict::Done { revision, outcome, impact, replayed, .. } => Response::Done {
                revision: *revision,
                answer: answer_of(outcome),
                digest: impact.digest.clone(),
                replayed: *replayed,
            },
            Verdict::Remembered { revision, outcome } => {
                let (answer, digest) = self.answers[outcome].clone();
                Response::Done { revision: *revision, answer, digest, replayed: true }
            }
            Verdict::Refused(refusal) => Response::Refused(refusal.reason()),
        });
        responses.collect()
    }
}

/// Few request ids and callers, so that they repeat, sometimes with another body.
fn call() -> impl Strategy<Value = Call> {
    let key = (select(&["ann", "bob"][..]), select(&["shop", "default"][..]), select(&["1", "2"][..]));
    let request = proptest::option::of(key.prop_map(|(caller, project, id)| RequestKey {
        caller: caller.into(),
        project: ProjectKey::stored(project),
        request_id: id.into(),
    }));
    (request, prop_oneof![4 => Just(7), 1 => Just(8)]).prop_map(|(request, fingerprint)| Call {
        actor: "tester".into(),
        key: None,
        request,
        fingerprint,
        reason: "a reason".into(),
        acting_user: None,
        impact_digest: None,
    })
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn a4_a_group_gives_the_same_result_as_its_commands_one_by_one(
        History { limits, steps, .. } in history(),
        calls in vec(call(), 110),
        sizes in vec(1usize..9, 110),
    ) {
        let mut one_by_one = OneByOne { state: empty_state(), memory: HashMap::new(), committed: Vec::new() };
        let mut in_groups =
            InGroups { state: empty_state(), known: Known::new(), answers: HashMap::new(), committed: Vec::new() };
        let mut clock = Time(0);
        let mut work = Vec::new();
        for (number, (step, call)) in steps.into_iter().zip(calls).enumerate() {
            let impact_digest = (step.digest == Digest::Stale).then(|| "stale".into());
            let call = Call { acting_user: step.acting_user, impact_digest, ..call };
            work.push((step.advance, Work { command: step.command, call, tag: number as u32 * 7 }));
        }
        let mut left = work.as_slice();
        for size in sizes {
            let (group, rest) = left.split_at(size.min(left.len()));
            left = rest;
            clock = Time(clock.0 + group.iter().map(|(advance, _)| advance).sum::<i64>());
            // Etags are those before the group. Commands of the group may make them stale.
            let now = |work: &Work| Work { command: placeholders::fill(&in_groups.state, &work.command), ..work.clone() };
            let group: Vec<Work> = group.iter().map(|(_, work)| now(work)).collect();
            let should: Vec<Response> = group.iter().map(|work| one_by_one.next(work, clock, &limits)).collect();
            prop_assert_eq!(in_groups.next(&group, clock, &limits), should);
            prop_assert!(in_groups.state == one_by_one.state);
            prop_assert_eq!(in_groups.state.revision(), one_by_one.state.revision());
        }
        prop_assert!(left.is_empty());
        let committed: Vec<_> =
            in_groups.committed.into_iter().map(|commit| (commit.revision, commit.changes)).collect();
        prop_assert_eq!(committed, one_by_one.committed);
    }
}

/// A commit by a clock that was ahead makes the next commit times later than the expiry of an invitation.
#[test]
fn an_invitation_revoked_in_time_is_revoked_even_if_its_commit_time_is_later_than_its_expiry() {
    let mut world = world("org acme by ann");
    world.at(100).run("org globex by ann");
    world.at(1);
    let org_id = || OrgId::parse("acme").unwrap();
    let project = ProjectKey::default_project;
    let id = InvitationId(1);
    let row = NewInvitation {
        id,
        email: EmailAddress::parse("bea@acme.example").unwrap(),
        roles: vec![],
        expire_time: Some(seconds(50)),
        replace: false,
    };
    let create = CreateInvitations { project: project(), org_id: org_id(), rows: vec![row], batch: false };
    world.decide(&Command::CreateInvitations(create)).unwrap();
    let command = Command::RevokeInvitation(RevokeInvitation { project: project(), org_id: org_id(), id });
    let work = Work { command, call: crate::history_runner::call(), tag: 1 };
    let group = decide_group(world.state.clone(), &[work], &Known::new(), world.now, &world.limits);
    let [Change::Invitation(edit)] = &*group.commits[0].changes else { panic!("one invitation is changed") };
    assert!(group.commits[0].revision.at > seconds(50));
    assert_eq!(edit.after.as_ref().unwrap().state(world.now), InvitationState::Revoked);
}
