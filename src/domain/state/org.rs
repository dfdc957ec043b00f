//! An org with its memberships.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::domain::collections::hash::{HashKey, TextHash};
use crate::domain::collections::trie::{Entry, Trie};
use crate::domain::model::fallback::{Fallback, Fallbacks};
use crate::domain::model::id::{OrgNo, RoleSetId};
use crate::domain::model::invitation::{InvitationId, InvitationRecord};
use crate::domain::model::membership::{MembershipRecord, TemporaryRole};
use crate::domain::model::name::UserId;
use crate::domain::model::org::OrgRecord;
use crate::domain::model::org_domain::{OrgDomain, OrgDomains};
use crate::domain::state::invitation::{Invitation, Invitations, id_hash};
use crate::domain::state::membership::{DetailSlot, MembershipSlot};
use crate::domain::state::name_index::Named;

#[derive(Clone, PartialEq)]
pub struct Org {
    pub no: OrgNo,
    pub record: OrgRecord,
    pub fallbacks: Option<Fallbacks>,
    pub domains: Option<OrgDomains>,
    /// The users whom somebody else removed (J3). Most orgs have none, so that a pointer is all they pay.
    pub(super) removed: Option<Arc<Trie<Named>>>,
    pub(super) members: Trie<MembershipSlot>,
    pub(super) details: Trie<DetailSlot>,
    /// `None` if there are none: most orgs have no pending invitation.
    invitations: Option<Arc<Invitations>>,
}

impl Org {
    pub(super) fn new(no: OrgNo, record: OrgRecord) -> Self {
        Self {
            no,
            record,
            fallbacks: None,
            domains: None,
            removed: None,
            members: Trie::default(),
            details: Trie::default(),
            invitations: None,
        }
    }

    /// Returns the fallback roles, ascending by suspended role (M7).
    pub fn fallbacks(&self) -> &[Fallback] {
        self.fallbacks.as_deref().unwrap_or_default()
    }

    /// Returns the e-mail domains, ascending (J1).
    pub fn domains(&self) -> &[OrgDomain] {
        self.domains.as_deref().unwrap_or_default()
    }

    pub(in crate::domain) fn was_removed(&self, user: TextHash) -> bool {
        self.removed.as_ref().is_some_and(|removed| removed.get(user).is_some())
    }

    /// Counts the users whom somebody else removed.
    pub fn removed_len(&self) -> usize {
        self.removed.as_ref().map_or(0, |removed| removed.len())
    }

    pub(super) fn set_removed(&mut self, user: TextHash, removed: bool) {
        let mut all = self.removed.take().unwrap_or_default();
        match removed {
            true => Arc::make_mut(&mut all).insert(Named::new(user, NonZeroU32::MIN)),
            false => Arc::make_mut(&mut all).remove(user, |_| true),
        }
        self.removed = Some(all).filter(|all| !all.is_empty());
    }

    #[inline]
    pub(in crate::domain) fn slot(&self, user: TextHash) -> Option<MembershipSlot> {
        self.members.get(user).copied()
    }

    /// Returns the leaf that has the slot of the user, if any has.
    #[inline]
    pub(in crate::domain) fn leaf_of(&self, user: TextHash) -> &[Option<MembershipSlot>] {
        self.members.leaf(user)
    }

    /// Returns the id of a user with temporary roles or roles of different origins. `None` for any other user.
    pub(in crate::domain) fn detailed_user(&self, user: TextHash) -> Option<&UserId> {
        self.details.get(user).map(|details| &details.user)
    }

    /// Counts the users with a record here, including those whose roles have all expired.
    pub fn memberships_len(&self) -> usize {
        self.members.len()
    }

    /// Visits the users with temporary roles.
    pub(in crate::domain) fn for_each_with_temporary_roles<'a>(&'a self, mut visit: impl FnMut(&'a UserId)) {
        self.for_each_temporary(|user, _| visit(user));
    }

