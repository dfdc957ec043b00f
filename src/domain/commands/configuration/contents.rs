//! The steps that create and change what a configuration names. Each phase returns only what differs.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::commands::command::configuration::{WantedNames, WantedRole, WantedRoleMapping};
use crate::domain::commands::command::{
    BatchCreateRoles, Command, CreatePermissions, CreateRoleMapping, GrantEdit, NewPermission, NewRole, OnDisabled,
    PromoteRoleMapping, ReorderRoles, RoleMappingEdits, UpdatePermission, UpdateProject, UpdateRole, UpdateRoleMapping,
};
use crate::domain::commands::configuration::Phase;
use crate::domain::commands::configuration::deletions::deleted_role_mappings;
use crate::domain::commands::configuration::noun::{update_role, update_role_mapping};
use crate::domain::model::id::{RoleId, RoleMappingId};
use crate::domain::model::name::{PermissionName, ProjectKey, RoleName};
use crate::domain::model::permission::{BUILT_INS, PermissionSet};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::role::Role;
use crate::domain::state::project::Project;
use crate::domain::state::role_mapping::RoleMapping;

/// Creates what does not exist, without contents.
pub fn create(phase: Phase<'_>) -> Result<Vec<Command>, Refusal> {
    let Phase { project, command, .. } = phase;
    let key = &command.project;
    let permissions = command.permissions.iter();
    let permissions = permissions.filter(|wanted| project.permission_named(wanted.names.name.as_str()).is_none());
    let permissions: Vec<NewPermission> = permissions
        .map(|wanted| NewPermission { name: wanted.names.name.clone(), description: wanted.description.clone() })
        .collect();
    let roles = command.roles.iter().filter(|wanted| project.role_named(wanted.names.name.as_str()).is_none());
    let roles = roles.map(|wanted| NewRole {
        name: wanted.names.name.clone(),
        description: wanted.description.clone(),
        internal: wanted.internal,
        disabled_in: Vec::new(),
        manages: Vec::new(),
        grants: Vec::new(),
    });
    let roles: Vec<NewRole> = roles.collect();
    let mut commands = Vec::new();
    if !permissions.is_empty() {
        commands.push(Command::CreatePermissions(CreatePermissions { project: key.clone(), permissions, batch: true }));
    }
    if !roles.is_empty() {
        commands.push(Command::BatchCreateRoles(BatchCreateRoles { project: key.clone(), roles }));
    }
    let mappings = command.role_mappings.iter();
    let mappings = mappings.filter(|wanted| project.role_mapping_named(wanted.names.name.as_str()).is_none());
    commands.extend(mappings.map(|wanted| {
        Command::CreateRoleMapping(CreateRoleMapping {
            project: key.clone(),
            name: wanted.names.name.clone(),
            description: wanted.description.clone(),
            duplicate_of: None,
            edits: RoleMappingEdits::default(),
            subscribe: Vec::new(),
            on_disabled: OnDisabled::Reject,
        })
    }));
    Ok(commands)
}

/// Describes everything, and makes roles visible: a default role must be.
pub fn describe(phase: Phase<'_>) -> Result<Vec<Command>, Refusal> {
    let Phase { project, command, managed } = phase;
    let describe = |name: &PermissionName, description: &str| {
        Command::UpdatePermission(UpdatePermission {
            project: command.project.clone(),
            name: name.clone(),
            new_name: None,
            description: Some(description.to_owned()),
            aliases: None,
        })
    };
    let mut commands = Vec::new();
    for wanted in &command.permissions {
        let id = project.permission(&wanted.names.name)?;
        if project.permissions.get(id).is_some_and(|permission| *permission.description != *wanted.description) {
            commands.push(describe(&wanted.names.name, &wanted.description));
        }
    }
    let built_ins = BUILT_INS.iter().filter(|_| command.prune);
    for (name, description) in built_ins {
        let id = project.permission_named(name).filter(|id| !managed.permissions.contains(id));
        if let Some(permission) = id.and_then(|id| project.permissions.get(id))
            && *permission.description != **description
        {
            commands.push(describe(&permission.name, description));
        }
    }
    for (wanted, role) in roles(phase)? {
        let description = (*role.description != *wanted.description).then(|| wanted.description.clone());
        let internal = (role.internal && !wanted.internal).then_some(false);
        if description.is_some() || internal.is_some() {
            let update = update_role(&command.project, &wanted.names.name);
            commands.push(Command::UpdateRole(UpdateRole { description, internal, ..update }));
        }
    }
    Ok(commands)
}

