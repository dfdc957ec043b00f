//! The commands of callers. All their fields are parsed; `decide` accepts or refuses them.

use crate::domain::model::email::{EmailAddress, EmailDomain};
use crate::domain::model::id::{OrgNo, ProjectId};
use crate::domain::model::invitation::InvitationId;
use crate::domain::model::name::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, UserId};
use crate::domain::model::project::{Environment, RoleStructure};
use crate::domain::model::template::Template;
use crate::domain::model::time::Time;

/// Defines `Command`: the commands of a project that has to exist, and `CreateProject` and `Purge`.
macro_rules! commands {
    ($($command:ident)*) => {
        #[derive(Clone, Debug)]
        pub enum Command {
            CreateProject(CreateProject),
            Purge(Purge),
            $($command($command),)*
        }

        impl Command {
            /// Returns the name of the RPC, as the history records it.
            pub fn kind(&self) -> &'static str {
                match self {
                    Self::CreatePermissions(command) if command.batch => "BatchCreatePermissions",
                    Self::CreatePermissions(command) if !command.batch => "CreatePermission",
                    Self::WriteMember(WriteMember { row: MemberWrite { write: Write::Add(_), .. }, .. }) => "AddMember",
                    Self::WriteMember(WriteMember { row: MemberWrite { write: Write::Set(_), .. }, .. }) => "SetMemberRoles",
                    Self::WriteMember(command) if matches!(command.row.write, Write::Remove) => "RemoveMember",
                    Self::CreateInvitations(command) if command.batch => "BatchCreateInvitations",
                    Self::CreateInvitations(command) if !command.batch => "CreateInvitation",
                    Self::CreateProject(_) => "CreateProject",
                    Self::Purge(_) => "Purge",
                    $(Self::$command(_) => stringify!($command),)*
                }
            }

            /// Returns the command's project. `None` for `CreateProject` and `Purge`.
            pub fn project(&self) -> Option<&ProjectKey> {
                match self {
                    Self::CreateProject(_) | Self::Purge(_) => None,
                    $(Self::$command(command) => Some(&command.project),)*
                }
            }
        }
    };
}

commands! {
    UpdateProject ConvertRoleStructure DeleteProject CreatePermissions UpdatePermission DeletePermission
    CreateRole BatchCreateRoles UpdateRole ReorderRoles DeleteRole CreateRoleMapping UpdateRoleMapping PromoteRoleMapping
    DeleteRoleMapping CreateOrg UpdateOrg DeleteOrg SubscribeOrg BatchSubscribeOrgs WriteMember
    BatchWriteMembers BlockUser UnblockUser DeleteUser CreateInvitations RevokeInvitation AcceptInvitation
    SetOrgDomains VerifyOrgDomain ProvisionMember RemoveExpired
}

#[derive(Clone, Debug)]
pub struct CreateProject {
    pub key: ProjectKey,
    pub display_name: String,
    pub environment: Environment,
    pub role_structure: RoleStructure,
    /// Allows the key of a deleted project (S5).
    pub reuse_deleted_key: bool,
    pub template: &'static Template,
    /// The name of the first role of the template. `None` keeps the name that the template gives it.
    pub owner_role: Option<RoleName>,
}

/// A field that is `None` does not change, here and in every other update.
#[derive(Clone, Debug)]
pub struct UpdateProject {
    pub project: ProjectKey,
    pub etag: Option<String>,
    pub display_name: Option<String>,
    pub default_role: Option<RoleName>,
    pub default_owner_role: Option<RoleName>,
    pub allow_ownerless: bool,
}

/// Converts between SINGLE_ROLE and MULTI_ROLE (P5).
#[derive(Clone, Debug)]
pub struct ConvertRoleStructure {
    pub project: ProjectKey,
    pub etag: Option<String>,
    pub to: RoleStructure,
    /// All roles, highest first. Only for SINGLE_ROLE.
    pub order: Vec<RoleName>,
    pub allow_ownerless: bool,
}

#[derive(Clone, Debug)]
pub struct DeleteProject {
    pub project: ProjectKey,
    pub etag: Option<String>,
    /// Must repeat the key (P6).
    pub confirm: String,
    /// Deletes the project even if it has orgs.
    pub force: bool,
}

#[derive(Clone, Debug)]
pub struct CreatePermissions {
    pub project: ProjectKey,
    pub permissions: Vec<NewPermission>,
    /// True for a batch request, whose refusals name the row.
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
    /// The aliases to keep (R3), here and in every other update.
    pub aliases: Option<Vec<PermissionName>>,
}

#[derive(Clone, Debug)]
pub struct DeletePermission {
    pub project: ProjectKey,
    pub name: PermissionName,
}

/// Creates roles below all others, the highest first.
#[derive(Clone, Debug)]
pub struct BatchCreateRoles {
    pub project: ProjectKey,
    pub roles: Vec<NewRole>,
}

