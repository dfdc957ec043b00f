//! What a write does to one member, or to all who hold the same roles in the same circumstances.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Sides;
use crate::domain::Time;
use crate::domain::id::{PermissionId, RoleId, RoleMappingId};
use crate::domain::membership::{Seen, Standing, Stands, TimedRole};
use crate::domain::org::Org;
use crate::domain::permission_set::PermissionSet;
use crate::domain::project::{Project, RoleStructure};
use crate::domain::role_mapping::RoleMapping;

/// What becomes of a member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effect {
    pub touched: bool,
    /// Whether a role ends or is suspended, or grants less.
    pub loses: bool,
    pub loses_at_least: bool,
    pub loses_owner: bool,
    pub given: Vec<RoleId>,
    pub ended: Vec<RoleId>,
    pub suspended: Vec<RoleId>,
    pub reactivated: Vec<RoleId>,
    /// The live roles, before and after.
    pub live: [Vec<RoleId>; 2],
}

/// One side of the comparison: the roles of a member in an org of a project, before the write or after it.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub project: &'a Project,
    pub org: &'a Org,
    pub roles: &'a [RoleId],
    pub timed: &'a [TimedRole],
}

impl<'a> Side<'a> {
    /// How the roles that are held stand.
    fn standings(self, seen: Seen, now: Time) -> Vec<Stands> {
        let known = |role: RoleId| seen == Seen::Whole || self.project.is_visible(role);
        let roles: Vec<RoleId> = self.roles.iter().copied().filter(|&role| known(role)).collect();
        let timed: Vec<TimedRole> = self.timed.iter().copied().filter(|timed| known(timed.role)).collect();
        let standings = self.project.standings_of(self.org, &roles, &timed, now);
        standings.filter(|stands| stands.standing != Standing::Ended).collect()
    }

    fn owns(self) -> bool {
        let owner = self.project.record.default_owner_role;
        self.roles.contains(&owner) && !self.timed.iter().any(|timed| timed.role == owner)
    }

    fn mapping(self) -> Option<&'a RoleMapping> {
        self.project.role_mappings.get(self.org.record.role_mapping).map(AsRef::as_ref)
    }
}

/// What rows of mappings lose and gain, found once for each.
#[derive(Default)]
pub struct Rows {
    known: HashMap<(RoleMappingId, RoleMappingId, RoleId), RowChange>,
}

#[derive(Clone, Copy, Default)]
struct RowChange {
    differs: bool,
    loses: bool,
}

impl Rows {
    fn change(&mut self, before: Side<'_>, after: Side<'_>, role: RoleId) -> RowChange {
        let key = (before.org.record.role_mapping, after.org.record.role_mapping, role);
        *self.known.entry(key).or_insert_with(|| {
            let row = |side: Side<'_>| side.mapping().and_then(|mapping| mapping.rows.get(role).cloned());
            match (row(before), row(after)) {
                (Some(one), Some(other)) if Arc::ptr_eq(&one, &other) || one == other => RowChange::default(),
                (Some(one), Some(other)) => {
                    RowChange { differs: true, loses: one.iter().any(|permission| !other.contains(permission)) }
                }
                (Some(_), None) => RowChange { differs: true, loses: true },
                (None, Some(_)) => RowChange { differs: true, loses: false },
                (None, None) => RowChange::default(),
            }
        })
    }
}

/// Compares a member before and after; a side is missing where it is no member, or the org is not there.
pub fn effect(sides: &Sides<'_>, rows: &mut Rows, before: Option<Side<'_>>, after: Option<Side<'_>>) -> Effect {
    let standings = |side: Option<Side<'_>>| side.map_or_else(Vec::new, |side| side.standings(sides.seen, sides.now));
    let (was, is) = (standings(before), standings(after));
    let live = [&was, &is].map(|all| {
        let all = all.iter().flat_map(|stands| stands.roles());
        all.filter(|(_, standing)| *standing == Standing::Live).map(|(role, _)| role).collect::<Vec<_>>()
    });
    let mut effect = Effect { touched: was != is, ..Effect::default() };
    let (held_before, held_after) = (held(&was), held(&is));
    for (&role, &enabled) in &held_before {
        match held_after.get(&role) {
            None => effect.ended.push(role),
            Some(&after) if enabled && !after => effect.suspended.push(role),
            Some(&after) if !enabled && after => effect.reactivated.push(role),
            Some(_) => {}
        }
    }
    effect.given = held_after.keys().copied().filter(|role| !held_before.contains_key(role)).collect();
    effect.loses = !effect.ended.is_empty() || !effect.suspended.is_empty();
    if let (Some(before), Some(after)) = (before, after) {
        for &role in &live[0] {
            let change = rows.change(before, after, role);
            effect.touched |= change.differs;
            effect.loses |= change.loses;
        }
        for &role in &live[1] {
            effect.touched |= rows.change(before, after, role).differs;
        }
    }
    effect.loses_owner = before.is_some_and(Side::owns) && !after.is_some_and(Side::owns);
    effect.loses_at_least = sides.loses_at_least(&live);
    effect.live = live;
    effect
}

/// The roles held, and whether each is enabled: of its own or in the place of another.
fn held(standings: &[Stands]) -> BTreeMap<RoleId, bool> {
    let mut held = BTreeMap::new();
    for (role, standing) in standings.iter().flat_map(|stands| stands.roles()) {
        *held.entry(role).or_insert(false) |= standing != Standing::Suspended;
    }
    held
}

/// What live roles grant together, in an org of a mapping.
pub fn granted(mapping: Option<&RoleMapping>, live: &[RoleId]) -> PermissionSet {
    let rows = live.iter().filter_map(|&role| mapping?.row(role));
    let all: std::collections::BTreeSet<PermissionId> = rows.flat_map(PermissionSet::iter).collect();
    all.into_iter().collect()
}

impl Sides<'_> {
    /// Whether there is a role for "at least" which these roles were enough before, and others are not after. Of the roles
    /// that are there afterwards.
    fn loses_at_least(&self, live: &[Vec<RoleId>; 2]) -> bool {
        let (Some(before), Some(after)) = (self.before, self.after) else { return false };
        if live[0].is_empty() || !self.reordered && live[0] == live[1] {
            return false;
        }
        let known = |role: RoleId| after.roles.get(role).is_some_and(|it| self.seen == Seen::Whole || !it.internal);
        let lost = |role: RoleId| known(role) && passes(before, &live[0], role) && !passes(after, &live[1], role);
        let rank = |role: &RoleId| after.roles.get(*role).or(before.roles.get(*role)).map(|role| role.rank);
        let highest = |live: &[RoleId]| live.iter().filter_map(rank).min();
        match before.record.role_structure {
            RoleStructure::MultiRole => live[0].iter().any(|&role| lost(role)),
            // As high as before in the same order is enough for all that was.
            RoleStructure::SingleRole
                if !self.reordered && highest(&live[1]) <= highest(&live[0]) && !live[1].is_empty() =>
            {
                false
            }
            RoleStructure::SingleRole => before.role_order.iter().any(|&role| lost(role)),
        }
    }
}

/// Whether live roles are enough for "at least" a role (K6).
fn passes(project: &Project, live: &[RoleId], asked: RoleId) -> bool {
    let rank = |role| project.roles.get(role).map(|role| role.rank);
    match project.record.role_structure {
        RoleStructure::SingleRole => live.iter().any(|&role| rank(role).is_some() && rank(role) <= rank(asked)),
        RoleStructure::MultiRole => live.contains(&asked),
    }
}
