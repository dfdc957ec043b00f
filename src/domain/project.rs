//! Projects: isolated spaces of roles, permissions, role mappings and orgs (P1, P2, P3).

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::change::GrantsKey;
use super::command::{CreateProject, DeleteProject, UpdateProject};
use super::decide::{Draft, Outcome};
use super::erasure::Life;
use super::hash::{HashKey, TextHash};
use super::id::{Numbered, OrgNo, PermissionId, ProjectId, RoleId, RoleMappingId, RoleSetId};
use super::name::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, folded};
use super::org::{Org, OrgSlot};
use super::pages::Pages;
use super::permission::{BUILT_INS, Permission};
use super::permission_set::PermissionSet;
use super::refusal::{Noun, Refusal};
use super::role::Role;
use super::role_mapping::{RoleMapping, RoleMappingRecord};
use super::role_set::RoleSet;
use super::template::B2B;
use super::trie::{Entry, Trie};
use super::{Change, Edit, Scoped, Time, etag};

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
    pub life: Life,
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
    /// Deleted orgs, with what is not erased of them yet.
    pub(super) dead_orgs: Pages<Arc<Org>>,
    /// The ids of deleted orgs.
    pub(super) retired: Trie<Named>,
    /// What is to be erased: see [`super::erasure`].
    pub(super) dying_orgs: Arc<BTreeSet<OrgNo>>,
    pub(super) dying_sets: Arc<BTreeSet<RoleSetId>>,
}

/// Things of one noun by id, and the id that the next new one gets.
#[derive(Clone)]
pub struct Table<I, T> {
    rows: Pages<Arc<T>>,
    next: u32,
    id: std::marker::PhantomData<I>,
}

/// A hashed text and the number of what it names.
#[derive(Clone, Copy, PartialEq)]
pub struct Named {
    tag: u64,
    rest: u32,
    pub number: NonZeroU32,
}

/// Names that are looked up exactly and unique after case folding (R1).
#[derive(Clone, Default, PartialEq)]
pub(super) struct Names {
    exact: Trie<Named>,
    folded: Trie<Named>,
}

impl<I: Numbered, T: Clone + PartialEq> Default for Table<I, T> {
    fn default() -> Self {
        Self { rows: Pages::default(), next: 1, id: std::marker::PhantomData }
    }
}

impl<I: Numbered, T: Clone + PartialEq> Table<I, T> {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    #[inline]
    pub fn get(&self, id: I) -> Option<&Arc<T>> {
        self.rows.get(id)
    }

    /// What is there, in the order in which it was created.
    pub fn entries(&self) -> impl Iterator<Item = (I, &Arc<T>)> {
        self.rows.entries()
    }

    /// The id that nothing had before.
    pub fn next_id(&self) -> I {
        // Ids begin at 1; 2^32 of one noun are beyond every limit.
        I::from_number(NonZeroU32::new(self.next).unwrap_or(NonZeroU32::MAX))
    }

    /// The number of [`Self::next_id`], as it is stored.
    pub fn next_number(&self) -> u32 {
        self.next
    }

    /// Takes over the stored counter of a table that was just loaded.
    pub fn set_next_number(&mut self, next: u32) {
        self.next = self.next.max(next);
    }

    pub(super) fn get_mut(&mut self, id: I) -> Option<&mut T> {
        self.rows.get_mut(id).map(Arc::make_mut)
    }

    pub(super) fn set(&mut self, id: I, value: Option<T>) {
        if value.is_some() {
            self.next = self.next.max(id.index() as u32 + 1);
        }
        self.rows.set(id, value.map(Arc::new));
    }
}

/// Contents alone: undoing does not take back an id that was given.
impl<I: Numbered, T: Clone + PartialEq> PartialEq for Table<I, T> {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}

impl Named {
    pub fn new(hash: TextHash, number: NonZeroU32) -> Self {
        Self { tag: hash.tag, rest: hash.rest, number }
    }
}

impl Entry for Named {
    const LEAF_MAX: u32 = 256;

    #[inline]
    fn hash(&self) -> TextHash {
        TextHash { tag: self.tag, rest: self.rest }
    }