#[derive(Clone, Debug)]
pub struct NewRole {
    pub name: RoleName,
    pub description: String,
    pub internal: bool,
    pub disabled_in: Vec<RoleMappingName>,
    /// The roles that it manages in a MULTI_ROLE project (G2). It may name itself and earlier roles.
    pub manages: Vec<RoleName>,
    /// What it grants in each mapping.
    pub grants: Vec<(RoleMappingName, Vec<PermissionName>)>,
}

#[derive(Clone, Debug)]
pub struct CreateRole {
    pub project: ProjectKey,
    pub name: RoleName,
    pub description: String,
    pub internal: bool,
    pub place: Place,
    pub disabled_in: Vec<RoleMappingName>,
    /// The roles that it manages in a MULTI_ROLE project (G2). It may name itself.
    pub manages: Vec<RoleName>,
}

/// The position of a new role in the order (R2).
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
    /// `None` is the default role, for an internal role no replacement (R4).
    pub replacement: Option<RoleName>,
}

/// What happens to members who hold a role when it turns from enabled to disabled for them (M7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnDisabled {
    /// Refuses the write.
    #[default]
    Reject,
    /// Replaces the role. Enabling it again does not undo this.
    Remap {
        /// Pairs of role and replacement, applied at once.
        replacements: Vec<(RoleName, RoleName)>,
        /// Replaces the roles not named in `replacements`.
        default_replacement: Option<RoleName>,
    },
    /// Keeps the role, which grants nothing, with an optional fallback role.
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
    /// Allows the id of a deleted org (S5).
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

/// Replaces the e-mail domains of an org (J1).
#[derive(Clone, Debug)]
pub struct SetOrgDomains {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub domains: Vec<NewOrgDomain>,
}

#[derive(Clone, Debug)]
pub struct NewOrgDomain {
    pub domain: EmailDomain,
    /// An empty list means the `default_role` of the project at the time of joining.
    pub roles: Vec<RoleName>,
    pub apply_to_existing: bool,
}

#[derive(Clone, Debug)]
pub struct VerifyOrgDomain {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub domain: EmailDomain,
}

/// Makes a user a member by the domain of the user's address (J2).
#[derive(Clone, Debug)]
pub struct ProvisionMember {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub user_id: UserId,
    pub email: EmailAddress,
    pub email_verified: bool,
    /// Allows a user whom somebody else removed (J3).
    pub allow_provisioning: bool,
}

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

/// Removes the roles that expired 30 days ago from a chunk of members, and invitations that expired as long ago. A command of the actor `system` (B5).
#[derive(Clone, Debug)]
pub struct RemoveExpired {
    pub project: ProjectKey,
}

/// Purges some deleted data. A command of the actor `system`.
#[derive(Clone, Debug)]
pub struct Purge {
    pub project: ProjectId,
    /// Memberships of deleted orgs or of role sets without roles. Only the database knows the user ids.
    pub members: Vec<(OrgNo, UserId)>,
    /// True if the database has no other such memberships. Then what they depended on is purged too.
    pub last: bool,
}

impl Command {
    /// Returns true if the command accepts an acting user (G1).
    pub fn takes_acting_user(&self) -> bool {
        matches!(
            self,
            Self::WriteMember(_)
                | Self::UpdateOrg(_)
                | Self::DeleteOrg(_)
                | Self::CreateInvitations(_)
                | Self::RevokeInvitation(_)
                | Self::SetOrgDomains(_)
        )
    }

    /// Returns roughly how many rows deciding and storing the command costs. It limits the size of a group. A command
    /// that may change any number of rows, or scans all memberships of a project, commits alone.
    pub fn weight(&self) -> usize {
        use crate::limits::{GROUP_ROWS_MAX, ORG_ROWS};
        match self {
            Self::CreatePermissions(command) => command.permissions.len().max(1),
            Self::BatchCreateRoles(command) => {
                let grants = command.roles.iter().flat_map(|role| &role.grants).map(|(_, names)| names.len());
                command.roles.len() + grants.sum::<usize>()
            }
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
            | Self::DeleteRoleMapping(_)
            | Self::RemoveExpired(_)
            // It looks for the user in every org.
            | Self::DeleteUser(_) => GROUP_ROWS_MAX,
            Self::SubscribeOrg(_) | Self::DeleteOrg(_) => ORG_ROWS,
            Self::BatchWriteMembers(command) => command.rows.len().max(1),
            Self::CreateInvitations(command) => command.rows.len().max(1),
            // The last purge of a project scans all memberships for used role sets.
            Self::Purge(command) if command.last => GROUP_ROWS_MAX,
            Self::Purge(command) => command.members.len().max(1),
            Self::CreateProject(_)
            | Self::UpdatePermission(_)
            | Self::CreateRole(_)
            | Self::PromoteRoleMapping(_)
            | Self::CreateOrg(_)
            | Self::UpdateOrg(_)
            | Self::WriteMember(_)
            | Self::RevokeInvitation(_)
            | Self::AcceptInvitation(_)
            | Self::BlockUser(_)
            | Self::UnblockUser(_)
            | Self::VerifyOrgDomain(_)
            | Self::ProvisionMember(_) => 1,
            Self::SetOrgDomains(command) => command.domains.len().max(1),
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
