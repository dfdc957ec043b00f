//! The commands of callers. All their fields are parsed; `decide` accepts or refuses them.

pub mod api_key;
pub mod configuration;
pub mod invitation;
pub mod membership;
pub mod org;
pub mod org_domain;
pub mod permission;
pub mod project;
pub mod role;
pub mod role_mapping;
pub mod subscription;
pub mod user;

use crate::domain::model::id::{OrgNo, ProjectId};
use crate::domain::model::name::{ProjectKey, UserId};

pub use api_key::{ArchiveApiKey, CreateApiKey};
pub use configuration::ApplyConfiguration;
pub use invitation::{AcceptInvitation, CreateInvitations, NewInvitation, RevokeInvitation};
pub use membership::{BatchWriteMembers, MemberWrite, RoleAssignment, Write, WriteMember};
pub use org::{CreateOrg, DeleteOrg, UpdateOrg};
pub use org_domain::{NewOrgDomain, ProvisionMember, SetOrgDomains, VerifyOrgDomain};
pub use permission::{CreatePermissions, DeletePermission, NewPermission, UpdatePermission};
pub use project::{ConvertRoleStructure, CreateProject, DeleteProject, UpdateProject};
pub use role::{BatchCreateRoles, CreateRole, DeleteRole, NewRole, Place, ReorderRoles, UpdateRole};
pub use role_mapping::{
    CreateRoleMapping, DeleteRoleMapping, GrantEdit, OnDisabled, PromoteRoleMapping, RoleMappingEdits,
    UpdateRoleMapping,
};
pub use subscription::{BatchSubscribeOrgs, SubscribeOrg, SubscribeTo};
pub use user::{BlockUser, DeleteUser, UnblockUser};

/// The kinds of commands that only the service sends, to remove data that nobody needs any more.
pub const MAINTENANCE: [&str; 2] = ["Purge", "RemoveExpired"];

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
    SetOrgDomains VerifyOrgDomain ProvisionMember CreateApiKey ArchiveApiKey RemoveExpired ApplyConfiguration
}

/// Removes the roles that expired 30 days ago from a chunk of members, and settles invitations that expired as long ago
/// (B5). A command of the actor `system`.
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

    /// Returns true if the command may leave an org without an owner (B3).
    pub fn allows_ownerless(&self) -> bool {
        match self {
            Self::UpdateProject(command) => command.allow_ownerless,
            Self::WriteMember(command) => command.allow_ownerless,
            Self::BatchWriteMembers(command) => command.allow_ownerless,
            Self::ApplyConfiguration(command) => command.allow_ownerless,
            _ => false,
        }
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
            | Self::ApplyConfiguration(_)
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
            | Self::ProvisionMember(_)
            | Self::CreateApiKey(_)
            | Self::ArchiveApiKey(_) => 1,
            Self::SetOrgDomains(command) => command.domains.len().max(1),
        }
    }
}
