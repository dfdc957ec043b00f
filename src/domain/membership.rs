//! Memberships: a user's roles in an org, some of them until a time (B5, B6, M3). What is written of them is in
//! `membership/write.rs`.

mod given;
mod write;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::Time;
use super::fallback::{Fallback, fallback_of};
use super::hash::TextHash;
use super::id::{RoleId, RoleSetId};
use super::name::{OrgId, RoleName, UserId};
use super::org::Org;
use super::project::{Project, RoleStructure};
use super::role_set::RoleSet;
use super::trie::Entry;
pub use write::{Done, write_batch, write_one};

/// What is recorded of a user in an org.
#[derive(Clone, Debug, PartialEq)]
pub struct MembershipRecord {
    pub role_set: RoleSetId,
    pub origin: Origin,
    /// The roles of the set that end, ascending by id.
    pub temporary: Arc<[TemporaryRole]>,
    /// The roles that came by something else than `origin`, ascending by id. One that was deleted since may still be named:
    /// only members with ends are written when a role goes.
    pub origins: Arc<[RoleOrigin]>,
}

/// By what a role came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleOrigin {
    pub role: RoleId,
    pub origin: Origin,
}

impl MembershipRecord {
    /// By what a role of the set came.
    pub fn origin_of(&self, role: RoleId, set: &RoleSet) -> Origin {
        origin_of(role, self.origin, &self.origins, &set.migrated_roles)
    }

    /// By what the membership was changed the last time (B6).
    pub fn latest_origin(&self, set: &RoleSet) -> Origin {
        if set.migrated { Origin::Migration } else { self.origin }
    }
}

/// By what a role came: in the place of a deleted one, as is recorded of it, or as the membership.
pub fn origin_of(role: RoleId, origin: Origin, origins: &[RoleOrigin], migrated_roles: &[RoleId]) -> Origin {
    if migrated_roles.contains(&role) {
        return Origin::Migration;
    }
    origins.iter().find(|other| other.role == role).map_or(origin, |other| other.origin)
}

/// What has to be recorded of roles that came by something else than the membership.
pub fn origins(came: impl Iterator<Item = (RoleId, Origin)>, origin: Origin) -> Arc<[RoleOrigin]> {
    let others = came.filter(|&(_, other)| other != origin).map(|(role, origin)| RoleOrigin { role, origin });
    let mut others: Vec<RoleOrigin> = others.collect();
    others.sort_by_key(|other| other.role);
    others.into()
}

/// A role that ends: from that instant on it grants nothing (B5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemporaryRole {
    pub role: RoleId,
    pub expire_time: Time,
}

/// Until when a role is given, of these that end; none: without an end.
pub fn expiry_of(temporary: &[TemporaryRole], role: RoleId) -> Option<Time> {
    temporary.iter().find(|temporary| temporary.role == role).map(|temporary| temporary.expire_time)
}

/// By what a membership came to be as it is (B6). The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Origin {
    /// A caller wrote it.
    Direct = 1,
    /// The user created the org (S4).
    Creator = 2,
    /// A role was deleted and another took its place (R4).
    Migration = 5,
}

impl Origin {
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Direct, Self::Creator, Self::Migration].into_iter().find(|&origin| origin as u8 == number)
    }
}

/// How one role of a member stands at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleState {
    /// It grants.
    Live,
    /// Held, but disabled in the org's role mapping: it grants nothing (M3).
    Suspended,
    /// Held in a SINGLE_ROLE project while a lent role is live: it counts again when that ends (B5).
    Overridden,
    /// Past its end: recorded, no longer held.
    Expired,
}

/// How one role of a member stands, and what the member holds in its place while it is suspended (M7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedRole {
    pub role: RoleId,
    pub state: RoleState,
    /// Live or overridden.
    pub fallback_role: Option<(RoleId, RoleState)>,
}

impl RecordedRole {
    /// The role, and the one in its place.
    pub fn roles(self) -> impl Iterator<Item = (RoleId, RoleState)> {
        std::iter::once((self.role, self.state)).chain(self.fallback_role)
    }
}

/// As whom a member is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// With all roles.
    All,
    /// As customers see it: as if it had no internal role (I2, I4).
    VisibleOnly,
}

