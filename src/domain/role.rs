//! Roles: what end users see and hand to each other (R1, R2).

use std::collections::BTreeSet;

use super::change::Change;
use super::command::{CreateRole, Place};
use super::decide::{Draft, Outcome};
use super::id::{RoleId, RoleMappingId};
use super::name::RoleName;
use super::project::Project;
use super::refusal::{Noun, Refusal};
use super::role_mapping;
use super::{Edit, Scoped, Time};

/// A role of a project.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    pub name: RoleName,
    pub description: Box<str>,
    /// For the product's own staff; customers never see it.
    pub internal: bool,
    /// The place in the order: the lower the number, the higher the role. Only the comparison means something.
    pub rank: u64,
    pub create_time: Time,
}

/// The distance between neighbours when there is room: 32 roles can go between two before the order is numbered anew.
const RANK_STEP: u64 = 1 << 32;

/// The rank of the role at a position (0 is the highest) of an order numbered from the start.
pub fn rank_at(position: usize) -> u64 {
    RANK_STEP * (position as u64 + 1)
}

/// Creates a role at a place in the order: in every mapping, enabled and granting nothing, save where told (R2).
pub fn create(draft: &mut Draft<'_>, command: &CreateRole) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    if let Some(number) = project.role_names.taken(&project.hash_key, command.name.as_str()) {
        return Err(Refusal::AlreadyExists(Noun::Role, project.role_name(RoleId(number)).to_string()));
    }
    draft.within("roles", draft.limits().roles, project.roles.len() + 1)?;
    let disabled_in = command.disabled_in.iter().map(|name| project.role_mapping(name));
    let disabled_in: BTreeSet<RoleMappingId> = disabled_in.collect::<Result<_, _>>()?;
    let position = match &command.place {
        Place::Last => project.role_order.len(),
        Place::Above(name) => position(&project, project.role(name)?),
        Place::Below(name) => position(&project, project.role(name)?) + 1,
    };
    let rank = make_room(draft, &project, position);
    let id = project.roles.next_id();
    let role = Role {
        name: command.name.clone(),
        description: command.description.as_str().into(),
        internal: command.internal,
        rank,
        create_time: draft.now(),
    };
    let key = Scoped { project: project.id, id };
    draft.edit(Change::Role(Edit { key, before: None, after: Some(role) }));
    for mapping in disabled_in {
        role_mapping::disable(draft, &project, mapping, id);
    }
    Ok(Outcome::Role(draft.project(&command.project)?, id))
}

/// The position of a role in the order, 0 for the highest.
pub fn position(project: &Project, role: RoleId) -> usize {
    project.role_order.iter().position(|&other| other == role).unwrap_or(project.role_order.len())
}

/// A rank between the role at `position` and the one before it; where there is none left, the order is numbered anew.
fn make_room(draft: &mut Draft<'_>, project: &Project, position: usize) -> u64 {
    let rank = |at: usize| project.role_order.get(at).and_then(|&id| project.roles.get(id)).map(|role| role.rank);
    let above = position.checked_sub(1).and_then(rank).unwrap_or(0);
    let Some(below) = rank(position) else { return above + RANK_STEP };
    let middle = above + (below - above) / 2;
    if middle != above {
        return middle;
    }
    for (at, &id) in project.role_order.iter().enumerate() {
        let Some(role) = project.roles.get(id) else { continue };
        let moved = Role { rank: rank_at(at + usize::from(at >= position)), ..Role::clone(role) };
        if moved.rank != role.rank {
            let key = Scoped { project: project.id, id };
            draft.edit(Change::Role(Edit { key, before: Some(Role::clone(role)), after: Some(moved) }));
        }
    }
    rank_at(position)
}
