//! Memberships: a user's roles in an org, some of them until a time (B1, B2, B5, M3).

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::change::MembershipKey;
use super::command::{BatchWriteMembers, GivenRole, MemberWrite, WriteMember};
use super::decide::{Draft, Outcome, Tally};
use super::hash::TextHash;
use super::id::{RoleId, RoleSetId};
use super::name::{OrgId, ProjectKey, RoleName, UserId};
use super::org::Org;
use super::project::{Project, RoleStructure};
use super::refusal::{Noun, Refusal, Rows};
use super::role_set::{self, RoleSet};
use super::trie::Entry;
use super::{Change, Edit, Time};

/// What is recorded of a user in an org.
#[derive(Clone, Debug, PartialEq)]
pub struct MembershipRecord {
    pub role_set: RoleSetId,
    pub origin: Origin,
    /// The roles of the set that end, ascending by id.
    pub timed: Arc<[TimedRole]>,
}

/// A role that ends: from that instant on it grants nothing (B5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedRole {
    pub role: RoleId,
    pub until: Time,
}

/// By what a membership came to be as it is (B6). The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Origin {
    Direct = 1,
}

impl Origin {
    pub fn from_number(number: u8) -> Option<Self> {
        (number == Self::Direct as u8).then_some(Self::Direct)
    }
}

/// How one role of a member stands at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It grants.
    Live,
    /// Held, but disabled in the org's role mapping: it grants nothing (M3).
    Suspended,
    /// Held in a SINGLE_ROLE project while a lent role is live: it counts again when that ends (B5).
    Shadowed,
    /// Past its end: recorded, no longer held.
    Ended,
}

/// A role of a member, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberRole {
    pub role: RoleName,
    pub until: Option<Time>,
    pub standing: Standing,
}

/// A member, as it is shown after a write.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub org_id: OrgId,
    pub user_id: UserId,
    /// From the highest role to the lowest.
    pub roles: Vec<MemberRole>,
    pub origin: Origin,
}

/// The largest role set id a slot can hold.
pub const ROLE_SET_ID_MAX: RoleSetId = RoleSetId(match NonZeroU32::new((1 << SET_BITS) - 1) {
    Some(max) => max,
    None => NonZeroU32::MIN,
});
const SET_BITS: u32 = 27;
const ORIGIN_BITS: u32 = 4;

/// A membership in 16 bytes: 93 bits stand for the user, 27 for the role set, 4 for the origin, 1 says that roles end.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct MembershipSlot {
    tag: u64,
    rest: u32,
    packed: NonZeroU32,
}

/// The ends of a member's roles; few members have any.
#[derive(Clone, PartialEq)]
pub(super) struct TimedSlot {
    tag: u64,
    rest: u32,
    pub timed: Arc<[TimedRole]>,
}

impl MembershipSlot {
    fn new(user: TextHash, record: &MembershipRecord) -> Self {
        let timed = u32::from(!record.timed.is_empty()) << (SET_BITS + ORIGIN_BITS);
        let origin = (record.origin as u32) << SET_BITS;
        let packed = record.role_set.0 | origin | timed;
        Self { tag: user.tag, rest: user.rest, packed }
    }

    #[inline]
    pub fn role_set(self) -> Option<RoleSetId> {
        RoleSetId::new(self.packed.get() & ((1 << SET_BITS) - 1))
    }

    fn origin(self) -> Origin {
        Origin::from_number((self.packed.get() >> SET_BITS & ((1 << ORIGIN_BITS) - 1)) as u8).unwrap_or(Origin::Direct)
    }

