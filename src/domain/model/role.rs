//! The record of a role (R1, R2, R10).

use std::sync::Arc;

use crate::domain::model::id::RoleId;
use crate::domain::model::name::RoleName;
use crate::domain::model::time::Time;

#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    pub name: RoleName,
    pub description: Box<str>,
    pub internal: bool,
    /// The place in the order: the lower the number, the higher the role. Only comparisons are meaningful.
    pub rank: u64,
    pub create_time: Time,
    /// The old names, oldest first (R3).
    pub aliases: Arc<[RoleName]>,
    /// Counts the changes, except those of the rank (M9).
    pub version: u32,
    /// The roles that it manages in a MULTI_ROLE project, ascending by id (G2). Empty in a SINGLE_ROLE project.
    pub manages: Arc<[RoleId]>,
}

/// The distance between neighbours after renumbering: 32 roles fit between two before the next renumbering.
pub const RANK_STEP: u64 = 1 << 32;

/// Returns the rank of the role at a position of a renumbered order. 0 is the highest position.
pub fn rank_at(position: usize) -> u64 {
    RANK_STEP * (position as u64 + 1)
}
