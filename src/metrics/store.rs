//! How long the database takes, by what is asked of it.

use std::time::{Duration, Instant};

use super::Counter;
use super::histogram::{DURATIONS, Histogram};

/// What is asked of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads the whole State.
    Load,
    /// Reads the page of a list, or another part of the history or of the members.
    List,
    /// Reads the commits of other servers, and old revisions.
    Follow,
    /// Begins a write: waits for the head row, which one server at a time has.
    Begin,
    /// Stores a group of commits.
    Persist,
    Commit,
}

/// All operations with their names.
pub const OPERATIONS: [(Operation, &str); 6] = [
    (Operation::Load, "load"),
    (Operation::List, "list"),
    (Operation::Follow, "follow"),
    (Operation::Begin, "begin"),
    (Operation::Persist, "persist"),
    (Operation::Commit, "commit"),
];

impl Operation {
    pub fn name(self) -> &'static str {
        OPERATIONS[self as usize].1
    }
}

/// See the module.
pub struct StoreMetrics([Measured; OPERATIONS.len()]);

/// One kind of operation.
pub struct Measured {
    pub durations: Histogram,
    pub errors: Counter,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        let measured = |_| Measured { durations: Histogram::new(&DURATIONS), errors: Counter::default() };
        Self(std::array::from_fn(measured))
    }
}

impl StoreMetrics {
    pub fn of(&self, operation: Operation) -> &Measured {
        &self.0[operation as usize]
    }

    pub fn add(&self, operation: Operation, duration: Duration, failed: bool) {
        let measured = self.of(operation);
        measured.durations.add_duration(duration);
        if failed {
            measured.errors.add(1);
        }
    }

    /// Waits for an operation, and measures it.
    pub async fn measure<T, E>(&self, operation: Operation, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let began = Instant::now();
        let done = work.await;
        self.add(operation, began.elapsed(), done.is_err());
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_place() {
        for (at, (operation, name)) in OPERATIONS.iter().enumerate() {
            assert_eq!(*operation as usize, at, "{name}");
        }
    }
}
