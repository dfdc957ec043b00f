//! Commits one group: begins a transaction, catches up, decides, stores, publishes, answers.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::Span;

use super::job::{Answer, Failure, Job, Written};
use super::settle;
use crate::clock;
use crate::domain::commands::group::{Commit, Group, Known, Verdict, Work, decide_group};
use crate::domain::{Revision, State};
use crate::engine::Engine;
use crate::limits::Limits;
use crate::metrics::store::Operation;
use crate::metrics::writes::WriteMetrics;
use crate::store::{Committed, Database, SinceError, Store, StoreError, WriteTx};
use crate::trace;

/// Groups with at least this many rows are decided on a thread that answers no checks.
const BLOCKING_ROWS: usize = 512;
/// How long one step of a transaction may take. It is longer than the timeout of a statement, which ends a statement that
/// hangs in the server. This one ends the wait for a server or network that does not answer at all.
const STEP_MAX: Duration = Duration::from_secs(75);
const NO_ANSWER: &str = "the database does not answer";

/// Owns the writing side of the store.
pub(super) struct Committer {
    pub store: Store,
    pub engine: Arc<Engine>,
    pub limits: Limits,
    /// True if the database did not take the last write or probe.
    pub failing: Arc<AtomicBool>,
    /// Why nothing can be written until a restart. `None` if writes are possible.
    pub closed: Option<String>,
    pub closed_for_good: Arc<AtomicBool>,
    /// A step was abandoned. Its connection is still in use and must be replaced before the next transaction.
    pub stuck: bool,
    pub metrics: Arc<WriteMetrics>,
    /// The span of the group: a part of the first of its calls that is sampled.
    pub span: Span,
}

type Answers = Vec<oneshot::Sender<Result<Written, Failure>>>;

/// The result of an attempt to commit a group.
enum Attempted {
    Stored(Vec<Verdict>),
    /// Nothing is stored. One of the commands may be the cause.
    Failed(Why),
    /// Nothing is stored, because the database takes no writes.
    Unavailable(Why),
    /// The outcome was unknown when the callers had to be answered. They have their answer.
    Unknown,
}

/// Why a write failed: the words for the log, and the answer.
#[derive(Clone)]
struct Why {
    text: String,
    answer: Failure,
}

/// A transaction that holds the head row, and the State at that head.
struct Begun {
    tx: WriteTx,
    state: State,
    known: Known,
    now: crate::domain::Time,
}

impl Committer {
    /// Returns true if the database should be probed: it did not take the last write.
    pub fn is_failing(&self) -> bool {
        self.closed.is_none() && self.failing.load(Ordering::Relaxed)
    }

    /// Finds out whether the database takes writes again.
    pub async fn probe(&mut self) {
        if let Ok(begun) = self.begin(&[]).await {
            step(begun.tx.rollback()).await;
        }
    }

    /// Commits a group and answers every caller. If the group fails, tries its commands one by one: one command must not
    /// fail the others, and none may build on a predecessor that is not stored.
    pub async fn commit(&mut self, group: Vec<Job>) {
        self.commit_group(group).await;
        // It ends with the group.
        self.span = Span::none();
    }

    async fn commit_group(&mut self, group: Vec<Job>) {
        let (mut work, mut answers, mut held, mut spans) = (Vec::new(), Answers::new(), Vec::new(), Vec::new());
        for job in group {
            let Some((command, memory)) = job.waiting.start() else { continue };
            spans.push(trace::part_of(&job.spans.0, "group"));
            work.push(command);
            answers.push(job.answer);
            held.push(memory);
        }
        if work.is_empty() {
            return;
        }
        self.span = spans.iter().find(|span| !span.is_none()).cloned().unwrap_or_else(Span::none);
        let alone = work.len() == 1;
        let (work, answers, attempted) = self.attempt(work, answers).await;
        if alone || !matches!(attempted, Attempted::Failed(_)) {
            // Before the answers, which take memory too.
            drop((work, held));
            return answer(&self.metrics, answers, attempted);
        }
        let mut unavailable: Option<Why> = None;
        for ((work, one), held) in work.into_iter().zip(answers).zip(held) {
            if let Some(why) = &unavailable {
                answer(&self.metrics, vec![one], Attempted::Unavailable(why.clone()));
                continue;
            }
            let (work, one, attempted) = self.attempt(vec![work], vec![one]).await;
            if let Attempted::Unavailable(why) = &attempted {
                // The others would wait as long for the same answer.
                unavailable = Some(why.clone());
            }
            drop((work, held));
            answer(&self.metrics, one, attempted);
        }
    }

