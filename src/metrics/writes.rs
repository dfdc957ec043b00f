//! How writes end, and in which groups they are committed.

use super::Counter;
use super::histogram::{COUNTS, Histogram};

/// See the module.
pub struct WriteMetrics {
    /// Commands that are stored, change nothing, or were stored by an earlier call with the same request id.
    pub accepted: Counter,
    /// Commands that broke a rule.
    pub refused: Counter,
    /// Commands that the database did not store.
    pub failed: Counter,
    /// Commands of which it is unknown whether the database stored them.
    pub unknown: Counter,
    /// Commands that did not fit into the queue.
    pub overloaded: Counter,
    /// Commands of each group that was decided.
    pub group_commands: Histogram,
    /// Changes of each commit: of each accepted command with a revision.
    pub commit_changes: Histogram,
}

impl Default for WriteMetrics {
    fn default() -> Self {
        Self {
            accepted: Counter::default(),
            refused: Counter::default(),
            failed: Counter::default(),
            unknown: Counter::default(),
            overloaded: Counter::default(),
            group_commands: Histogram::new(&COUNTS),
            commit_changes: Histogram::new(&COUNTS),
        }
    }
}
