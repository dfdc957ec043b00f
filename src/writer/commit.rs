//! One group: transaction, catch-up, deciding, storing, publishing, answering.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Answer, Failure, Job, Written, settle};
use crate::clock;
use crate::domain::group::{Group, Known, Verdict, Work, decide_group};
use crate::domain::{Revision, State};
use crate::engine::Engine;
use crate::limits::Limits;
use crate::store::{Committed, Database, SinceError, Store, StoreError};

/// Rows from which deciding is moved off the threads that answer checks.
const BLOCKING_ROWS: usize = 512;

/// Owns the writing side of the store.
pub(super) struct Committer {
    store: Store,
    engine: Arc<Engine>,
    limits: Limits,
    /// Set once nothing can be written any more until a restart, with the reason.
    closed: Option<String>,
}

type Answers = Vec<oneshot::Sender<Result<Written, Failure>>>;

/// How a group that was decided ended.
enum Ended {
    Stored(Vec<Verdict>),
    /// Nothing of it is stored; one of its commands may be the cause.
    Failed(String),
    /// Nothing of it is stored, since nothing can be stored.
    Away(String),
    /// Whether it is stored was not known when the callers had to be answered; they were.
    Unknown,
}

impl Committer {
    pub fn new(store: Store, engine: Arc<Engine>, limits: Limits) -> Self {
        Self { store, engine, limits, closed: None }
    }

    /// Commits a group and answers every caller. If the group fails, its commands are tried again one by one: what made
    /// the group fail must not fail the others, and none may rest on a predecessor that is not stored.
    pub async fn commit(&mut self, mut group: Vec<Job>) {
        group.retain(|job| !job.answer.is_closed());
        if group.is_empty() {
            return;
        }
        let alone = group.len() == 1;
        let (work, answers): (Vec<Work>, Answers) = group.into_iter().map(|job| (job.work, job.answer)).unzip();
        let (work, answers, ended) = self.attempt(work, answers).await;
        match ended {
            Ended::Unknown => {}
            Ended::Stored(verdicts) => {
                for (answer, verdict) in answers.into_iter().zip(verdicts) {
                    // A caller that has gone does not mind.
                    let _ = answer.send(told(verdict));
                }
            }
            Ended::Failed(_) if !alone && self.closed.is_none() => {
                for (work, answer) in work.into_iter().zip(answers) {
                    Box::pin(self.commit(vec![Job { work, answer }])).await;
                }
            }
            Ended::Failed(why) | Ended::Away(why) => {
                tracing::warn!(%why, writes = answers.len(), "writes failed");
                for answer in answers {
                    let _ = answer.send(Err(Failure::Unavailable(why.clone())));
                }
            }
        }
    }

    async fn attempt(&mut self, work: Vec<Work>, answers: Answers) -> (Vec<Work>, Answers, Ended) {
        if let Some(why) = &self.closed {
            return (work, answers, Ended::Away(why.clone()));
        }
        let mut tx = match self.store.begin_write().await {
            Ok(tx) => tx,
            Err(error) => return (work, answers, Ended::Away(error.to_string())),
        };
        let state = State::clone(&self.engine.pin().state);
        let (state, passed) = match tx.catch_up(state).await {
            Ok(caught_up) => caught_up,
            Err(error) => {
                tx.rollback().await;
                let why = self.parted(error).await;
                return (work, answers, Ended::Failed(why));
            }
        };
        if !passed.is_empty() {
            self.engine.publish(state.clone(), &passed);
        }
        let now = clock::now();
        let keys: Vec<_> = work.iter().filter_map(|work| work.call.request.clone()).collect();
        let known = match keys.is_empty() {
            true => Ok(Known::default()),
            false => tx.known(&keys, now).await,
        };
        let known = match known {
            Ok(known) => known,
            Err(error) => {
                tx.rollback().await;
                return (work, answers, Ended::Failed(error.to_string()));
            }
        };
        let (work, group) = decided(state, work, known, now, self.limits).await;
        let Some(group) = group else {
            tx.rollback().await;
            return (work, answers, Ended::Failed("deciding failed; this is a bug, please report it".into()));
        };
        if group.commits.is_empty() {
            tx.rollback().await;
            return (work, answers, Ended::Stored(group.verdicts));
        }
        let committed = match tx.persist(&group.commits, now).await {
            Ok(ready) => ready.commit().await,
            Err(error) => Committed::No(error),
        };
        let revisions: Vec<Revision> = group.commits.iter().map(|commit| commit.revision).collect();
        match committed {
            Committed::Yes => {
                self.engine.publish(group.next, &revisions);
                (work, answers, Ended::Stored(group.verdicts))
            }
            Committed::No(error) => (work, answers, Ended::Failed(error.to_string())),
            Committed::Unknown(error) => self.settle(work, answers, group, &revisions, error).await,
        }
    }

