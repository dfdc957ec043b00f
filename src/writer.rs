//! Commits writes: callers queue, groups are decided and stored in one transaction each, then published.

mod commit;
mod queue;
mod settle;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::command::{Call, Command};
use crate::domain::decide::{Decided, Outcome, Terms, decide};
use crate::domain::group::Work;
use crate::domain::{Refusal, Revision};
use crate::engine::Engine;
use crate::limits::{Limits, WRITE_QUEUE_MAX};
use crate::store::Store;

/// The door to the one task that writes.
pub struct Writer {
    queue: mpsc::Sender<Job>,
    engine: Arc<Engine>,
    limits: Limits,
    stop: watch::Sender<bool>,
}

/// A write that was done, or was done before.
pub struct Written {
    pub revision: Revision,
    /// Whether an earlier write with the same request id is answered again (A4).
    pub replayed: bool,
    pub answer: Answer,
}

/// What a write is answered with.
pub enum Answer {
    Decided(Outcome),
    /// The encoded outcome of a write of the past.
    Remembered(Vec<u8>),
}

/// Why a write was not done, or is not known to be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("too many writes are waiting; try again in a moment")]
    Overloaded,
    #[error("the database cannot be written: {0}")]
    Unavailable(String),
    #[error("the database did not answer whether the write was committed; repeat it with the same `request_id`")]
    OutcomeUnknown,
}

struct Job {
    work: Work,
    answer: oneshot::Sender<Result<Written, Failure>>,
}

impl Writer {
    /// Starts the writing task. It ends, with everything queued answered, after [`Writer::stop`].
    pub fn start(store: Store, engine: Arc<Engine>, limits: Limits) -> (Arc<Self>, tokio::task::JoinHandle<()>) {
        let (queue, jobs) = mpsc::channel(WRITE_QUEUE_MAX);
        let (stop, stopped) = watch::channel(false);
        let committer = commit::Committer::new(store, engine.clone(), limits);
        let task = tokio::spawn(queue::run(jobs, stopped, committer));
        (Arc::new(Self { queue, engine, limits, stop }), task)
    }

    /// Takes no more writes; those queued are still done.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Queues a command and waits for its commit. Dropping the future gives the write up only if it was not begun.
    pub async fn submit(&self, command: Command, call: Call) -> Result<Written, Failure> {
        let tag = random_tag()?;
        let (answer, answered) = oneshot::channel();
        let job = Job { work: Work { command, call, tag }, answer };
        self.queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Failure::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Failure::Unavailable("the server is stopping".into()),
        })?;
        // The task drops a job unanswered only when it dies itself.
        answered.await.unwrap_or(Err(Failure::OutcomeUnknown))
    }

    /// Decides a command on the newest state and stores nothing (`validate_only`).
    pub fn preview(&self, command: &Command, call: &Call) -> Result<Written, Failure> {
        let state = &self.engine.pin().state;
        let now = crate::clock::now().max(state.revision().at.next());
        let Decided { outcome, .. } = decide(state, command, &Terms { call, now, limits: &self.limits })?;
        Ok(Written { revision: state.revision(), replayed: false, answer: Answer::Decided(outcome) })
    }
}

fn random_tag() -> Result<u32, Failure> {
    getrandom::u32().map_err(|error| Failure::Unavailable(format!("no randomness: {error}")))
}
