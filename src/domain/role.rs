//! Roles: what end users see and hand to each other (R1, R2, R3, R6, R10). Deleting one is in `role/delete.rs`.

mod delete;

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::alias::{self, Naming};
use super::change::Change;
use super::command::{CreateRole, Place, ReorderRoles, UpdateRole};
use super::decide::{Draft, Outcome};
use super::id::{ProjectId, RoleId, RoleMappingId};
use super::name::RoleName;
use super::project::{Project, ProjectRecord, RoleStructure};
use super::refusal::{Noun, Refusal};
use super::{Edit, Scoped, Time, etag, role_mapping};

pub use delete::delete;

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
    /// Its old names, oldest first (R3).
    pub aliases: Arc<[RoleName]>,
    /// How often it was changed, its rank aside (M9).
    pub version: u32,
    /// The roles that it manages in a MULTI_ROLE project, ascending by id (G2); none in a SINGLE_ROLE one.
    pub manages: Arc<[RoleId]>,
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
    free(&project, &command.name, None)?;
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
        aliases: [].into(),
        version: 1,
        manages: manages(draft, &project, &command.manages, &[], Some((&command.name, id)))?,
    };
    let key = Scoped { project: project.id, id };
    draft.edit(Change::Role(Edit { key, before: None, after: Some(role) }));
    for mapping in disabled_in {
        role_mapping::disable(draft, &project, mapping, id);
    }
    Ok(Outcome::Role(draft.project(&command.project)?, id))
}

/// The roles that a role is to manage (G2). A new role, with the number it will have, can name itself.
fn manages(
    draft: &Draft<'_>,
    project: &Project,
    names: &[RoleName],
    before: &[RoleId],
    new: Option<(&RoleName, RoleId)>,
) -> Result<Arc<[RoleId]>, Refusal> {
    let itself = |name: &RoleName| new.filter(|(new, _)| *new == name).map(|(_, id)| id);
    let roles = names.iter().map(|name| itself(name).map_or_else(|| project.role(name), Ok));
    let roles: BTreeSet<RoleId> = roles.collect::<Result<_, _>>()?;
    let is = project.record.role_structure;
    if !roles.is_empty() && is == RoleStructure::SingleRole {
        let why = "there a role manages those below it; convert the project, or name none";
        return Err(Refusal::WrongRoleStructure { is, why });
    }
    if roles.len() > before.len() {
        let all: usize = project.roles.entries().map(|(_, role)| role.manages.len()).sum();
        draft.within("managed_roles", draft.limits().managed_roles, all - before.len() + roles.len())?;
    }
    Ok(roles.into_iter().collect())
}

/// Refuses a name that another role has, or had and is still found by (R1, R3).
fn free(project: &Project, name: &RoleName, of: Option<RoleId>) -> Result<(), Refusal> {
    let taken = project.role_names.taken(&project.hash_key, name.as_str()).map(RoleId).filter(|&id| Some(id) != of);
    match taken.and_then(|id| project.roles.get(id)) {
        Some(role) => Err(alias::taken(Noun::Role, name.as_str(), role.name.as_str())),
        None => Ok(()),
    }
}

/// Renames a role, or changes what it says of itself (R3, R5, R10).
pub fn update(draft: &mut Draft<'_>, command: &UpdateRole) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let id = project.role(&command.name)?;
    let Some(before) = project.roles.get(id) else { return Err(Refusal::Panicked) };
    etag::fits(command.etag.as_deref(), id.number(), before.version)?;
    let renamed = command.new_name.as_ref().filter(|&name| *name != before.name);
    if let Some(name) = renamed {
        free(&project, name, Some(id))?;
    }
    let internal = command.internal.unwrap_or(before.internal);
    if internal != before.internal {
        let record = &project.record;
        if internal && [record.default_role, record.default_owner_role].contains(&id) {
            let why = "it would be internal; name another first".into();
            return Err(Refusal::DefaultRoleUnsuitable { role: before.name.clone(), deleting: false, why });
        }
        let members = project.holders(id, draft.now());
        if members > 0 {
            return Err(Refusal::RoleInUse { role: before.name.clone(), members });
        }
    }
    let naming = Naming { name: &before.name, new_name: renamed, kept: command.aliases.as_deref() };
    let after = Role {
        name: renamed.unwrap_or(&before.name).clone(),
        description: command.description.as_deref().map_or_else(|| before.description.clone(), Into::into),
        internal,
        aliases: naming.aliases(draft, &before.aliases)?,
        manages: match &command.manages {
            Some(names) => manages(draft, &project, names, &before.manages, None)?,
            None => before.manages.clone(),
        },
        ..Role::clone(before)
    };
    if after != **before {
        let key = Scoped { project: project.id, id };
        let after = Role { version: before.version + 1, ..after };
        draft.edit(Change::Role(Edit { key, before: Some(Role::clone(before)), after: Some(after) }));
    }
    Ok(Outcome::Role(draft.project(&command.project)?, id))
}

