//! What a write does to roles themselves: what they grant, and in which relation they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::impact::digest::{Kind, Marks};
use crate::domain::impact::report::{GrantImpact, Listed};
use crate::domain::impact::sides::Sides;
use crate::domain::model::id::{PermissionId, RoleId, RoleMappingId};
use crate::domain::model::name::{PermissionName, RoleName};
use crate::domain::model::permission::PermissionSet;
use crate::domain::model::project::RoleStructure;
use crate::domain::state::change::Change;
use crate::domain::state::project::Project;
use crate::limits::IMPACT_LIST_MAX;

type Key = (RoleMappingId, RoleId);

/// The grants gained, and those lost.
pub fn grants(sides: &Sides<'_>, changes: &[Change], marks: &mut Marks) -> [Listed<GrantImpact>; 2] {
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
        list(&mut gained, sides.after, key, after, before, |id| {
            marks.add(Kind::GrantGained, &[key.0.number(), key.1.number(), id])
        });
        list(&mut lost, sides.before, key, before, after, |id| {
            marks.add(Kind::GrantLost, &[key.0.number(), key.1.number(), id])
        });
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
    mut mark: impl FnMut(u32),
) {
    let Some(project) = project else { return };
    let other = |permission: &PermissionId| those.is_none_or(|those| !those.contains(*permission));
    for permission in these.into_iter().flat_map(PermissionSet::iter).filter(other) {
        mark(permission.number());
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
pub fn at_least_lost(sides: &Sides<'_>, marks: &mut Marks) -> Listed<(RoleName, RoleName)> {
    let mut lost = Listed::default();
    let (Some(before), Some(after)) = (sides.before, sides.after) else { return lost };
    if !sides.reordered || before.record.role_structure == RoleStructure::MultiRole {
        return lost;
    }
    let stays = after.record.role_structure == RoleStructure::SingleRole;
    let order = places(before, after);
    for (at, &(role, place)) in order.iter().enumerate() {
        for &(other, below) in &order[at + 1..] {
            if !(stays && place < below) {
                marks.add(Kind::AtLeastLost, &[role.number(), other.number()]);
                lost.add(IMPACT_LIST_MAX, || (before.role_name(role), before.role_name(other)));
            }
        }
    }
    lost
}

/// The roles that are there before and after, in the order before, with their places after.
fn places(before: &Project, after: &Project) -> Vec<(RoleId, usize)> {
    let places: BTreeMap<RoleId, usize> = after.role_order.iter().enumerate().map(|(at, &role)| (role, at)).collect();
    before.role_order.iter().filter_map(|&role| Some((role, *places.get(&role)?))).collect()
}

/// Pairs of roles that are there afterwards of which the first managed the second, and does not any more.
pub fn manages_lost(sides: &Sides<'_>, marks: &mut Marks) -> Listed<(RoleName, RoleName)> {
    let mut lost = Listed::default();
    let (Some(before), Some(after)) = (sides.before, sides.after) else { return lost };
    let mut lose = |role: RoleId, other: RoleId| {
        marks.add(Kind::ManagesLost, &[role.number(), other.number()]);
        lost.add(IMPACT_LIST_MAX, || (before.role_name(role), before.role_name(other)));
    };
    match (before.record.role_structure, after.record.role_structure) {
        (RoleStructure::SingleRole, RoleStructure::SingleRole) => ranked(sides.reordered, before, after, lose),
        (RoleStructure::SingleRole, RoleStructure::MultiRole) => {
            // So many roles as can be converted manage no more than a project can keep.
            for &role in before.role_order.iter() {
                for &other in before.role_order.iter() {
                    if before.manages(role, other) && after.roles.get(role).is_some() && !after.manages(role, other) {
                        lose(role, other);
                    }
                }
            }
        }
        (RoleStructure::MultiRole, _) => listed(before, after, lose),
    }
    lost
}

/// Of roles that manage those below them, and the highest visible one itself. There may be 10,000.
fn ranked(reordered: bool, before: &Project, after: &Project, mut lose: impl FnMut(RoleId, RoleId)) {
    let order = places(before, after);
    let visible: Vec<[bool; 2]> =
        order.iter().map(|&(role, _)| [before, after].map(|project| project.is_visible(role))).collect();
    let flagged = visible.iter().any(|[was, is]| was != is);
    for (at, &(role, place)) in order.iter().enumerate() {
        if before.manages(role, role) && !after.manages(role, role) {
            lose(role, role);
        }
        // Where no two changed places and none became internal, those below are below.
        let rest = if reordered || flagged { at + 1 } else { order.len() };
        for (&(other, below), [was, is]) in order[rest..].iter().zip(&visible[rest..]) {
            if *was && !(*is && place < below) {
                lose(role, other);
            }
        }
    }
}

/// Of roles that manage those of a list: only lists that changed are looked at, unless roles became internal.
fn listed(before: &Project, after: &Project, mut lose: impl FnMut(RoleId, RoleId)) {
    let converted = after.record.role_structure == RoleStructure::SingleRole;
    let flagged = before.roles.entries().any(|(id, _)| before.is_visible(id) && !after.is_visible(id));
    for &id in before.role_order.iter() {
        let (Some(role), Some(then)) = (before.roles.get(id), after.roles.get(id)) else { continue };
        if Arc::ptr_eq(&role.manages, &then.manages) && !flagged && !converted {
            continue;
        }
        // By the order of roles, so that lists of pairs can be read.
        let mut managed: Vec<RoleId> = role.manages.to_vec();
        managed.sort_by_key(|&other| before.roles.get(other).map(|other| other.rank));
        for other in managed {
            if after.roles.get(other).is_some() && before.manages(id, other) && !after.manages(id, other) {
                lose(id, other);
            }
        }
    }
}
