//! Creates, updates, promotes and deletes role mappings (M1 to M6, R7).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::commands::alias::Naming;
use crate::domain::commands::command::{
    CreateRoleMapping, DeleteRoleMapping, PromoteRoleMapping, RoleMappingEdits, UpdateRoleMapping,
};
use crate::domain::commands::disabling::Disabling;
use crate::domain::commands::draft::Draft;
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::{alias, subscription};
use crate::domain::model::etag;
use crate::domain::model::id::{PermissionId, RoleId, RoleMappingId};
use crate::domain::model::name::RoleMappingName;
use crate::domain::model::permission::PermissionSet;
use crate::domain::model::project::ProjectRecord;
use crate::domain::model::refusal::{Noun, Refusal, Rows};
use crate::domain::model::role_mapping::RoleMappingRecord;
use crate::domain::state::change::{Change, Edit, GrantsKey, Scoped};
use crate::domain::state::project::Project;

/// Creates a role mapping, empty or as a duplicate, with edits and subscribed orgs (M2).
pub fn create(draft: &mut Draft<'_>, command: &CreateRoleMapping) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    check_name(&project, &command.name, None)?;
    draft.check_limit("role_mappings", draft.limits().role_mappings, project.role_mappings.len() + 1)?;
    let original = command.duplicate_of.as_ref().map(|name| project.role_mapping(name)).transpose()?;
    let original = original.and_then(|id| project.role_mappings.get(id));
    let id = project.role_mappings.next_id();
    let key = Scoped { project: project.id, id };
    let record = RoleMappingRecord {
        name: command.name.clone(),
        description: command.description.as_str().into(),
        disabled_roles: original.map_or_else(|| [].into(), |mapping| mapping.record.disabled_roles.clone()),
        create_time: draft.commit_time(),
        aliases: [].into(),
        version: 1,
    };
    draft.edit(Change::RoleMapping(Edit { key, before: None, after: Some(record) }));
    for (role, row) in original.iter().flat_map(|mapping| mapping.rows.entries()) {
        let key = GrantsKey { project: project.id, role_mapping: id, role };
        draft.edit(Change::Grants(Edit { key, before: None, after: Some(PermissionSet::clone(row)) }));
    }
    let edited = edited(&*draft.project(&command.project)?, id, &command.edits)?;
    write(draft, &project, id, edited)?;
    check_grants(draft, &project)?;
    let mut rows = Rows::default();
    let project = draft.project(&command.project)?;
    let mut moves = subscription::Move::new(&project, id, &command.on_disabled)?;
    let mut named = BTreeSet::new();
    for (row, org_id) in command.subscribe.iter().enumerate() {
        // Naming an org twice moves it once.
        let subscribed = project.org_or_refusal(org_id);
        let moved = subscribed.and_then(|org| if named.insert(org_id) { moves.org(draft, org) } else { Ok(false) });
        if let Err(refusal) = moved {
            rows.push(row, refusal);
        }
    }
    rows.refuse_if_any()?;
    Ok(Outcome::RoleMapping(draft.project(&command.project)?, id))
}

pub fn update(draft: &mut Draft<'_>, command: &UpdateRoleMapping) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let id = project.role_mapping(&command.name)?;
    let Some(mapping) = project.role_mappings.get(id) else { return Err(Refusal::Bug) };
    let record = &mapping.record;
    etag::check(command.etag.as_deref(), id.number(), record.version)?;
    let renamed = command.new_name.as_ref().filter(|&name| *name != record.name);
    if let Some(name) = renamed {
        check_name(&project, name, Some(id))?;
    }
    let naming = Naming { name: &record.name, new_name: renamed, kept: command.aliases.as_deref() };
    let aliases = naming.aliases(draft, &record.aliases)?;
    let mut edited = edited(&project, id, &command.edits)?;
    let toggled = *mapping.record.disabled_roles != *edited.disabled.iter().copied().collect::<Vec<_>>();
    let mut disabling = Disabling::new(&project, &command.on_disabled, edited.disabled.clone(), &record.name)?;
    if toggled {
        let orgs = project.subscribers(id);
        disabling.check_covered(orgs.iter().copied(), draft.now())?;
        for org in orgs {
            disabling.apply(draft, org)?;
        }
    }
    edited.name = renamed.cloned();
    edited.description = command.description.as_deref().map(Into::into);
    edited.aliases = Some(aliases);
    write(draft, &project, id, edited)?;
    check_grants(draft, &project)?;
    Ok(Outcome::RoleMapping(draft.project(&command.project)?, id))
}

