//! Decides a group of commands, each on the state after its accepted predecessors. They are committed together.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::domain::commands::call::{Actor, Call, RequestKey};
use crate::domain::commands::command::Command;
use crate::domain::commands::decide::{Decided, decide};
use crate::domain::commands::draft::Terms;
use crate::domain::commands::outcome::Outcome;
use crate::domain::impact::report::Impact;
use crate::domain::model::name::UserId;
use crate::domain::model::refusal::Refusal;
use crate::domain::model::revision::Revision;
use crate::domain::model::time::Time;
use crate::domain::state::State;
use crate::domain::state::change::Change;
use crate::limits::Limits;

/// One command of a group.
#[derive(Clone, Debug)]
pub struct Work {
    pub command: Command,
    pub call: Call,
    /// The tag of the revision, drawn at random.
    pub tag: u32,
}

/// An accepted command that changed something.
#[derive(Clone)]
pub struct Commit {
    pub revision: Revision,
    pub kind: Arc<str>,
    pub actor: Actor,
    /// The id of the API key by which the actor called. `None` without one.
    pub key: Option<Arc<str>>,
    pub acting_user: Option<UserId>,
    pub reason: Arc<str>,
    /// Answers a repetition, if the call had a request id.
    pub request: Option<Remembered>,
    pub changes: Vec<Change>,
}

/// A write that may be repeated, with its answer (A4).
#[derive(Clone)]
pub struct Remembered {
    pub key: RequestKey,
    pub fingerprint: u128,
    pub outcome: Outcome,
    pub impact: Arc<Impact>,
}

/// The writes of the last 24 hours with request ids of the group.
pub type Known = HashMap<RequestKey, KnownRequest>;

/// An earlier write, as the store records it.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownRequest {
    pub fingerprint: u128,
    pub revision: Revision,
    /// Encoded by the store.
    pub outcome: Vec<u8>,
}

/// The result of one command, if the group is committed.
pub enum Verdict {
    Done {
        revision: Revision,
        outcome: Outcome,
        impact: Arc<Impact>,
        replayed: bool,
    },
    /// A repeated write gets the answer of the earlier one.
    Remembered {
        revision: Revision,
        outcome: Vec<u8>,
    },
    Refused(Refusal),
}

/// A decided group.
pub struct Group {
    pub next: State,
    pub commits: Vec<Commit>,
    /// The results of the commands, in their order.
    pub verdicts: Vec<Verdict>,
}

/// Decides a group on `base`. Pure. A panic in deciding refuses only that command.
pub fn decide_group(base: State, work: &[Work], known: &Known, now: Time, limits: &Limits) -> Group {
    let mut group = Group { next: base, commits: Vec::new(), verdicts: Vec::with_capacity(work.len()) };
    for work in work {
        let verdict = group.decide_next(work, known, now, limits);
        group.verdicts.push(verdict);
    }
    group
}

impl Group {
    fn decide_next(&mut self, work: &Work, known: &Known, now: Time, limits: &Limits) -> Verdict {
        if let Some(key) = &work.call.request
            && let Some(verdict) = self.repeated(key, work.call.fingerprint, known)
        {
            return verdict;
        }
        // The time of commits grows from commit to commit, even if the clock goes back.
        let commit_time = now.max(self.next.revision().at.next());
        let terms = Terms { commit_time, ..Terms::new(&work.call, now, limits) };
        let state = &self.next;
        let decided = catch_unwind(AssertUnwindSafe(|| decide(state, &work.command, &terms)));
        let decided = match decided {
            Ok(Ok(decided)) => decided,
            Ok(Err(refusal)) => return Verdict::Refused(refusal),
            Err(_) => return Verdict::Refused(Refusal::Bug),
        };
        let Decided { next, changes, outcome, impact } = decided;
        if changes.is_empty() {
            let revision = self.next.revision();
            return Verdict::Done { revision, outcome, impact, replayed: false };
        }
        let revision = Revision { number: self.next.revision().number + 1, tag: work.tag, at: commit_time };
        self.next = next;
        self.next.set_revision(revision);
        self.commits.push(Commit {
            revision,
            kind: work.command.kind().into(),
            actor: work.call.actor.clone(),
            key: work.call.key.clone(),
            acting_user: work.call.acting_user.clone(),
            reason: work.call.reason.clone(),
            request: work.call.request.clone().map(|key| Remembered {
                key,
                fingerprint: work.call.fingerprint,
                outcome: outcome.clone(),
                impact: impact.clone(),
            }),
            changes,
        });
        Verdict::Done { revision, outcome, impact, replayed: false }
    }

    /// Drops the samples of the impacts: only a preview has one, so that a write reads no user ids (R9.d).
    pub fn drop_samples(&mut self) {
        let of_verdicts = self.verdicts.iter_mut().filter_map(|verdict| match verdict {
            Verdict::Done { impact, .. } => Some(impact),
            _ => None,
        });
        let remembered = self.commits.iter_mut().filter_map(|commit| Some(&mut commit.request.as_mut()?.impact));
        for impact in of_verdicts.chain(remembered).filter(|impact| !impact.sample.is_empty()) {
            *impact = Arc::new(Impact { sample: Vec::new(), ..Impact::clone(impact) });
        }
    }

    /// Returns the result for a request id that was used before, also earlier in this group (A4).
    fn repeated(&self, key: &RequestKey, fingerprint: u128, known: &Known) -> Option<Verdict> {
        let reused = || Some(Verdict::Refused(Refusal::RequestIdReused(key.request_id.to_string())));
        if let Some(known) = known.get(key) {
            if known.fingerprint != fingerprint {
                return reused();
            }
            return Some(Verdict::Remembered { revision: known.revision, outcome: known.outcome.clone() });
        }
        let earlier = self.commits.iter().find_map(|commit| {
            let request = commit.request.as_ref().filter(|request| request.key == *key)?;
            Some((commit.revision, request))
        });
        let (revision, request) = earlier?;
        if request.fingerprint != fingerprint {
            return reused();
        }
        let (outcome, impact) = (request.outcome.clone(), request.impact.clone());
        Some(Verdict::Done { revision, outcome, impact, replayed: true })
    }
}
