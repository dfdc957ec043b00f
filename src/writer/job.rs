//! A queued write, and how it is answered.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tracing::Span;

use crate::domain::commands::group::Work;
use crate::domain::impact::report::Impact;
use crate::domain::{Outcome, Refusal, Revision};
use crate::store::{ErrorClass, StoreError};

/// A write that is not refused: stored now or by an earlier call, previewed, or without a change.
pub struct Written {
    pub revision: Revision,
    /// True if this is the answer of an earlier write with the same request id (A4).
    pub replayed: bool,
    pub answer: Answer,
}

/// The answer to a write.
pub enum Answer {
    Decided {
        outcome: Outcome,
        impact: Arc<Impact>,
    },
    /// The encoded outcome of an earlier write.
    Remembered(Vec<u8>),
}

/// Why a write is not stored, or not known to be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("too many writes are waiting; try again in a moment")]
    Overloaded,
    /// The cause is logged, not sent.
    #[error("the database cannot be written now; try again in a moment")]
    Unavailable,
    #[error("the database has no space left; free some, then try again")]
    NoSpace,
    /// The cause is logged, not sent.
    #[error("the write failed; this is a bug, please report it with the server's log")]
    Internal,
    #[error("the server is stopping; send the write to another server, or try again in a moment")]
    Stopping,
    #[error("the database did not say whether the write was stored; retry with the same `request_id`")]
    OutcomeUnknown,
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        match error.class() {
            ErrorClass::Away | ErrorClass::WrongServer => Self::Unavailable,
            ErrorClass::NoSpace => Self::NoSpace,
            ErrorClass::Statement => Self::Internal,
        }
    }
}

pub struct Job {
    pub waiting: Waiting,
    pub weight: usize,
    pub answer: oneshot::Sender<Result<Written, Failure>>,
    /// The span of the call, and that of the time in the queue.
    pub spans: (Span, Span),
}

/// A command, and what is kept as long as the command: the memory that the call has taken for it.
type Held = (Work, Box<dyn Send>);

/// A command until it starts.
#[derive(Clone)]
pub struct Waiting(Arc<Mutex<Option<Held>>>);

impl Waiting {
    pub fn new(work: Work, held: impl Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some((work, Box::new(held))))))
    }

    /// Returns the command, which now starts. `None` if its caller is gone.
    pub fn start(&self) -> Option<Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Drops the command of a caller that is gone, unless the command has started.
pub struct Caller(pub Waiting);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.start();
    }
}
