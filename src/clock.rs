//! The clock of this machine: read at the doors, handed down as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::Time;

/// The present instant; the epoch, if the clock stands before it.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
