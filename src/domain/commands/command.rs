//! What callers ask to have done. Everything in a command was parsed; whether it may be done is for `decide` to say.

use crate::domain::model::id::{OrgNo, ProjectId};
use crate::domain::model::name::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, UserId};
use crate::domain::model::project::{Environment, RoleStructure};
use crate::domain::model::time::Time;

/// A write.
#[derive(Clone, Debug)]
pub enum Command {
    CreateProject(CreateProject),
    UpdateProject(UpdateProject),
    ConvertRoleStructure(ConvertRoleStructure),
    DeleteProject(DeleteProject),
    CreatePermissions(CreatePermissions),
    UpdatePermission(UpdatePermission),
    DeletePermission(DeletePermission),
    CreateRole(CreateRole),
    UpdateRole(UpdateRole),
    ReorderRoles(ReorderRoles),
    DeleteRole(DeleteRole),
    CreateRoleMapping(CreateRoleMapping),
    UpdateRoleMapping(UpdateRoleMapping),
    PromoteRoleMapping(PromoteRoleMapping),
    DeleteRoleMapping(DeleteRoleMapping),
    CreateOrg(CreateOrg),
    UpdateOrg(UpdateOrg),
    DeleteOrg(DeleteOrg),
    SubscribeOrg(SubscribeOrg),
    BatchSubscribeOrgs(BatchSubscribeOrgs),
    WriteMember(WriteMember),
    BatchWriteMembers(BatchWriteMembers),
    Purge(Purge),
}

#[derive(Clone, Debug)]
pub struct CreateProject {
    pub key: ProjectKey,
    pub display_name: String,
    pub environment: Environment,
    pub role_structure: RoleStructure,
    /// Whether the key of a deleted project may be given anew (S5).
    pub reuse_deleted_key: bool,
}

/// What is `None` stays as it is, here and in every other update.
#[derive(Clone, Debug)]
pub struct UpdateProject {
    pub project: ProjectKey,
    pub etag: Option<String>,
    pub display_name: Option<String>,
    pub default_role: Option<RoleName>,
    pub default_owner_role: Option<RoleName>,
    pub allow_ownerless: bool,
}

/// Lets members hold several roles, or one (P5).
#[derive(Clone, Debug)]
pub struct ConvertRoleStructure {
    pub project: ProjectKey,
    pub etag: Option<String>,
    pub to: RoleStructure,
    /// All roles, highest first; to SINGLE_ROLE only.
    pub order: Vec<RoleName>,
    pub allow_ownerless: bool,
}

#[derive(Clone, Debug)]
pub struct DeleteProject {
    pub project: ProjectKey,
    pub etag: Option<String>,
    /// The key once more (P6).
    pub confirm: String,
    /// Also with orgs in it.
    pub force: bool,
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
pub struct UpdatePermission {
    pub project: ProjectKey,
    pub name: PermissionName,
    pub new_name: Option<PermissionName>,
    pub description: Option<String>,
    /// Those of the old names that are kept (R3), here and in every other update.
    pub aliases: Option<Vec<PermissionName>>,
}

#[derive(Clone, Debug)]
pub struct DeletePermission {
    pub project: ProjectKey,
    pub name: PermissionName,
}

#[derive(Clone, Debug)]
pub struct CreateRole {
    pub project: ProjectKey,
    pub name: RoleName,
    pub description: String,
    pub internal: bool,
    pub place: Place,
    pub disabled_in: Vec<RoleMappingName>,
    /// The roles that it manages in a MULTI_ROLE project, itself perhaps among them (G2).
    pub manages: Vec<RoleName>,
}

/// Where in the order a new role goes (R2).
#[derive(Clone, Debug)]
pub enum Place {
    Last,
    Above(RoleName),
    Below(RoleName),
}

#[derive(Clone, Debug)]
pub struct UpdateRole {
    pub project: ProjectKey,
    pub name: RoleName,
    pub etag: Option<String>,
    pub new_name: Option<RoleName>,
    pub description: Option<String>,
    pub internal: Option<bool>,
    pub aliases: Option<Vec<RoleName>>,
    pub manages: Option<Vec<RoleName>>,
}

#[derive(Clone, Debug)]
pub struct ReorderRoles {
    pub project: ProjectKey,
    /// All roles, highest first.
    pub roles: Vec<RoleName>,
    pub etag: Option<String>,
}

#[derive(Clone, Debug)]
pub struct DeleteRole {
    pub project: ProjectKey,
    pub name: RoleName,
    pub etag: Option<String>,
    /// Who takes its place; not named: the default role, and nothing where the role is internal (R4).
    pub replacement: Option<RoleName>,
}

/// What becomes of those who hold a role when it turns from enabled to disabled for them (M7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnDisabled {
    /// The write is refused.
    #[default]
    Reject,
    /// They get another in its place for good.
    Remap {
        /// Which takes the place of which, all at once.
        replacements: Vec<(RoleName, RoleName)>,
        /// Takes the place of all that `replacements` does not name.
        default_replacement: Option<RoleName>,
    },
    /// They keep it, and it grants nothing; meanwhile they hold another, if one is named.
    Suspend { fallback_role: Option<RoleName> },
}

