//! Projects: isolated spaces of roles, permissions, role mappings and orgs (P1, P2).

use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::domain::collections::hash::{HashKey, TextHash};
use crate::domain::collections::pages::Pages;
use crate::domain::collections::table::Table;
use crate::domain::collections::trie::Trie;
use crate::domain::model::decision::Decision;
use crate::domain::model::email::EmailAddress;
use crate::domain::model::id::{OrgNo, PermissionId, ProjectId, RoleId, RoleMappingId, RoleSetId};
use crate::domain::model::invitation::InvitationId;
use crate::domain::model::membership::MembershipRecord;
use crate::domain::model::name::{OrgId, PermissionName, RoleMappingName, RoleName, UserId};
use crate::domain::model::permission::{Permission, PermissionSet};
use crate::domain::model::project::ProjectRecord;
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::model::role::Role;
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::user::Block;
use crate::domain::state::Counters;
use crate::domain::state::api_key::ApiKeys;
use crate::domain::state::decision_rows::{Bounds, DecisionRows, Row};
use crate::domain::state::invitation::Invitation;
use crate::domain::state::name_index::{NameIndex, Named};
use crate::domain::state::org::{Org, OrgSlot};
use crate::domain::state::role_mapping::RoleMapping;
use crate::domain::state::user::BlockedUser;

#[derive(Clone)]
pub struct Project {
    pub id: ProjectId,
    pub record: Arc<ProjectRecord>,
    pub permissions: Table<PermissionId, Permission>,
    pub roles: Table<RoleId, Role>,
    /// The roles from the highest to the lowest.
    pub role_order: Arc<Vec<RoleId>>,
    pub role_sets: Table<RoleSetId, RoleSet>,
    pub role_mappings: Table<RoleMappingId, RoleMapping>,
    /// Counts the (mapping, role, permission) triples.
    pub grants: u64,
    pub(super) hash_key: HashKey,
    pub(super) permission_names: Trie<Named>,
    pub(super) role_names: NameIndex,
    pub(super) role_mapping_names: NameIndex,
    pub(super) role_sets_by_roles: Trie<Named>,
    pub(super) orgs: Trie<OrgSlot>,
    pub(super) org_hashes: Pages<TextHash>,
    pub(super) next_org: u32,
    /// Deleted orgs that are being purged.
    pub(super) deleted_orgs: Pages<Arc<Org>>,
    /// The ids of deleted orgs. A purged org has nothing else in memory.
    pub(super) retired: Trie<Named>,
    pub(super) orgs_being_purged: Arc<BTreeSet<OrgNo>>,
    pub(super) role_sets_being_purged: Arc<BTreeSet<RoleSetId>>,
    pub(super) blocked: Trie<BlockedUser>,
    /// Only the workspace has keys.
    pub api_keys: ApiKeys,
    /// Shared with copies of this project that have the same roles, role sets, permissions and role mappings.
    pub(super) decisions: Arc<DecisionRows>,
}

impl Project {
    pub(super) fn new(id: ProjectId, record: ProjectRecord, hash_key: HashKey) -> Self {
        Self {
            id,
            record: Arc::new(record),
            permissions: Table::default(),
            roles: Table::default(),
            role_order: Arc::default(),
            role_sets: Table::default(),
            role_mappings: Table::default(),
            grants: 0,
            hash_key,
            permission_names: Trie::default(),
            role_names: NameIndex::default(),
            role_mapping_names: NameIndex::default(),
            role_sets_by_roles: Trie::default(),
            orgs: Trie::default(),
            org_hashes: Pages::default(),
            next_org: 1,
            deleted_orgs: Pages::default(),
            retired: Trie::default(),
            orgs_being_purged: Arc::default(),
            role_sets_being_purged: Arc::default(),
            blocked: Trie::default(),
            api_keys: ApiKeys::default(),
            decisions: Arc::default(),
        }
    }

    #[inline]
    pub(in crate::domain) fn hash(&self, text: &str) -> TextHash {
        self.hash_key.text(text)
    }

    #[inline]
    pub(in crate::domain) fn hash_bytes(&self, text: &[u8]) -> TextHash {
        self.hash_key.bytes(text)
    }

    #[inline]
    pub fn permission_named(&self, name: &str) -> Option<PermissionId> {
        self.permission_hashed(self.hash(name))
    }

    #[inline]
    pub(in crate::domain) fn permission_hashed(&self, name: TextHash) -> Option<PermissionId> {
        self.permission_names.get(name).map(|named| PermissionId(named.number))
    }

    pub fn role_named(&self, name: &str) -> Option<RoleId> {
        self.role_names.exact(&self.hash_key, name).map(RoleId)
    }

    pub fn role_mapping_named(&self, name: &str) -> Option<RoleMappingId> {
        self.role_mapping_names.exact(&self.hash_key, name).map(RoleMappingId)
    }

    /// Returns the role that has this name, or had it and is still found by it. Case does not count (R1).
    pub fn role_taking(&self, name: &str) -> Option<RoleId> {
        self.role_names.taken(&self.hash_key, name).map(RoleId)
    }

