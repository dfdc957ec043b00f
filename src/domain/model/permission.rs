//! TODO doc

use std::sync::Arc;

use crate::domain::collections::id_set::IdSet;
use crate::domain::model::id::PermissionId;
use crate::domain::model::name::PermissionName;
use crate::domain::model::time::Time;

/// A permission of a project's catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct Permission {
    pub name: PermissionName,
    pub description: Box<str>,
    /// One of the nine that every project has (P4).
    pub built_in: bool,
    pub create_time: Time,
    /// Its old names, oldest first (R3).
    pub aliases: Arc<[PermissionName]>,
}

/// What built-in permissions begin with; nobody can create a permission that does (P4).
pub const BUILT_IN_PREFIX: &str = "rolecall::";

/// The built-in permissions (P4), each with what it lets a member do in the org.
pub const BUILT_INS: [(&str, &str); 9] = [
    ("rolecall::can_view_other_members", "See who else is a member of the organization."),
    ("rolecall::can_invite", "Invite people to the organization."),
    ("rolecall::can_change_roles", "Give roles to members and take roles from them."),
    ("rolecall::can_remove_users", "Remove members from the organization."),
    ("rolecall::can_manage_api_keys", "Manage the organization's API keys."),
    ("rolecall::can_setup_sso", "Set up single sign-on for the organization."),
    ("rolecall::can_delete_org", "Delete the organization."),
    ("rolecall::can_edit_org_access", "Decide who may join the organization without an invitation."),
    ("rolecall::can_update_org_metadata", "Change the organization's name and metadata."),
];

/// To add members.
pub const CAN_INVITE: &str = "rolecall::can_invite";

/// To set the roles of members.
pub const CAN_CHANGE_ROLES: &str = "rolecall::can_change_roles";

/// To remove members.
pub const CAN_REMOVE_USERS: &str = "rolecall::can_remove_users";

/// To change what an org says of itself.
pub const CAN_UPDATE_ORG_METADATA: &str = "rolecall::can_update_org_metadata";

/// To delete the org.
pub const CAN_DELETE_ORG: &str = "rolecall::can_delete_org";

/// To see members beside oneself.
pub const CAN_VIEW_OTHER_MEMBERS: &str = "rolecall::can_view_other_members";

pub type PermissionSet = IdSet<PermissionId>;
