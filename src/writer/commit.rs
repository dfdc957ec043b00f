//! One group: transaction, catch-up, deciding, storing, publishing, answering.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use super::job::{Answer, Failure, Job, Written};
use super::settle;
use crate::clock;
use crate::domain::commands::group::{Group, Known, Verdict, Work, decide_group};
use crate::domain::{Revision, State};
use crate::engine::Engine;
use crate::limits::Limits;
use crate::store::{Committed, Database, SinceError, Store, WriteTx};

/// Rows from which deciding is moved off the threads that answer checks.
const BLOCKING_ROWS: usize = 512;
/// How long one step of a transaction may take: longer than the timeout of a statement on the server, which ends what
/// hangs there. What this ends is a server, or a network, that says nothing at all.
const STEP_MAX: Duration = Duration::from_secs(75);
const SILENT: &str = "the database does not answer";

/// Owns the writing side of the store.
pub(super) struct Committer {
    store: Store,
    engine: Arc<Engine>,
    limits: Limits,
    /// Whether the last write, or the last look, found the database unable to take one.
    failing: Arc<AtomicBool>,
    /// Set once nothing can be written any more until a restart, with the reason.
    closed: Option<String>,
    /// A step was given up: its connection is still in use, and must be replaced before anything else is begun.
    stuck: bool,
}

type Answers = Vec<oneshot::Sender<Result<Written, Failure>>>;

/// How a group that was decided ended.
enum Attempted {
    Stored(Vec<Verdict>),
    /// Nothing of it is stored; one of its commands may be the cause.
    Failed(String),
    /// Nothing of it is stored, since nothing can be stored.
    Away(String),
    /// Whether it is stored was not known when the callers had to be answered; they were.
    Unknown,
}

/// What stops a group before it is decided.
enum Stopped {
    Away(String),
    Diverged(SinceError),
}

/// A transaction that holds the head row, on the state at that head.
struct Begun {
    tx: WriteTx,
    state: State,
    known: Known,
    now: crate::domain::Time,
}

impl Committer {
    pub fn new(store: Store, engine: Arc<Engine>, limits: Limits, failing: Arc<AtomicBool>) -> Self {
        Self { store, engine, limits, failing, closed: None, stuck: false }
    }

    /// Whether it is worth looking from time to time if the database takes writes again.
    pub fn is_failing(&self) -> bool {
        self.closed.is_none() && self.failing.load(Ordering::Relaxed)
    }

    /// Looks whether the database takes writes again.
    pub async fn look(&mut self) {
        if let Ok(begun) = self.begin(&[]).await {
            step(begun.tx.rollback()).await;
        }
    }

    /// Commits a group and answers every caller. If the group fails, its commands are tried again one by one: what made
    /// the group fail must not fail the others, and none may rest on a predecessor that is not stored.
    pub async fn commit(&mut self, mut group: Vec<Job>) {
        group.retain(|job| !job.answer.is_closed());
        let alone = group.len() == 1;
        let (work, answers): (Vec<Work>, Answers) = group.into_iter().map(|job| (job.work, job.answer)).unzip();
        if work.is_empty() {
            return;
        }
        let (work, answers, attempted) = self.attempt(work, answers).await;
        let Attempted::Failed(why) = attempted else { return answer(answers, attempted) };
        if alone {
            return answer(answers, Attempted::Failed(why));
        }
        let mut away: Option<String> = None;
        for (work, one) in work.into_iter().zip(answers) {
            if let Some(why) = &away {
                answer(vec![one], Attempted::Away(why.clone()));
                continue;
            }
            let (_, one, attempted) = self.attempt(vec![work], vec![one]).await;
            if let Attempted::Away(why) = &attempted {
                // The rest would each wait as long for the same answer.
                away = Some(why.clone());
            }
            answer(one, attempted);
        }
    }

