//! Whether the database answers, as the pulse of the server found last.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::Store;
use crate::domain::{Revision, Time};

/// See the module.
#[derive(Default)]
pub struct Pulse {
    /// When the database was first found not to answer. 0 while it answers.
    away_since: AtomicI64,
    /// The number of the newest revision that was found.
    newest: AtomicU64,
}

impl Store {
    /// Notes whether the database answers, and its newest revision.
    pub fn note_pulse(&self, answers: bool, newest: Option<Revision>, now: Time) {
        let pulse = &self.0.pulse;
        match answers {
            true => pulse.away_since.store(0, Relaxed),
            // It keeps the first time. Only the pulse changes it.
            false => drop(pulse.away_since.compare_exchange(0, now.0, Relaxed, Relaxed)),
        }
        if let Some(newest) = newest {
            pulse.newest.store(newest.number, Relaxed);
        }
    }

    /// Returns since when the database does not answer. `None` while it answers.
    pub fn away_since(&self) -> Option<Time> {
        Some(self.0.pulse.away_since.load(Relaxed)).filter(|since| *since != 0).map(Time)
    }

    /// Returns how many revisions the database had more than a State, when it last answered.
    pub fn lag(&self, state: Revision) -> u64 {
        self.0.pulse.newest.load(Relaxed).saturating_sub(state.number)
    }
}