    /// Returns the span of a step of the group.
    fn part(&self, name: &'static str) -> Span {
        trace::part_of(&self.span, name)
    }

    async fn attempt(&mut self, work: Vec<Work>, answers: Answers) -> (Vec<Work>, Answers, Attempted) {
        let span = self.part("begin");
        let Begun { tx, state, known, now } = match self.begin(&work).await {
            Ok(begun) => begun,
            Err(why) => return (work, answers, Attempted::Unavailable(why)),
        };
        let base = state.revision();
        self.metrics.group_commands.add(work.len() as u64);
        drop(span);
        let span = self.part("decide");
        let (work, group) = decided(state, work, known, now, self.limits).await;
        drop(span);
        let Some(mut group) = group else {
            step(tx.rollback()).await;
            let why = Why { text: "deciding failed".into(), answer: Failure::Internal };
            return (work, answers, Attempted::Failed(why));
        };
        if group.commits.is_empty() {
            step(tx.rollback()).await;
            return (work, answers, Attempted::Stored(group.verdicts));
        }
        group.drop_samples();
        let commits = Arc::new(group.commits);
        let group = Group { commits: Vec::new(), ..group };
        let to_store = commits.clone();
        let (store, span) = (self.store.clone(), self.part("persist"));
        let persisting = async move { store.metrics().measure(Operation::Persist, tx.persist(&to_store, now)).await };
        let ready = match step(persisting).await {
            Some(Ok(ready)) => ready,
            Some(Err(error)) => return (work, answers, Attempted::Failed(Why::from(&error))),
            None => {
                self.stuck = true;
                return (work, answers, Attempted::Unavailable(Why::away(NO_ANSWER)));
            }
        };
        drop(span);
        let (began, span) = (Instant::now(), self.part("commit"));
        let committed = step(ready.commit()).await;
        drop(span);
        let failed = !matches!(committed, Some(Committed::Yes));
        self.store.metrics().add(Operation::Commit, began.elapsed(), failed);
        match committed {
            Some(Committed::Yes) => {
                self.publish(base, group.next, commits);
                (work, answers, Attempted::Stored(group.verdicts))
            }
            Some(Committed::No(error)) => (work, answers, Attempted::Failed(Why::from(&error))),
            Some(Committed::Unknown(error)) => {
                self.settle(work, answers, (base, group), commits, error.to_string()).await
            }
            None => self.settle(work, answers, (base, group), commits, NO_ANSWER.into()).await,
        }
    }

    /// Makes commits visible that the database has stored.
    fn publish(&self, base: Revision, next: State, commits: Arc<Vec<Commit>>) {
        for commit in commits.iter() {
            self.metrics.commit_changes.add(commit.changes.len() as u64);
        }
        self.engine.publish(base, next, Arc::unwrap_or_clone(commits));
    }

    /// Begins a transaction, catches the State up with the head, and looks up the group's request ids.
    async fn begin(&mut self, work: &[Work]) -> Result<Begun, Why> {
        let begun = self.try_begin(work).await;
        self.failing.store(begun.is_err(), Ordering::Relaxed);
        begun
    }

