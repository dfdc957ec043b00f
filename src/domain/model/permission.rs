//! The record of a permission, and the built-in permissions (P4).

use std::sync::Arc;

use crate::domain::collections::id_set::IdSet;
use crate::domain::model::id::PermissionId;
use crate::domain::model::name::PermissionName;
use crate::domain::model::time::Time;

#[derive(Clone, Debug, PartialEq)]
pub struct Permission {
    pub name: PermissionName,
    pub description: Box<str>,
    /// True for the nine that every project has (P4).
    pub built_in: bool,
    pub create_time: Time,
    /// The old names, oldest first (R3).
    pub aliases: Arc<[PermissionName]>,
}

/// The prefix of built-in permissions. Callers cannot create permissions with it (P4).
pub const BUILT_IN_PREFIX: &str = "rolecall::";

/// The built-in permissions (P4) with their descriptions.
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

pub const CAN_INVITE: &str = "rolecall::can_invite";
pub const CAN_CHANGE_ROLES: &str = "rolecall::can_change_roles";
pub const CAN_REMOVE_USERS: &str = "rolecall::can_remove_users";
pub const CAN_UPDATE_ORG_METADATA: &str = "rolecall::can_update_org_metadata";
pub const CAN_EDIT_ORG_ACCESS: &str = "rolecall::can_edit_org_access";
pub const CAN_DELETE_ORG: &str = "rolecall::can_delete_org";
pub const CAN_VIEW_OTHER_MEMBERS: &str = "rolecall::can_view_other_members";

/// The permission of the workspace to manage operators (W7).
pub const TEAM_MANAGE: &str = "team.manage";

pub type PermissionSet = IdSet<PermissionId>;
