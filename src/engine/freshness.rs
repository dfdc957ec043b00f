//! How long ago this process knew that its State was the newest.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// See the module. It measures with the clock that nobody sets.
pub struct Freshness {
    start: Instant,
    /// Milliseconds from `start`, plus the age of the State at `start`.
    confirmed: AtomicU64,
}

/// The largest age that is known.
const AGE_MAX: Duration = Duration::from_secs(u32::MAX as u64);

impl Freshness {
    /// Begins with the largest age: when the State was the newest is not known yet.
    pub fn unknown() -> Self {
        Self { start: Instant::now(), confirmed: AtomicU64::new(0) }
    }

    /// Notes that the State had been the newest `age` before `at`.
    pub fn confirm(&self, at: Instant, age: Duration) {
        let confirmed = (at.saturating_duration_since(self.start) + AGE_MAX).saturating_sub(age);
        self.confirmed.fetch_max(confirmed.as_millis() as u64, Relaxed);
    }

    /// Begins again with a State that was the newest `age` ago: it has replaced the one before.
    pub fn set(&self, age: Duration) {
        self.confirmed.store(0, Relaxed);
        self.confirm(Instant::now(), age);
    }

    /// Returns how long ago the State was the newest.
    pub fn age(&self) -> Duration {
        let confirmed = Duration::from_millis(self.confirmed.load(Relaxed));
        (self.start.elapsed() + AGE_MAX).saturating_sub(confirmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_confirmation_changes_nothing() {
        let hour = Duration::from_secs(3_600);
        let freshness = Freshness::unknown();
        assert!(freshness.age() >= AGE_MAX);
        freshness.set(hour);
        assert!((3_600..7_200).contains(&freshness.age().as_secs()));
        freshness.confirm(Instant::now(), Duration::from_secs(60));
        assert!((60..3_600).contains(&freshness.age().as_secs()));
        freshness.confirm(Instant::now(), hour);
        assert!(freshness.age() < hour);
    }
}
