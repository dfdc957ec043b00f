//! Creates, updates and deletes projects (P1, P3, P6, R5).

pub mod convert;

use std::num::NonZeroU32;

use crate::domain::collections::numbered::Numbered;
use crate::domain::commands::call::SYSTEM;
use crate::domain::commands::command::{CreateProject, DeleteProject, UpdateProject};
use crate::domain::commands::draft::Draft;
use crate::domain::commands::outcome::Outcome;
use crate::domain::model::etag;
use crate::domain::model::id::{PermissionId, RoleId, RoleMappingId};
use crate::domain::model::lifecycle::Lifecycle;
use crate::domain::model::name::{PermissionName, ProjectKey, RoleMappingName, RoleName};
use crate::domain::model::permission::{BUILT_INS, Permission, PermissionSet};
use crate::domain::model::project::{ProjectRecord, RoleStructure, WORKSPACE};
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::model::role::{Role, rank_at};
use crate::domain::model::role_mapping::RoleMappingRecord;
use crate::domain::rules::owners::check_owners_kept;
use crate::domain::state::change::{Change, Edit, GrantsKey, Scoped};
use crate::domain::state::project::Project;

/// Creates a project from a template (P3).
pub fn create(draft: &mut Draft<'_>, command: &CreateProject) -> Result<Outcome, Refusal> {
    if command.key.as_str() == WORKSPACE && **draft.actor() != *SYSTEM {
        return Err(Refusal::ReservedName { reserved: WORKSPACE });
    }
    if draft.state().project(&command.key).is_some() {
        return Err(Refusal::AlreadyExists(Noun::Project, command.key.to_string()));
    }
    if draft.state().was_deleted(&command.key) && !command.reuse_deleted_key {
        return Err(Refusal::Retired(Noun::Project, command.key.to_string()));
    }
    let project = draft.state().next_project();
    let now = draft.commit_time();
    let template = command.template;
    let roles: Vec<RoleId> = (0..template.roles.len()).map(|at| RoleId(numbered(at))).collect();
    let default_role = template.roles.iter().position(|role| role.name == template.default_role);
    let (Some(&owner), Some(default_role)) = (roles.first(), default_role) else { return Err(Refusal::Bug) };
    let mapping = RoleMappingId::from_number(NonZeroU32::MIN);
    draft.edit(Change::Project(Edit {
        key: project,
        before: None,
        after: Some(ProjectRecord {
            key: command.key.clone(),
            display_name: command.display_name.as_str().into(),
            environment: command.environment,
            role_structure: command.role_structure,
            default_role: RoleId(numbered(default_role)),
            default_owner_role: owner,
            default_role_mapping: mapping,
            create_time: now,
            version: 1,
            role_order_version: 1,
            lifecycle: Lifecycle::Existing,
        }),
    }));
    for (at, (name, description)) in template.permissions().enumerate() {
        draft.edit(Change::Permission(Edit {
            key: Scoped { project, id: PermissionId(numbered(at)) },
            before: None,
            after: Some(Permission {
                name: PermissionName::stored(name),
                description: description.into(),
                built_in: at < BUILT_INS.len(),
                create_time: now,
                aliases: [].into(),
            }),
        }));
    }
    for (at, (&role, new)) in roles.iter().zip(template.roles).enumerate() {
        let renamed = command.owner_role.clone().filter(|_| role == owner);
        draft.edit(Change::Role(Edit {
            key: Scoped { project, id: role },
            before: None,
            after: Some(Role {
                name: renamed.unwrap_or_else(|| RoleName::stored(new.name)),
                description: new.description.into(),
                internal: false,
                rank: rank_at(at),
                create_time: now,
                aliases: [].into(),
                version: 1,
                manages: match command.role_structure {
                    RoleStructure::SingleRole => [].into(),
                    // As in a SINGLE_ROLE project: the roles below it, and the highest also itself.
                    RoleStructure::MultiRole => roles.iter().copied().skip(if at == 0 { 0 } else { at + 1 }).collect(),
                },
            }),
        }));
    }
    draft.edit(Change::RoleMapping(Edit {
        key: Scoped { project, id: mapping },
        before: None,
        after: Some(RoleMappingRecord {
            name: RoleMappingName::stored(template.role_mapping.0),
            description: template.role_mapping.1.into(),
            disabled_roles: [].into(),
            create_time: now,
            aliases: [].into(),
            version: 1,
        }),
    }));
    for (role, new) in roles.into_iter().zip(template.roles) {
        let granted = template.grants(new).enumerate().filter(|&(_, granted)| granted);
        let granted: PermissionSet = granted.map(|(at, _)| PermissionId(numbered(at))).collect();
        let key = GrantsKey { project, role_mapping: mapping, role };
        draft.edit(Change::Grants(Edit { key, before: None, after: Some(granted) }));
    }
    Ok(Outcome::Project(draft.project(&command.key)?))
}

