//! Role mappings: for every role, whether it is enabled and what it grants. A plan is a role mapping (M1 to M3, R7).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::change::GrantsKey;
use super::command::{CreateRoleMapping, PromoteRoleMapping, RoleMappingEdits, UpdateRoleMapping};
use super::decide::{Draft, Outcome};
use super::id::{PermissionId, RoleId, RoleMappingId};
use super::name::RoleMappingName;
use super::pages::Pages;
use super::permission_set::PermissionSet;
use super::project::{Project, ProjectRecord};
use super::refusal::{Noun, Refusal, Rows};
use super::{Change, Edit, Scoped, Time, subscription};

/// What a role mapping says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleMappingRecord {
    pub name: RoleMappingName,
    pub description: Box<str>,
    /// The roles that grant nothing in orgs of this mapping (M3), ascending by id.
    pub disabled_roles: Arc<[RoleId]>,
    pub create_time: Time,
}

/// A role mapping with its rows.
#[derive(Clone, PartialEq)]
pub struct RoleMapping {
    pub record: RoleMappingRecord,
    /// What each role grants; a role without a row grants nothing. Rows are shared with duplicates of this mapping.
    pub rows: Pages<Arc<PermissionSet>>,
}

impl RoleMapping {
    #[inline]
    pub fn enabled(&self, role: RoleId) -> bool {
        self.record.disabled_roles.binary_search(&role).is_err()
    }

    /// The permissions in a role's row, whether the role is enabled or not.
    #[inline]
    pub fn row(&self, role: RoleId) -> Option<&PermissionSet> {
        self.rows.get(role).map(Arc::as_ref)
    }

    pub fn grant_count(&self) -> usize {
        self.rows.iter().map(|row| row.len()).sum()
    }
}

impl Project {
    pub(super) fn share_rows(&mut self) {
        let mut known: HashSet<Arc<PermissionSet>> = HashSet::new();
        let mappings: Vec<RoleMappingId> = self.role_mappings.entries().map(|(id, _)| id).collect();
        for id in mappings {
            let Some(mapping) = self.role_mappings.get_mut(id) else { continue };
            let rows: Vec<(RoleId, _)> = mapping.rows.entries().map(|(role, row)| (role, row.clone())).collect();
            for (role, row) in rows {
                let shared = known.get(&row).cloned().unwrap_or_else(|| row.clone());
                known.insert(shared.clone());
                mapping.rows.set(role, Some(shared));
            }
        }
    }
}

/// Creates a role mapping, empty or as a duplicate, with edits and orgs to subscribe, in one commit (M2).
pub fn create(draft: &mut Draft<'_>, command: &CreateRoleMapping) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    if let Some(number) = project.role_mapping_names.taken(&project.hash_key, command.name.as_str()) {
        let name = project.role_mapping_name(RoleMappingId(number));
        return Err(Refusal::AlreadyExists(Noun::RoleMapping, name.to_string()));
    }
    draft.within("role_mappings", draft.limits().role_mappings, project.role_mappings.len() + 1)?;
    let original = command.duplicate_of.as_ref().map(|name| project.role_mapping(name)).transpose()?;
    let original = original.and_then(|id| project.role_mappings.get(id));
    let id = project.role_mappings.next_id();
    let key = Scoped { project: project.id, id };
    let record = RoleMappingRecord {
        name: command.name.clone(),
        description: command.description.as_str().into(),
        disabled_roles: original.map_or_else(|| [].into(), |mapping| mapping.record.disabled_roles.clone()),
        create_time: draft.now(),
    };
    draft.edit(Change::RoleMapping(Edit { key, before: None, after: Some(record) }));
    for (role, row) in original.iter().flat_map(|mapping| mapping.rows.entries()) {
        let key = GrantsKey { project: project.id, role_mapping: id, role };
        draft.edit(Change::Grants(Edit { key, before: None, after: Some(PermissionSet::clone(row)) }));
    }
    edit(draft, &command.project, id, &command.edits)?;
    grants_within(draft, &project)?;
    let mut rows = Rows::default();
    for (row, org_id) in command.subscribe.iter().enumerate() {
        let project = draft.project(&command.project)?;
        match project.org_or_refusal(org_id) {
            Ok(org) => subscription::subscribe(draft, &project, org, id),
            Err(refusal) => rows.push(row, refusal),
        }
    }
    rows.none()?;
    Ok(Outcome::RoleMapping(draft.project(&command.project)?, id))
}

