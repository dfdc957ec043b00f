//! A membership in memory, in 16 bytes (docs/decisions.md).

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::domain::collections::hash::TextHash;
use crate::domain::collections::trie::Entry;
use crate::domain::model::id::RoleSetId;
use crate::domain::model::membership::{MembershipRecord, Origin, RoleOrigin, TemporaryRole};
use crate::domain::model::name::UserId;

/// The largest role set id that fits into a slot.
pub const ROLE_SET_ID_MAX: RoleSetId = RoleSetId(match NonZeroU32::new((1 << SET_BITS) - 1) {
    Some(max) => max,
    None => NonZeroU32::MIN,
});

const SET_BITS: u32 = 27;

const ORIGIN_BITS: u32 = 3;

const TEMPORARY: u32 = 1 << (SET_BITS + ORIGIN_BITS);

const DETAILED: u32 = TEMPORARY << 1;

/// A membership in 16 bytes: 93 bits for the hash of the user, 27 for the role set, 3 for the origin, 1 for "has
/// temporary roles", 1 for "has a [`DetailSlot`]".
#[derive(Clone, Copy, PartialEq)]
pub(in crate::domain) struct MembershipSlot {
    tag: u64,
    rest: u32,
    packed: NonZeroU32,
}

/// The expiries and origins of a member's roles. Few members have any. It contains the user id, since deleting a role
/// rewrites these members one by one.
#[derive(Clone, PartialEq)]
pub(in crate::domain) struct DetailSlot {
    tag: u64,
    rest: u32,
    pub user: UserId,
    pub temporary: Arc<[TemporaryRole]>,
    pub origins: Arc<[RoleOrigin]>,
}

impl MembershipSlot {
    pub(super) fn new(user: TextHash, record: &MembershipRecord) -> Self {
        let temporary = if record.temporary.is_empty() { 0 } else { TEMPORARY | DETAILED };
        let detailed = if record.origins.is_empty() { temporary } else { temporary | DETAILED };
        let origin = (record.origin as u32) << SET_BITS;
        let packed = record.role_set.0 | origin | detailed;
        Self { tag: user.tag, rest: user.rest, packed }
    }

    #[inline]
    pub fn role_set(self) -> Option<RoleSetId> {
        RoleSetId::new(self.packed.get() & ((1 << SET_BITS) - 1))
    }

    pub(super) fn with_role_set(self, role_set: RoleSetId) -> Self {
        let others = self.packed.get() & !((1 << SET_BITS) - 1);
        Self { packed: role_set.0 | others, ..self }
    }

    pub(super) fn origin(self) -> Origin {
        Origin::from_number((self.packed.get() >> SET_BITS & ((1 << ORIGIN_BITS) - 1)) as u8).unwrap_or(Origin::Direct)
    }

    #[inline]
    pub fn has_temporary_roles(self) -> bool {
        self.packed.get() & TEMPORARY != 0
    }

    pub fn is_detailed(self) -> bool {
        self.packed.get() & DETAILED != 0
    }
}

impl DetailSlot {
    pub(super) fn new(hash: TextHash, user: UserId, record: &MembershipRecord) -> Self {
        let (temporary, origins) = (record.temporary.clone(), record.origins.clone());
        Self { tag: hash.tag, rest: hash.rest, user, temporary, origins }
    }
}

impl Entry for MembershipSlot {
    /// 16 plain bytes each: copying a full leaf copies 16 KiB.
    const LEAF_MAX: u32 = 1_024;
    /// Bytes for each membership, and nanoseconds for each check at a million: 25 and 112 with 25 free slots for 100 entries, 30
    /// and 102 with 50, 35 and 97 with 100 (docs/performance.md).
    const SPARE: usize = 100;

    #[inline]
    fn hash(&self) -> TextHash {
        TextHash { tag: self.tag, rest: self.rest }
    }
}

impl Entry for DetailSlot {
    const LEAF_MAX: u32 = 64;

    fn hash(&self) -> TextHash {
        TextHash { tag: self.tag, rest: self.rest }
    }
}
