//! Creates, updates and deletes permissions (P4, R1, R3, R8).

use crate::domain::commands::alias::Naming;
use crate::domain::commands::command::{CreatePermissions, DeletePermission, NewPermission, UpdatePermission};
use crate::domain::commands::draft::Draft;
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::role_mapping;
use crate::domain::model::id::PermissionId;
use crate::domain::model::name::{PermissionName, ProjectKey};
use crate::domain::model::permission::{BUILT_IN_PREFIX, Permission};
use crate::domain::model::refusal::{Noun, Refusal, Rows};
use crate::domain::state::change::{Change, Edit, GrantsKey, Scoped};
use crate::domain::state::project::Project;

/// Creates permissions, all or none.
pub fn create(draft: &mut Draft<'_>, command: &CreatePermissions) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    draft.check_limit(
        "permissions",
        draft.limits().permissions,
        project.permissions.len() + command.permissions.len(),
    )?;
    let mut created = None;
    let mut rows = Rows::default();
    for (row, new) in command.permissions.iter().enumerate() {
        match create_one(draft, &command.project, new) {
            Ok(permission) => created = Some(permission),
            // The refusal of a single permission names no row.
            Err(refusal) if !command.batch => return Err(refusal),
            Err(refusal) => rows.push(row, refusal),
        }
    }
    rows.refuse_if_any()?;
    Ok(match created {
        Some(permission) if !command.batch => Outcome::Permission(permission),
        _ => Outcome::PermissionsCreated(command.permissions.len()),
    })
}

fn create_one(draft: &mut Draft<'_>, project: &ProjectKey, new: &NewPermission) -> Result<Permission, Refusal> {
    let project = draft.project(project)?;
    check_name(&project, &new.name, None)?;
    let permission = Permission {
        name: new.name.clone(),
        description: new.description.as_str().into(),
        built_in: false,
        create_time: draft.commit_time(),
        aliases: [].into(),
    };
    let id: PermissionId = project.permissions.next_id();
    draft.edit(Change::Permission(Edit {
        key: Scoped { project: project.id, id },
        before: None,
        after: Some(permission.clone()),
    }));
    Ok(permission)
}

/// Refuses a name that another permission has as its name or as an alias (R3).
fn check_name(project: &Project, name: &PermissionName, of: Option<PermissionId>) -> Result<(), Refusal> {
    if name.as_str().starts_with(BUILT_IN_PREFIX) {
        return Err(Refusal::ReservedName { reserved: BUILT_IN_PREFIX });
    }
    let Some(taken) = project.permission_named(name.as_str()).filter(|&id| Some(id) != of) else { return Ok(()) };
    Err(match project.permissions.get(taken).filter(|permission| permission.name != *name) {
        Some(permission) => {
            let (name, of) = (name.to_string(), permission.name.to_string());
            Refusal::AliasOf { noun: Noun::Permission, name, of }
        }
        None => Refusal::AlreadyExists(Noun::Permission, name.to_string()),
    })
}

/// Updates a permission. A built-in one keeps its name (P4).
pub fn update(draft: &mut Draft<'_>, command: &UpdatePermission) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let id = project.permission(&command.name)?;
    let Some(before) = project.permissions.get(id) else { return Err(Refusal::Bug) };
    let renamed = command.new_name.as_ref().filter(|&name| *name != before.name);
    if let Some(name) = renamed {
        if before.built_in {
            return Err(Refusal::BuiltIn(before.name.clone()));
        }
        check_name(&project, name, Some(id))?;
    }
    let naming = Naming { name: &before.name, new_name: renamed, kept: command.aliases.as_deref() };
    let after = Permission {
        name: renamed.unwrap_or(&before.name).clone(),
        description: command.description.as_deref().map_or_else(|| before.description.clone(), Into::into),
        aliases: naming.aliases(draft, &before.aliases)?,
        ..Permission::clone(before)
    };
    if after != **before {
        let key = Scoped { project: project.id, id };
        let before = Some(Permission::clone(before));
        draft.edit(Change::Permission(Edit { key, before, after: Some(after.clone()) }));
    }
    Ok(Outcome::Permission(after))
}

/// Deletes a permission and removes it from every mapping (R8).
pub fn delete(draft: &mut Draft<'_>, command: &DeletePermission) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let id = project.permission(&command.name)?;
    let Some(before) = project.permissions.get(id) else { return Err(Refusal::Bug) };
    if before.built_in {
        return Err(Refusal::BuiltIn(before.name.clone()));
    }
    let mut removed = 0;
    for (mapping_id, mapping) in project.role_mappings.entries() {
        let granting = mapping.rows.entries().filter(|(_, row)| row.contains(id));
        let rows: Vec<_> = granting.map(|(role, _)| role).collect();
        for &role in &rows {
            let key = GrantsKey { project: project.id, role_mapping: mapping_id, role };
            draft.edit(Change::Grants(Edit { key, before: Some([id].into_iter().collect()), after: None }));
        }
        if !rows.is_empty() {
            role_mapping::touch(draft, &project, mapping_id);
        }
        removed += rows.len() as u64;
    }
    let key = Scoped { project: project.id, id };
    draft.edit(Change::Permission(Edit { key, before: Some(Permission::clone(before)), after: None }));
    Ok(Outcome::Deleted(removed))
}
