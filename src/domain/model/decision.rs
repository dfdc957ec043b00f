//! The answer to a check (K2).

/// The numbers are those of `rolecall.v1.Decision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Decision {
    Allowed = 1,
    NotAMember = 2,
    MissingPermission = 3,
    RoleDisabled = 4,
    UserBlocked = 5,
    RoleExpired = 6,
    OrgNotFound = 7,
    UnknownPermission = 8,
    UnknownRole = 9,
}

impl Decision {
    /// Returns the place in the order of K2: the first that applies is the answer. For one permission the early returns
    /// of `Project::decide_by_slot` apply places 1 to 4.
    fn order(self) -> u8 {
        match self {
            Self::OrgNotFound => 1,
            Self::UnknownPermission | Self::UnknownRole => 2,
            Self::UserBlocked => 3,
            Self::NotAMember => 4,
            Self::Allowed => 5,
            Self::RoleDisabled => 6,
            Self::RoleExpired => 7,
            Self::MissingPermission => 8,
        }
    }

    /// Returns the decision that comes first in the order of the answers.
    pub(in crate::domain) fn or(self, other: Self) -> Self {
        if other.order() < self.order() { other } else { self }
    }
}