/// Deletes a mapping and moves its orgs (M5, M6).
pub fn delete(draft: &mut Draft<'_>, command: &DeleteRoleMapping) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let id = project.role_mapping(&command.name)?;
    let Some(mapping) = project.role_mappings.get(id) else { return Err(Refusal::Bug) };
    etag::check(command.etag.as_deref(), id.number(), mapping.record.version)?;
    if project.record.default_role_mapping == id {
        return Err(Refusal::DefaultRoleMapping(mapping.record.name.clone()));
    }
    let to = command.move_subscribers_to.as_ref().map(|name| project.role_mapping(name)).transpose()?;
    if to == Some(id) {
        let name = mapping.record.name.to_string();
        return Err(Refusal::OwnReplacement { noun: Noun::RoleMapping, name });
    }
    let mut moved = 0;
    if mapping.subscribers > 0 {
        let orgs = mapping.subscribers.into();
        let role_mapping = mapping.record.name.clone();
        let to = to.ok_or(Refusal::RoleMappingInUse { role_mapping, orgs })?;
        let mut disabling = Disabling::moving(&project, to, &command.on_disabled)?;
        let orgs = project.subscribers(id);
        disabling.check_covered(orgs.iter().copied(), draft.now())?;
        for org in orgs {
            disabling.apply(draft, org)?;
            subscription::move_to(draft, &project, org, to);
            moved += 1;
        }
    }
    for (role, row) in mapping.rows.entries() {
        let key = GrantsKey { project: project.id, role_mapping: id, role };
        draft.edit(Change::Grants(Edit { key, before: Some(PermissionSet::clone(row)), after: None }));
    }
    let key = Scoped { project: project.id, id };
    draft.edit(Change::RoleMapping(Edit { key, before: Some(mapping.record.clone()), after: None }));
    Ok(Outcome::Deleted(moved))
}

/// Makes a mapping the default one. Orgs keep their mappings (M1, M5).
pub fn promote(draft: &mut Draft<'_>, command: &PromoteRoleMapping) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let id = project.role_mapping(&command.name)?;
    if project.record.default_role_mapping != id {
        let before = ProjectRecord::clone(&project.record);
        let version = before.version + 1;
        let after = ProjectRecord { default_role_mapping: id, version, ..before.clone() };
        draft.edit(Change::Project(Edit { key: project.id, before: Some(before), after: Some(after) }));
    }
    Ok(Outcome::RoleMapping(draft.project(&command.project)?, id))
}

/// What new roles are in a mapping.
#[derive(Default)]
pub struct NewRows {
    pub disabled: BTreeSet<RoleId>,
    pub rows: BTreeMap<RoleId, PermissionSet>,
}

/// Adds roles that nobody holds yet to a mapping.
pub fn add_roles(draft: &mut Draft<'_>, project: &Project, id: RoleMappingId, new: NewRows) -> Result<(), Refusal> {
    let Some(mapping) = project.role_mappings.get(id) else { return Err(Refusal::Bug) };
    let disabled = mapping.record.disabled_roles.iter().copied().chain(new.disabled).collect();
    let rows = new.rows.into_iter().filter(|(_, row)| !row.is_empty());
    let rows = rows.map(|(role, row)| (role, PermissionSet::default(), row)).collect();
    write(draft, project, id, Edited { name: None, description: None, aliases: None, disabled, rows })
}

/// Disables a role in a mapping, without a strategy (M7). Only for a new role, which nobody holds.
pub fn disable(draft: &mut Draft<'_>, project: &Project, mapping: RoleMappingId, role: RoleId) {
    let disabled = |roles: &BTreeSet<RoleId>| roles.iter().copied().chain([role]).collect();
    alter(draft, project, mapping, disabled);
}

/// Removes a role from the disabled roles of a mapping, and counts a change even if it was enabled.
pub fn enable(draft: &mut Draft<'_>, project: &Project, mapping: RoleMappingId, role: RoleId) {
    alter(draft, project, mapping, |roles| roles.iter().copied().filter(|&other| other != role).collect());
}

/// Counts a change of a row of a mapping (M9).
pub fn touch(draft: &mut Draft<'_>, project: &Project, mapping: RoleMappingId) {
    alter(draft, project, mapping, BTreeSet::clone);
}

fn alter(
    draft: &mut Draft<'_>,
    project: &Project,
    id: RoleMappingId,
    disabled: impl FnOnce(&BTreeSet<RoleId>) -> BTreeSet<RoleId>,
) {
    let Some(mapping) = project.role_mappings.get(id) else { return };
    let record = &mapping.record;
    let disabled = disabled(&record.disabled_roles.iter().copied().collect());
    let disabled_roles = disabled.into_iter().collect();
    let after = RoleMappingRecord { disabled_roles, version: record.version + 1, ..record.clone() };
    let key = Scoped { project: project.id, id };
    draft.edit(Change::RoleMapping(Edit { key, before: Some(record.clone()), after: Some(after) }));
}

/// Refuses a name that another mapping has as its name or as an alias (R1, R3).
fn check_name(project: &Project, name: &RoleMappingName, of: Option<RoleMappingId>) -> Result<(), Refusal> {
    let taken = project.role_mapping_taking(name.as_str()).filter(|&id| Some(id) != of);
    match taken.and_then(|id| project.role_mappings.get(id)) {
        Some(mapping) => Err(alias::taken(Noun::RoleMapping, name.as_str(), mapping.record.name.as_str())),
        None => Ok(()),
    }
}