/// Updates a project, also its default roles (R5).
pub fn update(draft: &mut Draft<'_>, command: &UpdateProject) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let before = &project.record;
    etag::check(command.etag.as_deref(), project.id.number(), before.version)?;
    let role = |name: &Option<RoleName>, present| match name {
        Some(name) => check_default_role(&project, project.role(name)?),
        None => Ok(present),
    };
    let after = ProjectRecord {
        display_name: command.display_name.as_deref().map_or_else(|| before.display_name.clone(), Into::into),
        default_role: role(&command.default_role, before.default_role)?,
        default_owner_role: role(&command.default_owner_role, before.default_owner_role)?,
        ..ProjectRecord::clone(before)
    };
    if after == **before {
        return Ok(Outcome::Project(project));
    }
    let after = ProjectRecord { version: before.version + 1, ..after };
    let before = Some(ProjectRecord::clone(before));
    draft.edit(Change::Project(Edit { key: project.id, before, after: Some(after) }));
    let updated = draft.project(&command.project)?;
    if !command.allow_ownerless && project.record.default_owner_role != updated.record.default_owner_role {
        check_owners_kept(&project, &updated, draft.now())?;
    }
    Ok(Outcome::Project(updated))
}

/// Refuses a default role that is internal or disabled in a mapping (R5).
fn check_default_role(project: &Project, id: RoleId) -> Result<RoleId, Refusal> {
    let refused = |why| Err(Refusal::DefaultRoleUnsuitable { role: project.role_name(id), deleting: false, why });
    if project.roles.get(id).is_some_and(|role| role.internal) {
        return refused("it is internal".into());
    }
    match project.role_mappings.entries().find(|(_, mapping)| !mapping.enabled(id)) {
        Some((_, mapping)) => refused(format!("it is disabled in role mapping `{}`", mapping.record.name)),
        None => Ok(id),
    }
}

/// Deletes a project. It is marked as deleted and unreachable; its contents are purged afterwards (P6).
pub fn delete(draft: &mut Draft<'_>, command: &DeleteProject) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let before = &project.record;
    if before.key == ProjectKey::default_project() || before.key.as_str() == WORKSPACE {
        return Err(Refusal::ProjectPermanent(before.key.to_string()));
    }
    if command.confirm != before.key.as_str() {
        return Err(Refusal::NotConfirmed { key: before.key.to_string() });
    }
    etag::check(command.etag.as_deref(), project.id.number(), before.version)?;
    let orgs = project.orgs_len() as u64;
    if orgs > 0 && !command.force {
        return Err(Refusal::ProjectHasOrgs { orgs });
    }
    let after = ProjectRecord { lifecycle: Lifecycle::Deleted(draft.commit_time()), ..ProjectRecord::clone(before) };
    let before = Some(ProjectRecord::clone(before));
    draft.edit(Change::Project(Edit { key: project.id, before, after: Some(after) }));
    Ok(Outcome::Deleted(orgs))
}

/// Returns the id number of the record at an index. Numbers begin at 1.
fn numbered(at: usize) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(at as u32)
}