    #[inline]
    pub fn is_timed(self) -> bool {
        self.packed.get() >> (SET_BITS + ORIGIN_BITS) == 1
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

impl Entry for TimedSlot {
    const LEAF_MAX: u32 = 64;

    fn hash(&self) -> TextHash {
        TextHash { tag: self.tag, rest: self.rest }
    }
}

impl Org {
    pub(super) fn set_membership(&mut self, user: TextHash, record: Option<&MembershipRecord>) {
        let TextHash { tag, rest } = user;
        match record {
            Some(record) => self.members.insert(MembershipSlot::new(user, record)),
            None => self.members.remove(user, |_| true),
        }
        match record.filter(|record| !record.timed.is_empty()) {
            Some(record) => self.timed.insert(TimedSlot { tag, rest, timed: record.timed.clone() }),
            None => self.timed.remove(user, |_| true),
        }
    }

    /// The ends of a member's roles.
    #[inline]
    pub(super) fn timed_roles(&self, user: TextHash, slot: MembershipSlot) -> &[TimedRole] {
        if !slot.is_timed() {
            return &[];
        }
        self.timed.get(user).map_or(&[], |slot| &slot.timed)
    }
}

impl Project {
    /// What is recorded of a user in an org.
    pub fn membership(&self, org: &Org, user: &UserId) -> Option<MembershipRecord> {
        let hash = self.hash_key.text(user.as_str());
        let slot = org.members.get(hash)?;
        Some(MembershipRecord {
            role_set: slot.role_set()?,
            origin: slot.origin(),
            timed: org.timed.get(hash).map_or_else(|| [].into(), |slot| slot.timed.clone()),
        })
    }

    /// How each role of a set stands for a member with these ends, in an org of this mapping, now.
    pub fn standings<'a>(
        &'a self,
        org: &Org,
        set: &'a RoleSet,
        timed: &'a [TimedRole],
        now: Time,
    ) -> impl Iterator<Item = (RoleId, Standing)> + use<'a> {
        let mapping = self.role_mappings.get(org.record.role_mapping);
        let enabled = move |role| mapping.is_some_and(|mapping| mapping.enabled(role));
        standings(self.record.role_structure, &set.roles, timed, enabled, now)
    }

    /// The roles a user holds in an org: none, if nobody or all ended.
    fn held(&self, record: &MembershipRecord, now: Time) -> Vec<RoleId> {
        let ended = |role| record.timed.iter().any(|timed| timed.role == role && timed.until <= now);
        let set = self.role_sets.get(record.role_set);
        set.map_or_else(Vec::new, |set| set.roles.iter().copied().filter(|&role| !ended(role)).collect())
    }

    /// A member as it is shown.
    pub fn member(&self, org: &Org, user: &UserId, record: &MembershipRecord, now: Time) -> Member {
        let until = |role| record.timed.iter().find(|timed| timed.role == role).map(|timed| timed.until);
        let mut roles = Vec::new();
        if let Some(set) = self.role_sets.get(record.role_set) {
            let mut standings: Vec<_> = self.standings(org, set, &record.timed, now).collect();
            standings.sort_by_key(|&(role, _)| self.roles.get(role).map(|role| role.rank));
            let shown = |(role, standing)| MemberRole { role: self.role_name(role), until: until(role), standing };
            roles.extend(standings.into_iter().map(shown));
        }
        Member { org_id: org.record.profile.org_id.clone(), user_id: user.clone(), roles, origin: record.origin }
    }
}

/// How each of a member's roles stands: the one law of it, for checks and for lists.
pub fn standings<'a>(
    structure: RoleStructure,
    roles: &'a [RoleId],
    timed: &'a [TimedRole],
    enabled: impl Fn(RoleId) -> bool + 'a,
    now: Time,
) -> impl Iterator<Item = (RoleId, Standing)> + 'a {
    let end = |role| timed.iter().find(|timed| timed.role == role).map(|timed| timed.until);
    let lent =
        structure == RoleStructure::SingleRole && timed.iter().any(|timed| timed.until > now && enabled(timed.role));
    roles.iter().map(move |&role| {
        let standing = match end(role) {
            Some(until) if until <= now => Standing::Ended,
            _ if !enabled(role) => Standing::Suspended,
            None if lent => Standing::Shadowed,
            _ => Standing::Live,
        };
        (role, standing)
    })
}

/// Adds, sets or removes one member.
pub fn write_one(draft: &mut Draft<'_>, command: &WriteMember) -> Result<Outcome, Refusal> {
    write(draft, &command.project, &command.row)?;
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.row.org_id)?;
    Ok(match project.membership(org, &command.row.user_id) {
        Some(record) => Outcome::Member(project.member(org, &command.row.user_id, &record, draft.now())),
        None => Outcome::Removed,
    })
}

/// Adds, sets and removes many members, all or none (B2).
pub fn write_batch(draft: &mut Draft<'_>, command: &BatchWriteMembers) -> Result<Outcome, Refusal> {
    draft.project(&command.project)?;
    let mut tally = Tally::default();
    let mut seen = BTreeSet::new();
    let mut rows = Rows::default();
    for (number, row) in command.rows.iter().enumerate() {
        if !seen.insert((&row.org_id, &row.user_id)) {
            rows.push(number, Refusal::RepeatedRow);
            continue;
        }
        match write(draft, &command.project, row) {
            Ok(done) => tally.count(done),
            Err(refusal) => rows.push(number, refusal),
        }
    }
    rows.none()?;
    Ok(Outcome::Tally(tally))
}

