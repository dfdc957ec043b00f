//! TODO doc

use std::sync::Arc;

use crate::domain::model::name::UserId;

/// Who calls, as far as it is recorded.
pub type Actor = Arc<str>;

/// The actor of what the service does by itself; no caller may call itself so.
pub const SYSTEM: &str = "system";

/// Names a write that may be repeated (A4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey {
    pub caller: Actor,
    pub request_id: Arc<str>,
}

/// What is recorded of the call beside the command.
#[derive(Clone, Debug)]
pub struct Call {
    pub actor: Actor,
    pub request: Option<RequestKey>,
    /// Of the whole request; only compared where there is a request key.
    pub fingerprint: u128,
    pub reason: Arc<str>,
    /// The end user on whose behalf it is written: then G1 to G6 bind.
    pub acting_user: Option<UserId>,
    /// The digest of the impact that the caller was shown (R9).
    pub impact_digest: Option<Arc<str>>,
}

impl Call {
    /// A call that names nothing but who makes it, and why.
    pub fn plain(actor: &str, reason: &str) -> Self {
        Self {
            actor: actor.into(),
            request: None,
            fingerprint: 0,
            reason: reason.into(),
            acting_user: None,
            impact_digest: None,
        }
    }
}
