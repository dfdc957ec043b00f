//! Who holds what. Nothing is counted in advance: few writes ask, and looking through a million memberships takes some
//! milliseconds.

use std::collections::BTreeSet;

use crate::domain::collections::hash::TextHash;
use crate::domain::model::fallback::{chain, fallback_of};
use crate::domain::model::id::{RoleId, RoleSetId};
use crate::domain::model::membership::{MembershipRecord, TemporaryRole, expiry_of};
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::time::Time;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::membership::MembershipSlot;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// What is recorded of one user in one org.
#[derive(Clone, Copy)]
pub struct Recorded<'a> {
    pub set_id: RoleSetId,
    pub set: &'a RoleSet,
    pub temporary: &'a [TemporaryRole],
}

impl Recorded<'_> {
    /// Until when a role of the set is given; none: without an end.
    pub fn end(&self, role: RoleId) -> Option<Time> {
        expiry_of(self.temporary, role)
    }

    /// Whether the role is recorded and its end not past.
    pub fn holds(&self, role: RoleId, now: Time) -> bool {
        self.set.contains(role) && self.end(role).is_none_or(|expire_time| expire_time > now)
    }

    /// Whether the role is recorded and has no end.
    pub fn holds_for_ever(&self, role: RoleId) -> bool {
        self.set.contains(role) && self.end(role).is_none()
    }

    /// The roles held.
    pub fn held(&self, now: Time) -> impl Iterator<Item = RoleId> {
        self.set.roles.iter().copied().filter(move |&role| self.end(role).is_none_or(|expire_time| expire_time > now))
    }
}

impl Project {
    /// Whether `which` is true of a membership of an org; asks no further once it is.
    pub(in crate::domain) fn any_membership<'a>(
        &'a self,
        org: &'a Org,
        mut which: impl FnMut(Recorded<'a>) -> bool,
    ) -> bool {
        self.any_member(org, |_, it| which(it))
    }

    /// Whether `which` is true of a user, hashed, and what is recorded of it in an org; asks no further once it is.
    pub(in crate::domain) fn any_member<'a>(
        &'a self,
        org: &'a Org,
        mut which: impl FnMut(TextHash, Recorded<'a>) -> bool,
    ) -> bool {
        org.any_slot(|user, slot| self.recorded(org, user, slot).is_some_and(|it| which(user, it)))
    }

    /// A record with the roles of its set.
    pub(in crate::domain) fn recorded_in<'a>(&'a self, record: &'a MembershipRecord) -> Option<Recorded<'a>> {
        let set = self.role_sets.get(record.role_set)?;
        Some(Recorded { set_id: record.role_set, set, temporary: &record.temporary })
    }

    #[inline]
    pub(in crate::domain) fn recorded<'a>(
        &'a self,
        org: &'a Org,
        user: TextHash,
        slot: MembershipSlot,
    ) -> Option<Recorded<'a>> {
        let set_id = slot.role_set()?;
        let set = self.role_sets.get(set_id)?;
        Some(Recorded { set_id, set, temporary: org.temporary_roles(user, slot) })
    }

    /// Calls `visit` for each membership of an org.
    pub(in crate::domain) fn each_membership<'a>(&'a self, org: &'a Org, mut visit: impl FnMut(Recorded<'a>)) {
        self.any_membership(org, |recorded| {
            visit(recorded);
            false
        });
    }

    /// What is held in an org in the place of a role: none, if the role is enabled there or nothing stands in (M7).
    pub fn fallback_of(&self, org: &Org, role: RoleId) -> Option<RoleId> {
        let fallbacks = org.fallbacks.as_deref()?;
        let mapping = self.role_mappings.get(org.record.role_mapping)?;
        let enabled = |role| mapping.enabled(role);
        if enabled(role) { None } else { fallback_of(fallbacks, role, enabled) }
    }

    /// Whether somebody holds a role in an org, be it in the place of another.
    pub(in crate::domain) fn holds_in(&self, org: &Org, it: Recorded<'_>, role: RoleId, now: Time) -> bool {
        it.holds(role, now) || self.holds_in_place(org, it, role, now)
    }

    /// Whether somebody holds a role in the place of another, be it suspended as that.
    pub(in crate::domain) fn holds_in_place(&self, org: &Org, it: Recorded<'_>, role: RoleId, now: Time) -> bool {
        let mapping = self.role_mappings.get(org.record.role_mapping);
        let enabled = |role| mapping.is_some_and(|mapping| mapping.enabled(role));
        let in_place = |held| !enabled(held) && chain(org.fallbacks(), held, enabled).any(|other| other == role);
        org.fallbacks.is_some() && it.held(now).any(in_place)
    }

    /// How many members hold a role, in all orgs.
    pub(in crate::domain) fn holders(&self, role: RoleId, now: Time) -> u64 {
        let mut holders = 0;
        self.for_each_org(|org| {
            self.each_membership(org, |it| holders += u64::from(self.holds_in(org, it, role, now)));
        });
        holders
    }

    /// Counts the users with a recorded role in an org, expired roles included. A membership that only waits to be purged does
    /// not count (R4). An acting user knows only members with visible roles (I4).
    pub(in crate::domain) fn members_len(&self, org: &Org, visibility: Visibility) -> u64 {
        if visibility == Visibility::All && self.role_sets_being_purged().is_empty() {
            return org.memberships_len() as u64;
        }
        let mut members = 0;
        let counts = |role: RoleId| visibility == Visibility::All || self.is_visible(role);
        self.each_membership(org, |it| members += u64::from(it.set.roles.iter().any(|&role| counts(role))));
        members
    }

    /// The role sets that somebody has, be it in a dead org.
    pub(in crate::domain) fn used_role_sets(&self) -> BTreeSet<RoleSetId> {
        let mut used = BTreeSet::new();
        let mut look = |org| self.each_membership(org, |it| used.extend([it.set_id]));
        self.for_each_org(&mut look);
        self.for_each_deleted_org(look);
        used
    }
}