/// Describes the role mappings, grants what they grant, and enables roles. In a role mapping that is to be deleted it
/// enables the new default roles, which must be enabled everywhere.
pub fn enable_and_grant(phase: Phase<'_>) -> Result<Vec<Command>, Refusal> {
    let Phase { project, command, managed } = phase;
    let mut commands = Vec::new();
    for (wanted, id, mapping) in role_mappings(phase)? {
        let disabled = disabled_roles(phase, wanted)?;
        let enable = mapping.record.disabled_roles.iter().copied().filter(|role| {
            // A role that the configuration does not name stays as it is.
            managed.roles.contains(role) && !disabled.contains(role)
        });
        let edits = RoleMappingEdits {
            grants: grant_edits(phase, wanted, id)?,
            enable: enable.map(|role| project.role_name(role)).collect(),
            disable: Vec::new(),
        };
        let description = (*mapping.record.description != *wanted.description).then(|| wanted.description.clone());
        if description.is_some() || !edits.is_empty() {
            let update = update_role_mapping(&command.project, &wanted.names.name);
            commands.push(Command::UpdateRoleMapping(UpdateRoleMapping { description, edits, ..update }));
        }
    }
    let defaults = [&command.default_role, &command.default_owner_role].map(|name| project.role(name));
    let deleted = deleted_role_mappings(phase);
    for (id, mapping) in project.role_mappings.entries() {
        if managed.role_mappings.contains(&id) || !(command.prune || deleted.contains_key(&id)) {
            continue;
        }
        let disabled = defaults.iter().flatten().copied().filter(|&role| !mapping.enabled(role));
        let enable: Vec<RoleName> = disabled.map(|role| project.role_name(role)).collect();
        if !enable.is_empty() {
            let edits = RoleMappingEdits { enable, ..RoleMappingEdits::default() };
            let update = update_role_mapping(&command.project, &mapping.record.name);
            commands.push(Command::UpdateRoleMapping(UpdateRoleMapping { edits, ..update }));
        }
    }
    Ok(commands)
}

/// Sets the display name and the defaults. Whether orgs keep an owner is checked in the end.
pub fn set_defaults(phase: Phase<'_>) -> Result<Vec<Command>, Refusal> {
    let command = phase.command;
    Ok(vec![
        Command::UpdateProject(UpdateProject {
            project: command.project.clone(),
            etag: None,
            display_name: command.display_name.clone(),
            default_role: Some(command.default_role.clone()),
            default_owner_role: Some(command.default_owner_role.clone()),
            allow_ownerless: true,
        }),
        Command::PromoteRoleMapping(PromoteRoleMapping {
            project: command.project.clone(),
            name: command.default_role_mapping.clone(),
        }),
    ])
}

/// Disables roles, with the strategy of each role mapping (M7).
pub fn disable(phase: Phase<'_>) -> Result<Vec<Command>, Refusal> {
    let Phase { project, command, .. } = phase;
    let mut commands = Vec::new();
    for (wanted, _, mapping) in role_mappings(phase)? {
        let disabled = disabled_roles(phase, wanted)?.into_iter().filter(|&role| mapping.enabled(role));
        let disable: Vec<RoleName> = disabled.map(|role| project.role_name(role)).collect();
        if !disable.is_empty() {
            let edits = RoleMappingEdits { disable, ..RoleMappingEdits::default() };
            let update = update_role_mapping(&command.project, &wanted.names.name);
            let on_disabled = wanted.on_disabled.clone();
            commands.push(Command::UpdateRoleMapping(UpdateRoleMapping { edits, on_disabled, ..update }));
        }
    }
    Ok(commands)
}

/// Makes roles internal, which nobody may hold then (R10).
pub fn make_internal(phase: Phase<'_>) -> Result<Vec<Command>, Refusal> {
    let visible = roles(phase)?.into_iter().filter(|(wanted, role)| wanted.internal && !role.internal);
    let internal = visible.map(|(wanted, _)| {
        let update = update_role(&phase.command.project, &wanted.names.name);
        Command::UpdateRole(UpdateRole { internal: Some(true), ..update })
    });
    Ok(internal.collect())
}