/// A role of a member, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberRole {
    pub role: RoleName,
    pub expire_time: Option<Time>,
    pub state: RoleState,
    pub origin: Origin,
    /// What the member holds in its place.
    pub fallback_role: Option<RoleName>,
}

/// A member, as it is shown after a write.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub org_id: OrgId,
    pub user_id: UserId,
    /// From the highest role to the lowest.
    pub roles: Vec<MemberRole>,
    /// Not said where internal roles are hidden: the latest change may have been of one.
    pub origin: Option<Origin>,
}

/// The largest role set id a slot can hold.
pub const ROLE_SET_ID_MAX: RoleSetId = RoleSetId(match NonZeroU32::new((1 << SET_BITS) - 1) {
    Some(max) => max,
    None => NonZeroU32::MIN,
});
const SET_BITS: u32 = 27;
const ORIGIN_BITS: u32 = 3;
const TEMPORARY: u32 = 1 << (SET_BITS + ORIGIN_BITS);
const DETAILED: u32 = TEMPORARY << 1;

/// A membership in 16 bytes: 93 bits stand for the user, 27 for the role set, 3 for the origin, 1 says
/// that roles end, 1 that more is recorded beside.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct MembershipSlot {
    tag: u64,
    rest: u32,
    packed: NonZeroU32,
}

/// The ends and origins of a member's roles; few members have any. They know the user: whoever deletes a role has to write
/// them one by one.
#[derive(Clone, PartialEq)]
pub(super) struct DetailSlot {
    tag: u64,
    rest: u32,
    pub user: UserId,
    pub temporary: Arc<[TemporaryRole]>,
    pub origins: Arc<[RoleOrigin]>,
}

impl MembershipSlot {
    fn new(user: TextHash, record: &MembershipRecord) -> Self {
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

    fn with_role_set(self, role_set: RoleSetId) -> Self {
        let others = self.packed.get() & !((1 << SET_BITS) - 1);
        Self { packed: role_set.0 | others, ..self }
    }

    fn origin(self) -> Origin {
        Origin::from_number((self.packed.get() >> SET_BITS & ((1 << ORIGIN_BITS) - 1)) as u8).unwrap_or(Origin::Direct)
    }

    #[inline]
    pub fn is_temporary(self) -> bool {
        self.packed.get() & TEMPORARY != 0
    }

    pub fn is_detailed(self) -> bool {
        self.packed.get() & DETAILED != 0
    }
}

impl Entry for MembershipSlot {
    /// 16 plain bytes each: copying a full leaf is copying 16 KiB.
    const LEAF_MAX: u32 = 1_024;

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

impl Org {
    pub(super) fn set_membership(&mut self, key: TextHash, user: &UserId, record: Option<&MembershipRecord>) {
        let TextHash { tag, rest } = key;
        match record {
            Some(record) => self.members.insert(MembershipSlot::new(key, record)),
            None => self.members.remove(key, |_| true),
        }
        match record.filter(|record| !record.temporary.is_empty() || !record.origins.is_empty()) {
            Some(record) => {
                let (temporary, origins) = (record.temporary.clone(), record.origins.clone());
                self.details.insert(DetailSlot { tag, rest, user: user.clone(), temporary, origins });
            }
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
    pub(super) fn temporary_roles(&self, user: TextHash, slot: MembershipSlot) -> &[TemporaryRole] {
        if !slot.is_temporary() {
            return &[];
        }
        self.details.get(user).map_or(&[], |slot| &slot.temporary)
    }

    /// Whether `which` is true of a membership; asks no further once it is.
    pub(super) fn any_slot(&self, mut which: impl FnMut(TextHash, MembershipSlot) -> bool) -> bool {
        self.members.any(|slot| which(slot.hash(), *slot))
    }
}

impl Project {
    /// What is recorded of a user in an org.
    pub fn membership(&self, org: &Org, user: &UserId) -> Option<MembershipRecord> {
        let hash = self.hash_key.text(user.as_str());
        let slot = org.members.get(hash)?;
        let details = if slot.is_detailed() { org.details.get(hash) } else { None };
        Some(MembershipRecord {
            role_set: slot.role_set()?,
            origin: slot.origin(),
            temporary: details.map_or_else(|| [].into(), |details| details.temporary.clone()),
            origins: details.map_or_else(|| [].into(), |details| details.origins.clone()),
        })
    }

    /// How each role of a set stands for a member with these ends, in this org, now.
    pub fn role_states<'a>(
        &'a self,
        org: &'a Org,
        set: &'a RoleSet,
        temporary: &'a [TemporaryRole],
        now: Time,
    ) -> impl Iterator<Item = RecordedRole> + use<'a> {
        self.role_states_of(org, &set.roles, temporary, now)
    }