/// Changes what roles grant in a mapping and which are enabled.
pub fn update(draft: &mut Draft<'_>, command: &UpdateRoleMapping) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let id = project.role_mapping(&command.name)?;
    edit(draft, &command.project, id, &command.edits)?;
    grants_within(draft, &project)?;
    Ok(Outcome::RoleMapping(draft.project(&command.project)?, id))
}

/// Makes a mapping the default one; orgs already subscribed stay where they are (M1, M5).
pub fn promote(draft: &mut Draft<'_>, command: &PromoteRoleMapping) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let id = project.role_mapping(&command.name)?;
    if project.record.default_role_mapping != id {
        let before = ProjectRecord::clone(&project.record);
        let after = ProjectRecord { default_role_mapping: id, ..before.clone() };
        draft.edit(Change::Project(Edit { key: project.id, before: Some(before), after: Some(after) }));
    }
    Ok(Outcome::RoleMapping(draft.project(&command.project)?, id))
}

/// Disables a role in a mapping; nothing happens where it is disabled already.
pub fn disable(draft: &mut Draft<'_>, project: &Project, mapping: RoleMappingId, role: RoleId) {
    set_enabled(draft, project, mapping, &BTreeSet::new(), &BTreeSet::from([role]));
}

fn edit(
    draft: &mut Draft<'_>,
    key: &super::ProjectKey,
    id: RoleMappingId,
    edits: &RoleMappingEdits,
) -> Result<(), Refusal> {
    let project = draft.project(key)?;
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
    set_enabled(draft, &project, id, &enable, &disable);

    // Several edits may name one role and one permission: the last word counts, and each row is made once.
    let mut said: BTreeMap<RoleId, BTreeMap<PermissionId, bool>> = BTreeMap::new();
    for grant in &edits.grants {
        let said = said.entry(project.role(&grant.role)?).or_default();
        let add = grant.add.iter().map(|name| project.permission(name)).collect::<Result<PermissionSet, _>>()?;
        let remove = grant.remove.iter().map(|name| project.permission(name)).collect::<Result<PermissionSet, _>>()?;
        if let Some(both) = add.iter().find(|&id| remove.contains(id)) {
            let permission = project.permissions.get(both).map(|permission| permission.name.clone());
            return Err(Refusal::AddedAndRemoved { role: grant.role.clone(), permission });
        }
        said.extend(add.iter().map(|id| (id, true)).chain(remove.iter().map(|id| (id, false))));
    }
    let mapping = project.role_mappings.get(id);
    for (role, said) in said {
        let row = mapping.and_then(|mapping| mapping.row(role));
        let granted = |id| row.is_some_and(|row| row.contains(id));
        let changed = |granted_after: bool| {
            let said = said.iter().filter(move |(_, after)| **after == granted_after);
            said.map(|(&id, _)| id).filter(|&id| granted(id) != granted_after).collect::<PermissionSet>()
        };
        let (less, more) = (changed(false), changed(true));
        if less.is_empty() && more.is_empty() {
            continue;
        }
        let some = |set: PermissionSet| (!set.is_empty()).then_some(set);
        let key = GrantsKey { project: project.id, role_mapping: id, role };
        draft.edit(Change::Grants(Edit { key, before: some(less), after: some(more) }));
    }
    Ok(())
}

/// Refuses what made the grants of a project more than they may be; what made them fewer is always right.
fn grants_within(draft: &Draft<'_>, before: &Project) -> Result<(), Refusal> {
    let grants = draft.project(&before.record.key)?.grants;
    if grants > before.grants { draft.within("grants", draft.limits().grants, grants as usize) } else { Ok(()) }
}

fn set_enabled(
    draft: &mut Draft<'_>,
    project: &Project,
    id: RoleMappingId,
    enable: &BTreeSet<RoleId>,
    disable: &BTreeSet<RoleId>,
) {
    let Some(mapping) = project.role_mappings.get(id) else { return };
    let kept = mapping.record.disabled_roles.iter().copied().filter(|role| !enable.contains(role));
    let mut disabled: Vec<RoleId> = kept.chain(disable.iter().copied()).collect();
    disabled.sort_unstable();
    disabled.dedup();
    if *disabled != *mapping.record.disabled_roles {
        let after = RoleMappingRecord { disabled_roles: disabled.into(), ..mapping.record.clone() };
        let key = Scoped { project: project.id, id };
        draft.edit(Change::RoleMapping(Edit { key, before: Some(mapping.record.clone()), after: Some(after) }));
    }
}