    async fn attempt(&mut self, work: Vec<Work>, answers: Answers) -> (Vec<Work>, Answers, Attempted) {
        let Begun { tx, state, known, now } = match self.begin(&work).await {
            Ok(begun) => begun,
            Err(Stopped::Away(why)) => return (work, answers, Attempted::Away(why)),
            Err(Stopped::Diverged(error)) => {
                let why = self.diverged(error).await;
                return (work, answers, Attempted::Failed(why));
            }
        };
        let (work, group) = decided(state, work, known, now, self.limits).await;
        let Some(mut group) = group else {
            step(tx.rollback()).await;
            return (work, answers, Attempted::Failed("deciding failed; this is a bug, please report it".into()));
        };
        if group.commits.is_empty() {
            step(tx.rollback()).await;
            return (work, answers, Attempted::Stored(group.verdicts));
        }
        group.drop_samples();
        let commits = Arc::new(group.commits);
        let group = Group { commits: Vec::new(), ..group };
        let revisions: Vec<Revision> = commits.iter().map(|commit| commit.revision).collect();
        let ready = match step(async move { tx.persist(&commits, now).await }).await {
            Some(Ok(ready)) => ready,
            Some(Err(error)) => return (work, answers, Attempted::Failed(error.to_string())),
            None => {
                self.stuck = true;
                return (work, answers, Attempted::Away(SILENT.into()));
            }
        };
        match step(ready.commit()).await {
            Some(Committed::Yes) => {
                self.engine.publish(group.next, &revisions);
                (work, answers, Attempted::Stored(group.verdicts))
            }
            Some(Committed::No(error)) => (work, answers, Attempted::Failed(error.to_string())),
            Some(Committed::Unknown(error)) => self.settle(work, answers, group, &revisions, error.to_string()).await,
            None => self.settle(work, answers, group, &revisions, SILENT.into()).await,
        }
    }

    /// Begins a transaction, brings the State up to the head, and looks up the group's request ids.
    async fn begin(&mut self, work: &[Work]) -> Result<Begun, Stopped> {
        let begun = self.try_begin(work).await;
        self.failing.store(matches!(begun, Err(Stopped::Away(_))), Ordering::Relaxed);
        begun
    }

    async fn try_begin(&mut self, work: &[Work]) -> Result<Begun, Stopped> {
        if let Some(why) = &self.closed {
            return Err(Stopped::Away(why.clone()));
        }
        if self.stuck {
            // Settling nothing in particular: it puts a new connection in the place of the one that is stuck, once the
            // head row is free.
            let store = self.store.clone();
            match step(async move { store.settle(Revision::default()).await }).await {
                Some(Ok(_)) => self.stuck = false,
                Some(Err(error)) => return Err(Stopped::Away(error.to_string())),
                None => return Err(Stopped::Away(SILENT.into())),
            }
        }
        let store = self.store.clone();
        let tx = self.unstuck(step(async move { store.begin_write().await }).await)?;
        let mut tx = tx.map_err(|error| Stopped::Away(error.to_string()))?;
        let state = State::clone(&self.engine.pin().state);
        let caught_up = step(async move {
            let caught_up = tx.catch_up(state).await;
            (tx, caught_up)
        });
        let (mut tx, caught_up) = self.unstuck(caught_up.await)?;
        let (state, passed) = match caught_up {
            Ok(caught_up) => caught_up,
            Err(error) => {
                step(tx.rollback()).await;
                return Err(Stopped::Diverged(error));
            }
        };
        if !passed.is_empty() {
            self.engine.publish(state.clone(), &passed);
        }
        let now = clock::now();
        let keys: Vec<_> = work.iter().filter_map(|work| work.call.request.clone()).collect();
        if keys.is_empty() {
            return Ok(Begun { tx, state, known: Known::default(), now });
        }
        let known = step(async move {
            let known = tx.known(&keys, now).await;
            (tx, known)
        });
        let (tx, known) = self.unstuck(known.await)?;
        match known {
            Ok(known) => Ok(Begun { tx, state, known, now }),
            Err(error) => {
                step(tx.rollback()).await;
                Err(Stopped::Away(error.to_string()))
            }
        }
    }

