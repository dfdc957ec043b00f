//! The record of an API key (W6).

use std::fmt;

use crate::domain::model::id::{OrgNo, ProjectId};
use crate::domain::model::name::UserId;
use crate::domain::model::project::Environment;
use crate::domain::model::time::Time;

/// The SHA-256 hash of a whole token. The token has 256 random bits, so the hash reveals nothing about it.
pub type TokenHash = [u8; 32];

/// Identifies an API key in requests, lists and events: the first 8 bytes of its hash. It is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKeyId(pub u64);

const PREFIX: &str = "ak_";

impl ApiKeyId {
    pub fn of(hash: &TokenHash) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *hash;
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// Reads the text form: `ak_` and 16 lower-case hexadecimal digits. `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(u64::from_str_radix(text.strip_prefix(PREFIX)?, 16).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:016x}", self.0)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ApiKey {
    pub hash: TokenHash,
    pub display_name: Box<str>,
    /// The member of the workspace whose roles the key has.
    pub operator: UserId,
    /// The key is for projects of this environment only.
    pub environment: Environment,
    pub scope: ApiKeyScope,
    /// The actor of the call that created the key.
    pub creator: Box<str>,
    pub create_time: Time,
    /// `None` if the key does not expire.
    pub expire_time: Option<Time>,
    /// `None` if the key is not archived.
    pub archive_time: Option<Time>,
}

/// What a key may do less than its operator. The default is nothing less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiKeyScope {
    /// Only Check, BatchCheck and StreamCheck.
    pub checks_only: bool,
    /// Only what a sidecar calls.
    pub sidecar_only: bool,
    /// Only calls with an acting user or a viewer.
    pub acting_user_required: bool,
    /// Only this project, and not a later one with the same key (S5).
    pub project: Option<ProjectId>,
    /// Only this org of the project, and not a later one with the same id (S5).
    pub org: Option<OrgNo>,
    /// Checks with the key do not make an org active (U4).
    pub no_activity: bool,
}

/// Why a key is not accepted (W6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inactive {
    Archived,
    Expired,
}

impl ApiKey {
    /// Refuses an archived or expired key.
    pub fn check_active(&self, now: Time) -> Result<(), Inactive> {
        match (self.archive_time, self.expire_time) {
            (Some(_), _) => Err(Inactive::Archived),
            (None, Some(expire_time)) if expire_time <= now => Err(Inactive::Expired),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let mut hash = [0; 32];
        hash[..3].copy_from_slice(&[1, 2, 255]);
        let id = ApiKeyId::of(&hash);
        assert_eq!(id.to_string(), "ak_0102ff0000000000");
        assert_eq!(ApiKeyId::parse("ak_0102ff0000000000"), Some(id));
        for other in ["", "ak_", "0102ff0000000000", "ak_0102FF0000000000", "ak_+102ff0000000000", "ak_0102ff"] {
            assert_eq!(ApiKeyId::parse(other), None, "{other}");
        }
    }
}
