//! The command that makes a project's configuration as a document says.

use crate::domain::commands::command::role_mapping::OnDisabled;
use crate::domain::model::name::{PermissionName, ProjectKey, RoleMappingName, RoleName};
use crate::domain::model::project::RoleStructure;

/// Changes the permissions, roles, role mappings and settings of a project to those given, all or none.
#[derive(Clone, Debug)]
pub struct ApplyConfiguration {
    pub project: ProjectKey,
    /// The etag of the configuration that the caller compared with.
    pub etag: Option<String>,
    /// `None` keeps it, as for the role structure.
    pub display_name: Option<String>,
    pub role_structure: Option<RoleStructure>,
    pub default_role: RoleName,
    pub default_owner_role: RoleName,
    pub default_role_mapping: RoleMappingName,
    pub permissions: Vec<WantedPermission>,
    /// Highest first.
    pub roles: Vec<WantedRole>,
    pub role_mappings: Vec<WantedRoleMapping>,
    pub deleted_permissions: Vec<PermissionName>,
    pub deleted_roles: Vec<DeletedRole>,
    pub deleted_role_mappings: Vec<DeletedRoleMapping>,
    /// Deletes what the configuration does not name.
    pub prune: bool,
    pub allow_ownerless: bool,
}

/// The names that an object shall have.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedNames<N> {
    pub name: N,
    /// The aliases to have besides `renamed_from`. Others are dropped only by `prune`.
    pub aliases: Vec<N>,
    /// The present name of the object. Ignored once the object has its new name.
    pub renamed_from: Option<N>,
}

#[derive(Clone, Debug)]
pub struct WantedPermission {
    pub names: WantedNames<PermissionName>,
    pub description: String,
}

#[derive(Clone, Debug)]
pub struct WantedRole {
    pub names: WantedNames<RoleName>,
    pub description: String,
    pub internal: bool,
    pub manages: Vec<RoleName>,
}

#[derive(Clone, Debug)]
pub struct WantedRoleMapping {
    pub names: WantedNames<RoleMappingName>,
    pub description: String,
    pub disabled_roles: Vec<RoleName>,
    /// What each role grants. A role of the configuration without an entry grants nothing.
    pub grants: Vec<(RoleName, Vec<PermissionName>)>,
    pub on_disabled: OnDisabled,
}

/// A role to delete, if it still exists.
#[derive(Clone, Debug)]
pub struct DeletedRole {
    pub name: RoleName,
    pub replacement: Option<RoleName>,
}

/// A role mapping to delete, if it still exists.
#[derive(Clone, Debug)]
pub struct DeletedRoleMapping {
    pub name: RoleMappingName,
    pub move_subscribers_to: Option<RoleMappingName>,
    pub on_disabled: OnDisabled,
}
