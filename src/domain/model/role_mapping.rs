//! The record of a role mapping (M1, M3).

use std::sync::Arc;

use crate::domain::model::id::RoleId;
use crate::domain::model::name::RoleMappingName;
use crate::domain::model::time::Time;

#[derive(Clone, Debug, PartialEq)]
pub struct RoleMappingRecord {
    pub name: RoleMappingName,
    pub description: Box<str>,
    /// The roles that grant nothing in orgs of this mapping (M3), ascending by id.
    pub disabled_roles: Arc<[RoleId]>,
    pub create_time: Time,
    /// The old names, oldest first (R3).
    pub aliases: Arc<[RoleMappingName]>,
    /// Counts the changes of the mapping and its rows (M9).
    pub version: u32,
}
