//! What a write does to roles themselves: what they grant, and in which relation they are.

use std::collections::{BTreeMap, BTreeSet};

use super::{GrantImpact, Listed, Sides};
use crate::domain::Change;
use crate::domain::id::{PermissionId, RoleId, RoleMappingId};
use crate::domain::name::{PermissionName, RoleName};
use crate::domain::permission_set::PermissionSet;
use crate::domain::project::{Project, RoleStructure};
use crate::limits::IMPACT_LIST_MAX;

type Key = (RoleMappingId, RoleId);

/// The grants gained, and those lost.
pub fn grants(sides: &Sides<'_>, changes: &[Change]) -> [Listed<GrantImpact>; 2] {
    let mut keys: BTreeSet<Key> = changes.iter().filter_map(grants_key).collect();
    // A project that goes takes all with it, marked as dead as a whole.
    if let (Some(before), None) = (sides.before, sides.after) {
        let rows =
            before.role_mappings.entries().flat_map(|(id, it)| it.rows.entries().map(move |(role, _)| (id, role)));
        keys.extend(rows);
    }
    let (mut gained, mut lost) = (Listed::default(), Listed::default());
    for key in keys {
        let (before, after) = (row(sides.before, key), row(sides.after, key));
        list(&mut gained, sides.after, key, after, before);
        list(&mut lost, sides.before, key, before, after);
    }
    [gained, lost]
}

fn grants_key(change: &Change) -> Option<Key> {
    match change {
        Change::Grants(edit) => Some((edit.key.role_mapping, edit.key.role)),
        _ => None,
    }
}

fn row(project: Option<&Project>, (mapping, role): Key) -> Option<&PermissionSet> {
    project?.role_mappings.get(mapping)?.row(role)
}

/// Lists what is in one row and not in the other.
fn list(
    listed: &mut Listed<GrantImpact>,
    project: Option<&Project>,
    (mapping, role): Key,
    these: Option<&PermissionSet>,
    those: Option<&PermissionSet>,
) {
    let Some(project) = project else { return };
    let other = |permission: &PermissionId| those.is_none_or(|those| !those.contains(*permission));
    for permission in these.into_iter().flat_map(PermissionSet::iter).filter(other) {
        listed.add(IMPACT_LIST_MAX, || GrantImpact {
            role_mapping: project.role_mapping_name(mapping),
            role: project.role_name(role),
            permission: name(project, permission),
        });
    }
}

/// A permission's name; the id came from this project.
pub fn name(project: &Project, permission: PermissionId) -> PermissionName {
    project.permissions.get(permission).map_or_else(|| PermissionName::stored(""), |it| it.name.clone())
}

/// Pairs of roles that are there afterwards of which the first was enough for "at least" the second, and is not any more.
pub fn at_least_lost(sides: &Sides<'_>) -> Listed<(RoleName, RoleName)> {
    let mut lost = Listed::default();
    let (Some(before), Some(after)) = (sides.before, sides.after) else { return lost };
    if !sides.reordered || before.record.role_structure == RoleStructure::MultiRole {
        return lost;
    }
    let places = places(after);
    let stays = after.record.role_structure == RoleStructure::SingleRole;
    let order: Vec<(RoleId, usize)> =
        before.role_order.iter().filter_map(|&role| Some((role, *places.get(&role)?))).collect();
    for (at, &(role, place)) in order.iter().enumerate() {
        for &(other, below) in &order[at + 1..] {
            if !(stays && place < below) {
                lost.add(IMPACT_LIST_MAX, || (before.role_name(role), before.role_name(other)));
            }
        }
    }
    lost
}

fn places(project: &Project) -> BTreeMap<RoleId, usize> {
    project.role_order.iter().enumerate().map(|(at, &role)| (role, at)).collect()
}

/// Pairs of roles that are there afterwards of which the first managed the second, and does not any more.
pub fn manages_lost(sides: &Sides<'_>) -> Listed<(RoleName, RoleName)> {
    let mut lost = Listed::default();
    let (Some(before), Some(after)) = (sides.before, sides.after) else { return lost };
    let structure = before.record.role_structure;
    let there = |role: &RoleId| after.roles.get(*role).is_some();
    let internal = |project: &Project, role: RoleId| project.roles.get(role).map(|role| role.internal);
    let flagged = before.role_order.iter().any(|&role| there(&role) && internal(before, role) != internal(after, role));
    let wide = sides.reordered || flagged || structure != after.record.role_structure;
    for &role in before.role_order.iter().filter(|role| there(role)) {
        let mut compare = |other: RoleId| {
            if there(&other) && before.manages(role, other) && !after.manages(role, other) {
                lost.add(IMPACT_LIST_MAX, || (before.role_name(role), before.role_name(other)));
            }
        };
        match structure {
            // By the order of roles, so that lists of pairs can be read.
            RoleStructure::MultiRole => {
                let managed = before.roles.get(role).map(|role| role.manages.clone()).unwrap_or_default();
                let mut managed: Vec<RoleId> = managed.iter().copied().collect();
                managed.sort_by_key(|&other| before.roles.get(other).map(|other| other.rank));
                managed.into_iter().for_each(compare);
            }
            RoleStructure::SingleRole if wide => before.role_order.iter().copied().for_each(compare),
            // Where no two roles changed places, only the highest can have stopped managing itself.
            RoleStructure::SingleRole => compare(role),
        }
    }
    lost
}
