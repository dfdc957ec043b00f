//! What a write does to one member, or to all who hold the same roles in the same circumstances.

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

/// What becomes of a member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effect {
    pub touched: bool,
    /// Whether a role ends or is suspended, or grants less.
    pub loses: bool,
    pub loses_at_least: bool,
    pub loses_owner: bool,
    pub given: Vec<RoleId>,
    pub removed: Vec<RoleId>,
    pub suspended: Vec<RoleId>,
    pub reactivated: Vec<RoleId>,
    /// The live roles, before and after.
    pub live: [Vec<RoleId>; 2],
    /// Stands for all of it, and for what the live roles come to grant: the same on every server.
    pub mark: u128,
}

/// One side of the comparison: the roles of a member in an org of a project, before the write or after it.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub project: &'a Project,
    pub org: &'a Org,
    pub it: Recorded<'a>,
}

impl<'a> Side<'a> {
    /// How the roles that are held stand, and until when they are held.
    fn role_states(self, visibility: Visibility, now: Time) -> Vec<(RecordedRole, Option<Time>)> {
        let (roles, temporary) = self.project.shown_roles(&self.it.set.roles, self.it.temporary, visibility);
        let role_states = self.project.role_states_of(self.org, &roles, &temporary, now);
        let held = role_states.filter(|recorded_role| recorded_role.state != RoleState::Expired);
        held.map(|recorded_role| (recorded_role, self.it.expiry(recorded_role.role))).collect()
    }

    fn owns(self) -> bool {
        self.it.holds_permanently(self.project.record.default_owner_role)
    }

    fn mapping(self) -> Option<&'a RoleMapping> {
        self.project.role_mappings.get(self.org.record.role_mapping).map(AsRef::as_ref)
    }
}

/// What rows of mappings lose and gain, found once for each.
#[derive(Default)]
pub struct Rows {
    known: HashMap<(Option<RoleMappingId>, Option<RoleMappingId>, RoleId), RowChange>,
}

#[derive(Clone, Copy, Default)]
struct RowChange {
    differs: bool,
    loses: bool,
    /// Stands for what it loses and gains.
    mark: u64,
}

impl RowChange {
    fn between(one: &PermissionSet, other: &PermissionSet) -> Self {
        let mut change = Self::default();
        let (lost, gained) = (one.without(other), other.without(one));
        change.loses = !lost.is_empty();
        change.differs = change.loses || !gained.is_empty();
        let sides = lost.iter().map(|id| (1, id)).chain(gained.iter().map(|id| (2, id)));
        change.mark = sides.fold(0, |mark, (side, id)| digest::mixed(mark, u64::from(id.number()) << 2 | side));
        change
    }
}

impl Rows {
    /// What becomes of a role's row; a side that is missing grants nothing.
    fn change(&mut self, before: Option<Side<'_>>, after: Option<Side<'_>>, role: RoleId) -> RowChange {
        let mapping = |side: Option<Side<'_>>| side.map(|side| side.org.record.role_mapping);
        *self.known.entry((mapping(before), mapping(after), role)).or_insert_with(|| {
            let row = |side: Option<Side<'_>>| side?.mapping().and_then(|mapping| mapping.rows.get(role).cloned());
            match (row(before), row(after)) {
                (Some(one), Some(other)) if Arc::ptr_eq(&one, &other) => RowChange::default(),
                (one, other) => RowChange::between(&one.unwrap_or_default(), &other.unwrap_or_default()),
            }
        })
    }
}

