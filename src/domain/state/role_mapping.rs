//! A role mapping with its rows.

use std::sync::Arc;

use crate::domain::collections::pages::Pages;
use crate::domain::model::id::RoleId;
use crate::domain::model::permission::PermissionSet;
use crate::domain::model::role_mapping::RoleMappingRecord;

#[derive(Clone, PartialEq)]
pub struct RoleMapping {
    pub record: RoleMappingRecord,
    /// The permissions of each role. A role without a row grants nothing. Duplicates of this mapping share the rows.
    pub rows: Pages<Arc<PermissionSet>>,
    /// Counts the pairs of role and permission in the rows.
    pub grants: u64,
    /// Counts the existing orgs that are subscribed to it (S3).
    pub subscribers: u32,
}

impl RoleMapping {
    #[inline]
    pub fn enabled(&self, role: RoleId) -> bool {
        self.record.disabled_roles.binary_search(&role).is_err()
    }

    /// Returns the permissions in a role's row, even if the role is disabled.
    #[inline]
    pub fn row(&self, role: RoleId) -> Option<&PermissionSet> {
        self.rows.get(role).map(Arc::as_ref)
    }
}
