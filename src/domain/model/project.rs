//! TODO doc

use crate::domain::model::id::{RoleId, RoleMappingId};
use crate::domain::model::lifecycle::Lifecycle;
use crate::domain::model::name::ProjectKey;
use crate::domain::model::time::Time;

/// Where a project's customers are real or not (P1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    Test,
    Live,
}

/// Whether a member holds one role or several (P1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleStructure {
    SingleRole,
    MultiRole,
}

/// The key of the project that will hold the operators of the installation (W1): nobody else gets it.
pub const WORKSPACE: &str = "workspace";

/// What a project says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectRecord {
    pub key: ProjectKey,
    pub display_name: Box<str>,
    pub environment: Environment,
    pub role_structure: RoleStructure,
    /// What a new member holds if nobody says otherwise.
    pub default_role: RoleId,
    /// What the creator of an org holds.
    pub default_owner_role: RoleId,
    /// What a new org is subscribed to if nobody says otherwise (M1: always exactly one).
    pub default_role_mapping: RoleMappingId,
    pub create_time: Time,
    /// How often its own fields were changed (M9).
    pub version: u32,
    /// How often roles that were there got other ranks: part of the etag of their order (M9).
    pub role_order_version: u32,
    pub lifecycle: Lifecycle,
}