/// Compares a member before and after; a side is missing where it is no member, or the org is not there.
pub fn effect(sides: &Sides<'_>, rows: &mut Rows, before: Option<Side<'_>>, after: Option<Side<'_>>) -> Effect {
    let role_states =
        |side: Option<Side<'_>>| side.map_or_else(Vec::new, |side| side.role_states(sides.visibility, sides.now));
    let (stood, recorded_role) = (role_states(before), role_states(after));
    let live = [&stood, &recorded_role].map(|all| {
        let all = all.iter().flat_map(|(recorded_role, _)| recorded_role.roles());
        all.filter(|(_, state)| *state == RoleState::Live).map(|(role, _)| role).collect::<Vec<_>>()
    });
    let mut effect = Effect { touched: stood != recorded_role, ..Effect::default() };
    let (held_before, held_after) = (held(&stood), held(&recorded_role));
    for (&role, &enabled) in &held_before {
        match held_after.get(&role) {
            None => effect.removed.push(role),
            Some(&after) if enabled && !after => effect.suspended.push(role),
            Some(&after) if !enabled && after => effect.reactivated.push(role),
            Some(_) => {}
        }
    }
    effect.given = held_after.keys().copied().filter(|role| !held_before.contains_key(role)).collect();
    effect.loses = !effect.removed.is_empty() || !effect.suspended.is_empty();
    // Who holds nothing that is seen is no member, whatever is recorded (I4).
    if before.is_some() && after.is_some() && !stood.is_empty() && !recorded_role.is_empty() {
        for &role in &live[0] {
            let change = rows.change(before, after, role);
            effect.touched |= change.differs;
            effect.loses |= change.loses;
        }
        effect.touched |= live[1].iter().any(|&role| rows.change(before, after, role).differs);
    }
    if effect.touched {
        // What is granted no more, and what comes to be granted; what is and was, by what becomes of its row.
        let was = live[0].iter().map(|&role| rows.change(before, after.filter(|_| live[1].contains(&role)), role));
        let mut marks: Vec<u64> = was.map(|change| change.mark).collect();
        let new = live[1].iter().filter(|role| !live[0].contains(role));
        marks.extend(new.map(|&role| rows.change(None, after, role).mark));
        // Not in the order of roles, which goes by their numbers; and a row that stays as it is says nothing.
        marks.retain(|&mark| mark != 0);
        marks.sort_unstable();
        effect.mark = sides.mark([&stood, &recorded_role], &marks);
    }
    effect.loses_owner = before.is_some_and(Side::owns) && !after.is_some_and(Side::owns);
    effect.loses_at_least = sides.loses_at_least(&live);
    effect.live = live;
    effect
}

/// The roles held, and whether each is enabled: of its own or in the place of another.
fn held(role_states: &[(RecordedRole, Option<Time>)]) -> BTreeMap<RoleId, bool> {
    let mut held = BTreeMap::new();
    for (role, state) in role_states.iter().flat_map(|(recorded_role, _)| recorded_role.roles()) {
        *held.entry(role).or_insert(false) |= state != RoleState::Suspended;
    }
    held
}

/// What live roles grant together, in an org of a mapping.
pub fn granted(mapping: Option<&RoleMapping>, live: &[RoleId]) -> PermissionSet {
    PermissionSet::union(live.iter().filter_map(|&role| mapping?.row(role)))
}

impl Sides<'_> {
    /// A number for how roles stand before and after, by their names, and for what becomes of rows.
    fn mark(&self, role_states: [&[(RecordedRole, Option<Time>)]; 2], rows: &[u64]) -> u128 {
        let mut mark = digest::Mark::default();
        for (project, role_states) in [self.before, self.after].into_iter().zip(role_states) {
            mark.number(role_states.len() as u64);
            let name = |role: RoleId| project.map(|project| project.role_name(role));
            let mut recorded_role: Vec<_> =
                role_states.iter().map(|&(it, expire_time)| (name(it.role), it, expire_time)).collect();
            // Not by number: which numbers roles have is nothing that anybody is told.
            recorded_role.sort_by(|(one, ..), (other, ..)| one.cmp(other));
            for (role, recorded_role, expire_time) in recorded_role {
                role.iter().for_each(|name| mark.text(name.as_str()));
                mark.number(recorded_role.state as u64);
                mark.number(expire_time.map_or(0, |expire_time| expire_time.0.unsigned_abs()));
                let fallback_role = recorded_role.fallback_role.and_then(|(role, _)| name(role));
                mark.text(fallback_role.as_ref().map_or("", |name| name.as_str()));
            }
        }
        rows.iter().for_each(|&row| mark.number(row));
        mark.done()
    }
}
