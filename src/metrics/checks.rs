//! What checks are answered with.

use super::Counter;
use super::histogram::{COUNTS, Histogram};

/// One more than the largest number of a decision.
pub const DECISIONS: usize = 10;

/// See the module.
pub struct CheckMetrics {
    on: bool,
    pub check: Decisions,
    pub batch_check: Decisions,
    pub stream_check: Decisions,
}

/// The decisions of one method. On cache lines of its own: the threads that count for other methods do not take them away.
#[repr(align(128))]
pub struct Decisions {
    /// By number. At 0 are the checks that got an error.
    by_number: [Counter; DECISIONS],
    /// Checks of each call or message.
    pub items: Histogram,
}

/// Decisions that are not added yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally([u64; DECISIONS]);

impl CheckMetrics {
    /// Counts nothing unless `on`.
    pub fn new(on: bool) -> Self {
        let decisions = || Decisions { by_number: Default::default(), items: Histogram::new(&COUNTS) };
        Self { on, check: decisions(), batch_check: decisions(), stream_check: decisions() }
    }

    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Counts a Check.
    #[inline]
    pub fn checked(&self, decision: u8) {
        if self.on
            && let Some(counter) = self.check.by_number.get(usize::from(decision))
        {
            counter.add(1);
        }
    }

    /// Counts the decisions of a BatchCheck.
    pub fn batch_checked(&self, decisions: &[u8]) {
        if self.on {
            self.batch_check.add(Tally::of(decisions), decisions.len());
        }
    }

    /// Counts the decisions of an answer of StreamCheck.
    pub fn stream_checked(&self, decisions: impl ExactSizeIterator<Item = i32>) {
        if self.on {
            let (mut tally, items) = (Tally::default(), decisions.len());
            for decision in decisions {
                if let Some(count) = usize::try_from(decision).ok().and_then(|number| tally.0.get_mut(number)) {
                    *count += 1;
                }
            }
            self.stream_check.add(tally, items);
        }
    }
}

impl Decisions {
    /// Returns the counts by the number of the decision. At 0 are the checks that got an error.
    pub fn read(&self) -> [u64; DECISIONS] {
        std::array::from_fn(|number| self.by_number[number].get())
    }

    fn add(&self, tally: Tally, items: usize) {
        for (counter, count) in self.by_number.iter().zip(tally.0) {
            if count > 0 {
                counter.add(count);
            }
        }
        self.items.add(items as u64);
    }
}

impl Tally {
    /// Counts decisions. Sums of one byte let the compiler compare 16 decisions at a time.
    fn of(decisions: &[u8]) -> Self {
        let mut counts = [0; DECISIONS];
        for some in decisions.chunks(usize::from(u8::MAX)) {
            for (number, count) in counts.iter_mut().enumerate() {
                let equal = some.iter().map(|decision| u8::from(usize::from(*decision) == number));
                *count += u64::from(equal.sum::<u8>());
            }
        }
        Self(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decision_of_a_large_batch_is_counted() {
        let decisions: Vec<u8> = (0..2_000).map(|at| if at % 3 == 0 { 1 } else { (at % 10) as u8 }).collect();
        let mut expected = [0; DECISIONS];
        decisions.iter().for_each(|decision| expected[usize::from(*decision)] += 1);
        assert_eq!(Tally::of(&decisions), Tally(expected));
        assert_eq!(Tally::of(&[7; 100_000]).0[7], 100_000);
    }
}
