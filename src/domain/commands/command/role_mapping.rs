//! The commands of role mappings (M1 to M7).

use crate::domain::model::name::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName};

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

impl RoleMappingEdits {
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty() && self.enable.is_empty() && self.disable.is_empty()
    }

    pub(super) fn weight(&self) -> usize {
        let grants = self.grants.iter().map(|grant| 1 + grant.add.len() + grant.remove.len()).sum::<usize>();
        grants + self.enable.len() + self.disable.len()
    }
}
