//! The commands of roles (R1 to R10).

use crate::domain::model::name::{PermissionName, ProjectKey, RoleMappingName, RoleName};

/// Creates roles below all others, the highest first.
#[derive(Clone, Debug)]
pub struct BatchCreateRoles {
    pub project: ProjectKey,
    pub roles: Vec<NewRole>,
}

#[derive(Clone, Debug)]
pub struct NewRole {
    pub name: RoleName,
    pub description: String,
    pub internal: bool,
    pub disabled_in: Vec<RoleMappingName>,
    /// The roles that it manages in a MULTI_ROLE project (G2). It may name itself and earlier roles.
    pub manages: Vec<RoleName>,
    /// What it grants in each mapping.
    pub grants: Vec<(RoleMappingName, Vec<PermissionName>)>,
}

#[derive(Clone, Debug)]
pub struct CreateRole {
    pub project: ProjectKey,
    pub name: RoleName,
    pub description: String,
    pub internal: bool,
    pub place: Place,
    pub disabled_in: Vec<RoleMappingName>,
    /// The roles that it manages in a MULTI_ROLE project (G2). It may name itself.
    pub manages: Vec<RoleName>,
}

/// The position of a new role in the order (R2).
#[derive(Clone, Debug)]
pub enum Place {
    Last,
    Above(RoleName),
    Below(RoleName),
}

#[derive(Clone, Debug)]
pub struct UpdateRole {
    pub project: ProjectKey,
    pub name: RoleName,
    pub etag: Option<String>,
    pub new_name: Option<RoleName>,
    pub description: Option<String>,
    pub internal: Option<bool>,
    pub aliases: Option<Vec<RoleName>>,
    pub manages: Option<Vec<RoleName>>,
}

#[derive(Clone, Debug)]
pub struct ReorderRoles {
    pub project: ProjectKey,
    /// All roles, highest first.
    pub roles: Vec<RoleName>,
    pub etag: Option<String>,
}

#[derive(Clone, Debug)]
pub struct DeleteRole {
    pub project: ProjectKey,
    pub name: RoleName,
    pub etag: Option<String>,
    /// `None` is the default role, for an internal role no replacement (R4).
    pub replacement: Option<RoleName>,
}
