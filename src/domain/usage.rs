//! Who holds what. Nothing is counted in advance: few writes ask, and looking through a million memberships takes some
//! milliseconds.

use std::collections::{BTreeMap, BTreeSet};

use super::Time;
use super::command::OnDisabled;
use super::hash::TextHash;
use super::id::{RoleId, RoleMappingId, RoleSetId};
use super::membership::{MembershipRecord, MembershipSlot, TimedRole};
use super::org::Org;
use super::project::Project;
use super::refusal::Refusal;
use super::role_set::RoleSet;

/// What is recorded of one user in one org.
#[derive(Clone, Copy)]
pub struct Recorded<'a> {
    pub set_id: RoleSetId,
    pub set: &'a RoleSet,
    pub timed: &'a [TimedRole],
}

impl Recorded<'_> {
    /// Until when a role of the set is given; none: without an end.
    pub fn end(&self, role: RoleId) -> Option<Time> {
        self.timed.iter().find(|timed| timed.role == role).map(|timed| timed.until)
    }

    /// Whether the role is recorded and its end not past.
    pub fn holds(&self, role: RoleId, now: Time) -> bool {
        self.set.contains(role) && self.end(role).is_none_or(|until| until > now)
    }

    /// Whether the role is recorded and has no end.
    pub fn holds_for_ever(&self, role: RoleId) -> bool {
        self.set.contains(role) && self.end(role).is_none()
    }

    /// The roles held.
    pub fn held(&self, now: Time) -> impl Iterator<Item = RoleId> {
        self.set.roles.iter().copied().filter(move |&role| self.end(role).is_none_or(|until| until > now))
    }
}

impl Project {
    /// Whether `which` is true of a membership of an org; asks no further once it is.
    pub(super) fn any_membership<'a>(&'a self, org: &'a Org, mut which: impl FnMut(Recorded<'a>) -> bool) -> bool {
        org.any_slot(|user, slot| self.recorded(org, user, slot).is_some_and(&mut which))
    }

    /// A record with the roles of its set.
    pub(super) fn recorded_in<'a>(&'a self, record: &'a MembershipRecord) -> Option<Recorded<'a>> {
        let set = self.role_sets.get(record.role_set)?;
        Some(Recorded { set_id: record.role_set, set, timed: &record.timed })
    }

    fn recorded<'a>(&'a self, org: &'a Org, user: TextHash, slot: MembershipSlot) -> Option<Recorded<'a>> {
        let set_id = slot.role_set()?;
        let set = self.role_sets.get(set_id)?;
        Some(Recorded { set_id, set, timed: org.timed_roles(user, slot) })
    }

    /// Calls `visit` for each membership of an org.
    pub(super) fn each_membership<'a>(&'a self, org: &'a Org, mut visit: impl FnMut(Recorded<'a>)) {
        self.any_membership(org, |recorded| {
            visit(recorded);
            false
        });
    }

    /// How many members hold a role, in all orgs.
    pub(super) fn holders(&self, role: RoleId, now: Time) -> u64 {
        let mut holders = 0;
        self.for_each_org(|org| self.each_membership(org, |it| holders += u64::from(it.holds(role, now))));
        holders
    }

    /// Whether somebody holds the default owner role in an org without an end (B3).
    pub fn has_owner(&self, org: &Org) -> bool {
        let owner = self.record.default_owner_role;
        self.any_membership(org, |it| it.holds_for_ever(owner))
    }

    /// Whether somebody holds a role in an org that is not internal, beside those of whom `but` is true.
    pub(super) fn has_visible_member<'a>(
        &'a self,
        org: &'a Org,
        but: impl Fn(TextHash, Recorded<'a>) -> bool,
        now: Time,
    ) -> bool {
        let visible = |role| self.roles.get(role).is_some_and(|role| !role.internal);
        org.any_slot(|user, slot| {
            self.recorded(org, user, slot).is_some_and(|it| it.held(now).any(visible) && !but(user, it))
        })
    }
}

/// The roles that an org loses by moving from one mapping to another: enabled in the one, disabled in the other.
pub fn disabled_by_moving(project: &Project, from: RoleMappingId, to: RoleMappingId) -> BTreeSet<RoleId> {
    let (Some(from), Some(to)) = (project.role_mappings.get(from), project.role_mappings.get(to)) else {
        return BTreeSet::new();
    };
    to.record.disabled_roles.iter().copied().filter(|&role| from.enabled(role)).collect()
}

/// Refuses to disable roles for those who hold them in some orgs, unless the caller said what becomes of them (M7).
pub fn may_disable(
    project: &Project,
    roles: &BTreeSet<RoleId>,
    orgs: impl FnOnce(&mut dyn FnMut(&Org)),
    on_disabled: OnDisabled,
    now: Time,
) -> Result<(), Refusal> {
    if roles.is_empty() || on_disabled == OnDisabled::Suspend {
        return Ok(());
    }
    let mut held: BTreeMap<RoleId, u64> = BTreeMap::new();
    let (mut members, mut orgs_touched) = (0, 0);
    orgs(&mut |org| {
        let before = members;
        project.each_membership(org, |it| {
            let mut touched = false;
            for role in it.held(now).filter(|role| roles.contains(role)) {
                *held.entry(role).or_default() += 1;
                touched = true;
            }
            members += u64::from(touched);
        });
        orgs_touched += u64::from(members > before);
    });
    if members == 0 {
        return Ok(());
    }
    let held = held.into_iter().map(|(role, count)| (project.role_name(role), count)).collect();
    Err(Refusal::RolesWouldBeDisabled { held, members, orgs: orgs_touched })
}
