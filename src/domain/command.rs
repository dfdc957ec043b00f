//! What callers ask to have done. Everything in a command was parsed; whether it may be done is for `decide` to say.

use std::sync::Arc;

use super::Time;
use super::name::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, UserId};
use super::project::{Environment, RoleStructure};

/// A write.
#[derive(Clone, Debug)]
pub enum Command {
    CreateProject(CreateProject),
    CreatePermissions(CreatePermissions),
    CreateRole(CreateRole),
    CreateRoleMapping(CreateRoleMapping),
    UpdateRoleMapping(UpdateRoleMapping),
    PromoteRoleMapping(PromoteRoleMapping),
    CreateOrg(CreateOrg),
    SubscribeOrg(SubscribeOrg),
    WriteMember(WriteMember),
    BatchWriteMembers(BatchWriteMembers),
}

#[derive(Clone, Debug)]
pub struct CreateProject {
    pub key: ProjectKey,
    pub display_name: String,
    pub environment: Environment,
    pub role_structure: RoleStructure,
}

#[derive(Clone, Debug)]
pub struct CreatePermissions {
    pub project: ProjectKey,
    pub permissions: Vec<NewPermission>,
    /// Whether the caller asked for a list: then a refusal names the row.
    pub batch: bool,
}

#[derive(Clone, Debug)]
pub struct NewPermission {
    pub name: PermissionName,
    pub description: String,
}

#[derive(Clone, Debug)]
pub struct CreateRole {
    pub project: ProjectKey,
    pub name: RoleName,
    pub description: String,
    pub internal: bool,
    pub place: Place,
    pub disabled_in: Vec<RoleMappingName>,
}

/// Where in the order a new role goes (R2).
#[derive(Clone, Debug)]
pub enum Place {
    Last,
    Above(RoleName),
    Below(RoleName),
}

#[derive(Clone, Debug)]
pub struct CreateRoleMapping {
    pub project: ProjectKey,
    pub name: RoleMappingName,
    pub description: String,
    pub duplicate_of: Option<RoleMappingName>,
    pub edits: RoleMappingEdits,
    pub subscribe: Vec<OrgId>,
}

#[derive(Clone, Debug)]
pub struct UpdateRoleMapping {
    pub project: ProjectKey,
    pub name: RoleMappingName,
    pub edits: RoleMappingEdits,
}

#[derive(Clone, Debug, Default)]
pub struct RoleMappingEdits {
    pub grants: Vec<GrantEdit>,
    pub enable: Vec<RoleName>,
    pub disable: Vec<RoleName>,
}

#[derive(Clone, Debug)]
pub struct GrantEdit {
    pub role: RoleName,
    pub add: Vec<PermissionName>,
    pub remove: Vec<PermissionName>,
}

#[derive(Clone, Debug)]
pub struct PromoteRoleMapping {
    pub project: ProjectKey,
    pub name: RoleMappingName,
}

#[derive(Clone, Debug)]
pub struct CreateOrg {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub display_name: String,
    pub metadata: String,
    pub role_mapping: Option<RoleMappingName>,
}

#[derive(Clone, Debug)]
pub struct SubscribeOrg {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub to: SubscribeTo,
}

#[derive(Clone, Debug)]
pub enum SubscribeTo {
    RoleMapping(RoleMappingName),
    Default,
}

#[derive(Clone, Debug)]
pub struct WriteMember {
    pub project: ProjectKey,
    pub row: MemberWrite,
}

#[derive(Clone, Debug)]
pub struct BatchWriteMembers {
    pub project: ProjectKey,
    pub rows: Vec<MemberWrite>,
}

#[derive(Clone, Debug)]
pub struct MemberWrite {
    pub org_id: OrgId,
    pub user_id: UserId,
    pub write: Write,
}

#[derive(Clone, Debug)]
pub enum Write {
    /// No role given means the project's `default_role`.
    Add(Vec<GivenRole>),
    /// Replaces the whole set; at least one role.
    Set(Vec<GivenRole>),
    Remove,
}

/// A role as a caller gives it.
#[derive(Clone, Debug)]
pub struct GivenRole {
    pub role: RoleName,
    /// Until when. `None`: a role that the member has already keeps its end, a new one has none.
    pub until: Option<Time>,
    /// Takes away the end of a role that the member has already.
    pub permanent: bool,
}

/// Who calls, as far as it is recorded.
pub type Actor = Arc<str>;

/// The actor of what the service does by itself; no caller may call itself so.
pub const SYSTEM: &str = "system";

/// Names a write that may be repeated (A4).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey {
    pub caller: Actor,
    pub request_id: Arc<str>,
}

/// What is recorded of the call beside the command.
#[derive(Clone, Debug)]
pub struct Call {
    pub actor: Actor,
    pub request: Option<RequestKey>,
    /// Of the whole request; only compared where there is a request key.
    pub fingerprint: u128,
    pub reason: Arc<str>,
}

impl Command {
    /// The RPC by which a command is asked for, as the history names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreateProject(_) => "CreateProject",
            Self::CreatePermissions(CreatePermissions { batch: true, .. }) => "BatchCreatePermissions",
            Self::CreatePermissions(_) => "CreatePermission",
            Self::CreateRole(_) => "CreateRole",
            Self::CreateRoleMapping(_) => "CreateRoleMapping",
            Self::UpdateRoleMapping(_) => "UpdateRoleMapping",
            Self::PromoteRoleMapping(_) => "PromoteRoleMapping",
            Self::CreateOrg(_) => "CreateOrg",
            Self::SubscribeOrg(_) => "SubscribeOrg",
            Self::WriteMember(WriteMember { row, .. }) => match row.write {
                Write::Add(_) => "AddMember",
                Write::Set(_) => "SetMemberRoles",
                Write::Remove => "RemoveMember",
            },
            Self::BatchWriteMembers(_) => "BatchWriteMembers",
        }
    }

    /// Roughly how many rows deciding and storing it costs; groups are cut by it.
    pub fn weight(&self) -> usize {
        match self {
            Self::CreatePermissions(command) => command.permissions.len().max(1),
            // A duplicate's rows are not known before it is decided: it commits alone.
            Self::CreateRoleMapping(CreateRoleMapping { duplicate_of: Some(_), .. }) => crate::limits::GROUP_ROWS_MAX,
            Self::CreateRoleMapping(command) => 1 + command.edits.weight() + command.subscribe.len(),
            Self::UpdateRoleMapping(command) => 1 + command.edits.weight(),
            Self::BatchWriteMembers(command) => command.rows.len().max(1),
            _ => 1,
        }
    }
}

impl RoleMappingEdits {
    fn weight(&self) -> usize {
        let grants = self.grants.iter().map(|grant| 1 + grant.add.len() + grant.remove.len()).sum::<usize>();
        grants + self.enable.len() + self.disable.len()
    }
}
