//! Counts values by size, in buckets that are fixed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Counter;

/// The upper bounds of the buckets of a histogram, in a unit in which they are whole numbers.
#[derive(Debug)]
pub struct Scale {
    bounds: &'static [u64],
    /// How many of this unit are one of the unit that is shown.
    per_shown: f64,
}

/// Nanoseconds, shown as seconds. A check takes about 20 microseconds, a write milliseconds, a load seconds.
pub const DURATIONS: Scale = Scale {
    bounds: &[
        25_000,
        50_000,
        100_000,
        250_000,
        500_000,
        1_000_000,
        2_500_000,
        5_000_000,
        10_000_000,
        25_000_000,
        50_000_000,
        100_000_000,
        250_000_000,
        500_000_000,
        1_000_000_000,
        2_500_000_000,
        5_000_000_000,
        10_000_000_000,
        30_000_000_000,
    ],
    per_shown: 1e9,
};

/// Numbers of things in one call or group.
pub const COUNTS: Scale =
    Scale { bounds: &[1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000], per_shown: 1.0 };

/// See the module.
#[derive(Debug)]
pub struct Histogram {
    scale: &'static Scale,
    /// One more than the bounds: the last counts what is above them.
    buckets: Box<[AtomicU64]>,
    sum: Counter,
}

/// A histogram at one moment, in the unit that is shown.
pub struct Read {
    /// The values up to each bound.
    pub up_to: Vec<(f64, u64)>,
    pub count: u64,
    pub sum: f64,
}

impl Histogram {
    pub fn new(scale: &'static Scale) -> Self {
        let buckets = (0..=scale.bounds.len()).map(|_| AtomicU64::default()).collect();
        Self { scale, buckets, sum: Counter::default() }
    }

    pub fn add(&self, value: u64) {
        let bounds = self.scale.bounds;
        let bucket = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.add(value);
    }

    pub fn add_duration(&self, duration: Duration) {
        self.add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    pub fn read(&self) -> Read {
        let mut count = 0;
        let mut counts = self.buckets.iter().map(|bucket| {
            count += bucket.load(Relaxed);
            count
        });
        let bounds = self.scale.bounds.iter().map(|bound| *bound as f64 / self.scale.per_shown);
        let up_to = bounds.zip(counts.by_ref()).collect();
        counts.for_each(drop);
        Read { up_to, count, sum: self.sum.get() as f64 / self.scale.per_shown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_in_the_first_bucket_that_holds_it_and_in_all_larger_ones() {
        let histogram = Histogram::new(&COUNTS);
        for value in [0, 1, 2, 30, 100_001] {
            histogram.add(value);
        }
        let read = histogram.read();
        assert_eq!(read.up_to[..4], [(1.0, 2), (3.0, 3), (10.0, 3), (30.0, 4)]);
        assert_eq!((read.up_to.last(), read.count, read.sum), (Some(&(100_000.0, 4)), 5, 100_034.0));
    }

    #[test]
    fn durations_are_shown_in_seconds() {
        let histogram = Histogram::new(&DURATIONS);
        histogram.add_duration(Duration::from_micros(30));
        let read = histogram.read();
        assert_eq!((read.up_to[0], read.up_to[1], read.sum), ((0.000_025, 0), (0.000_05, 1), 0.000_03));
    }
}