/// Sets who manages whom. Of a SINGLE_ROLE project that is refused (G2).
pub fn set_managed(phase: Phase<'_>) -> Result<Vec<Command>, Refusal> {
    let mut commands = Vec::new();
    for (wanted, role) in roles(phase)? {
        let managed = wanted.manages.iter().map(|name| phase.project.role(name)).collect::<Result<BTreeSet<_>, _>>()?;
        if managed != role.manages.iter().copied().collect() {
            let update = update_role(&phase.command.project, &wanted.names.name);
            commands.push(Command::UpdateRole(UpdateRole { manages: Some(wanted.manages.clone()), ..update }));
        }
    }
    Ok(commands)
}

/// Returns the order of all roles: that of the configuration. A role that it does not name stays below the role that it
/// was below.
pub fn role_order(project: &Project, wanted: &[&WantedNames<RoleName>]) -> Vec<RoleName> {
    let managed: Vec<RoleId> = wanted.iter().filter_map(|names| project.role_named(names.name.as_str())).collect();
    let is_managed: BTreeSet<RoleId> = managed.iter().copied().collect();
    let mut below: BTreeMap<Option<RoleId>, Vec<RoleId>> = BTreeMap::new();
    let mut last = None;
    for &role in project.role_order.iter() {
        if is_managed.contains(&role) {
            last = Some(role);
        } else {
            below.entry(last).or_default().push(role);
        }
    }
    let mut order = below.remove(&None).unwrap_or_default();
    for role in managed {
        order.push(role);
        order.extend(below.remove(&Some(role)).unwrap_or_default());
    }
    order.into_iter().map(|role| project.role_name(role)).collect()
}

pub fn reorder(key: &ProjectKey, roles: Vec<RoleName>) -> Command {
    Command::ReorderRoles(ReorderRoles { project: key.clone(), roles, etag: None })
}

/// Returns the roles of the configuration with what they are now.
fn roles<'a>(phase: Phase<'a>) -> Result<Vec<(&'a WantedRole, &'a Role)>, Refusal> {
    let role = |wanted: &'a WantedRole| {
        let id = phase.project.role(&wanted.names.name)?;
        Ok((wanted, phase.project.roles.get(id).map(AsRef::as_ref).ok_or(Refusal::Bug)?))
    };
    phase.command.roles.iter().map(role).collect()
}

/// Returns the role mappings of the configuration with what they are now.
fn role_mappings<'a>(
    phase: Phase<'a>,
) -> Result<Vec<(&'a WantedRoleMapping, RoleMappingId, &'a RoleMapping)>, Refusal> {
    let mapping = |wanted: &'a WantedRoleMapping| {
        let id = phase.project.role_mapping(&wanted.names.name)?;
        Ok((wanted, id, phase.project.role_mappings.get(id).map(AsRef::as_ref).ok_or(Refusal::Bug)?))
    };
    phase.command.role_mappings.iter().map(mapping).collect()
}

fn disabled_roles(phase: Phase<'_>, wanted: &WantedRoleMapping) -> Result<BTreeSet<RoleId>, Refusal> {
    wanted.disabled_roles.iter().map(|name| phase.project.role(name)).collect()
}

/// Returns what the rows of a role mapping lack, and what they have in excess.
fn grant_edits(phase: Phase<'_>, wanted: &WantedRoleMapping, id: RoleMappingId) -> Result<Vec<GrantEdit>, Refusal> {
    let Phase { project, managed, .. } = phase;
    let mut rows: BTreeMap<RoleId, PermissionSet> =
        managed.roles.iter().map(|&role| (role, PermissionSet::default())).collect();
    for (role, permissions) in &wanted.grants {
        let granted = permissions.iter().map(|name| project.permission(name)).collect::<Result<PermissionSet, _>>()?;
        let row = rows.entry(project.role(role)?).or_default();
        *row = row.edited(&PermissionSet::default(), &granted);
    }
    let Some(mapping) = project.role_mappings.get(id) else { return Err(Refusal::Bug) };
    let nothing = PermissionSet::default();
    let names = |one: &PermissionSet, other: &PermissionSet| -> Vec<PermissionName> {
        let missing = one.iter().filter(|&permission| !other.contains(permission));
        missing.filter_map(|id| project.permissions.get(id)).map(|permission| permission.name.clone()).collect()
    };
    let edits = rows.into_iter().map(|(role, row)| {
        let now = mapping.row(role).unwrap_or(&nothing);
        GrantEdit { role: project.role_name(role), add: names(&row, now), remove: names(now, &row) }
    });
    Ok(edits.filter(|edit| !edit.add.is_empty() || !edit.remove.is_empty()).collect())
}
