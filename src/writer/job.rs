//! A queued write, and how it is answered.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::domain::commands::group::Work;
use crate::domain::impact::report::Impact;
use crate::domain::{Outcome, Refusal, Revision};

/// A write that was done, or was done before.
pub struct Written {
    pub revision: Revision,
    /// Whether an earlier write with the same request id is answered again (A4).
    pub replayed: bool,
    pub answer: Answer,
}

/// What a write is answered with.
pub enum Answer {
    Decided {
        outcome: Outcome,
        impact: Arc<Impact>,
    },
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
    /// The cause is logged, not sent.
    #[error("the database cannot be written now; try again in a moment")]
    Unavailable,
    #[error("the server is stopping; send the write to another, or again in a moment")]
    Stopping,
    #[error("the database did not answer whether the write was committed; repeat it with the same `request_id`")]
    OutcomeUnknown,
}

pub struct Job {
    pub work: Work,
    pub answer: oneshot::Sender<Result<Written, Failure>>,
}
