//! TODO doc

use crate::domain::model::time::Time;

/// Whether a project or an org is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifecycle {
    #[default]
    Existing,
    /// Deleted at that instant: nothing in it can be reached, and it is being purged.
    Deleted(Time),
    /// Deleted at that instant, and nothing is left of it but its id, which stays taken.
    Purged(Time),
}

impl Lifecycle {
    pub fn exists(self) -> bool {
        self == Self::Existing
    }

    /// When it was deleted.
    pub fn deleted_at(self) -> Option<Time> {
        match self {
            Self::Existing => None,
            Self::Deleted(at) | Self::Purged(at) => Some(at),
        }
    }

    /// Whether it is deleted and something of it is left.
    pub fn is_being_purged(self) -> bool {
        matches!(self, Self::Deleted(_))
    }

    pub fn is_purged(self) -> bool {
        matches!(self, Self::Purged(_))
    }

    /// Takes over what is stored.
    pub fn stored(deleted_at: Option<Time>, purged: bool) -> Self {
        match deleted_at {
            None => Self::Existing,
            Some(at) if purged => Self::Purged(at),
            Some(at) => Self::Deleted(at),
        }
    }
}
