//! The lifecycle of projects and orgs (S5, P6).

use crate::domain::model::time::Time;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifecycle {
    #[default]
    Existing,
    /// Deleted at that time. Its contents are unreachable and being purged.
    Deleted(Time),
    /// Deleted at that time. Only its id remains, which stays taken.
    Purged(Time),
}

impl Lifecycle {
    pub fn exists(self) -> bool {
        self == Self::Existing
    }

    /// `None` if it exists.
    pub fn deleted_at(self) -> Option<Time> {
        match self {
            Self::Existing => None,
            Self::Deleted(at) | Self::Purged(at) => Some(at),
        }
    }

    pub fn is_being_purged(self) -> bool {
        matches!(self, Self::Deleted(_))
    }

    pub fn is_purged(self) -> bool {
        matches!(self, Self::Purged(_))
    }

    /// Reads the stored form.
    pub fn stored(deleted_at: Option<Time>, purged: bool) -> Self {
        match deleted_at {
            None => Self::Existing,
            Some(at) if purged => Self::Purged(at),
            Some(at) => Self::Deleted(at),
        }
    }
}
