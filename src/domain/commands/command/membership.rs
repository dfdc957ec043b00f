//! The commands of memberships (B1 to B3).

use crate::domain::model::name::{OrgId, ProjectKey, RoleName, UserId};
use crate::domain::model::time::Time;

#[derive(Clone, Debug)]
pub struct WriteMember {
    pub project: ProjectKey,
    pub row: MemberWrite,
    /// Allows the org to be left without an owner (B3).
    pub allow_ownerless: bool,
    /// Keeps the pending invitations of a removed inviter (V6), here and in the batch.
    pub keep_invitations: bool,
}

#[derive(Clone, Debug)]
pub struct BatchWriteMembers {
    pub project: ProjectKey,
    pub rows: Vec<MemberWrite>,
    pub allow_ownerless: bool,
    pub keep_invitations: bool,
}

#[derive(Clone, Debug)]
pub struct MemberWrite {
    pub org_id: OrgId,
    pub user_id: UserId,
    pub write: Write,
}

#[derive(Clone, Debug)]
pub enum Write {
    /// An empty list means the `default_role` of the project.
    Add(Vec<RoleAssignment>),
    /// Replaces all roles. At least one role.
    Set(Vec<RoleAssignment>),
    Remove,
}

#[derive(Clone, Debug)]
pub struct RoleAssignment {
    pub role: RoleName,
    /// `None` keeps the expiry of a role that the member has. A new role is then permanent.
    pub expire_time: Option<Time>,
    /// Makes a temporary role of the member permanent.
    pub permanent: bool,
}