    /// Remembers where a step was given up that nothing of the group can have been stored by.
    fn unstuck<T>(&mut self, done: Option<T>) -> Result<T, Stopped> {
        self.stuck |= done.is_none();
        done.ok_or_else(|| Stopped::Away(SILENT.into()))
    }

    /// Finds out whether a group is stored whose commit was not answered. Until then nothing else is decided.
    async fn settle(
        &mut self,
        work: Vec<Work>,
        answers: Answers,
        group: Group,
        revisions: &[Revision],
        error: String,
    ) -> (Vec<Work>, Answers, Attempted) {
        tracing::error!(error, "the database did not answer a commit; finding out what became of it");
        self.failing.store(true, Ordering::Relaxed);
        if self.store.database() == Database::Sqlite {
            // The file's state is unknown to this process for good (a failed fsync is not retried); a restart reads it anew.
            self.closed = Some("writing the database file failed; restart the server once the disk is well".into());
            unknown(answers);
            return (work, Vec::new(), Attempted::Unknown);
        }
        let Some(last) = revisions.last() else { return (work, answers, Attempted::Failed(error)) };
        let mut answers = answers;
        let ask = || {
            let (store, last) = (self.store.clone(), *last);
            step(async move { store.settle(last).await })
        };
        let stored = settle::settle(ask, settle::PATIENCE, || unknown(std::mem::take(&mut answers))).await;
        self.failing.store(false, Ordering::Relaxed);
        match stored {
            true => {
                self.engine.publish(group.next, revisions);
                (work, answers, Attempted::Stored(group.verdicts))
            }
            // Those answered already were told that the outcome is unknown: not done is one of the outcomes.
            false if answers.is_empty() => (work, answers, Attempted::Unknown),
            false => (work, answers, Attempted::Failed(error)),
        }
    }

    /// The store does not go on from the state in memory: reads it anew where that is right.
    async fn diverged(&mut self, error: SinceError) -> String {
        match error {
            SinceError::Diverged => {
                tracing::warn!(
                    "the store's history is another than the one in memory (restored? failed over?); reading it anew"
                );
                let mine = self.engine.pin().state.revision();
                match self.store.load(self.engine.pin().state.hash_key()).await {
                    Ok(state) => {
                        self.engine.replace(mine, state);
                        "the store's history was replaced; it has been read anew, try again".into()
                    }
                    Err(error) => error.to_string(),
                }
            }
            error => error.to_string(),
        }
    }
}

/// Takes one step of a transaction in a task of its own, which is never cancelled: a future dropped in the middle would
/// leave its connection inside a transaction. None, if the step takes too long; what it was given is then dropped when
/// it ends, and a transaction that is dropped is rolled back.
async fn step<T: Send + 'static>(step: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let done = tokio::time::timeout(STEP_MAX, tokio::spawn(step)).await;
    if done.is_err() {
        tracing::error!(after = ?STEP_MAX, "{SILENT}; the step is given up");
    }
    done.ok()?.ok()
}

fn answer(answers: Answers, attempted: Attempted) {
    match attempted {
        Attempted::Unknown => {}
        Attempted::Stored(verdicts) => {
            for (answer, verdict) in answers.into_iter().zip(verdicts) {
                // A caller that has gone does not mind.
                let _ = answer.send(told(verdict));
            }
        }
        Attempted::Failed(why) | Attempted::Away(why) => {
            tracing::warn!(%why, writes = answers.len(), "writes failed");
            for answer in answers {
                let _ = answer.send(Err(Failure::Unavailable));
            }
        }
    }
}

/// Decides a group; a heavy one on a thread of its own, so that checks are not held up.
pub(super) async fn decided(
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

pub(super) fn told(verdict: Verdict) -> Result<Written, Failure> {
    match verdict {
        Verdict::Done { revision, outcome, impact, replayed, .. } => {
            Ok(Written { revision, replayed, answer: Answer::Decided { outcome, impact } })
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
