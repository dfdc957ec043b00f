//! The commands of permissions (R3, R7).

use crate::domain::model::name::{PermissionName, ProjectKey};

#[derive(Clone, Debug)]
pub struct CreatePermissions {
    pub project: ProjectKey,
    pub permissions: Vec<NewPermission>,
    /// True for a batch request, whose refusals name the row.
    pub batch: bool,
}

#[derive(Clone, Debug)]
pub struct NewPermission {
    pub name: PermissionName,
    pub description: String,
}

#[derive(Clone, Debug)]
pub struct UpdatePermission {
    pub project: ProjectKey,
    pub name: PermissionName,
    pub new_name: Option<PermissionName>,
    pub description: Option<String>,
    /// The aliases to keep (R3), here and in every other update.
    pub aliases: Option<Vec<PermissionName>>,
}

#[derive(Clone, Debug)]
pub struct DeletePermission {
    pub project: ProjectKey,
    pub name: PermissionName,
}
