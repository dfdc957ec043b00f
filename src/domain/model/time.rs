//! Times, as every rule, table and answer counts them.

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// Returns the time `seconds` later, or earlier if negative.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Returns the UTC day. A clock outside of the years 1970 to 2149 gets the nearest day of them.
    pub fn day(self) -> Day {
        const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
        Day(u16::try_from((self.0 / DAY_MICROS).max(0)).unwrap_or(u16::MAX))
    }

    /// Returns the next distinct time.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the distinct time before.
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

/// A UTC day: the number of days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u16);

impl Day {
    /// No org was active on it, and no day is before it.
    pub const NEVER: Self = Self(0);

    /// Returns the day `days` earlier.
    pub fn minus(self, days: u16) -> Self {
        Self(self.0.saturating_sub(days))
    }
}

/// Returns the later of two expiries. `None` is permanent, which is the latest.
pub fn later(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    one.zip(other).map(|(one, other)| one.max(other))
}

/// Returns true if the expiry `one` is later than `other`. `None` is permanent, which is the latest.
pub fn lasts_longer(one: Option<Time>, other: Option<Time>) -> bool {
    other.is_some_and(|other| one.is_none_or(|one| one > other))
}
