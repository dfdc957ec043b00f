//! A table of hashed entries that is a value. A clone copies two words; an edit copies one leaf and the path to it.
//!
//! Inner nodes branch on the high bits of the hash. A leaf is a small table with open addressing, so that a lookup ends
//! in one or two neighbouring cache lines. Entries with equal hashes count as equal (see [`super::hash`] for the
//! bound).

use std::sync::Arc;

use crate::domain::collections::hash::TextHash;
use crate::domain::collections::prefetch::prefetch;

const FAN_OUT_BITS: u32 = 4;

const FAN_OUT: usize = 1 << FAN_OUT_BITS;

const DEPTH_MAX: u32 = 64 / FAN_OUT_BITS;

/// An entry that is found by its hash. `Option<Self>` should be as large as `Self` (a niche).
pub trait Entry: Clone {
    /// The most entries in a leaf: large for plain entries, small for entries whose clone counts a reference.
    const LEAF_MAX: u32;

    fn hash(&self) -> TextHash;

    /// Returns true if this entry replaces `other`, which has the same hash. Otherwise the trie keeps both.
    fn replaces(&self, _other: &Self) -> bool {
        true
    }
}

#[derive(Clone)]
pub struct Trie<E> {
    root: Node<E>,
    len: usize,
}

#[derive(Clone)]
enum Node<E> {
    Leaf { slots: Arc<[Option<E>]>, len: u32 },
    Inner(Arc<[Node<E>; FAN_OUT]>),
}

impl<E: Entry> Default for Trie<E> {
    fn default() -> Self {
        Self { root: Node::empty(), len: 0 }
    }
}

impl<E: Entry> Trie<E> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub fn get(&self, hash: TextHash) -> Option<&E> {
        Self::find(self.leaf(hash), hash)
    }

    /// Returns the entry with this hash in its leaf.
    #[inline]
    pub fn find(leaf: &[Option<E>], hash: TextHash) -> Option<&E> {
        find(leaf, hash, |_| true).and_then(|at| leaf[at].as_ref())
    }

    /// The caller must not change the hash of the entry.
    pub fn get_mut(&mut self, hash: TextHash) -> Option<&mut E> {
        self.get(hash)?;
        self.root.get_mut(hash, 0)
    }

    /// Returns all entries with this hash: more than one only where [`Entry::replaces`] keeps several.
    #[inline]
    pub fn matching(&self, hash: TextHash) -> impl Iterator<Item = &E> {
        let slots = self.leaf(hash);
        let start = home(hash, slots.len());
        (0..slots.len())
            .map(move |step| {
                let at = start + step;
                if at < slots.len() { at } else { at - slots.len() }
            })
            .map_while(move |at| slots[at].as_ref())
            .filter(move |entry| entry.hash() == hash)
    }

    /// Starts to read the place where the search for an entry in its leaf begins.
    #[inline]
    pub fn prefetch(leaf: &[Option<E>], hash: TextHash) {
        if let Some(slot) = leaf.get(home(hash, leaf.len())) {
            prefetch(slot);
        }
    }

    /// Returns the leaf that has the entry with this hash, if any has.
    #[inline]
    pub fn leaf(&self, hash: TextHash) -> &[Option<E>] {
        let mut node = &self.root;
        let mut depth = 0;
        loop {
            match node {
                Node::Leaf { slots, .. } => return slots,
                Node::Inner(children) => {
                    node = &children[branch(hash, depth)];
                    depth += 1;
                }
            }
        }
    }

    pub fn insert(&mut self, entry: E) {
        if self.root.insert(entry, 0) {
            self.len += 1;
        }
    }

    /// Removes the entry with this hash that matches `predicate`.
    pub fn remove(&mut self, hash: TextHash, predicate: impl Fn(&E) -> bool) {
        // Look first: removing a missing entry must not copy the path.
        if self.matching(hash).any(&predicate) && self.root.remove(hash, &predicate, 0) {
            self.len -= 1;
        }
    }

    /// Replaces each entry for which `altered` returns another one, which must have the same hash. Copies only leaves
    /// with such entries.
    pub fn alter(&mut self, mut altered: impl FnMut(&E) -> Option<E>) {
        self.root.alter(&mut altered);
    }

    /// Visits every entry, in no meaningful order.
    pub fn for_each<'a>(&'a self, mut visit: impl FnMut(&'a E)) {
        self.root.for_each(&mut visit);
    }

    /// Returns true if any entry matches `predicate`. Stops at the first match.
    pub fn any<'a>(&'a self, mut predicate: impl FnMut(&'a E) -> bool) -> bool {
        self.root.any(&mut predicate)
    }
}

