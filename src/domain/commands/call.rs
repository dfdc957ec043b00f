//! The call that a command came with.

use std::sync::Arc;

use crate::domain::model::name::{ProjectKey, UserId};

/// The recorded identity of a caller.
pub type Actor = Arc<str>;

/// The actor of the service's own commands. No caller may use this name.
pub const SYSTEM: &str = "system";

/// The actor of callers without credentials, where the server lets them in. No caller may use this name otherwise.
pub const LOCAL: &str = "local";

/// Identifies a write that may be repeated (A4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey {
    pub caller: Actor,
    /// The project that the command names or creates.
    pub project: ProjectKey,
    pub request_id: Arc<str>,
}

#[derive(Clone, Debug)]
pub struct Call {
    pub actor: Actor,
    /// The id of the API key by which the actor called. `None` without one.
    pub key: Option<Arc<str>>,
    pub request: Option<RequestKey>,
    /// Identifies the whole request. Compared only with requests of the same key.
    pub fingerprint: u128,
    pub reason: Arc<str>,
    /// The user on whose behalf the call writes. G1 to G6 then apply.
    pub acting_user: Option<UserId>,
    /// The digest of the impact that a preview returned (R9).
    pub impact_digest: Option<Arc<str>>,
}

impl Call {
    /// Returns a call with only an actor and a reason.
    pub fn plain(actor: &str, reason: &str) -> Self {
        Self {
            actor: actor.into(),
            key: None,
            request: None,
            fingerprint: 0,
            reason: reason.into(),
            acting_user: None,
            impact_digest: None,
        }
    }
}
