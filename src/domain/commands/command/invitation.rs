//! The commands of invitations (V1 to V6).

use crate::domain::commands::command::membership::RoleAssignment;
use crate::domain::model::email::EmailAddress;
use crate::domain::model::invitation::InvitationId;
use crate::domain::model::name::{OrgId, ProjectKey, UserId};
use crate::domain::model::time::Time;

#[derive(Clone, Debug)]
pub struct CreateInvitations {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub rows: Vec<NewInvitation>,
    /// True for a batch request, which answers for each row.
    pub batch: bool,
}

#[derive(Clone, Debug)]
pub struct NewInvitation {
    pub id: InvitationId,
    pub email: EmailAddress,
    /// Permanent roles. An empty list means the `default_role` of the project.
    pub roles: Vec<RoleAssignment>,
    /// `None` is the default expiry (V1).
    pub expire_time: Option<Time>,
    /// Revokes a pending invitation of the address.
    pub replace: bool,
}

#[derive(Clone, Debug)]
pub struct RevokeInvitation {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub id: InvitationId,
}

#[derive(Clone, Debug)]
pub struct AcceptInvitation {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub id: InvitationId,
    pub user_id: UserId,
    pub email: EmailAddress,
    /// True if the caller has verified that the address is the user's.
    pub email_verified: bool,
}
