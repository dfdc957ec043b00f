//! TODO doc

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::collections::hash::TextHash;
use crate::domain::collections::trie::{Entry, Trie};
use crate::domain::model::fallback::{Fallback, Fallbacks};
use crate::domain::model::id::{OrgNo, RoleSetId};
use crate::domain::model::membership::{MembershipRecord, TemporaryRole};
use crate::domain::model::name::UserId;
use crate::domain::model::org::OrgRecord;
use crate::domain::state::membership::{DetailSlot, MembershipSlot};

/// An org with its members.
#[derive(Clone, PartialEq)]
pub struct Org {
    pub no: OrgNo,
    pub record: OrgRecord,
    /// What the holders of its suspended roles hold meanwhile (M7).
    pub fallbacks: Option<Fallbacks>,
    pub(super) members: Trie<MembershipSlot>,
    pub(super) details: Trie<DetailSlot>,
}

impl Org {
    pub(super) fn new(no: OrgNo, record: OrgRecord) -> Self {
        Self { no, record, fallbacks: None, members: Trie::default(), details: Trie::default() }
    }

    /// What the holders of its suspended roles hold meanwhile, ascending by the suspended role.
    pub fn fallbacks(&self) -> &[Fallback] {
        self.fallbacks.as_deref().unwrap_or_default()
    }

    #[inline]
    pub(in crate::domain) fn slot(&self, user: TextHash) -> Option<MembershipSlot> {
        self.members.get(user).copied()
    }

    /// Returns the id of a user with temporary roles or roles of different origins. `None` for any other user.
    pub(in crate::domain) fn detailed_user(&self, user: TextHash) -> Option<&UserId> {
        self.details.get(user).map(|details| &details.user)
    }

    /// Users with something recorded here, also those whose roles have all ended.
    pub fn memberships_len(&self) -> usize {
        self.members.len()
    }

    /// The users some of whose roles have an end.
    pub(in crate::domain) fn for_each_with_temporary_roles<'a>(&'a self, mut visit: impl FnMut(&'a UserId)) {
        self.details.for_each(|slot| {
            if !slot.temporary.is_empty() {
                visit(&slot.user);
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

    /// Gives other role sets to those who have one that `others` names, and no role that ends.
    pub(super) fn remap(&mut self, others: &BTreeMap<RoleSetId, RoleSetId>) {
        self.members.alter(|slot| {
            let other = others.get(&slot.role_set()?).filter(|_| !slot.is_temporary())?;
            Some(slot.with_role_set(*other))
        });
    }

    /// The ends of a member's roles.
    #[inline]
    pub(in crate::domain) fn temporary_roles(&self, user: TextHash, slot: MembershipSlot) -> &[TemporaryRole] {
        if !slot.is_temporary() {
            return &[];
        }
        self.details.get(user).map_or(&[], |slot| &slot.temporary)
    }

    /// Whether `which` is true of a membership; asks no further once it is.
    pub(in crate::domain) fn any_slot(&self, mut which: impl FnMut(TextHash, MembershipSlot) -> bool) -> bool {
        self.members.any(|slot| which(slot.hash(), *slot))
    }
}

/// Where a project keeps an org.
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
