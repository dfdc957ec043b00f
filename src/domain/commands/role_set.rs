//! Role sets: a membership points to the set of roles it has, and many memberships to the same one (P7).

use crate::domain::commands::draft::Draft;
use crate::domain::model::id::{ProjectId, RoleSetId};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::role_set::RoleSet;
use crate::domain::state::change::{Change, Edit, Scoped};
use crate::domain::state::membership::ROLE_SET_ID_MAX;
use crate::limits::ROLE_SETS_BETWEEN_COLLECTIONS;

/// The id of a set with exactly these roles that nothing has altered: one that is there already, or a new one.
pub fn intern(draft: &mut Draft<'_>, project: ProjectId, roles: RoleSet) -> Result<RoleSetId, Refusal> {
    match draft.state().project_numbered(project).and_then(|project| project.role_set_of(&roles)) {
        Some(id) => Ok(id),
        None => add(draft, project, roles),
    }
}

/// The id of a new set, also where there is one with the same roles. The project is named, not held: whoever held it would
/// make each new set copy what the project keeps of all others.
pub fn add(draft: &mut Draft<'_>, project: ProjectId, roles: RoleSet) -> Result<RoleSetId, Refusal> {
    let sets = draft.state().project_numbered(project).map(|project| &project.role_sets);
    let Some((id, sets)) = sets.map(|sets| (sets.next_id(), sets.len())) else { return Err(Refusal::Panicked) };
    draft.within("role_sets", draft.limits().role_sets, sets + 1)?;
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

/// Drops the sets that nobody has any more, each time that so many were made in the place of others: every REMAP makes some
/// (M7), and they are found by nobody who looks for their roles.
pub fn collect(draft: &mut Draft<'_>) {
    let made = draft.changes().iter().filter_map(|change| match change {
        Change::RoleSet(Edit { key, before: None, after: Some(set) }) if set.migrated => Some(*key),
        _ => None,
    });
    let Some(key) =
        made.into_iter().find(|key| (key.id.number() as usize).is_multiple_of(ROLE_SETS_BETWEEN_COLLECTIONS))
    else {
        return;
    };
    let Some(project) = draft.state().project_numbered(key.project).cloned() else { return };
    let used = project.used_role_sets();
    let unused: Vec<_> = project.role_sets.entries().filter(|(id, _)| !used.contains(id)).collect();
    for (id, set) in unused {
        let (key, before) = (Scoped { project: project.id, id }, Some(RoleSet::clone(set)));
        draft.edit(Change::RoleSet(Edit { key, before, after: None }));
    }
}
