//! The clock of this machine. Callers read it once per call and pass the time on.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::Time;

/// Returns the current time. Returns the epoch if the clock is before it.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
