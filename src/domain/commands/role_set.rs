//! Creates and collects role sets (P7).

use crate::domain::commands::draft::Draft;
use crate::domain::model::id::{ProjectId, RoleSetId};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::role_set::RoleSet;
use crate::domain::state::change::{Change, Edit, Scoped};
use crate::domain::state::membership::ROLE_SET_ID_MAX;
use crate::limits::ROLE_SETS_BETWEEN_COLLECTIONS;

/// The name of the limit on sets.
pub const LIMIT: &str = "role_sets";

/// Returns the id of a set with exactly these roles that was not migrated. Creates it if there is none.
pub fn intern(draft: &mut Draft<'_>, project: ProjectId, roles: RoleSet) -> Result<RoleSetId, Refusal> {
    match draft.state().project_numbered(project).and_then(|project| project.role_set_of(&roles)) {
        Some(id) => Ok(id),
        None => add(draft, project, roles),
    }
}

/// Creates a set, even if another one has the same roles. It takes the id of the project: a reference to the project
/// would make each new set copy the table of sets.
pub fn add(draft: &mut Draft<'_>, project: ProjectId, roles: RoleSet) -> Result<RoleSetId, Refusal> {
    let sets = draft.state().project_numbered(project).map(|project| &project.role_sets);
    let Some((id, sets)) = sets.map(|sets| (sets.next_id(), sets.len())) else { return Err(Refusal::Bug) };
    draft.check_limit(LIMIT, draft.limits().role_sets, sets + 1)?;
    if id > ROLE_SET_ID_MAX {
        return Err(Refusal::LimitExceeded {
            limit: "role_set_ids",
            max: ROLE_SET_ID_MAX.number() as u64,
            asked: id.number() as u64,
        });
    }
    draft.edit(Change::RoleSet(Edit { key: Scoped { project, id }, before: None, after: Some(roles) }));
    Ok(id)
}

/// Deletes the unused sets, once per `ROLE_SETS_BETWEEN_COLLECTIONS` new sets. Every REMAP creates sets (M7) that
/// `intern` never finds.
pub fn collect(draft: &mut Draft<'_>) {
    let mut created = draft.changes().iter().filter_map(|change| match change {
        Change::RoleSet(Edit { key, before: None, after: Some(set) }) if set.migrated => Some(*key),
        _ => None,
    });
    let Some(key) = created.find(|key| (key.id.number() as usize).is_multiple_of(ROLE_SETS_BETWEEN_COLLECTIONS)) else {
        return;
    };
    delete_unused(draft, key.project);
}

/// Deletes the sets that nobody holds. Nothing may be about to use one of them. Returns true if there were any.
pub fn delete_unused(draft: &mut Draft<'_>, project: ProjectId) -> bool {
    let Some(project) = draft.state().project_numbered(project).cloned() else { return false };
    let unused = project.unused_role_sets();
    for &id in &unused {
        let before = project.role_sets.get(id).map(|set| RoleSet::clone(set));
        draft.edit(Change::RoleSet(Edit { key: Scoped { project: project.id, id }, before, after: None }));
    }
    !unused.is_empty()
}
