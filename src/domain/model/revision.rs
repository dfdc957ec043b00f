//! Revisions: the number of an accepted command in one history of a store.

use crate::domain::model::time::Time;

/// Identifies one commit.
///
/// `tag` is drawn at random for every commit. Two diverged histories (a restored backup, a clone) may both have a
/// revision 7, but with different tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    pub number: u64,
    pub tag: u32,
    /// The time of the commit. It grows from commit to commit.
    pub at: Time,
}
