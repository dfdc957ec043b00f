//! Finds records by their names, including old names (R1, R3).

use std::num::NonZeroU32;

use crate::domain::collections::hash::{HashKey, TextHash};
use crate::domain::collections::trie::{Entry, Trie};
use crate::domain::model::name::folded;

/// A hashed text and the number of the record that it identifies.
#[derive(Clone, Copy, PartialEq)]
pub struct Named {
    tag: u64,
    rest: u32,
    pub number: NonZeroU32,
}

/// Names are found by their exact form and unique after case folding (R1).
#[derive(Clone, Default, PartialEq)]
pub(super) struct NameIndex {
    exact: Trie<Named>,
    folded: Trie<Named>,
}

impl Named {
    pub fn new(hash: TextHash, number: NonZeroU32) -> Self {
        Self { tag: hash.tag, rest: hash.rest, number }
    }
}

impl Entry for Named {
    const LEAF_MAX: u32 = 256;
    const SPARE: usize = 100;

    #[inline]
    fn hash(&self) -> TextHash {
        TextHash { tag: self.tag, rest: self.rest }
    }

    /// Two role sets may become equal. Names are unique because commands refuse taken ones.
    fn replaces(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl NameIndex {
    /// Adds the names of a record.
    pub(super) fn insert<'a>(&mut self, key: &HashKey, names: impl Iterator<Item = &'a str>, number: NonZeroU32) {
        for name in names {
            self.exact.insert(Named::new(key.text(name), number));
            self.folded.insert(Named::new(key.text(&folded(name)), number));
        }
    }

    /// Removes all names of a record at once: two of them may differ only in case.
    pub(super) fn remove<'a>(&mut self, key: &HashKey, names: impl Iterator<Item = &'a str>, number: NonZeroU32) {
        for name in names {
            self.exact.remove(key.text(name), |named| named.number == number);
            self.folded.remove(key.text(&folded(name)), |named| named.number == number);
        }
    }

    pub(super) fn exact(&self, key: &HashKey, name: &str) -> Option<NonZeroU32> {
        self.exact.get(key.text(name)).map(|named| named.number)
    }

    /// Returns the record with this name or one that differs only in case.
    pub(super) fn taken(&self, key: &HashKey, name: &str) -> Option<NonZeroU32> {
        self.folded.get(key.text(&folded(name))).map(|named| named.number)
    }
}
