//! The number of an accepted command, and what tells one history of a store from another.

use crate::domain::model::time::Time;

/// Names one commit: the `number`th of its store.
///
/// `tag` is drawn at random for every commit. Two histories that diverged (a restored backup, a clone) may both have a
/// revision 7; they do not both have the same tag there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    pub number: u64,
    pub tag: u32,
    /// When it was committed; grows from commit to commit.
    pub at: Time,
}
