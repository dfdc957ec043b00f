//! The record of a project (P1).

use crate::domain::model::id::{RoleId, RoleMappingId};
use crate::domain::model::lifecycle::Lifecycle;
use crate::domain::model::name::ProjectKey;
use crate::domain::model::time::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    Test,
    Live,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleStructure {
    SingleRole,
    MultiRole,
}

/// The key reserved for the project of the operators (W1).
pub const WORKSPACE: &str = "workspace";

/// The one org of the workspace. Its members are the operators.
pub const TEAM: &str = "team";

/// The operator whose keys open an empty store (W9).
pub const BOOTSTRAP: &str = "bootstrap";

#[derive(Clone, Debug, PartialEq)]
pub struct ProjectRecord {
    pub key: ProjectKey,
    pub display_name: Box<str>,
    pub environment: Environment,
    pub role_structure: RoleStructure,
    pub default_role: RoleId,
    pub default_owner_role: RoleId,
    pub default_role_mapping: RoleMappingId,
    pub create_time: Time,
    /// Counts the changes of the other fields (M9).
    pub version: u32,
    /// Counts the changes of the ranks of existing roles. Part of the etag of the order (M9).
    pub role_order_version: u32,
    pub lifecycle: Lifecycle,
}
