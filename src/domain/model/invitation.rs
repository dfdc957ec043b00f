//! The record of an invitation (V1, V2).

use std::fmt;

use crate::domain::model::email::EmailAddress;
use crate::domain::model::id::{RoleId, RoleSetId};
use crate::domain::model::name::UserId;
use crate::domain::model::time::Time;

/// A UUID of version 7: ids sort by time of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvitationId(pub u128);

impl InvitationId {
    /// Reads the text form: 32 lower-case hexadecimal digits in five groups. `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|&c| c != '-').collect();
        let id = Self(u128::from_str_radix(&digits, 16).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let (first, rest) = digits.split_at(8);
        write!(f, "{first}-{}-{}-{}-{}", &rest[..4], &rest[4..8], &rest[8..12], &rest[12..])
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct InvitationRecord {
    pub email: EmailAddress,
    /// The acting user who invited. `None` for a call without an acting user.
    pub inviter: Option<UserId>,
    pub create_time: Time,
    pub expire_time: Time,
    pub stage: Stage,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Neither accepted nor revoked. It may have expired.
    Pending {
        role_set: RoleSetId,
    },
    Settled(Settled),
}

/// What is kept of an accepted or revoked invitation.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    pub at: Time,
    /// The user who accepted. `None` if it was revoked.
    pub user: Option<UserId>,
    /// The roles it invited to at that time. A role may be deleted since.
    pub roles: Box<[RoleId]>,
}

impl InvitationRecord {
    /// `None` if it is accepted or revoked.
    pub fn role_set(&self) -> Option<RoleSetId> {
        match self.stage {
            Stage::Pending { role_set } => Some(role_set),
            Stage::Settled(_) => None,
        }
    }

    /// Returns true from its expiry on, which the clock decides.
    pub fn has_expired(&self, now: Time) -> bool {
        self.expire_time <= now
    }
}

/// The state of an invitation (V2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InvitationState {
    Pending,
    Accepted,
    Revoked,
    /// The clock decides.
    Expired,
}

impl InvitationRecord {
    pub fn state(&self, now: Time) -> InvitationState {
        match &self.stage {
            Stage::Settled(Settled { user: Some(_), .. }) => InvitationState::Accepted,
            // It was replaced or swept after its expiry.
            Stage::Settled(Settled { at, .. }) if *at >= self.expire_time => InvitationState::Expired,
            Stage::Settled(_) => InvitationState::Revoked,
            Stage::Pending { .. } if self.has_expired(now) => InvitationState::Expired,
            Stage::Pending { .. } => InvitationState::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_text_form() {
        let text = "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5";
        let id = InvitationId::parse(text).unwrap();
        assert_eq!(id.to_string(), text);
        for other in ["", "0192F0C1-2a3b-7c4d-8e5f-60718293a4b5", "0192f0c12a3b7c4d8e5f60718293a4b5", "x", "-1"] {
            assert_eq!(InvitationId::parse(other), None, "{other}");
        }
        assert_eq!(InvitationId::parse(&"f".repeat(33)), None);
    }
}
