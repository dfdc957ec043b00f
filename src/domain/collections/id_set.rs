//! A set of ids: bits or a sorted list, whichever is smaller.

use std::num::NonZeroU32;

use crate::domain::collections::numbered::Numbered;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdSet<I>(Form<I>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Form<I> {
    Sorted(Box<[I]>),
    /// Bit `i` of word `w` is the id with number `64 * w + i`.
    Bits {
        words: Box<[u64]>,
        len: u32,
    },
}

impl<I> Default for IdSet<I> {
    fn default() -> Self {
        Self(Form::Sorted(Box::new([])))
    }
}

impl<I: Numbered + Ord> FromIterator<I> for IdSet<I> {
    fn from_iter<T: IntoIterator<Item = I>>(ids: T) -> Self {
        let mut ids: Vec<I> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let words = ids.last().map_or(0, |last| last.index() / 64 + 1);
        // The form depends only on the contents, so that equal sets are equal values.
        if words * 8 >= ids.len() * 4 {
            return Self(Form::Sorted(ids.into()));
        }
        let mut bits = vec![0u64; words].into_boxed_slice();
        for id in &ids {
            bits[id.index() / 64] |= 1 << (id.index() % 64);
        }
        Self(Form::Bits { words: bits, len: ids.len() as u32 })
    }
}

impl<I: Numbered + Ord> IdSet<I> {
    #[inline]
    pub fn contains(&self, id: I) -> bool {
        match &self.0 {
            Form::Sorted(ids) => ids.binary_search(&id).is_ok(),
            Form::Bits { words, .. } => {
                words.get(id.index() / 64).is_some_and(|word| word >> (id.index() % 64) & 1 == 1)
            }
        }
    }

    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Sorted(ids) => ids.len(),
            Form::Bits { len, .. } => *len as usize,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the ids in ascending order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = I> + '_> {
        match &self.0 {
            Form::Sorted(ids) => Box::new(ids.iter().copied()),
            Form::Bits { words, .. } => Box::new(words.iter().enumerate().flat_map(|(at, &word)| {
                let set = (0..64).filter(move |bit| word >> bit & 1 == 1);
                set.filter_map(move |bit| NonZeroU32::new(at as u32 * 64 + bit).map(I::from_number))
            })),
        }
    }

    pub fn union<'a>(sets: impl Iterator<Item = &'a Self>) -> Self
    where
        I: 'a,
    {
        let mut sets = sets.peekable();
        let Some(first) = sets.next() else { return Self::default() };
        if sets.peek().is_none() {
            return first.clone();
        }
        let mut all: Vec<u64> = Vec::new();
        let mut add = |at: usize, bits: u64| {
            if at >= all.len() {
                all.resize(at + 1, 0);
            }
            all[at] |= bits;
        };
        for set in std::iter::once(first).chain(sets) {
            match &set.0 {
                Form::Sorted(ids) => ids.iter().for_each(|id| add(id.index() / 64, 1 << (id.index() % 64))),
                Form::Bits { words, .. } => words.iter().enumerate().for_each(|(at, &word)| add(at, word)),
            }
        }
        let len = all.iter().map(|word| word.count_ones()).sum();
        Self(Form::Bits { words: all.into(), len }).iter().collect()
    }

    /// Returns this set without `removed` and with `added`.
    pub fn edited(&self, removed: &Self, added: &Self) -> Self {
        self.iter().filter(|&id| !removed.contains(id)).chain(added.iter()).collect()
    }

    pub fn without(&self, other: &Self) -> Self {
        self.iter().filter(|&id| !other.contains(id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Set = IdSet<NonZeroU32>;

    fn set(numbers: &[u32]) -> Set {
        numbers.iter().filter_map(|&number| NonZeroU32::new(number)).collect()
    }

    #[test]
    fn sparse_and_dense_sets_give_equal_answers() {
        let dense: Vec<u32> = (1..2_000).filter(|number| number % 3 != 0).collect();
        for numbers in [vec![], vec![7], vec![1, 50_000], dense] {
            let set = set(&numbers);
            assert_eq!(set.len(), numbers.len());
            assert_eq!(set.iter().map(NonZeroU32::get).collect::<Vec<_>>(), numbers);
            for number in 1..2_100 {
                assert_eq!(set.contains(NonZeroU32::new(number).unwrap()), numbers.contains(&number), "{number}");
            }
        }
    }

    #[test]
    fn an_edit_removes_adds_and_can_be_inverted() {
        let before = set(&[1, 2, 3]);
        let after = before.edited(&set(&[2]), &set(&[9]));
        assert_eq!(after, set(&[1, 3, 9]));
        assert_eq!(after.edited(&set(&[9]), &set(&[2])), before);
        assert_eq!(after.without(&before), set(&[9]));
    }
}
