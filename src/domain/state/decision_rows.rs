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

    /// Returns the row, computed first if it is not kept yet. `None` if all rows would take too much memory, or if `compute`
    /// returns `None`. `len` is the length of the row.
    pub fn get_or_compute(
        &self,
        mapping: RoleMappingId,
        set: RoleSetId,
        bounds: Bounds,
        len: usize,
        compute: impl FnOnce() -> Option<Row>,
    ) -> Option<&[Decision]> {
        let mappings = self.grow(&self.by_mapping, bounds.role_mappings)?;
        let rows = self.grow(mappings.get(mapping.index())?, bounds.role_sets)?;
        let place = rows.get(set.index())?;
        if place.get().is_none() {
            // A row for which there is no memory must not be computed for every check.
            self.take(len)?;
            // Two threads may compute the same row.
            if compute().is_none_or(|row| place.set(row).is_err()) {
                self.bytes.fetch_sub(len, Ordering::Relaxed);
            }
        }
        place.get().map(AsRef::as_ref)
    }

    fn grow<'a, T>(&self, lock: &'a OnceLock<Box<[OnceLock<T>]>>, len: usize) -> Option<&'a [OnceLock<T>]> {
        if lock.get().is_none() {
            let bytes = len * size_of::<OnceLock<T>>();
            self.take(bytes)?;
            if lock.set(std::iter::repeat_with(OnceLock::new).take(len).collect()).is_err() {
                self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
        }
        lock.get().map(AsRef::as_ref)
    }

    fn take(&self, bytes: usize) -> Option<()> {
        let taken = |before: usize| before.checked_add(bytes).filter(|&after| after <= BYTES_MAX);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).ok().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_memory_are_neither_kept_nor_computed() {
        let rows = DecisionRows::default();
        let bounds = Bounds { role_mappings: 2, role_sets: 100 };
        let ids = |set: u32| (RoleMappingId::new(1).unwrap(), RoleSetId::new(set).unwrap());
        let len = BYTES_MAX / 10;
        let row = |set, len: usize, decision| {
            let (mapping, set) = ids(set);
            rows.get_or_compute(mapping, set, bounds, len, || Some(vec![decision; len].into())).map(|row| row[0])
        };
        for set in 1..10 {
            assert_eq!(row(set, len, Decision::Allowed), Some(Decision::Allowed));
            assert_eq!(row(set, len, Decision::RoleDisabled), Some(Decision::Allowed), "it is kept");
        }
        let (mapping, set) = ids(11);
        assert!(rows.get_or_compute(mapping, set, bounds, len, || panic!("computed")).is_none());
        assert!(rows.get(mapping, set).is_none());
        assert_eq!(row(11, 1, Decision::Allowed), Some(Decision::Allowed));
        let (mapping, set) = ids(12);
        assert!(rows.get_or_compute(mapping, set, bounds, 1, || None).is_none());
        let many = Bounds { role_sets: BYTES_MAX, ..bounds };
        let other = RoleMappingId::new(1).unwrap();
        assert!(DecisionRows::default().get_or_compute(other, set, many, 1, || panic!("computed")).is_none());
    }
}
