//! Edits of roles and of their order that several commands make.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::commands::draft::Draft;
use crate::domain::model::id::RoleId;
use crate::domain::model::name::RoleName;
use crate::domain::model::project::ProjectRecord;
use crate::domain::model::refusal::Refusal;
use crate::domain::model::role::{RANK_STEP, Role, rank_at};
use crate::domain::state::change::{Change, Edit, Scoped};
use crate::domain::state::project::Project;

/// Looks up the roles of an order that names each role once (R6).
pub fn complete_order(project: &Project, names: &[RoleName]) -> Result<Vec<RoleId>, Refusal> {
    let mut order = Vec::with_capacity(names.len());
    let mut named = BTreeSet::new();
    for (at, name) in names.iter().enumerate() {
        let id = project.role(name)?;
        if !named.insert(id) {
            return Err(Refusal::RepeatedInOrder { at, role: name.clone() });
        }
        order.push(id);
    }
    match project.role_order.iter().find(|id| !named.contains(id)) {
        Some(&missing) => Err(Refusal::IncompleteOrder { missing: project.role_name(missing) }),
        None => Ok(order),
    }
}

/// Renumbers all roles in this order.
pub fn set_order(draft: &mut Draft<'_>, project: &Project, order: &[RoleId]) {
    for (at, &id) in order.iter().enumerate() {
        set_rank(draft, project, id, rank_at(at));
    }
}

/// Counts a change of the ranks of existing roles (M9). Page tokens of lists in their order then become invalid.
pub fn count_reordering(draft: &mut Draft<'_>, project: &Project) {
    let before = ProjectRecord::clone(&project.record);
    let after = ProjectRecord { role_order_version: before.role_order_version + 1, ..before.clone() };
    draft.edit(Change::Project(Edit { key: project.id, before: Some(before), after: Some(after) }));
}

/// Returns a free rank between the role at `position` and the one before it. If there is none, it renumbers the order.
pub fn free_rank(draft: &mut Draft<'_>, project: &Project, position: usize) -> u64 {
    let rank = |at: usize| project.role_order.get(at).and_then(|&id| project.roles.get(id)).map(|role| role.rank);
    let above = position.checked_sub(1).and_then(rank).unwrap_or(0);
    let Some(below) = rank(position) else { return above + RANK_STEP };
    let middle = above + (below - above) / 2;
    if middle != above {
        return middle;
    }
    for (at, &id) in project.role_order.iter().enumerate() {
        set_rank(draft, project, id, rank_at(at + usize::from(at >= position)));
    }
    count_reordering(draft, project);
    rank_at(position)
}

pub fn set_manages(draft: &mut Draft<'_>, project: &Project, id: RoleId, manages: Arc<[RoleId]>) {
    let Some(role) = project.roles.get(id).filter(|role| role.manages != manages) else { return };
    let key = Scoped { project: project.id, id };
    let after = Role { manages, version: role.version + 1, ..Role::clone(role) };
    draft.edit(Change::Role(Edit { key, before: Some(Role::clone(role)), after: Some(after) }));
}

pub fn set_rank(draft: &mut Draft<'_>, project: &Project, id: RoleId, rank: u64) {
    let Some(role) = project.roles.get(id).filter(|role| role.rank != rank) else { return };
    let key = Scoped { project: project.id, id };
    let after = Role { rank, ..Role::clone(role) };
    draft.edit(Change::Role(Edit { key, before: Some(Role::clone(role)), after: Some(after) }));
}