    /// Visits the users with temporary roles, and these roles.
    pub(in crate::domain) fn for_each_temporary<'a>(&'a self, mut visit: impl FnMut(&'a UserId, &'a [TemporaryRole])) {
        self.details.for_each(|slot| {
            if !slot.temporary.is_empty() {
                visit(&slot.user, &slot.temporary);
            }
        });
    }

    pub(super) fn set_membership(&mut self, key: TextHash, user: &UserId, record: Option<&MembershipRecord>) {
        match record {
            Some(record) => self.members.insert(MembershipSlot::new(key, record)),
            None => self.members.remove(key, |_| true),
        }
        match record.filter(|record| !record.temporary.is_empty() || !record.origins.is_empty()) {
            Some(record) => self.details.insert(DetailSlot::new(key, user.clone(), record)),
            None => self.details.remove(key, |_| true),
        }
    }

    /// Returns the pending invitation with this id, even if it has expired.
    pub(in crate::domain) fn invitation(&self, key: &HashKey, id: InvitationId) -> Option<&Arc<Invitation>> {
        self.invitations.as_ref()?.with_id(id_hash(key, id))
    }

    /// Returns the pending invitation of an address, even if it has expired.
    pub(in crate::domain) fn invitation_of(&self, email: TextHash) -> Option<&Arc<Invitation>> {
        self.invitations.as_ref()?.with_email(email)
    }

    /// Counts the pending invitations, including those that have expired.
    pub fn invitations_len(&self) -> usize {
        self.invitations.as_ref().map_or(0, |invitations| invitations.len())
    }

    /// Returns true if any pending invitation matches `predicate`. Stops at the first match.
    pub fn any_invitation<'a>(&'a self, predicate: impl FnMut(&'a Arc<Invitation>) -> bool) -> bool {
        self.invitations.as_ref().is_some_and(|invitations| invitations.any(predicate))
    }

    /// Returns the pending invitations by ascending id, including those that have expired.
    pub fn invitations(&self) -> Vec<&Arc<Invitation>> {
        let mut invitations = Vec::with_capacity(self.invitations_len());
        self.any_invitation(|invitation| {
            invitations.push(invitation);
            false
        });
        invitations.sort_unstable_by_key(|invitation| invitation.id);
        invitations
    }

    pub(super) fn set_invitation(&mut self, key: &HashKey, id: InvitationId, record: Option<&InvitationRecord>) {
        if record.is_none() && self.invitations.is_none() {
            return;
        }
        let invitations = self.invitations.get_or_insert_default();
        Arc::make_mut(invitations).set(key, id, record);
        if invitations.len() == 0 {
            self.invitations = None;
        }
    }

    /// Replaces the role sets of the members without temporary roles, and of pending invitations.
    pub(super) fn remap(&mut self, key: &HashKey, replacements: &BTreeMap<RoleSetId, RoleSetId>) {
        if let Some(invitations) = &mut self.invitations {
            Arc::make_mut(invitations).remap(key, replacements);
        }
        self.members.alter(|slot| {
            let replacement = replacements.get(&slot.role_set()?).filter(|_| !slot.has_temporary_roles())?;
            Some(slot.with_role_set(*replacement))
        });
    }

    #[inline]
    pub(in crate::domain) fn temporary_roles(&self, user: TextHash, slot: MembershipSlot) -> &[TemporaryRole] {
        if !slot.has_temporary_roles() {
            return &[];
        }
        self.details.get(user).map_or(&[], |slot| &slot.temporary)
    }

    /// Returns true if any membership matches `predicate`. Stops at the first match.
    pub(in crate::domain) fn any_slot(&self, mut predicate: impl FnMut(TextHash, MembershipSlot) -> bool) -> bool {
        self.members.any(|slot| predicate(slot.hash(), *slot))
    }
}

/// An org in the trie of its project.
#[derive(Clone, PartialEq)]
pub struct OrgSlot {
    tag: u64,
    rest: u32,
    pub org: Arc<Org>,
}

impl OrgSlot {
    pub(super) fn new(hash: TextHash, org: Org) -> Self {
        Self { tag: hash.tag, rest: hash.rest, org: Arc::new(org) }
    }
}

impl Entry for OrgSlot {
    const LEAF_MAX: u32 = 48;

    #[inline]
    fn hash(&self) -> TextHash {
        TextHash { tag: self.tag, rest: self.rest }
    }
}