/// Compares the entries. How they are distributed to leaves does not count.
impl<E: Entry + PartialEq> PartialEq for Trie<E> {
    fn eq(&self, other: &Self) -> bool {
        let mut equal = self.len == other.len;
        if equal {
            self.for_each(|entry| equal = equal && other.matching(entry.hash()).any(|found| found == entry));
        }
        equal
    }
}

impl<E: Entry> Node<E> {
    fn empty() -> Self {
        Self::Leaf { slots: Arc::from([]), len: 0 }
    }

    /// Returns true if the number of entries grew.
    fn insert(&mut self, entry: E, depth: u32) -> bool {
        match self {
            Self::Inner(children) => {
                let child = branch(entry.hash(), depth);
                Arc::make_mut(children)[child].insert(entry, depth + 1)
            }
            Self::Leaf { slots, len } => {
                let at = find(slots, entry.hash(), |found| entry.replaces(found));
                if let Some(at) = at {
                    Arc::make_mut(slots)[at] = Some(entry);
                    return false;
                }
                if *len >= E::LEAF_MAX && depth < DEPTH_MAX {
                    self.split(depth);
                    return self.insert(entry, depth);
                }
                // At most seven eighths full: beyond that the search for a missing entry takes long.
                if (*len as usize + 1) * 8 > slots.len() * 7 {
                    *slots = resized(slots, *len as usize + 1);
                }
                place(Arc::make_mut(slots), entry);
                *len += 1;
                true
            }
        }
    }

    fn get_mut(&mut self, hash: TextHash, depth: u32) -> Option<&mut E> {
        match self {
            Self::Inner(children) => Arc::make_mut(children)[branch(hash, depth)].get_mut(hash, depth + 1),
            Self::Leaf { slots, .. } => {
                let at = find(slots, hash, |_| true)?;
                Arc::make_mut(slots)[at].as_mut()
            }
        }
    }

    fn split(&mut self, depth: u32) {
        let Self::Leaf { slots, .. } = self else { return };
        let mut parts: [Vec<E>; FAN_OUT] = Default::default();
        for entry in slots.iter().flatten() {
            parts[branch(entry.hash(), depth)].push(entry.clone());
        }
        *self = Self::Inner(Arc::new(parts.map(Self::leaf)));
    }

    fn leaf(entries: Vec<E>) -> Self {
        let len = entries.len() as u32;
        let mut slots = vec![None; capacity(entries.len())];
        for entry in entries {
            place(&mut slots, entry);
        }
        Self::Leaf { slots: slots.into(), len }
    }

    fn remove(&mut self, hash: TextHash, predicate: &impl Fn(&E) -> bool, depth: u32) -> bool {
        match self {
            Self::Inner(children) => Arc::make_mut(children)[branch(hash, depth)].remove(hash, predicate, depth + 1),
            Self::Leaf { slots, len } => {
                let Some(at) = find(slots, hash, predicate) else { return false };
                close(Arc::make_mut(slots), at);
                *len -= 1;
                true
            }
        }
    }

    fn alter(&mut self, altered: &mut impl FnMut(&E) -> Option<E>) {
        match self {
            Self::Inner(children) => Arc::make_mut(children).iter_mut().for_each(|child| child.alter(altered)),
            Self::Leaf { slots, .. } => {
                for at in 0..slots.len() {
                    if let Some(entry) = slots[at].as_ref().and_then(&mut *altered) {
                        Arc::make_mut(slots)[at] = Some(entry);
                    }
                }
            }
        }
    }

    fn any<'a>(&'a self, predicate: &mut impl FnMut(&'a E) -> bool) -> bool {
        match self {
            Self::Inner(children) => children.iter().any(|child| child.any(predicate)),
            Self::Leaf { slots, .. } => slots.iter().flatten().any(predicate),
        }
    }

    fn for_each<'a>(&'a self, visit: &mut impl FnMut(&'a E)) {
        match self {
            Self::Inner(children) => children.iter().for_each(|child| child.for_each(visit)),
            Self::Leaf { slots, .. } => slots.iter().flatten().for_each(visit),
        }
    }
}

#[inline]
fn branch(hash: TextHash, depth: u32) -> usize {
    (hash.tag >> (64 - FAN_OUT_BITS * (depth + 1))) as usize & (FAN_OUT - 1)
}

/// Returns where the search for a hash begins: its low bits, scaled to the table.
#[inline]
fn home(hash: TextHash, capacity: usize) -> usize {
    ((hash.tag as u32 as u64 * capacity as u64) >> 32) as usize
}

fn capacity(len: usize) -> usize {
    (len * 5 / 4 + 3) & !3
}

fn resized<E: Entry>(slots: &[Option<E>], len: usize) -> Arc<[Option<E>]> {
    let mut larger = vec![None; capacity(len)];
    for entry in slots.iter().flatten() {
        place(&mut larger, entry.clone());
    }
    larger.into()
}

