//! TODO doc

use std::sync::Arc;

use crate::domain::collections::pages::Pages;
use crate::domain::model::id::RoleId;
use crate::domain::model::permission::PermissionSet;
use crate::domain::model::role_mapping::RoleMappingRecord;

/// A role mapping with its rows.
#[derive(Clone, PartialEq)]
pub struct RoleMapping {
    pub record: RoleMappingRecord,
    /// What each role grants; a role without a row grants nothing. Rows are shared with duplicates of this mapping.
    pub rows: Pages<Arc<PermissionSet>>,
    /// How many living orgs are subscribed to it (S3).
    pub subscribers: u32,
}

impl RoleMapping {
    #[inline]
    pub fn enabled(&self, role: RoleId) -> bool {
        self.record.disabled_roles.binary_search(&role).is_err()
    }

    /// The permissions in a role's row, whether the role is enabled or not.
    #[inline]
    pub fn row(&self, role: RoleId) -> Option<&PermissionSet> {
        self.rows.get(role).map(Arc::as_ref)
    }

    pub fn grant_count(&self) -> usize {
        self.rows.iter().map(|row| row.len()).sum()
    }
}
