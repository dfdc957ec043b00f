//! The permissions of one row: bits or a sorted list, whichever is smaller.

use super::id::PermissionId;

/// A set of permissions of one project.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PermissionSet(Form);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Form {
    Sorted(Box<[PermissionId]>),
    /// Bit `i` of word `w` stands for permission `64 * w + i`.
    Bits {
        words: Box<[u64]>,
        len: u32,
    },
}

impl Default for PermissionSet {
    fn default() -> Self {
        Self(Form::Sorted(Box::new([])))
    }
}

impl FromIterator<PermissionId> for PermissionSet {
    fn from_iter<T: IntoIterator<Item = PermissionId>>(ids: T) -> Self {
        let mut ids: Vec<PermissionId> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let words = ids.last().map_or(0, |last| last.number() as usize / 64 + 1);
        // The form follows from the contents alone, so that equal sets are equal values.
        if words * 8 >= ids.len() * 4 {
            return Self(Form::Sorted(ids.into()));
        }
        let mut bits = vec![0u64; words].into_boxed_slice();
        for id in &ids {
            bits[id.number() as usize / 64] |= 1 << (id.number() % 64);
        }
        Self(Form::Bits { words: bits, len: ids.len() as u32 })
    }
}

impl PermissionSet {
    #[inline]
    pub fn contains(&self, id: PermissionId) -> bool {
        match &self.0 {
            Form::Sorted(ids) => ids.binary_search(&id).is_ok(),
            Form::Bits { words, .. } => {
                words.get(id.number() as usize / 64).is_some_and(|word| word >> (id.number() % 64) & 1 == 1)
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

    /// The permissions in the order of their ids.
    pub fn iter(&self) -> Box<dyn Iterator<Item = PermissionId> + '_> {
        match &self.0 {
            Form::Sorted(ids) => Box::new(ids.iter().copied()),
            Form::Bits { words, .. } => Box::new(words.iter().enumerate().flat_map(|(at, &word)| {
                let set = (0..64).filter(move |bit| word >> bit & 1 == 1);
                set.filter_map(move |bit| PermissionId::new(at as u32 * 64 + bit))
            })),
        }
    }

    /// What is in any of some sets.
    pub fn union<'a>(sets: impl Iterator<Item = &'a Self>) -> Self {
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
                Form::Sorted(ids) => ids.iter().for_each(|id| add(id.number() as usize / 64, 1 << (id.number() % 64))),
                Form::Bits { words, .. } => words.iter().enumerate().for_each(|(at, &word)| add(at, word)),
            }
        }
        let len = all.iter().map(|word| word.count_ones()).sum();
        Self(Form::Bits { words: all.into(), len }).iter().collect()
    }

    /// This set without `less` and with `more`.
    pub fn edited(&self, less: &Self, more: &Self) -> Self {
        self.iter().filter(|&id| !less.contains(id)).chain(more.iter()).collect()
    }

    /// What is in this set and not in `other`.
    pub fn without(&self, other: &Self) -> Self {
        self.iter().filter(|&id| !other.contains(id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(numbers: &[u32]) -> PermissionSet {
        numbers.iter().filter_map(|&number| PermissionId::new(number)).collect()
    }

    #[test]
    fn sparse_and_dense_sets_answer_alike() {
        let dense: Vec<u32> = (1..2_000).filter(|number| number % 3 != 0).collect();
        for numbers in [vec![], vec![7], vec![1, 50_000], dense] {
            let it = set(&numbers);
            assert_eq!(it.len(), numbers.len());
            assert_eq!(it.iter().map(PermissionId::number).collect::<Vec<_>>(), numbers);
            for number in 1..2_100 {
                let id = PermissionId::new(number).unwrap();
                assert_eq!(it.contains(id), numbers.contains(&number), "{number}");
            }
        }
    }

    #[test]
    fn an_edit_takes_and_gives_and_can_be_turned_round() {
        let before = set(&[1, 2, 3]);
        let after = before.edited(&set(&[2]), &set(&[9]));
        assert_eq!(after, set(&[1, 3, 9]));
        assert_eq!(after.edited(&set(&[9]), &set(&[2])), before);
        assert_eq!(after.without(&before), set(&[9]));
    }
}
