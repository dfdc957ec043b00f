//! Who calls, and by which credential (W3).

use std::sync::Arc;

use super::caller_limits::InFlight;
use super::peer::Peer;
use crate::domain::model::api_key::{ApiKey, ApiKeyId};
use crate::domain::{Time, UserId};
use crate::engine::Engine;

/// A known caller.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A caller without credentials, where the server lets them in. It may do everything.
    Local,
    Operator {
        /// The user id in the workspace.
        id: UserId,
        by: Credential,
    },
}

#[derive(Clone, Debug)]
pub enum Credential {
    Key(ApiKeyId, Arc<ApiKey>),
    Certificate,
    /// A JWT, which is not accepted from this time on.
    Token {
        until: Time,
    },
    Uid,
}

/// The caller of a call, and the State by which the call is authorized.
pub struct Access {
    pub caller: Caller,
    pub engine: Arc<Engine>,
    /// The client of the connection.
    pub peer: Arc<Peer>,
    /// Counts the call until it is answered. `None` if the caller is not limited.
    pub in_flight: Option<InFlight>,
}

impl Caller {
    /// Returns the operator who calls. `None` for a caller without credentials.
    pub fn operator(&self) -> Option<&UserId> {
        match self {
            Self::Local => None,
            Self::Operator { id, .. } => Some(id),
        }
    }

    /// Returns when the credential of the call ends, if the State does not say it.
    pub fn until(&self) -> Option<Time> {
        match self {
            Self::Operator { by: Credential::Token { until }, .. } => Some(*until),
            _ => None,
        }
    }

    /// Returns the API key of the call. `None` for other credentials.
    pub fn key(&self) -> Option<(ApiKeyId, &Arc<ApiKey>)> {
        match self {
            Self::Operator { by: Credential::Key(id, key), .. } => Some((*id, key)),
            _ => None,
        }
    }
}
