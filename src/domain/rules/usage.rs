//! Who holds what. Nothing is counted in advance: few writes ask, and scanning a million memberships takes some
//! milliseconds.

use crate::domain::collections::hash::TextHash;
use crate::domain::collections::numbered::Numbered;
use crate::domain::model::fallback::{chain, first_enabled_fallback};
use crate::domain::model::id::{RoleId, RoleSetId};
use crate::domain::model::membership::{MembershipRecord, TemporaryRole, expiry_of};
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::time::Time;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::membership::MembershipSlot;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// The recorded roles of one user in one org.
#[derive(Clone, Copy)]
pub struct Recorded<'a> {
    pub set_id: RoleSetId,
    pub set: &'a RoleSet,
    pub temporary: &'a [TemporaryRole],
}

impl Recorded<'_> {
    /// Returns when a role expires. `None` if it is permanent.
    pub fn expiry(&self, role: RoleId) -> Option<Time> {
        expiry_of(self.temporary, role)
    }

    fn has_expired(&self, role: RoleId, now: Time) -> bool {
        self.expiry(role).is_some_and(|expire_time| expire_time <= now)
    }

    pub fn holds(&self, role: RoleId, now: Time) -> bool {
        self.set.contains(role) && !self.has_expired(role, now)
    }

    pub fn holds_permanently(&self, role: RoleId) -> bool {
        self.set.contains(role) && self.expiry(role).is_none()
    }

    pub fn held(&self, now: Time) -> impl Iterator<Item = RoleId> {
        self.set.roles.iter().copied().filter(move |&role| !self.has_expired(role, now))
    }
}

impl Project {
    /// Returns true if any membership of an org matches `predicate`. Stops at the first match.
    pub(in crate::domain) fn any_membership<'a>(
        &'a self,
        org: &'a Org,
        mut predicate: impl FnMut(Recorded<'a>) -> bool,
    ) -> bool {
        self.any_member(org, |_, recorded| predicate(recorded))
    }

    /// Returns true if any user and membership of an org matches `predicate`. Stops at the first match.
    pub(in crate::domain) fn any_member<'a>(
        &'a self,
        org: &'a Org,
        mut predicate: impl FnMut(TextHash, Recorded<'a>) -> bool,
    ) -> bool {
        org.any_slot(|user, slot| self.recorded(org, user, slot).is_some_and(|recorded| predicate(user, recorded)))
    }

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

    pub(in crate::domain) fn each_membership<'a>(&'a self, org: &'a Org, mut visit: impl FnMut(Recorded<'a>)) {
        self.any_membership(org, |recorded| {
            visit(recorded);
            false
        });
    }

    /// Returns the fallback role that the holders of a role have in an org. `None` if the role is enabled there or no
    /// fallback role is enabled (M7).
    pub fn fallback_of(&self, org: &Org, role: RoleId) -> Option<RoleId> {
        let fallbacks = org.fallbacks.as_deref()?;
        let mapping = self.role_mappings.get(org.record.role_mapping)?;
        let enabled = |role| mapping.enabled(role);
        if enabled(role) { None } else { first_enabled_fallback(fallbacks, role, enabled) }
    }

    /// Returns true if the member holds the role, also as a fallback role.
    fn holds_in(&self, org: &Org, member: Recorded<'_>, role: RoleId, now: Time) -> bool {
        member.holds(role, now) || self.holds_as_fallback(org, member, role, now)
    }

    /// Returns true if the member has the role as a fallback role, even if the fallback role is itself disabled.
    pub(in crate::domain) fn holds_as_fallback(
        &self,
        org: &Org,
        member: Recorded<'_>,
        role: RoleId,
        now: Time,
    ) -> bool {
        let mapping = self.role_mappings.get(org.record.role_mapping);
        let enabled = |role| mapping.is_some_and(|mapping| mapping.enabled(role));
        let falls_back = |held| !enabled(held) && chain(org.fallbacks(), held, enabled).any(|other| other == role);
        org.fallbacks.is_some() && member.held(now).any(falls_back)
    }

    /// Counts the members of all orgs that hold a role.
    pub(in crate::domain) fn holders(&self, role: RoleId, now: Time) -> u64 {
        let mut holders = 0;
        self.for_each_org(|org| {
            self.each_membership(org, |member| holders += u64::from(self.holds_in(org, member, role, now)));
        });
        holders
    }

    /// Counts the pending invitations of all orgs that invite to a role (R10).
    pub(in crate::domain) fn invitations_to(&self, role: RoleId, now: Time) -> u64 {
        let mut count = 0;
        self.for_each_org(|org| {
            self.each_invitation(org, now, |_, set| count += u64::from(set.contains(role)));
        });
        count
    }

    /// Visits the pending invitations of an org that have not expired, by their role sets.
    pub(in crate::domain) fn each_invitation<'a>(
        &'a self,
        org: &'a Org,
        now: Time,
        mut visit: impl FnMut(RoleSetId, &'a RoleSet),
    ) {
        org.any_invitation(|invitation| {
            let pending = invitation.record.role_set().filter(|_| !invitation.record.has_expired(now));
            if let Some((id, set)) = pending.and_then(|id| Some((id, self.role_sets.get(id)?))) {
                visit(id, set);
            }
            false
        });
    }

    /// Counts the users with a recorded role in an org, expired roles included. A membership that waits to be purged
    /// does not count (R4). An acting user knows only members with visible roles (I4).
    pub(in crate::domain) fn members_len(&self, org: &Org, visibility: Visibility) -> u64 {
        if visibility == Visibility::All && self.role_sets_being_purged().is_empty() {
            return org.memberships_len() as u64;
        }
        let mut members = 0;
        let counts = |role: &RoleId| visibility == Visibility::All || self.is_visible(*role);
        self.each_membership(org, |member| members += u64::from(member.set.roles.iter().any(counts)));
        members
    }

    /// Returns the role sets that no membership, pending invitation or e-mail domain has, deleted orgs included, in the
    /// order of creation. At the limit of role sets every refused write asks (P7), so the walk only sets bits, and stops
    /// once it has found all sets.
    pub(in crate::domain) fn unused_role_sets(&self) -> Vec<RoleSetId> {
        let mut used = vec![0u64; self.role_sets.next_number() as usize / 64 + 1];
        let mut missing = self.role_sets.len();
        let mut find = |org: &Org| {
            let mut use_set = |id: Option<RoleSetId>| {
                let Some(id) = id else { return missing == 0 };
                let bit = 1 << (id.index() % 64);
                if let Some(word) = used.get_mut(id.index() / 64).filter(|word| **word & bit == 0) {
                    *word |= bit;
                    missing -= usize::from(self.role_sets.get(id).is_some());
                }
                missing == 0
            };
            // Asks before the first membership: the sets may all be found already.
            let _ = use_set(None)
                || org.domains().iter().any(|rule| use_set(rule.role_set))
                || org.any_slot(|_, slot| use_set(slot.role_set()))
                || org.any_invitation(|invitation| use_set(invitation.record.role_set()));
        };
        self.for_each_org(&mut find);
        self.for_each_deleted_org(find);
        let is_used = |id: RoleSetId| used.get(id.index() / 64).is_some_and(|word| word >> (id.index() % 64) & 1 == 1);
        self.role_sets.entries().map(|(id, _)| id).filter(|&id| !is_used(id)).collect()
    }
}