    async fn try_begin(&mut self, work: &[Work]) -> Result<Begun, Why> {
        if let Some(why) = &self.closed {
            return Err(Why::away(why));
        }
        if self.stuck {
            // There is nothing to settle. But it replaces the stuck connection once the head row is free.
            let store = self.store.clone();
            match step(async move { store.settle(Revision::default()).await }).await {
                Some(Ok(_)) => self.stuck = false,
                Some(Err(error)) => return Err(Why::from(&error)),
                None => return Err(Why::away(NO_ANSWER)),
            }
        }
        let store = self.store.clone();
        let tx = self.unstuck(step(async move { store.begin_write().await }).await)?;
        let mut tx = tx.map_err(|error| Why::from(&error))?;
        let state = State::clone(&self.engine.pin().state);
        let base = state.revision();
        let caught_up = step(async move {
            let caught_up = tx.catch_up(state).await;
            (tx, caught_up)
        });
        let (mut tx, caught_up) = self.unstuck(caught_up.await)?;
        let (state, passed) = match caught_up {
            Ok(caught_up) => caught_up,
            Err(error) => {
                step(tx.rollback()).await;
                return Err(match error {
                    SinceError::Store(error) => Why::from(&error),
                    // The replica loads the State again.
                    error => Why::away(error.to_string()),
                });
            }
        };
        if !passed.is_empty() {
            self.engine.publish(base, state.clone(), passed);
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
                Err(Why::from(&error))
            }
        }
    }

    /// Records an abandoned step before the commit: nothing of the group can be stored.
    fn unstuck<T>(&mut self, done: Option<T>) -> Result<T, Why> {
        self.stuck |= done.is_none();
        done.ok_or_else(|| Why::away(NO_ANSWER))
    }

    /// Finds out whether a group with an unacknowledged commit is stored. Until then nothing else is decided.
    async fn settle(
        &mut self,
        work: Vec<Work>,
        answers: Answers,
        (base, group): (Revision, Group),
        commits: Arc<Vec<Commit>>,
        error: String,
    ) -> (Vec<Work>, Answers, Attempted) {
        tracing::error!(error, "the database did not answer a commit; finding out whether it is stored");
        self.failing.store(true, Ordering::Relaxed);
        if self.store.database() == Database::Sqlite {
            // This process cannot find out what the file holds (a failed fsync is not retried). A restart reads it again.
            self.closed = Some("writing the database file failed; restart the server once the disk works".into());
            self.closed_for_good.store(true, Ordering::Relaxed);
            unknown(&self.metrics, answers);
            return (work, Vec::new(), Attempted::Unknown);
        }
        let Some(last) = commits.last().map(|commit| commit.revision) else {
            return (work, answers, Attempted::Failed(Why::away(error)));
        };
        let mut answers = answers;
        let ask = || {
            let store = self.store.clone();
            step(async move { store.settle(last).await })
        };
        let stored =
            settle::settle(ask, settle::PATIENCE, || unknown(&self.metrics, std::mem::take(&mut answers))).await;
        self.failing.store(false, Ordering::Relaxed);
        match stored {
            true => {
                self.publish(base, group.next, commits);
                (work, answers, Attempted::Stored(group.verdicts))
            }
            // The callers have their answer: the outcome is unknown.
            false if answers.is_empty() => (work, answers, Attempted::Unknown),
            false => (work, answers, Attempted::Failed(Why::away(error))),
        }
    }
}

impl Why {
    fn away(text: impl Into<String>) -> Self {
        Self { text: text.into(), answer: Failure::Unavailable }
    }
}

impl From<&StoreError> for Why {
    fn from(error: &StoreError) -> Self {
        Self { text: error.to_string(), answer: error.into() }
    }
}

/// Runs one step of a transaction in a task of its own, which is never cancelled: a future dropped halfway would leave its
/// connection inside a transaction. Returns `None` if the step takes too long. The task then drops its transaction at its
/// end, which rolls it back.
async fn step<T: Send + 'static>(step: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let done = tokio::time::timeout(STEP_MAX, tokio::spawn(step)).await;
    if done.is_err() {
        tracing::error!(after = ?STEP_MAX, "{NO_ANSWER}; the step is abandoned");
    }
    done.ok()?.ok()
}

fn answer(metrics: &WriteMetrics, answers: Answers, attempted: Attempted) {
    match attempted {
        Attempted::Unknown => {}
        Attempted::Stored(verdicts) => {
            for (answer, verdict) in answers.into_iter().zip(verdicts) {
                match &verdict {
                    Verdict::Refused(_) => metrics.refused.add(1),
                    Verdict::Done { .. } | Verdict::Remembered { .. } => metrics.accepted.add(1),
                }
                // The caller may be gone.
                let _ = answer.send(written(verdict));
            }
        }
        Attempted::Failed(why) | Attempted::Unavailable(why) => {
            metrics.failed.add(answers.len() as u64);
            tracing::warn!(why = why.text, writes = answers.len(), "writes failed");
            for answer in answers {
                let _ = answer.send(Err(why.answer.clone()));
            }
        }
    }
}

/// Decides a group. A heavy one gets its own thread, so that checks do not wait.
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
    // The closure has ended, so this is the only reference.
    (Arc::unwrap_or_clone(work), group.ok())
}

pub(super) fn written(verdict: Verdict) -> Result<Written, Failure> {
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

fn unknown(metrics: &WriteMetrics, answers: Answers) {
    metrics.unknown.add(answers.len() as u64);
    for answer in answers {
        let _ = answer.send(Err(Failure::OutcomeUnknown));
    }
}
