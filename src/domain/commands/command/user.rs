//! The commands of users (U1, U2).

use crate::domain::model::name::{ProjectKey, UserId};

/// Blocks a user in the project (U1).
#[derive(Clone, Debug)]
pub struct BlockUser {
    pub project: ProjectKey,
    pub user_id: UserId,
}

#[derive(Clone, Debug)]
pub struct UnblockUser {
    pub project: ProjectKey,
    pub user_id: UserId,
}

/// Removes a user from every org (U2).
#[derive(Clone, Debug)]
pub struct DeleteUser {
    pub project: ProjectKey,
    pub user_id: UserId,
    /// Does not revoke the pending invitations that the user made as an acting user (V6).
    pub keep_invitations: bool,
}
