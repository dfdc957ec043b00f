//! The effect of a write on one member, or on all members of an org with equal roles.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::domain::impact::digest;
use crate::domain::impact::sides::Sides;
use crate::domain::model::id::{RoleId, RoleMappingId};
use crate::domain::model::permission::PermissionSet;
use crate::domain::model::time::Time;
use crate::domain::rules::role_state::{RecordedRole, RoleState};
use crate::domain::rules::usage::Recorded;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;
use crate::domain::state::role_mapping::RoleMapping;

/// The effect on a member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effect {
    pub touched: bool,
    /// True if the member loses a role or permission, or a role is suspended.
    pub loses: bool,
    pub loses_at_least: bool,
    pub loses_owner: bool,
    pub given: Vec<RoleId>,
    pub removed: Vec<RoleId>,
    pub suspended: Vec<RoleId>,
    pub reactivated: Vec<RoleId>,
    /// The live roles before and after.
    pub live: [Vec<RoleId>; 2],
    /// Identifies the effect, and the change of what the live roles grant. Equal on every server.
    pub mark: u128,
}

/// A member in an org of a project, before the write or after it.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub project: &'a Project,
    pub org: &'a Org,
    pub member: Recorded<'a>,
    /// True for an invitation. Its suspended roles have no fallback roles: it waits until they are enabled.
    pub invited: bool,
}

/// A held role and its expiry.
type Held = (RecordedRole, Option<Time>);

impl<'a> Side<'a> {
    fn held(self, visibility: Visibility, now: Time) -> Vec<Held> {
        let (roles, temporary) = self.project.shown_roles(&self.member.set.roles, self.member.temporary, visibility);
        let recorded = self.project.role_states_of(self.org, &roles, &temporary, now);
        let held = recorded.filter(|recorded| recorded.state != RoleState::Expired);
        // A suspended role grants nothing, whether a temporary role would override it or not.
        let fallback_of = |held: &RecordedRole| held.fallback_role.filter(|_| !self.invited);
        let shown = held.map(|held| RecordedRole { overridden: false, fallback_role: fallback_of(&held), ..held });
        shown.map(|shown| (shown, self.member.expiry(shown.role))).collect()
    }

    fn owns(self) -> bool {
        self.member.holds_permanently(self.project.record.default_owner_role)
    }

    fn mapping(self) -> Option<&'a RoleMapping> {
        self.project.role_mappings.get(self.org.record.role_mapping).map(AsRef::as_ref)
    }
}

/// The changes of mapping rows, each computed once.
#[derive(Default)]
pub struct Rows {
    changes: HashMap<(Option<RoleMappingId>, Option<RoleMappingId>, RoleId), RowChange>,
}

#[derive(Clone, Copy, Default)]
struct RowChange {
    differs: bool,
    loses: bool,
    /// Identifies what the row loses and gains.
    mark: u64,
}

impl RowChange {
    fn between(before: &PermissionSet, after: &PermissionSet) -> Self {
        let mut change = Self::default();
        let (lost, gained) = (before.without(after), after.without(before));
        change.loses = !lost.is_empty();
        change.differs = change.loses || !gained.is_empty();
        let sides = lost.iter().map(|id| (1, id)).chain(gained.iter().map(|id| (2, id)));
        change.mark = sides.fold(0, |mark, (side, id)| digest::mixed(mark, u64::from(id.number()) << 2 | side));
        change
    }
}

impl Rows {
    /// Compares a role's row before and after. A missing side grants nothing.
    fn change(&mut self, before: Option<Side<'_>>, after: Option<Side<'_>>, role: RoleId) -> RowChange {
        let mapping = |side: Option<Side<'_>>| side.map(|side| side.org.record.role_mapping);
        *self.changes.entry((mapping(before), mapping(after), role)).or_insert_with(|| {
            let row = |side: Option<Side<'_>>| side?.mapping().and_then(|mapping| mapping.rows.get(role).cloned());
            match (row(before), row(after)) {
                (Some(before), Some(after)) if Arc::ptr_eq(&before, &after) => RowChange::default(),
                (before, after) => RowChange::between(&before.unwrap_or_default(), &after.unwrap_or_default()),
            }
        })
    }
}

