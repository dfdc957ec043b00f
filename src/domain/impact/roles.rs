//! The impact of a write on roles: what they grant, and their relations.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::impact::digest::{Kind, Marks};
use crate::domain::impact::report::{GrantImpact, Listed};
use crate::domain::impact::scope::Scope;
use crate::domain::impact::sides::Sides;
use crate::domain::model::id::{PermissionId, RoleId, RoleMappingId};
use crate::domain::model::name::{PermissionName, RoleName};
use crate::domain::model::permission::PermissionSet;
use crate::domain::model::project::RoleStructure;
use crate::domain::state::change::Change;
use crate::domain::state::project::Project;
use crate::limits::IMPACT_LIST_MAX;

type Key = (RoleMappingId, RoleId);

/// Returns the grants gained and the grants lost.
pub fn grants(sides: &Sides<'_>, changes: &[Change], marks: &mut Marks) -> [Listed<GrantImpact>; 2] {
    let mut keys: BTreeSet<Key> = changes.iter().filter_map(grants_key).collect();
    // Deleting a project deletes all its grants without a change for each.
    if let (Some(before), None) = (sides.before, sides.after) {
        let rows = before
            .role_mappings
            .entries()
            .flat_map(|(id, mapping)| mapping.rows.entries().map(move |(role, _)| (id, role)));
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

/// Lists the permissions of `row` that are not in `other`.
fn list(
    listed: &mut Listed<GrantImpact>,
    project: Option<&Project>,
    (mapping, role): Key,
    row: Option<&PermissionSet>,
    other: Option<&PermissionSet>,
    mut mark: impl FnMut(u32),
) {
    let Some(project) = project else { return };
    let missing = |permission: &PermissionId| other.is_none_or(|other| !other.contains(*permission));
    for permission in row.into_iter().flat_map(PermissionSet::iter).filter(missing) {
        mark(permission.number());
        listed.add(IMPACT_LIST_MAX, || GrantImpact {
            role_mapping: project.role_mapping_name(mapping),
            role: project.role_name(role),
            permission: name(project, permission),
        });
    }
}

/// Returns the name of a permission of this project.
pub fn name(project: &Project, permission: PermissionId) -> PermissionName {
    project.permissions.get(permission).map_or_else(|| PermissionName::stored(""), |permission| permission.name.clone())
}

/// Returns the pairs of roles that exist afterwards where the first role no longer passes "at least" the second.
pub fn at_least_lost(sides: &Sides<'_>, marks: &mut Marks) -> Listed<(RoleName, RoleName)> {
    let mut lost = Listed::default();
    let (Some(before), Some(after)) = (sides.before, sides.after) else { return lost };
    if !sides.reordered || before.record.role_structure == RoleStructure::MultiRole {
        return lost;
    }
    let ranked_after = after.record.role_structure == RoleStructure::SingleRole;
    let order = positions(before, after);
    for (at, &(role, position)) in order.iter().enumerate() {
        for &(other, other_position) in &order[at + 1..] {
            if !(ranked_after && position < other_position) {
                marks.add(Kind::AtLeastLost, &[role.number(), other.number()]);
                lost.add(IMPACT_LIST_MAX, || (before.role_name(role), before.role_name(other)));
            }
        }
    }
    lost
}

/// Returns the roles that exist before and after, in the order before, with their positions after.
fn positions(before: &Project, after: &Project) -> Vec<(RoleId, usize)> {
    let positions: BTreeMap<RoleId, usize> =
        after.role_order.iter().enumerate().map(|(at, &role)| (role, at)).collect();
    before.role_order.iter().filter_map(|&role| Some((role, *positions.get(&role)?))).collect()
}

/// Returns the pairs of roles that exist afterwards where the first role no longer manages the second.
pub fn manages_lost(sides: &Sides<'_>, scope: &Scope<'_>, marks: &mut Marks) -> Listed<(RoleName, RoleName)> {
    let mut lost = Listed::default();
    let (Some(before), Some(after)) = (sides.before, sides.after) else { return lost };
    let mut lose = |role: RoleId, other: RoleId| {
        marks.add(Kind::ManagesLost, &[role.number(), other.number()]);
        lost.add(IMPACT_LIST_MAX, || (before.role_name(role), before.role_name(other)));
    };
    match (before.record.role_structure, after.record.role_structure) {
        (RoleStructure::SingleRole, RoleStructure::SingleRole) if !sides.reordered && !scope.flagged => {
            // The roles below are still below. A new highest role takes from the former one that it manages itself.
            let highest = before.highest_visible().filter(|&role| after.roles.get(role).is_some());
            if let Some(role) = highest.filter(|&role| !after.manages(role, role)) {
                lose(role, role);
            }
        }
        (RoleStructure::SingleRole, RoleStructure::SingleRole) => ranked(before, after, lose),
        (RoleStructure::SingleRole, RoleStructure::MultiRole) => {
            // Conversion is limited to `managed_roles` pairs, so this loop is bounded.
            let kept: Vec<RoleId> = positions(before, after).into_iter().map(|(role, _)| role).collect();
            for &role in &kept {
                for &other in kept.iter().filter(|&&other| before.manages(role, other) && !after.manages(role, other)) {
                    lose(role, other);
                }
            }
        }
        (RoleStructure::MultiRole, _) => {
            let all = scope.flagged || after.record.role_structure == RoleStructure::SingleRole;
            listed(before, after, (!all).then_some(&scope.changed_roles), lose)
        }
    }
    lost
}

/// Compares SINGLE_ROLE orders, where a role manages the roles below it, and the highest visible role also itself.
/// There may be 10,000 roles.
fn ranked(before: &Project, after: &Project, mut lose: impl FnMut(RoleId, RoleId)) {
    let order = positions(before, after);
    let visible: Vec<[bool; 2]> =
        order.iter().map(|&(role, _)| [before, after].map(|project| project.is_visible(role))).collect();
    for (at, &(role, position)) in order.iter().enumerate() {
        if before.manages(role, role) && !after.manages(role, role) {
            lose(role, role);
        }
        let rest = at + 1;
        for (&(other, other_position), [visible_before, visible_after]) in order[rest..].iter().zip(&visible[rest..]) {
            if *visible_before && !(*visible_after && position < other_position) {
                lose(role, other);
            }
        }
    }
}

/// Compares the MULTI_ROLE lists of the changed roles. `None` compares all lists.
fn listed(before: &Project, after: &Project, changed: Option<&BTreeSet<RoleId>>, mut lose: impl FnMut(RoleId, RoleId)) {
    // In the order of roles, so that lists of pairs are readable.
    let roles = match changed {
        Some(changed) => before.in_role_order(&changed.iter().copied().collect::<Vec<_>>()),
        None => before.role_order.to_vec(),
    };
    for id in roles {
        let Some(role) = before.roles.get(id).filter(|_| after.roles.get(id).is_some()) else { continue };
        for other in before.in_role_order(&role.manages) {
            if after.roles.get(other).is_some() && before.manages(id, other) && !after.manages(id, other) {
                lose(id, other);
            }
        }
    }
}
