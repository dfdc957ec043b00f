//! Projects: isolated spaces of roles, permissions, role mappings and orgs (P1, P2). What is written of them is in
//! `project/write.rs`, how one is converted in `project/convert.rs`.

mod convert;
mod write;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::Time;
use super::hash::{HashKey, TextHash};
use super::id::{OrgNo, PermissionId, ProjectId, RoleId, RoleMappingId, RoleSetId};
use super::name::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName};
use super::names::{Named, Names};
use super::org::{Org, OrgSlot};
use super::pages::Pages;
use super::permission::Permission;
use super::purge::Lifecycle;
use super::refusal::{Noun, Refusal};
use super::role::Role;
use super::role_mapping::RoleMapping;
use super::role_set::RoleSet;
use super::table::Table;
use super::trie::Trie;
pub use convert::convert;
pub use write::{create, delete, update};

/// Where a project's customers are real or not (P1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    Test,
    Live,
}

/// Whether a member holds one role or several (P1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleStructure {
    SingleRole,
    MultiRole,
}

/// The key of the project that will hold the operators of the installation (W1): nobody else gets it.
pub const WORKSPACE: &str = "workspace";

/// What a project says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectRecord {
    pub key: ProjectKey,
    pub display_name: Box<str>,
    pub environment: Environment,
    pub role_structure: RoleStructure,
    /// What a new member holds if nobody says otherwise.
    pub default_role: RoleId,
    /// What the creator of an org holds.
    pub default_owner_role: RoleId,
    /// What a new org is subscribed to if nobody says otherwise (M1: always exactly one).
    pub default_role_mapping: RoleMappingId,
    pub create_time: Time,
    /// How often its own fields were changed (M9).
    pub version: u32,
    /// How often roles that were there got other ranks: part of the etag of their order (M9).
    pub role_order_version: u32,
    pub lifecycle: Lifecycle,
}

/// A project with all that is in it.
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
    /// (mapping, role, permission) triples.
    pub grants: u64,
    pub(super) hash_key: HashKey,
    pub(super) permission_names: Trie<Named>,
    pub(super) role_names: Names,
    pub(super) role_mapping_names: Names,
    pub(super) role_sets_by_roles: Trie<Named>,
    pub(super) orgs: Trie<OrgSlot>,
    pub(super) org_hashes: Pages<TextHash>,
    pub(super) next_org: u32,
    /// Deleted orgs, with what is not purged of them yet.
    pub(super) deleted_orgs: Pages<Arc<Org>>,
    /// The ids of deleted orgs.
    pub(super) retired: Trie<Named>,
    /// What is to be purged: see [`super::purge`].
    pub(super) orgs_being_purged: Arc<BTreeSet<OrgNo>>,
    pub(super) role_sets_being_purged: Arc<BTreeSet<RoleSetId>>,
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
            role_names: Names::default(),
            role_mapping_names: Names::default(),
            role_sets_by_roles: Trie::default(),
            orgs: Trie::default(),
            org_hashes: Pages::default(),
            next_org: 1,
            deleted_orgs: Pages::default(),
            retired: Trie::default(),
            orgs_being_purged: Arc::default(),
            role_sets_being_purged: Arc::default(),
        }
    }

    #[inline]
    pub fn permission_named(&self, name: &str) -> Option<PermissionId> {
        self.permission_names.get(self.hash_key.text(name)).map(|named| PermissionId(named.number))
    }

    pub fn role_named(&self, name: &str) -> Option<RoleId> {
        self.role_names.exact(&self.hash_key, name).map(RoleId)
    }

    pub fn role_mapping_named(&self, name: &str) -> Option<RoleMappingId> {
        self.role_mapping_names.exact(&self.hash_key, name).map(RoleMappingId)
    }

    #[inline]
    pub fn org(&self, org_id: &str) -> Option<&Arc<Org>> {
        self.orgs.get(self.hash_key.text(org_id)).map(|slot| &slot.org)
    }

    /// The org with this number, also a dead one.
    pub fn org_numbered(&self, no: OrgNo) -> Option<&Arc<Org>> {
        match self.org_hashes.get(no) {
            Some(&hash) => self.orgs.get(hash).map(|slot| &slot.org),
            None => self.deleted_orgs.get(no),
        }
    }

    /// Whether an org with this id was deleted (S5).
    pub fn was_deleted(&self, org_id: &str) -> bool {
        self.retired.get(self.hash_key.text(org_id)).is_some()
    }

    /// The deleted orgs, with what is not purged of them yet.
    pub(super) fn for_each_deleted_org<'a>(&'a self, visit: impl FnMut(&'a Org)) {
        self.deleted_orgs.iter().map(AsRef::as_ref).for_each(visit);
    }

    /// The living orgs, in no meaningful order.
    pub fn for_each_org<'a>(&'a self, mut visit: impl FnMut(&'a Org)) {
        self.orgs.for_each(|slot| visit(&slot.org));
    }

    pub fn orgs_len(&self) -> usize {
        self.orgs.len()
    }

    /// Memberships recorded in all orgs.
    pub fn memberships_len(&self) -> usize {
        let mut len = 0;
        self.for_each_org(|org| len += org.memberships_len());
        len
    }

    pub fn next_org(&self) -> OrgNo {
        OrgNo(NonZeroU32::new(self.next_org).unwrap_or(NonZeroU32::MAX))
    }

    /// Of the sets with exactly these roles, the oldest.
    pub fn role_set_of(&self, roles: &RoleSet) -> Option<RoleSetId> {
        let hash = self.hash_key.bytes(&roles.bytes());
        self.role_sets_by_roles.matching(hash).map(|named| RoleSetId(named.number)).min()
    }

    /// The role with this name, or the refusal that says there is none.
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

    /// A role's name; the id came from this project.
    pub fn role_name(&self, id: RoleId) -> RoleName {
        self.roles.get(id).map_or_else(|| RoleName::stored(""), |role| role.name.clone())
    }

    pub fn role_mapping_name(&self, id: RoleMappingId) -> RoleMappingName {
        self.role_mappings.get(id).map_or_else(|| RoleMappingName::stored(""), |mapping| mapping.record.name.clone())
    }
}

/// Contents alone, see [`Table`].
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
    }
}
