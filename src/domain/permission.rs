//! Permissions: the strings that code asks about (P4, R1).

use super::Time;
use super::command::{CreatePermissions, NewPermission};
use super::decide::{Draft, Outcome};
use super::id::PermissionId;
use super::name::PermissionName;
use super::refusal::{Noun, Refusal, Rows};
use super::{Change, Edit, Scoped};

/// A permission of a project's catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct Permission {
    pub name: PermissionName,
    pub description: Box<str>,
    /// One of the nine that every project has (P4).
    pub built_in: bool,
    pub create_time: Time,
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

/// Creates permissions, all or none.
pub fn create(draft: &mut Draft<'_>, command: &CreatePermissions) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    draft.within("permissions", draft.limits().permissions, project.permissions.len() + command.permissions.len())?;
    let mut created = None;
    let mut rows = Rows::default();
    for (row, new) in command.permissions.iter().enumerate() {
        match create_one(draft, &command.project, new) {
            Ok(permission) => created = Some(permission),
            // A caller who asked for one permission is not told of rows.
            Err(refusal) if !command.batch => return Err(refusal),
            Err(refusal) => rows.push(row, refusal),
        }
    }
    rows.none()?;
    Ok(match created {
        Some(permission) if !command.batch => Outcome::Permission(permission),
        _ => Outcome::PermissionsCreated(command.permissions.len()),
    })
}

fn create_one(draft: &mut Draft<'_>, project: &super::ProjectKey, new: &NewPermission) -> Result<Permission, Refusal> {
    let project = draft.project(project)?;
    if new.name.as_str().starts_with(BUILT_IN_PREFIX) {
        return Err(Refusal::ReservedName { reserved: BUILT_IN_PREFIX });
    }
    if project.permission_named(new.name.as_str()).is_some() {
        return Err(Refusal::AlreadyExists(Noun::Permission, new.name.to_string()));
    }
    let permission = Permission {
        name: new.name.clone(),
        description: new.description.as_str().into(),
        built_in: false,
        create_time: draft.now(),
    };
    let id: PermissionId = project.permissions.next_id();
    draft.edit(Change::Permission(Edit {
        key: Scoped { project: project.id, id },
        before: None,
        after: Some(permission.clone()),
    }));
    Ok(permission)
}