/// Puts the roles into a new order (R6).
pub fn reorder(draft: &mut Draft<'_>, command: &ReorderRoles) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let now = role_order_etag(&project);
    if command.etag.as_ref().is_some_and(|named| *named != now) {
        return Err(Refusal::EtagMismatch { now });
    }
    let order = order(&project, &command.roles)?;
    if order != **project.role_order {
        put_in_order(draft, &project, &order);
        ranked_anew(draft, &project);
    }
    Ok(Outcome::RolesReordered(draft.project(&command.project)?))
}

/// The roles of a complete order: each named once (R6).
pub(super) fn order(project: &Project, names: &[RoleName]) -> Result<Vec<RoleId>, Refusal> {
    let mut order = Vec::with_capacity(names.len());
    let mut visibility = BTreeSet::new();
    for (at, name) in names.iter().enumerate() {
        let id = project.role(name)?;
        if !visibility.insert(id) {
            return Err(Refusal::RepeatedInOrder { at, role: name.clone() });
        }
        order.push(id);
    }
    match project.role_order.iter().find(|id| !visibility.contains(id)) {
        Some(&missing) => Err(Refusal::IncompleteOrder { missing: project.role_name(missing) }),
        None => Ok(order),
    }
}

/// Ranks all roles anew.
pub(super) fn put_in_order(draft: &mut Draft<'_>, project: &Project, order: &[RoleId]) {
    for (at, &id) in order.iter().enumerate() {
        set_rank(draft, project, id, rank_at(at));
    }
}

/// Counts that roles got other ranks: a list in their order cannot go on.
pub(super) fn ranked_anew(draft: &mut Draft<'_>, project: &Project) {
    let before = ProjectRecord::clone(&project.record);
    let after = ProjectRecord { role_order_version: before.role_order_version + 1, ..before.clone() };
    draft.edit(Change::Project(Edit { key: project.id, before: Some(before), after: Some(after) }));
}

/// The etag of the order of roles (M9).
pub fn role_order_etag(project: &Project) -> String {
    let next = project.roles.next_number();
    role_order_etag_of(project.id, project.record.role_order_version, next, project.roles.len())
}

/// The same, of a project whose roles are not at hand: how often they were ranked anew, the number that the next role
/// gets, and how many there are. One that comes changes the second, one that goes the third.
pub fn role_order_etag_of(project: ProjectId, role_order_version: u32, next_role: u32, roles: usize) -> String {
    format!("{}.{next_role:x}.{roles:x}", etag::etag(project.number(), role_order_version))
}

/// A number for the order of the visible roles, highest first, each with when it was created: another for another order,
/// and where one came or went. It is made of nothing that end users do not see: an id would count internal roles too, so
/// that of the ids only the order is taken.
pub fn visible_order_of(roles: &[(RoleId, Time)]) -> i64 {
    let mut ids: Vec<RoleId> = roles.iter().map(|&(id, _)| id).collect();
    ids.sort_unstable();
    let mut hash = Sha256::new();
    for (id, created) in roles {
        hash.update((ids.partition_point(|other| other < id) as u64).to_le_bytes());
        hash.update(created.0.to_le_bytes());
    }
    let hash = hash.finalize();
    i64::from_le_bytes(std::array::from_fn(|at| hash[at])) & i64::MAX
}

/// The same, of a project.
pub fn visible_order(project: &Project) -> i64 {
    let visible = project.role_order.iter().filter_map(|&id| Some((id, project.roles.get(id)?)));
    let visible = visible.filter(|(_, role)| !role.internal).map(|(id, role)| (id, role.create_time));
    visible_order_of(&visible.collect::<Vec<_>>())
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
        set_rank(draft, project, id, rank_at(at + usize::from(at >= position)));
    }
    ranked_anew(draft, project);
    rank_at(position)
}

/// Gives a role another list of roles that it manages.
pub(super) fn set_manages(draft: &mut Draft<'_>, project: &Project, id: RoleId, manages: Arc<[RoleId]>) {
    let Some(role) = project.roles.get(id).filter(|role| role.manages != manages) else { return };
    let key = Scoped { project: project.id, id };
    let after = Role { manages, version: role.version + 1, ..Role::clone(role) };
    draft.edit(Change::Role(Edit { key, before: Some(Role::clone(role)), after: Some(after) }));
}

pub(super) fn set_rank(draft: &mut Draft<'_>, project: &Project, id: RoleId, rank: u64) {
    let Some(role) = project.roles.get(id).filter(|role| role.rank != rank) else { return };
    let key = Scoped { project: project.id, id };
    let after = Role { rank, ..Role::clone(role) };
    draft.edit(Change::Role(Edit { key, before: Some(Role::clone(role)), after: Some(after) }));
}