#[derive(Clone, Debug)]
pub struct CreateRoleMapping {
    pub project: ProjectKey,
    pub name: RoleMappingName,
    pub description: String,
    pub duplicate_of: Option<RoleMappingName>,
    pub edits: RoleMappingEdits,
    pub subscribe: Vec<OrgId>,
    pub on_disabled: OnDisabled,
}

#[derive(Clone, Debug)]
pub struct UpdateRoleMapping {
    pub project: ProjectKey,
    pub name: RoleMappingName,
    pub etag: Option<String>,
    pub new_name: Option<RoleMappingName>,
    pub description: Option<String>,
    pub aliases: Option<Vec<RoleMappingName>>,
    pub edits: RoleMappingEdits,
    pub on_disabled: OnDisabled,
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
pub struct DeleteRoleMapping {
    pub project: ProjectKey,
    pub name: RoleMappingName,
    pub etag: Option<String>,
    pub move_subscribers_to: Option<RoleMappingName>,
    pub on_disabled: OnDisabled,
}

#[derive(Clone, Debug)]
pub struct CreateOrg {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub display_name: String,
    pub metadata: String,
    pub role_mapping: Option<RoleMappingName>,
    /// Gets `default_owner_role` (S4).
    pub creator: Option<UserId>,
    /// Whether the id of a deleted org may be given anew (S5).
    pub reuse_deleted_id: bool,
}

#[derive(Clone, Debug)]
pub struct UpdateOrg {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub display_name: Option<String>,
    pub metadata: Option<String>,
}

#[derive(Clone, Debug)]
pub struct DeleteOrg {
    pub project: ProjectKey,
    pub org_id: OrgId,
}

#[derive(Clone, Debug)]
pub struct SubscribeOrg {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub to: SubscribeTo,
    pub on_disabled: OnDisabled,
}

#[derive(Clone, Debug)]
pub struct BatchSubscribeOrgs {
    pub project: ProjectKey,
    pub org_ids: Vec<OrgId>,
    pub to: SubscribeTo,
    pub on_disabled: OnDisabled,
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
    /// Whether an org may be left without an owner (B3).
    pub allow_ownerless: bool,
}

#[derive(Clone, Debug)]
pub struct BatchWriteMembers {
    pub project: ProjectKey,
    pub rows: Vec<MemberWrite>,
    pub allow_ownerless: bool,
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
    Add(Vec<RoleAssignment>),
    /// Replaces the whole set; at least one role.
    Set(Vec<RoleAssignment>),
    Remove,
}

/// A role as a caller gives it.
#[derive(Clone, Debug)]
pub struct RoleAssignment {
    pub role: RoleName,
    /// Until when. `None`: a role that the member has already keeps its end, a new one has none.
    pub expire_time: Option<Time>,
    /// Takes away the end of a role that the member has already.
    pub permanent: bool,
}

/// Purges some of what is dead; the service itself asks for it.
#[derive(Clone, Debug)]
pub struct Purge {
    pub project: ProjectId,
    /// Memberships of dead orgs, or of role sets without roles. Only the database knows the ids of users.
    pub members: Vec<(OrgNo, UserId)>,
    /// Whether the database has no more of them: then what they hung on goes as well.
    pub last: bool,
}

impl Command {
    /// The RPC by which a command is asked for, as the history names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreateProject(_) => "CreateProject",
            Self::UpdateProject(_) => "UpdateProject",
            Self::ConvertRoleStructure(_) => "ConvertRoleStructure",
            Self::DeleteProject(_) => "DeleteProject",
            Self::CreatePermissions(CreatePermissions { batch: true, .. }) => "BatchCreatePermissions",
            Self::CreatePermissions(_) => "CreatePermission",
            Self::UpdatePermission(_) => "UpdatePermission",
            Self::DeletePermission(_) => "DeletePermission",
            Self::CreateRole(_) => "CreateRole",
            Self::UpdateRole(_) => "UpdateRole",
            Self::ReorderRoles(_) => "ReorderRoles",
            Self::DeleteRole(_) => "DeleteRole",
            Self::CreateRoleMapping(_) => "CreateRoleMapping",
            Self::UpdateRoleMapping(_) => "UpdateRoleMapping",
            Self::PromoteRoleMapping(_) => "PromoteRoleMapping",
            Self::DeleteRoleMapping(_) => "DeleteRoleMapping",
            Self::CreateOrg(_) => "CreateOrg",
            Self::UpdateOrg(_) => "UpdateOrg",
            Self::DeleteOrg(_) => "DeleteOrg",
            Self::SubscribeOrg(_) => "SubscribeOrg",
            Self::BatchSubscribeOrgs(_) => "BatchSubscribeOrgs",
            Self::WriteMember(WriteMember { row, .. }) => match row.write {
                Write::Add(_) => "AddMember",
                Write::Set(_) => "SetMemberRoles",
                Write::Remove => "RemoveMember",
            },
            Self::BatchWriteMembers(_) => "BatchWriteMembers",
            Self::Purge(_) => "Purge",
        }
    }

    /// The project that a command is of; none where it makes one, or is none of a caller's.
    pub fn project(&self) -> Option<&ProjectKey> {
        match self {
            Self::CreateProject(_) | Self::Purge(_) => None,
            Self::UpdateProject(command) => Some(&command.project),
            Self::ConvertRoleStructure(command) => Some(&command.project),
            Self::DeleteProject(command) => Some(&command.project),
            Self::CreatePermissions(command) => Some(&command.project),
            Self::UpdatePermission(command) => Some(&command.project),
            Self::DeletePermission(command) => Some(&command.project),
            Self::CreateRole(command) => Some(&command.project),
            Self::UpdateRole(command) => Some(&command.project),
            Self::ReorderRoles(command) => Some(&command.project),
            Self::DeleteRole(command) => Some(&command.project),
            Self::CreateRoleMapping(command) => Some(&command.project),
            Self::UpdateRoleMapping(command) => Some(&command.project),
            Self::PromoteRoleMapping(command) => Some(&command.project),
            Self::DeleteRoleMapping(command) => Some(&command.project),
            Self::CreateOrg(command) => Some(&command.project),
            Self::UpdateOrg(command) => Some(&command.project),
            Self::DeleteOrg(command) => Some(&command.project),
            Self::SubscribeOrg(command) => Some(&command.project),
            Self::BatchSubscribeOrgs(command) => Some(&command.project),
            Self::WriteMember(command) => Some(&command.project),
            Self::BatchWriteMembers(command) => Some(&command.project),
        }
    }

    /// Whether it can be written on behalf of an end user (G1).
    pub fn takes_acting_user(&self) -> bool {
        matches!(self, Self::WriteMember(_) | Self::UpdateOrg(_) | Self::DeleteOrg(_))
    }

    /// Roughly how many rows deciding and storing it costs; groups are cut by it. What may touch any number of rows, or
    /// look through all memberships of a project, commits alone; looking through those of one org counts for some.
    pub fn weight(&self) -> usize {
        use crate::limits::{GROUP_ROWS_MAX, ORG_ROWS};
        match self {
            Self::CreatePermissions(command) => command.permissions.len().max(1),
            Self::UpdateRoleMapping(command) if command.edits.is_empty() => 1,
            Self::CreateRoleMapping(CreateRoleMapping { duplicate_of: None, subscribe, edits, .. })
                if subscribe.is_empty() =>
            {
                1 + edits.weight()
            }
            Self::UpdateRole(UpdateRole { internal: None, manages: None, .. })
            | Self::UpdateProject(UpdateProject { default_owner_role: None, .. }) => 1,
            Self::CreateRoleMapping(_)
            | Self::UpdateRoleMapping(_)
            | Self::UpdateRole(_)
            | Self::UpdateProject(_)
            | Self::ConvertRoleStructure(_)
            | Self::DeleteProject(_)
            | Self::DeletePermission(_)
            | Self::ReorderRoles(_)
            | Self::DeleteRole(_)
            | Self::BatchSubscribeOrgs(_)
            | Self::DeleteRoleMapping(_) => GROUP_ROWS_MAX,
            Self::SubscribeOrg(_) | Self::DeleteOrg(_) => ORG_ROWS,
            Self::BatchWriteMembers(command) => command.rows.len().max(1),
            // The last of a project looks for role sets that somebody still has.
            Self::Purge(command) if command.last => GROUP_ROWS_MAX,
            Self::Purge(command) => command.members.len().max(1),
            _ => 1,
        }
    }
}

impl RoleMappingEdits {
    fn is_empty(&self) -> bool {
        self.grants.is_empty() && self.enable.is_empty() && self.disable.is_empty()
    }

    fn weight(&self) -> usize {
        let grants = self.grants.iter().map(|grant| 1 + grant.add.len() + grant.remove.len()).sum::<usize>();
        grants + self.enable.len() + self.disable.len()
    }
}