    /// Finds out whether a group is stored whose commit was not answered. Until then nothing else is decided.
    async fn settle(
        &mut self,
        work: Vec<Work>,
        answers: Answers,
        group: Group,
        revisions: &[Revision],
        error: StoreError,
    ) -> (Vec<Work>, Answers, Ended) {
        tracing::error!(%error, "the database did not answer a commit; finding out what became of it");
        if self.store.database() == Database::Sqlite {
            // The file's state is unknown to this process for good (a failed fsync is not retried); a restart reads it anew.
            self.closed = Some("writing the database file failed; restart the server once the disk is well".into());
            unknown(answers);
            return (work, Vec::new(), Ended::Unknown);
        }
        let Some(last) = revisions.last() else { return (work, answers, Ended::Failed(error.to_string())) };
        let mut answers = answers;
        let stored = settle::settle(&self.store, *last, || unknown(std::mem::take(&mut answers))).await;
        match stored {
            true => {
                self.engine.publish(group.next, revisions);
                (work, answers, Ended::Stored(group.verdicts))
            }
            // Those answered already were told that the outcome is unknown: not done is one of the outcomes.
            false if answers.is_empty() => (work, answers, Ended::Unknown),
            false => (work, answers, Ended::Failed(error.to_string())),
        }
    }

    /// The store does not go on from the state in memory: reads it anew where that is right.
    async fn parted(&mut self, error: SinceError) -> String {
        match error {
            SinceError::Diverged => {
                tracing::warn!(
                    "the store's history is another than the one in memory (restored? failed over?); reading it anew"
                );
                match self.store.load(self.engine.pin().state.hash_key()).await {
                    Ok(state) => {
                        self.engine.replace(state);
                        "the store's history was replaced; it has been read anew, try again".into()
                    }
                    Err(error) => error.to_string(),
                }
            }
            error => error.to_string(),
        }
    }
}

/// Decides a group; a heavy one on a thread of its own, so that checks are not held up.
async fn decided(
    state: State,
    work: Vec<Work>,
    known: Known,
    now: crate::domain::Time,
    limits: Limits,
) -> (Vec<Work>, Option<Group>) {
    let rows: usize = work.iter().map(|work| work.command.weight()).sum();
    if rows < BLOCKING_ROWS {
        let group = decide_group(state, &work, &known, now, &limits);
        return (work, Some(group));
    }
    let work = Arc::new(work);
    let shared = work.clone();
    let group = tokio::task::spawn_blocking(move || decide_group(state, &shared, &known, now, &limits)).await;
    // The closure is done and its share dropped, so this is the only one left.
    (Arc::unwrap_or_clone(work), group.ok())
}

fn told(verdict: Verdict) -> Result<Written, Failure> {
    match verdict {
        Verdict::Done { revision, outcome, replayed } => {
            Ok(Written { revision, replayed, answer: Answer::Decided(outcome) })
        }
        Verdict::Remembered { revision, outcome } => {
            Ok(Written { revision, replayed: true, answer: Answer::Remembered(outcome) })
        }
        Verdict::Refused(refusal) => Err(refusal.into()),
    }
}

fn unknown(answers: Answers) {
    for answer in answers {
        let _ = answer.send(Err(Failure::OutcomeUnknown));
    }
}