/// What became of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Added,
    Set,
    Removed,
    Unchanged,
}

fn write(draft: &mut Draft<'_>, project: &ProjectKey, row: &MemberWrite) -> Result<Done, Refusal> {
    let now = draft.now();
    let project = draft.project(project)?;
    let org = project.org_or_refusal(&row.org_id)?;
    let before = project.membership(org, &row.user_id);
    let held = before.as_ref().map(|record| project.held(record, now)).unwrap_or_default();
    let not_found = || Refusal::NotFound(Noun::Member, row.user_id.to_string());
    let (after, done) = match &row.write {
        super::command::Write::Add(_) if !held.is_empty() => {
            return Err(Refusal::AlreadyExists(Noun::Member, row.user_id.to_string()));
        }
        super::command::Write::Set(_) | super::command::Write::Remove if held.is_empty() => return Err(not_found()),
        super::command::Write::Remove => (None, Done::Removed),
        super::command::Write::Add(given) => (Some(record(draft, &project, org, None, &held, given)?), Done::Added),
        super::command::Write::Set(given) => {
            (Some(record(draft, &project, org, before.as_ref(), &held, given)?), Done::Set)
        }
    };
    if after == before {
        return Ok(Done::Unchanged);
    }
    let key = MembershipKey { project: project.id, org: org.no, user: row.user_id.clone() };
    draft.edit(Change::Membership(Edit { key, before, after }));
    Ok(done)
}

/// Turns the roles given into what is recorded, if the member may have them.
fn record(
    draft: &mut Draft<'_>,
    project: &Project,
    org: &Org,
    before: Option<&MembershipRecord>,
    held: &[RoleId],
    given: &[GivenRole],
) -> Result<MembershipRecord, Refusal> {
    let now = draft.now();
    // A set, since a request may name as many as fit into its bytes before they are counted.
    let mut roles = BTreeSet::new();
    let mut timed = Vec::new();
    if given.is_empty() {
        roles.insert(project.record.default_role);
    }
    for (at, given) in given.iter().enumerate() {
        let role = project.role(&given.role)?;
        if !roles.insert(role) {
            return Err(Refusal::RepeatedRole { at, role: given.role.clone() });
        }
        let kept = before.and_then(|record| record.timed.iter().find(|timed| timed.role == role));
        let until = match given.permanent {
            true => given.until,
            false => given.until.or(kept.map(|timed| timed.until)),
        };
        // Also an end that is kept: who writes back the names that were read must not revive a role by accident.
        if until.is_some_and(|until| until <= now) {
            return Err(Refusal::EndInThePast { at, role: given.role.clone() });
        }
        timed.extend(until.map(|until| TimedRole { role, until }));
    }
    counted(draft, project, roles.len(), &timed)?;
    let mapping = project.role_mappings.get(org.record.role_mapping);
    for &role in &roles {
        if !mapping.is_some_and(|mapping| mapping.enabled(role)) && !held.contains(&role) {
            return Err(Refusal::RoleDisabled {
                role: project.role_name(role),
                role_mapping: project.role_mapping_name(org.record.role_mapping),
            });
        }
    }
    timed.sort_by_key(|timed| timed.role);
    let role_set = role_set::intern(draft, project, RoleSet::new(roles))?;
    Ok(MembershipRecord { role_set, origin: Origin::Direct, timed: timed.into() })
}

/// SINGLE_ROLE: one role, and besides it at most one lent until a time; MULTI_ROLE: one to fifty (B1, P7).
fn counted(draft: &Draft<'_>, project: &Project, roles: usize, timed: &[TimedRole]) -> Result<(), Refusal> {
    match project.record.role_structure {
        RoleStructure::SingleRole => {
            let lasting = roles - timed.len();
            if lasting > 1 || timed.len() > 1 {
                Err(Refusal::TooManyRoles { lasting, timed: timed.len() })
            } else {
                Ok(())
            }
        }
        RoleStructure::MultiRole => draft.within("member_roles", draft.limits().member_roles, roles),
    }
}
