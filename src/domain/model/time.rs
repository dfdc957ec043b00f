//! An instant, as every rule, table and answer counts it.

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// The instant `seconds` later (or earlier, if negative).
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// The next instant that can be told from this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Of two ends the later; no end is the latest.
pub fn later(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    one.zip(other).map(|(one, other)| one.max(other))
}

/// Whether one end is later than another; no end is the latest.
pub fn longer(one: Option<Time>, other: Option<Time>) -> bool {
    other.is_some_and(|other| one.is_none_or(|one| one > other))
}
