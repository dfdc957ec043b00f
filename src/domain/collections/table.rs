//! The records of one noun by id, and the id of the next new one.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::domain::collections::numbered::Numbered;
use crate::domain::collections::pages::Pages;

#[derive(Clone)]
pub struct Table<I, T> {
    rows: Pages<Arc<T>>,
    next: u32,
    id: std::marker::PhantomData<I>,
}

impl<I: Numbered, T: Clone + PartialEq> Default for Table<I, T> {
    fn default() -> Self {
        Self { rows: Pages::default(), next: 1, id: std::marker::PhantomData }
    }
}

impl<I: Numbered, T: Clone + PartialEq> Table<I, T> {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    #[inline]
    pub fn get(&self, id: I) -> Option<&Arc<T>> {
        self.rows.get(id)
    }

    /// Returns the records in the order of creation.
    pub fn entries(&self) -> impl Iterator<Item = (I, &Arc<T>)> {
        self.rows.entries()
    }

    /// Returns an id that no record had before.
    pub fn next_id(&self) -> I {
        // Ids begin at 1. No limit allows 2^32 records of one noun.
        I::from_number(NonZeroU32::new(self.next).unwrap_or(NonZeroU32::MAX))
    }

    /// Returns the number of [`Self::next_id`], as stored.
    pub fn next_number(&self) -> u32 {
        self.next
    }

    /// Restores the stored counter of a loaded table.
    pub fn set_next_number(&mut self, next: u32) {
        self.next = self.next.max(next);
    }

    pub(in crate::domain) fn get_mut(&mut self, id: I) -> Option<&mut T> {
        self.rows.get_mut(id).map(Arc::make_mut)
    }

    pub(in crate::domain) fn set(&mut self, id: I, value: Option<T>) {
        if value.is_some() {
            self.next = self.next.max(id.index() as u32 + 1);
        }
        self.rows.set(id, value.map(Arc::new));
    }
}

/// Compares the records only: undoing a change does not restore the counter.
impl<I: Numbered, T: Clone + PartialEq> PartialEq for Table<I, T> {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}