    /// Returns the role mapping that has this name, or had it and is still found by it. Case does not count (R1).
    pub fn role_mapping_taking(&self, name: &str) -> Option<RoleMappingId> {
        self.role_mapping_names.taken(&self.hash_key, name).map(RoleMappingId)
    }

    #[inline]
    pub fn org(&self, org_id: &str) -> Option<&Arc<Org>> {
        self.orgs.get(self.hash_key.text(org_id)).map(|slot| &slot.org)
    }

    /// Returns the leaf that has the slot of the org, if any has.
    #[inline]
    pub(in crate::domain) fn org_leaf(&self, org_id: TextHash) -> &[Option<OrgSlot>] {
        self.orgs.leaf(org_id)
    }

    /// Returns the org with this number, even if it is being purged.
    pub fn org_numbered(&self, no: OrgNo) -> Option<&Arc<Org>> {
        match self.org_hashes.get(no) {
            Some(&hash) => self.orgs.get(hash).map(|slot| &slot.org),
            None => self.deleted_orgs.get(no),
        }
    }

    /// Returns the numbers of all orgs that have this id or had it: the existing one and deleted ones.
    pub fn org_numbers(&self, org_id: &str) -> Vec<OrgNo> {
        let deleted = self.retired.matching(self.hash_key.text(org_id)).map(|named| OrgNo(named.number));
        deleted.chain(self.org(org_id).map(|org| org.no)).collect()
    }

    /// Returns true if an org with this id was deleted (S5).
    pub fn was_deleted(&self, org_id: &str) -> bool {
        self.retired.get(self.hash_key.text(org_id)).is_some()
    }

    /// Visits the orgs that are being purged.
    pub(in crate::domain) fn for_each_deleted_org<'a>(&'a self, visit: impl FnMut(&'a Org)) {
        self.deleted_orgs.iter().map(AsRef::as_ref).for_each(visit);
    }

    /// Visits the existing orgs, in no meaningful order.
    pub fn for_each_org<'a>(&'a self, mut visit: impl FnMut(&'a Org)) {
        self.orgs.for_each(|slot| visit(&slot.org));
    }

    pub fn orgs_len(&self) -> usize {
        self.orgs.len()
    }

    /// Counts the recorded memberships of all existing orgs.
    pub fn memberships_len(&self) -> usize {
        let mut len = 0;
        self.for_each_org(|org| len += org.memberships_len());
        len
    }

    /// Returns true if an existing org has memberships, or users whom somebody else removed.
    pub fn has_members_to_purge(&self) -> bool {
        let mut has = false;
        self.for_each_org(|org| has |= org.memberships_len() + org.removed_len() > 0);
        has
    }

    pub fn next_org(&self) -> OrgNo {
        OrgNo(NonZeroU32::new(self.next_org).unwrap_or(NonZeroU32::MAX))
    }

    /// Returns the oldest set with exactly these roles.
    pub fn role_set_of(&self, roles: &RoleSet) -> Option<RoleSetId> {
        let hash = self.hash_key.bytes(&roles.bytes());
        self.role_sets_by_roles.matching(hash).map(|named| RoleSetId(named.number)).min()
    }

    /// Returns the role with this name, or refuses.
    pub fn role(&self, name: &RoleName) -> Result<RoleId, Refusal> {
        self.role_named(name.as_str()).ok_or_else(|| Refusal::NotFound(Noun::Role, name.to_string()))
    }

    pub fn role_mapping(&self, name: &RoleMappingName) -> Result<RoleMappingId, Refusal> {
        let id = self.role_mapping_named(name.as_str());
        id.ok_or_else(|| Refusal::NotFound(Noun::RoleMapping, name.to_string()))
    }

    pub fn permission(&self, name: &PermissionName) -> Result<PermissionId, Refusal> {
        let id = self.permission_named(name.as_str());
        id.ok_or_else(|| Refusal::NotFound(Noun::Permission, name.to_string()))
    }

    pub fn org_or_refusal(&self, id: &OrgId) -> Result<&Arc<Org>, Refusal> {
        self.org(id.as_str()).ok_or_else(|| Refusal::NotFound(Noun::Org, id.to_string()))
    }

    /// Returns the name of a role of this project.
    pub fn role_name(&self, id: RoleId) -> RoleName {
        self.roles.get(id).map_or_else(|| RoleName::stored(""), |role| role.name.clone())
    }

    pub fn role_mapping_name(&self, id: RoleMappingId) -> RoleMappingName {
        self.role_mappings.get(id).map_or_else(|| RoleMappingName::stored(""), |mapping| mapping.record.name.clone())
    }

    /// Returns the existing orgs of a mapping, ascending by number.
    pub(in crate::domain) fn subscribers(&self, mapping: RoleMappingId) -> Vec<&Org> {
        let mut orgs = Vec::new();
        self.for_each_org(|org| {
            if org.record.role_mapping == mapping {
                orgs.push(org);
            }
        });
        orgs.sort_unstable_by_key(|org| org.no);
        orgs
    }

