//! The rows of role mappings as reads show them, and how two mappings differ (M8).

use crate::domain::model::id::RoleId;
use crate::domain::model::name::PermissionName;
use crate::domain::model::permission::PermissionSet;
use crate::domain::state::project::Project;
use crate::domain::state::role_mapping::RoleMapping;

/// How one role differs between two role mappings.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleDiff {
    pub role: RoleId,
    pub enabled_left: bool,
    pub enabled_right: bool,
    pub only_left: PermissionSet,
    pub only_right: PermissionSet,
    pub both: PermissionSet,
}

impl RoleDiff {
    pub fn is_different(&self) -> bool {
        self.enabled_left != self.enabled_right || !self.only_left.is_empty() || !self.only_right.is_empty()
    }
}

impl Project {
    /// Compares the rows of one role in two mappings.
    pub fn role_diff(&self, role: RoleId, left: &RoleMapping, right: &RoleMapping) -> RoleDiff {
        let row = |mapping: &RoleMapping| mapping.rows.get(role).cloned().unwrap_or_default();
        let (row_left, row_right) = (row(left), row(right));
        // Duplicated mappings share the rows that nothing changed since.
        let (only_left, only_right, both) = if row_left == row_right {
            (PermissionSet::default(), PermissionSet::default(), (*row_left).clone())
        } else {
            let only_left = row_left.without(&row_right);
            let both = row_left.without(&only_left);
            (only_left, row_right.without(&row_left), both)
        };
        RoleDiff {
            role,
            enabled_left: left.enabled(role),
            enabled_right: right.enabled(role),
            only_left,
            only_right,
            both,
        }
    }

    /// Returns roles in the order of the roles.
    pub fn in_role_order(&self, roles: &[RoleId]) -> Vec<RoleId> {
        let mut ordered = roles.to_vec();
        ordered.sort_by_key(|&role| self.roles.get(role).map(|role| role.rank));
        ordered
    }

    /// Returns the names of permissions in the order of their bytes.
    pub fn permission_names(&self, permissions: &PermissionSet) -> Vec<PermissionName> {
        let named = permissions.iter().filter_map(|id| self.permissions.get(id));
        let mut names: Vec<PermissionName> = named.map(|permission| permission.name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// Returns the roles from the highest to the lowest, those after a place in the order: below this rank or, where
    /// ranks are equal, above this id.
    pub fn roles_after(&self, place: Option<(u64, RoleId)>) -> &[RoleId] {
        let place_of = |role: RoleId| (self.roles.get(role).map_or(0, |role| role.rank), role);
        let start = place.map_or(0, |place| self.role_order.partition_point(|&role| place_of(role) <= place));
        &self.role_order[start..]
    }
}
