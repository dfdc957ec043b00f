//! The commands of projects (P1 to P6).

use crate::domain::model::name::{ProjectKey, RoleName};
use crate::domain::model::project::{Environment, RoleStructure};
use crate::domain::model::template::Template;

#[derive(Clone, Debug)]
pub struct CreateProject {
    pub key: ProjectKey,
    pub display_name: String,
    pub environment: Environment,
    pub role_structure: RoleStructure,
    /// Allows the key of a deleted project (S5).
    pub reuse_deleted_key: bool,
    pub template: &'static Template,
    /// The name of the first role of the template. `None` keeps the name that the template gives it.
    pub owner_role: Option<RoleName>,
}

/// A field that is `None` does not change, here and in every other update.
#[derive(Clone, Debug)]
pub struct UpdateProject {
    pub project: ProjectKey,
    pub etag: Option<String>,
    pub display_name: Option<String>,
    pub default_role: Option<RoleName>,
    pub default_owner_role: Option<RoleName>,
    pub allow_ownerless: bool,
}

/// Converts between SINGLE_ROLE and MULTI_ROLE (P5).
#[derive(Clone, Debug)]
pub struct ConvertRoleStructure {
    pub project: ProjectKey,
    pub etag: Option<String>,
    pub to: RoleStructure,
    /// All roles, highest first. Only for SINGLE_ROLE.
    pub order: Vec<RoleName>,
    pub allow_ownerless: bool,
}

#[derive(Clone, Debug)]
pub struct DeleteProject {
    pub project: ProjectKey,
    pub etag: Option<String>,
    /// Must repeat the key (P6).
    pub confirm: String,
    /// Deletes the project even if it has orgs.
    pub force: bool,
}