    /// Two role sets may become equal; names are unique because deciding sees to it.
    fn replaces(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Names {
    /// Takes the name of a thing and its old ones.
    pub(super) fn insert<'a>(&mut self, key: &HashKey, names: impl Iterator<Item = &'a str>, number: NonZeroU32) {
        for name in names {
            self.exact.insert(Named::new(key.text(name), number));
            self.folded.insert(Named::new(key.text(&folded(name)), number));
        }
    }

    /// Frees all names of a thing: two of them may differ only in case.
    pub(super) fn remove<'a>(&mut self, key: &HashKey, names: impl Iterator<Item = &'a str>, number: NonZeroU32) {
        for name in names {
            self.exact.remove(key.text(name), |named| named.number == number);
            self.folded.remove(key.text(&folded(name)), |named| named.number == number);
        }
    }

    pub(super) fn exact(&self, key: &HashKey, name: &str) -> Option<NonZeroU32> {
        self.exact.get(key.text(name)).map(|named| named.number)
    }

    /// What has this name or one that differs only in case.
    pub(super) fn taken(&self, key: &HashKey, name: &str) -> Option<NonZeroU32> {
        self.folded.get(key.text(&folded(name))).map(|named| named.number)
    }
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
            dead_orgs: Pages::default(),
            retired: Trie::default(),
            dying_orgs: Arc::default(),
            dying_sets: Arc::default(),
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
            None => self.dead_orgs.get(no),
        }
    }

    /// Whether an org with this id was deleted (S5).
    pub fn was_deleted(&self, org_id: &str) -> bool {
        self.retired.get(self.hash_key.text(org_id)).is_some()
    }

    /// The deleted orgs, with what is not erased of them yet.
    pub(super) fn for_each_dead_org<'a>(&'a self, visit: impl FnMut(&'a Org)) {
        self.dead_orgs.iter().map(AsRef::as_ref).for_each(visit);
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
            && self.dead_orgs == other.dead_orgs
            && self.retired == other.retired
    }
}

/// Creates a project from the template `b2b` (P3).
pub fn create(draft: &mut Draft<'_>, command: &CreateProject) -> Result<Outcome, Refusal> {
    if command.key.as_str() == WORKSPACE {
        return Err(Refusal::ReservedName { reserved: WORKSPACE });
    }
    if draft.state().project(&command.key).is_some() {
        return Err(Refusal::AlreadyExists(Noun::Project, command.key.to_string()));
    }
    if draft.state().was_deleted(&command.key) && !command.reuse_deleted_key {
        return Err(Refusal::Retired(Noun::Project, command.key.to_string()));
    }
    let project = draft.state().next_project();
    let now = draft.now();
    let roles = [RoleId::from_number(NonZeroU32::MIN); 3];
    let [owner, admin, member] = std::array::from_fn(|at| following(roles[at], at as u32));
    let mapping = RoleMappingId::from_number(NonZeroU32::MIN);
    draft.edit(Change::Project(Edit {
        key: project,
        before: None,
        after: Some(ProjectRecord {
            key: command.key.clone(),
            display_name: command.display_name.as_str().into(),
            environment: command.environment,
            role_structure: command.role_structure,
            default_role: member,
            default_owner_role: owner,
            default_role_mapping: mapping,
            create_time: now,
            version: 1,
            role_order_version: 1,
            life: Life::Living,
        }),
    }));
    for (at, (name, description)) in BUILT_INS.iter().enumerate() {
        draft.edit(Change::Permission(Edit {
            key: Scoped { project, id: built_in(at) },
            before: None,
            after: Some(Permission {
                name: PermissionName::stored(*name),
                description: (*description).into(),
                built_in: true,
                create_time: now,
                aliases: [].into(),
            }),
        }));
    }
    for (at, (role, it)) in [owner, admin, member].into_iter().zip(B2B.roles).enumerate() {
        draft.edit(Change::Role(Edit {
            key: Scoped { project, id: role },
            before: None,
            after: Some(Role {
                name: RoleName::stored(it.name),
                description: it.description.into(),
                internal: false,
                rank: super::role::rank_at(at),
                create_time: now,
                aliases: [].into(),
                version: 1,
            }),
        }));
    }
    draft.edit(Change::RoleMapping(Edit {
        key: Scoped { project, id: mapping },
        before: None,
        after: Some(RoleMappingRecord {
            name: RoleMappingName::stored(B2B.role_mapping.0),
            description: B2B.role_mapping.1.into(),
            disabled_roles: [].into(),
            create_time: now,
            aliases: [].into(),
            version: 1,
        }),
    }));
    for (role, it) in [owner, admin, member].into_iter().zip(B2B.roles) {
        let granted = BUILT_INS.iter().enumerate().filter(|(_, (name, _))| (it.grants)(name));
        let granted: PermissionSet = granted.map(|(at, _)| built_in(at)).collect();
        let key = GrantsKey { project, role_mapping: mapping, role };
        draft.edit(Change::Grants(Edit { key, before: None, after: Some(granted) }));
    }
    Ok(Outcome::Project(draft.project(&command.key)?))
}

