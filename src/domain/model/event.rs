//! The records of refused calls, and the places of events (A1). They are no part of the State.

use crate::domain::model::time::Time;

/// Equal refused calls of one minute. A text is empty if the call has no such value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denial {
    /// The time of the first call.
    pub at: Time,
    /// The name of the RPC, as in `SetMemberRoles`. Empty for refused calls beyond the limit of a minute, which are
    /// counted together.
    pub kind: String,
    pub actor: String,
    pub key_id: String,
    /// The key in the request. No such project need exist.
    pub project: String,
    /// The id in the request. No such org need exist.
    pub org_id: String,
    pub acting_user: String,
    /// The reason of the error, as in `MISSING_PERMISSION`.
    pub reason: String,
    pub missing_permission: String,
    pub count: u64,
}

/// The place of an event among all others: that of a commit, or of a denial after it. Later events have higher places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventPlace {
    pub revision: u64,
    /// 0 for the commit itself.
    pub denial: u64,
}