#[inline]
fn find<E: Entry>(slots: &[Option<E>], hash: TextHash, predicate: impl Fn(&E) -> bool) -> Option<usize> {
    let mut at = home(hash, slots.len());
    for _ in 0..slots.len() {
        let entry = slots[at].as_ref()?;
        if entry.hash() == hash && predicate(entry) {
            return Some(at);
        }
        at = following(at, slots.len());
    }
    None
}

/// Puts an entry into the first free slot from its home on. The caller ensures that there is one.
fn place<E: Entry>(slots: &mut [Option<E>], entry: E) {
    let mut at = home(entry.hash(), slots.len());
    while slots[at].is_some() {
        at = following(at, slots.len());
    }
    slots[at] = Some(entry);
}

/// Empties a slot and moves back the entries that had to go past it (Knuth, The Art of Computer Programming 3, 6.4,
/// algorithm R).
fn close<E: Entry>(slots: &mut [Option<E>], mut hole: usize) {
    let mut at = hole;
    loop {
        slots[hole] = None;
        loop {
            at = following(at, slots.len());
            let Some(entry) = &slots[at] else { return };
            let home = home(entry.hash(), slots.len());
            let stays = if hole <= at { hole < home && home <= at } else { hole < home || home <= at };
            if !stays {
                break;
            }
        }
        slots[hole] = slots[at].take();
        hole = at;
    }
}

fn following(at: usize, capacity: usize) -> usize {
    if at + 1 == capacity { 0 } else { at + 1 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Word(TextHash, u32);

    impl Entry for Word {
        const LEAF_MAX: u32 = 8;
        fn hash(&self) -> TextHash {
            self.0
        }
    }

    /// Few different hashes, many of them neighbours at the ends of a leaf, so that probing wraps and removals close
    /// gaps.
    fn hash(number: u32) -> TextHash {
        let spread = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        TextHash { tag: (spread & !0xffff_ffff) | (u32::MAX - number % 3) as u64, rest: number }
    }

    proptest! {
        #[test]
        fn behaves_as_a_map_and_clones_do_not_change(ops in prop::collection::vec((any::<bool>(), 0u32..200, any::<u32>()), 1..400)) {
            let mut trie = Trie::default();
            let mut map = BTreeMap::new();
            let mut past = Vec::new();
            for (put, key, value) in ops {
                if put {
                    trie.insert(Word(hash(key), value));
                    map.insert(key, value);
                } else {
                    trie.remove(hash(key), |_| true);
                    map.remove(&key);
                }
                past.push((trie.clone(), map.clone()));
            }
            for (trie, map) in past.iter().step_by(37).chain(past.last()) {
                prop_assert_eq!(trie.len(), map.len());
                for key in 0..200 {
                    prop_assert_eq!(trie.get(hash(key)).map(|word| word.1), map.get(&key).copied());
                }
                let mut again = Trie::default();
                map.iter().rev().for_each(|(&key, &value)| again.insert(Word(hash(key), value)));
                prop_assert!(*trie == again);
            }
        }
    }

    #[test]
    fn altering_changes_no_clone_and_copies_only_leaves_with_altered_entries() {
        let mut trie = Trie::default();
        (0..200).for_each(|number| trie.insert(Word(hash(number), number)));
        let before = trie.clone();
        trie.alter(|word| (word.1 % 50 == 0).then(|| Word(word.0, 1_000 + word.1)));
        assert_eq!(trie.len(), 200);
        for number in 0..200 {
            let expected = if number % 50 == 0 { 1_000 + number } else { number };
            assert_eq!(trie.get(hash(number)).map(|word| word.1), Some(expected));
            assert_eq!(before.get(hash(number)).map(|word| word.1), Some(number));
        }
        let same = |number| std::ptr::eq(trie.get(hash(number)).unwrap(), before.get(hash(number)).unwrap());
        assert!((0..200).any(same), "a leaf without altered entries is still shared");
    }

    #[test]
    fn a_trie_may_keep_several_entries_with_one_hash() {
        #[derive(Clone, PartialEq)]
        struct Twin(u32);
        impl Entry for Twin {
            const LEAF_MAX: u32 = 4;
            fn hash(&self) -> TextHash {
                TextHash { tag: 5, rest: 5 }
            }
            fn replaces(&self, other: &Self) -> bool {
                self == other
            }
        }
        let mut trie = Trie::default();
        // More equal hashes than a leaf may have: splitting cannot separate them, so the deepest leaf must grow.
        (0..100).for_each(|number| trie.insert(Twin(number)));
        trie.remove(Twin(0).hash(), |twin| twin.0 == 40);
        let mut found: Vec<u32> = trie.matching(Twin(0).hash()).map(|twin| twin.0).collect();
        found.sort();
        assert_eq!(found, (0..100).filter(|&number| number != 40).collect::<Vec<_>>());
    }
}