    /// The same, of these roles alone.
    pub(super) fn role_states_of<'a>(
        &'a self,
        org: &'a Org,
        roles: &'a [RoleId],
        temporary: &'a [TemporaryRole],
        now: Time,
    ) -> impl Iterator<Item = RecordedRole> + use<'a> {
        let mapping = self.role_mappings.get(org.record.role_mapping);
        let enabled = move |role| mapping.is_some_and(|mapping| mapping.enabled(role));
        role_states(self.record.role_structure, roles, temporary, enabled, org.fallbacks(), now)
    }

    /// Whether customers may know of a role.
    pub fn is_visible(&self, role: RoleId) -> bool {
        self.roles.get(role).is_some_and(|role| !role.internal)
    }

    /// What is recorded as it is `seen`: the roles, and those of them that end.
    pub fn shown_roles(
        &self,
        roles: &[RoleId],
        temporary: &[TemporaryRole],
        visibility: Visibility,
    ) -> (Vec<RoleId>, Vec<TemporaryRole>) {
        let known = |role: RoleId| visibility == Visibility::All || self.is_visible(role);
        let temporary = temporary.iter().copied().filter(|temporary| known(temporary.role)).collect();
        (roles.iter().copied().filter(|&role| known(role)).collect(), temporary)
    }

    /// A member as it is shown.
    pub fn member(
        &self,
        org: &Org,
        user: &UserId,
        record: &MembershipRecord,
        visibility: Visibility,
        now: Time,
    ) -> Member {
        let mut roles = Vec::new();
        let mut origin = record.origin;
        if let Some(set) = self.role_sets.get(record.role_set) {
            origin = record.latest_origin(set);
            let (known, temporary) = self.shown_roles(&set.roles, &record.temporary, visibility);
            let mut role_states: Vec<_> = self.role_states_of(org, &known, &temporary, now).collect();
            role_states.sort_by_key(|recorded_role| self.roles.get(recorded_role.role).map(|role| role.rank));
            let shown = |recorded_role: RecordedRole| MemberRole {
                role: self.role_name(recorded_role.role),
                expire_time: expiry_of(&record.temporary, recorded_role.role),
                state: recorded_role.state,
                origin: record.origin_of(recorded_role.role, set),
                fallback_role: recorded_role.fallback_role.map(|(role, _)| self.role_name(role)),
            };
            roles.extend(role_states.into_iter().map(shown));
        }
        let org_id = org.record.profile.org_id.clone();
        Member { org_id, user_id: user.clone(), roles, origin: (visibility == Visibility::All).then_some(origin) }
    }
}

/// How each of a member's roles stands: the one law of it, for checks and for lists. A role that stands in for a suspended
/// one has exactly its place: its end, and in a SINGLE_ROLE project its being lent over another.
pub fn role_states<'a>(
    structure: RoleStructure,
    roles: &'a [RoleId],
    temporary: &'a [TemporaryRole],
    enabled: impl Fn(RoleId) -> bool + Copy + 'a,
    fallbacks: &'a [Fallback],
    now: Time,
) -> impl Iterator<Item = RecordedRole> + 'a {
    let in_place = move |role| fallback_of(fallbacks, role, enabled);
    let works = |role| enabled(role) || in_place(role).is_some();
    let lent = structure == RoleStructure::SingleRole
        && temporary.iter().any(|temporary| temporary.expire_time > now && works(temporary.role));
    roles.iter().map(move |&role| {
        let expire_time = expiry_of(temporary, role);
        let behind = if expire_time.is_none() && lent { RoleState::Overridden } else { RoleState::Live };
        let (state, fallback_role) = match expire_time {
            Some(expire_time) if expire_time <= now => (RoleState::Expired, None),
            _ if !enabled(role) => (RoleState::Suspended, in_place(role).map(|role| (role, behind))),
            _ => (behind, None),
        };
        RecordedRole { role, state, fallback_role }
    })
}