/// Compares a member before and after. A side is missing if the org or the membership does not exist.
pub fn effect(sides: &Sides<'_>, rows: &mut Rows, before: Option<Side<'_>>, after: Option<Side<'_>>) -> Effect {
    let held = |side: Option<Side<'_>>| side.map_or_else(Vec::new, |side| side.held(sides.visibility, sides.now));
    let (held_before, held_after) = (held(before), held(after));
    let live = [&held_before, &held_after].map(|held| {
        let roles = held.iter().flat_map(|(held, _)| held.roles());
        roles.filter(|(_, state)| *state == RoleState::Live).map(|(role, _)| role).collect::<Vec<_>>()
    });
    let mut effect = Effect { touched: held_before != held_after, ..Effect::default() };
    let (enabled_before, enabled_after) = (enabled_roles(&held_before), enabled_roles(&held_after));
    for (&role, &enabled) in &enabled_before {
        match enabled_after.get(&role) {
            None => effect.removed.push(role),
            Some(&after) if enabled && !after => effect.suspended.push(role),
            Some(&after) if !enabled && after => effect.reactivated.push(role),
            Some(_) => {}
        }
    }
    effect.given = enabled_after.keys().copied().filter(|role| !enabled_before.contains_key(role)).collect();
    effect.loses = !effect.removed.is_empty() || !effect.suspended.is_empty();
    // A user without shown roles is no member, whatever is recorded (I4).
    if before.is_some() && after.is_some() && !held_before.is_empty() && !held_after.is_empty() {
        for &role in &live[0] {
            let change = rows.change(before, after, role);
            effect.touched |= change.differs;
            effect.loses |= change.loses;
        }
        effect.touched |= live[1].iter().any(|&role| rows.change(before, after, role).differs);
    }
    if effect.touched {
        // Roles that stay live by the change of their row, other roles by what they granted or will grant.
        let live_before =
            live[0].iter().map(|&role| rows.change(before, after.filter(|_| live[1].contains(&role)), role));
        let mut marks: Vec<u64> = live_before.map(|change| change.mark).collect();
        let new = live[1].iter().filter(|role| !live[0].contains(role));
        marks.extend(new.map(|&role| rows.change(None, after, role).mark));
        // Sorted, since the order of roles follows their ids. An unchanged row has no mark.
        marks.retain(|&mark| mark != 0);
        marks.sort_unstable();
        effect.mark = sides.mark([&held_before, &held_after], &marks);
    }
    effect.loses_owner = before.is_some_and(Side::owns) && !after.is_some_and(Side::owns);
    effect.loses_at_least = sides.loses_at_least(&live);
    effect.live = live;
    effect
}

/// Returns the roles held, also as fallback roles, and for each whether it is enabled.
fn enabled_roles(held: &[Held]) -> BTreeMap<RoleId, bool> {
    let mut roles = BTreeMap::new();
    for (role, state) in held.iter().flat_map(|(held, _)| held.roles()) {
        *roles.entry(role).or_insert(false) |= state != RoleState::Suspended;
    }
    roles
}

/// Returns what live roles grant together in an org of a mapping.
pub fn granted(mapping: Option<&RoleMapping>, live: &[RoleId]) -> PermissionSet {
    PermissionSet::union(live.iter().filter_map(|&role| mapping?.row(role)))
}

impl Sides<'_> {
    /// Returns a number that identifies the held roles before and after by their names, and the changes of rows.
    fn mark(&self, held: [&[Held]; 2], rows: &[u64]) -> u128 {
        let mut mark = digest::Mark::default();
        for (project, held) in [self.before, self.after].into_iter().zip(held) {
            mark.number(held.len() as u64);
            let name = |role: RoleId| project.map(|project| project.role_name(role));
            let mut held: Vec<_> =
                held.iter().map(|&(held, expire_time)| (name(held.role), held, expire_time)).collect();
            // By name: callers must not learn anything from the order of ids.
            held.sort_by(|(one, ..), (other, ..)| one.cmp(other));
            for (role, held, expire_time) in held {
                role.iter().for_each(|name| mark.text(name.as_str()));
                mark.number(held.state as u64);
                mark.number(expire_time.map_or(0, |expire_time| expire_time.0.unsigned_abs()));
                let fallback_role = held.fallback_role.and_then(|(role, _)| name(role));
                mark.text(fallback_role.as_ref().map_or("", |name| name.as_str()));
            }
        }
        rows.iter().for_each(|&row| mark.number(row));
        mark.done()
    }
}