    pub(super) fn share_rows(&mut self) {
        let mut known: HashSet<Arc<PermissionSet>> = HashSet::new();
        let mappings: Vec<RoleMappingId> = self.role_mappings.entries().map(|(id, _)| id).collect();
        for id in mappings {
            let Some(mapping) = self.role_mappings.get_mut(id) else { continue };
            let rows: Vec<(RoleId, _)> = mapping.rows.entries().map(|(role, row)| (role, row.clone())).collect();
            for (role, row) in rows {
                let shared = known.get(&row).cloned().unwrap_or_else(|| row.clone());
                known.insert(shared.clone());
                mapping.rows.set(role, Some(shared));
            }
        }
    }

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

    /// Returns the pending invitation with this id, even if it has expired.
    pub fn pending_invitation<'a>(&self, org: &'a Org, id: InvitationId) -> Option<&'a Arc<Invitation>> {
        org.invitation(&self.hash_key, id)
    }

    /// Returns the pending invitation of an address, even if it has expired.
    pub fn invitation_of<'a>(&self, org: &'a Org, email: &EmailAddress) -> Option<&'a Arc<Invitation>> {
        org.invitation_of(self.hash_key.text(email.as_str()))
    }

    /// Returns true if somebody else removed the user from the org, and nobody added the user since (J3).
    pub fn was_removed(&self, org: &Org, user: &UserId) -> bool {
        org.was_removed(self.hash(user.as_str()))
    }

    /// Returns the block of a user. `None` if the user is not blocked (U1).
    pub fn block_of(&self, user_id: &str) -> Option<Block> {
        self.blocked.get(self.hash(user_id)).map(|blocked| blocked.block)
    }

    pub fn is_user_blocked(&self, user: &UserId) -> bool {
        self.is_blocked(self.hash(user.as_str()))
    }

    /// A project without blocks pays one branch.
    #[inline]
    pub(in crate::domain) fn is_blocked(&self, user: TextHash) -> bool {
        !self.blocked.is_empty() && self.blocked.get(user).is_some()
    }

    /// Visits the blocked users, in no meaningful order.
    pub(in crate::domain) fn for_each_blocked<'a>(&'a self, visit: impl FnMut(&'a BlockedUser)) {
        self.blocked.for_each(visit);
    }

    pub fn counters(&self) -> Counters {
        Counters {
            permission: self.permissions.next_number(),
            role: self.roles.next_number(),
            role_set: self.role_sets.next_number(),
            role_mapping: self.role_mappings.next_number(),
            org: self.next_org,
        }
    }

    /// Returns the decisions on every permission for the holders of a role set in orgs of a role mapping, if they are
    /// kept.
    #[inline]
    pub(in crate::domain) fn decisions(&self, mapping: RoleMappingId, set: RoleSetId) -> Option<&[Decision]> {
        self.decisions.get(mapping, set)
    }

    /// Returns such decisions, computed first if they are not kept yet. `None` if they would take too much memory, or if
    /// `compute` returns `None`.
    pub(in crate::domain) fn decisions_or(
        &self,
        mapping: RoleMappingId,
        set: RoleSetId,
        compute: impl FnOnce() -> Option<Row>,
    ) -> Option<&[Decision]> {
        let bounds = Bounds {
            role_mappings: self.role_mappings.next_number() as usize,
            role_sets: self.role_sets.next_number() as usize,
        };
        let len = self.permissions.next_number() as usize;
        self.decisions.get_or_compute(mapping, set, bounds, len, compute)
    }

    /// Returns true if the project itself is being purged.
    pub fn is_being_purged(&self) -> bool {
        self.record.lifecycle.is_being_purged()
    }

    pub fn orgs_being_purged(&self) -> &BTreeSet<OrgNo> {
        &self.orgs_being_purged
    }

    /// Returns the role sets without roles, whose holders are being purged.
    pub fn role_sets_being_purged(&self) -> &BTreeSet<RoleSetId> {
        &self.role_sets_being_purged
    }

    /// Returns true if the project, an org or a membership of it is being purged.
    pub fn has_data_to_purge(&self) -> bool {
        self.is_being_purged() || !self.orgs_being_purged.is_empty() || !self.role_sets_being_purged.is_empty()
    }

    /// Returns true if a membership is unreachable: its project, its org or all its roles are deleted.
    pub(in crate::domain) fn is_deleted(&self, org: &Org, set: RoleSetId) -> bool {
        !self.record.lifecycle.exists() || !org.record.lifecycle.exists() || self.role_sets_being_purged.contains(&set)
    }
}

/// Compares contents only, see [`Table`].
impl PartialEq for Project {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && self.record == other.record
            && self.permissions == other.permissions
            && self.roles == other.roles
            && self.role_order == other.role_order
            && self.role_sets == other.role_sets
            && self.role_mappings == other.role_mappings
            && self.grants == other.grants
            && self.permission_names == other.permission_names
            && self.role_names == other.role_names
            && self.role_mapping_names == other.role_mapping_names
            && self.role_sets_by_roles == other.role_sets_by_roles
            && self.orgs == other.orgs
            && self.org_hashes == other.org_hashes
            && self.deleted_orgs == other.deleted_orgs
            && self.retired == other.retired
            && self.blocked == other.blocked
            && self.api_keys == other.api_keys
    }
}