/// The new fields of a mapping and the changes of its rows.
struct Edited {
    name: Option<RoleMappingName>,
    description: Option<Box<str>>,
    aliases: Option<Arc<[RoleMappingName]>>,
    disabled: BTreeSet<RoleId>,
    /// For each row the permissions removed and added.
    rows: Vec<(RoleId, PermissionSet, PermissionSet)>,
}

/// Looks up and checks edits. Refuses to disable a default role (M4).
fn edited(project: &Project, id: RoleMappingId, edits: &RoleMappingEdits) -> Result<Edited, Refusal> {
    let enable = edits.enable.iter().map(|name| project.role(name)).collect::<Result<BTreeSet<_>, _>>()?;
    let disable = edits.disable.iter().map(|name| project.role(name)).collect::<Result<BTreeSet<_>, _>>()?;
    if let Some(&role) = enable.intersection(&disable).next() {
        return Err(Refusal::EnabledAndDisabled { role: project.role_name(role) });
    }
    let record = &project.record;
    for needed in [record.default_role, record.default_owner_role] {
        if disable.contains(&needed) {
            return Err(Refusal::DefaultRoleDisabled { role: project.role_name(needed) });
        }
    }
    let Some(mapping) = project.role_mappings.get(id) else { return Err(Refusal::Bug) };
    let kept = mapping.record.disabled_roles.iter().copied().filter(|role| !enable.contains(role));
    let disabled = kept.chain(disable).collect();

    // Several edits may name the same role and permission: the last one counts. Each row is built once.
    let mut edited: BTreeMap<RoleId, BTreeMap<PermissionId, bool>> = BTreeMap::new();
    for grant in &edits.grants {
        let edited = edited.entry(project.role(&grant.role)?).or_default();
        let add = grant.add.iter().map(|name| project.permission(name)).collect::<Result<PermissionSet, _>>()?;
        let remove = grant.remove.iter().map(|name| project.permission(name)).collect::<Result<PermissionSet, _>>()?;
        if let Some(both) = add.iter().find(|&id| remove.contains(id)) {
            let permission = project.permissions.get(both).map(|permission| permission.name.clone());
            return Err(Refusal::AddedAndRemoved { role: grant.role.clone(), permission });
        }
        edited.extend(add.iter().map(|id| (id, true)).chain(remove.iter().map(|id| (id, false))));
    }
    let mut rows = Vec::new();
    for (role, edited) in edited {
        let row = mapping.row(role);
        let granted = |id| row.is_some_and(|row| row.contains(id));
        let changed = |granted_after: bool| {
            let edited = edited.iter().filter(move |(_, after)| **after == granted_after);
            edited.map(|(&id, _)| id).filter(|&id| granted(id) != granted_after).collect::<PermissionSet>()
        };
        let (removed, added) = (changed(false), changed(true));
        if !removed.is_empty() || !added.is_empty() {
            rows.push((role, removed, added));
        }
    }
    Ok(Edited { name: None, description: None, aliases: None, disabled, rows })
}

/// Writes the rows, and one change of the mapping that counts them (M9).
fn write(draft: &mut Draft<'_>, project: &Project, id: RoleMappingId, edited: Edited) -> Result<(), Refusal> {
    let project = draft.latest(project)?;
    let Some(mapping) = project.role_mappings.get(id) else { return Err(Refusal::Bug) };
    let before = &mapping.record;
    let after = RoleMappingRecord {
        name: edited.name.unwrap_or_else(|| before.name.clone()),
        description: edited.description.unwrap_or_else(|| before.description.clone()),
        aliases: edited.aliases.unwrap_or_else(|| before.aliases.clone()),
        disabled_roles: edited.disabled.into_iter().collect(),
        ..before.clone()
    };
    if after != *before || !edited.rows.is_empty() {
        let after = RoleMappingRecord { version: before.version + 1, ..after };
        let key = Scoped { project: project.id, id };
        draft.edit(Change::RoleMapping(Edit { key, before: Some(before.clone()), after: Some(after) }));
    }
    for (role, removed, added) in edited.rows {
        let non_empty = |set: PermissionSet| (!set.is_empty()).then_some(set);
        let key = GrantsKey { project: project.id, role_mapping: id, role };
        draft.edit(Change::Grants(Edit { key, before: non_empty(removed), after: non_empty(added) }));
    }
    Ok(())
}

/// Refuses more grants in a project than the limit. Fewer grants than before are always accepted.
pub fn check_grants(draft: &Draft<'_>, before: &Project) -> Result<(), Refusal> {
    let grants = draft.project(&before.record.key)?.grants;
    if grants > before.grants { draft.check_limit("grants", draft.limits().grants, grants as usize) } else { Ok(()) }
}
