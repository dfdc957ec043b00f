//! TODO doc

use std::sync::Arc;

use crate::domain::model::id::RoleId;
use crate::domain::model::name::RoleName;
use crate::domain::model::time::Time;

/// A role of a project.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    pub name: RoleName,
    pub description: Box<str>,
    /// For the product's own staff; customers never see it.
    pub internal: bool,
    /// The place in the order: the lower the number, the higher the role. Only the comparison means something.
    pub rank: u64,
    pub create_time: Time,
    /// Its old names, oldest first (R3).
    pub aliases: Arc<[RoleName]>,
    /// How often it was changed, its rank aside (M9).
    pub version: u32,
    /// The roles that it manages in a MULTI_ROLE project, ascending by id (G2); none in a SINGLE_ROLE one.
    pub manages: Arc<[RoleId]>,
}

/// The distance between neighbours when there is room: 32 roles can go between two before the order is numbered anew.
pub const RANK_STEP: u64 = 1 << 32;

/// The rank of the role at a position (0 is the highest) of an order numbered from the start.
pub fn rank_at(position: usize) -> u64 {
    RANK_STEP * (position as u64 + 1)
}
