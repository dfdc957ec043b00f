//! TODO doc

use std::sync::Arc;

use crate::domain::model::id::RoleId;
use crate::domain::model::name::RoleMappingName;
use crate::domain::model::time::Time;

/// What a role mapping says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleMappingRecord {
    pub name: RoleMappingName,
    pub description: Box<str>,
    /// The roles that grant nothing in orgs of this mapping (M3), ascending by id.
    pub disabled_roles: Arc<[RoleId]>,
    pub create_time: Time,
    /// Its old names, oldest first (R3).
    pub aliases: Arc<[RoleMappingName]>,
    /// How often it or one of its rows was changed (M9).
    pub version: u32,
}