/// Changes what people call a project, and its default roles (R5).
pub fn update(draft: &mut Draft<'_>, command: &UpdateProject) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let before = &project.record;
    etag::fits(command.etag.as_deref(), project.id.number(), before.version)?;
    let role = |name: &Option<RoleName>, present| match name {
        Some(name) => suitable(&project, project.role(name)?),
        None => Ok(present),
    };
    let after = ProjectRecord {
        display_name: command.display_name.as_deref().map_or_else(|| before.display_name.clone(), Into::into),
        default_role: role(&command.default_role, before.default_role)?,
        default_owner_role: role(&command.default_owner_role, before.default_owner_role)?,
        ..ProjectRecord::clone(before)
    };
    if after == **before {
        return Ok(Outcome::Project(project));
    }
    let after = ProjectRecord { version: before.version + 1, ..after };
    let before = Some(ProjectRecord::clone(before));
    draft.edit(Change::Project(Edit { key: project.id, before, after: Some(after) }));
    let updated = draft.project(&command.project)?;
    if !command.allow_ownerless {
        owners_kept(&project, &updated, draft.now())?;
    }
    Ok(Outcome::Project(updated))
}

/// A default role is visible, and enabled everywhere (R5).
fn suitable(project: &Project, id: RoleId) -> Result<RoleId, Refusal> {
    let refused = |why| Err(Refusal::DefaultRoleUnsuitable { role: project.role_name(id), deleting: false, why });
    if project.roles.get(id).is_some_and(|role| role.internal) {
        return refused("it is internal".into());
    }
    match project.role_mappings.entries().find(|(_, mapping)| !mapping.enabled(id)) {
        Some((_, mapping)) => refused(format!("it is disabled in role mapping `{}`", mapping.record.name)),
        None => Ok(id),
    }
}

/// Another default owner role leaves no org without an owner that had one and has other visible members (B3).
fn owners_kept(before: &Project, after: &Project, now: Time) -> Result<(), Refusal> {
    if before.record.default_owner_role == after.record.default_owner_role {
        return Ok(());
    }
    let owner = before.record.default_owner_role;
    let mut left: BTreeSet<&OrgId> = BTreeSet::new();
    after.for_each_org(|org| {
        let others = || after.has_visible_member(org, |_, it| it.set.contains(owner) && it.end(owner).is_none(), now);
        if before.has_owner(org) && !after.has_owner(org) && others() {
            left.insert(&org.record.profile.org_id);
        }
    });
    let Some(&first) = left.first() else { return Ok(()) };
    let role = after.role_name(after.record.default_owner_role);
    Err(Refusal::LastOwner { role, first: first.clone(), orgs: left.len() as u64 })
}

/// Deletes a project: marked dead, it cannot be reached; what is in it is erased afterwards (P6).
pub fn delete(draft: &mut Draft<'_>, command: &DeleteProject) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let before = &project.record;
    if before.key == ProjectKey::default_project() {
        return Err(Refusal::ProjectPermanent(before.key.to_string()));
    }
    if command.confirm != before.key.as_str() {
        return Err(Refusal::NotConfirmed { key: before.key.to_string() });
    }
    etag::fits(command.etag.as_deref(), project.id.number(), before.version)?;
    let orgs = project.orgs_len() as u64;
    if orgs > 0 && !command.force {
        return Err(Refusal::ProjectHasOrgs { orgs });
    }
    let after = ProjectRecord { life: Life::Dead(draft.now()), ..ProjectRecord::clone(before) };
    let before = Some(ProjectRecord::clone(before));
    draft.edit(Change::Project(Edit { key: project.id, before, after: Some(after) }));
    Ok(Outcome::Deleted(orgs))
}

fn following(first: RoleId, steps: u32) -> RoleId {
    RoleId(first.0.saturating_add(steps))
}

fn built_in(at: usize) -> PermissionId {
    PermissionId(NonZeroU32::MIN.saturating_add(at as u32))
}
