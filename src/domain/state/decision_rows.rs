//! Decisions that depend only on role mapping, role set and permission, once they are computed. Checks read them without
//! a lock. Any change of roles, role sets, permissions or role mappings drops them all.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::domain::collections::numbered::Numbered;
use crate::domain::model::decision::Decision;
use crate::domain::model::id::{RoleMappingId, RoleSetId};

/// Bytes that the decisions of one project take at most.
const BYTES_MAX: usize = 8 << 20;

/// The decisions on every permission, by its number.
pub type Row = Box<[Decision]>;

type RowsOfMapping = Box<[OnceLock<Row>]>;

/// See the module.
#[derive(Default)]
pub struct DecisionRows {
    by_mapping: OnceLock<Box<[OnceLock<RowsOfMapping>]>>,
    bytes: AtomicUsize,
}

/// The numbers that follow those of a project's records: they bound the rows.
#[derive(Clone, Copy)]
pub struct Bounds {
    pub role_mappings: usize,
    pub role_sets: usize,
}

impl DecisionRows {
    #[inline]
    pub fn get(&self, mapping: RoleMappingId, set: RoleSetId) -> Option<&[Decision]> {
        let rows = self.by_mapping.get()?.get(mapping.index())?.get()?;
        rows.get(set.index())?.get().map(AsRef::as_ref)
    }

    /// Keeps a row and returns it. `None` if all rows would take too many bytes. Two threads may compute the same row.
    pub fn keep(&self, mapping: RoleMappingId, set: RoleSetId, bounds: Bounds, row: Row) -> Option<&[Decision]> {
        let mappings = self.grow(&self.by_mapping, bounds.role_mappings)?;
        let rows = self.grow(mappings.get(mapping.index())?, bounds.role_sets)?;
        let place = rows.get(set.index())?;
        if place.get().is_none() {
            self.take(row.len())?;
            let _ = place.set(row);
        }
        place.get().map(AsRef::as_ref)
    }

    fn grow<'a, T>(&self, lock: &'a OnceLock<Box<[OnceLock<T>]>>, len: usize) -> Option<&'a [OnceLock<T>]> {
        if lock.get().is_none() {
            self.take(len * size_of::<OnceLock<T>>())?;
            let _ = lock.set(std::iter::repeat_with(OnceLock::new).take(len).collect());
        }
        lock.get().map(AsRef::as_ref)
    }

    fn take(&self, bytes: usize) -> Option<()> {
        let taken = |before: usize| before.checked_add(bytes).filter(|&after| after <= BYTES_MAX);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).ok().map(|_| ())
    }

    /// Returns true if no row is kept.
    pub fn is_empty(&self) -> bool {
        self.by_mapping.get().is_none()
    }
}
