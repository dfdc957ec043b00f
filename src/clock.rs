//! The clock of this machine. Callers read it once per call and pass the time on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::Time;

/// Returns the current time. Returns the epoch if the clock is before it.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Two clocks that differ by less are taken as equal.
const BEHIND_MIN: Duration = Duration::from_secs(5);

/// Returns how far this clock is behind the time of a commit. `None` if it is not, or by less than `BEHIND_MIN`.
pub fn behind(commit: Time) -> Option<Duration> {
    let micros = u64::try_from(commit.0.saturating_sub(now().0)).ok()?;
    Some(Duration::from_micros(micros)).filter(|behind| *behind >= BEHIND_MIN)
}
