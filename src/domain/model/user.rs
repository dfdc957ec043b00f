//! Users, who exist by being mentioned (U1).

use crate::domain::model::time::Time;

/// The block of a user in a project (U1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub block_time: Time,
}
