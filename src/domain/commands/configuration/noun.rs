//! The nouns of a configuration. They are named in the same way (R1, R3), so the steps that name them exist once.

use crate::domain::commands::command::{
    Command, DeletePermission, DeleteRole, UpdatePermission, UpdateRole, UpdateRoleMapping,
};
use crate::domain::model::id::{PermissionId, RoleId, RoleMappingId};
use crate::domain::model::name::{PermissionName, ProjectKey, RoleMappingName, RoleName, folded};
use crate::domain::state::project::Project;

/// A noun of a configuration, named by the type of its ids.
pub trait Configured: Copy + Ord + 'static {
    type Name: Clone + Ord + std::fmt::Display + 'static;

    /// Returns the object with this name or alias.
    fn named(project: &Project, name: &Self::Name) -> Option<Self>;

    /// Returns the name and the aliases of an object.
    fn names(project: &Project, id: Self) -> Option<(&Self::Name, &[Self::Name])>;

    fn all(project: &Project) -> Vec<Self>;

    /// Returns the form in which two names of this noun are equal (R1).
    fn key(name: &Self::Name) -> String;

    /// Returns the command that changes the name or drops all aliases but these.
    fn rename(
        project: &ProjectKey,
        name: &Self::Name,
        new_name: Option<Self::Name>,
        aliases: Option<Vec<Self::Name>>,
    ) -> Command;
}

impl Configured for PermissionId {
    type Name = PermissionName;

    fn named(project: &Project, name: &PermissionName) -> Option<Self> {
        project.permission_named(name.as_str())
    }

    fn names(project: &Project, id: Self) -> Option<(&PermissionName, &[PermissionName])> {
        project.permissions.get(id).map(|permission| (&permission.name, &*permission.aliases))
    }

    fn all(project: &Project) -> Vec<Self> {
        project.permissions.entries().map(|(id, _)| id).collect()
    }

    fn key(name: &PermissionName) -> String {
        name.to_string()
    }

    fn rename(
        project: &ProjectKey,
        name: &PermissionName,
        new_name: Option<PermissionName>,
        aliases: Option<Vec<PermissionName>>,
    ) -> Command {
        let (project, name) = (project.clone(), name.clone());
        Command::UpdatePermission(UpdatePermission { project, name, new_name, description: None, aliases })
    }
}

impl Configured for RoleId {
    type Name = RoleName;

    fn named(project: &Project, name: &RoleName) -> Option<Self> {
        project.role_named(name.as_str())
    }

    fn names(project: &Project, id: Self) -> Option<(&RoleName, &[RoleName])> {
        project.roles.get(id).map(|role| (&role.name, &*role.aliases))
    }

    fn all(project: &Project) -> Vec<Self> {
        project.role_order.to_vec()
    }

    fn key(name: &RoleName) -> String {
        folded(name.as_str())
    }

    fn rename(
        project: &ProjectKey,
        name: &RoleName,
        new_name: Option<RoleName>,
        aliases: Option<Vec<RoleName>>,
    ) -> Command {
        Command::UpdateRole(UpdateRole { new_name, aliases, ..update_role(project, name) })
    }
}

impl Configured for RoleMappingId {
    type Name = RoleMappingName;

    fn named(project: &Project, name: &RoleMappingName) -> Option<Self> {
        project.role_mapping_named(name.as_str())
    }

    fn names(project: &Project, id: Self) -> Option<(&RoleMappingName, &[RoleMappingName])> {
        project.role_mappings.get(id).map(|mapping| (&mapping.record.name, &*mapping.record.aliases))
    }

    fn all(project: &Project) -> Vec<Self> {
        project.role_mappings.entries().map(|(id, _)| id).collect()
    }

    fn key(name: &RoleMappingName) -> String {
        folded(name.as_str())
    }

    fn rename(
        project: &ProjectKey,
        name: &RoleMappingName,
        new_name: Option<RoleMappingName>,
        aliases: Option<Vec<RoleMappingName>>,
    ) -> Command {
        Command::UpdateRoleMapping(UpdateRoleMapping { new_name, aliases, ..update_role_mapping(project, name) })
    }
}

/// Returns a command that changes nothing of a role.
pub fn update_role(project: &ProjectKey, name: &RoleName) -> UpdateRole {
    UpdateRole {
        project: project.clone(),
        name: name.clone(),
        etag: None,
        new_name: None,
        description: None,
        internal: None,
        aliases: None,
        manages: None,
    }
}

/// Returns a command that changes nothing of a role mapping.
pub fn update_role_mapping(project: &ProjectKey, name: &RoleMappingName) -> UpdateRoleMapping {
    UpdateRoleMapping {
        project: project.clone(),
        name: name.clone(),
        etag: None,
        new_name: None,
        description: None,
        aliases: None,
        edits: Default::default(),
        on_disabled: Default::default(),
    }
}

pub fn delete_permission(project: &ProjectKey, name: PermissionName) -> Command {
    Command::DeletePermission(DeletePermission { project: project.clone(), name })
}

pub fn delete_role(project: &ProjectKey, name: RoleName, replacement: Option<RoleName>) -> Command {
    Command::DeleteRole(DeleteRole { project: project.clone(), name, etag: None, replacement })
}
