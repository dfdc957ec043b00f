//! All that the service knows at one revision, as a value: cloning takes no time, and an edit copies only what it touches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::hash::HashKey;
use super::id::{OrgNo, ProjectId, RoleId, RoleMappingId, RoleSetId};
use super::name::{PermissionName, ProjectKey, RoleMappingName, RoleName};
use super::names::Named;
use super::org::{Org, OrgRecord, OrgSlot};
use super::pages::Pages;
use super::project::Project;
use super::role_mapping::RoleMapping;
use super::trie::Trie;
use super::{Change, Revision};

/// Everything, at one revision.
#[derive(Clone)]
pub struct State {
    revision: Revision,
    hash_key: HashKey,
    projects: Pages<Arc<Project>>,
    keys: Trie<Named>,
    /// The keys of deleted projects.
    retired: Trie<Named>,
    next_project: u32,
}

impl State {
    /// The state of an empty store. The key must be drawn at random, once a process.
    pub fn new(hash_key: HashKey) -> Self {
        Self {
            revision: Revision::default(),
            hash_key,
            projects: Pages::default(),
            keys: Trie::default(),
            retired: Trie::default(),
            next_project: 1,
        }
    }

    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Says at which revision this is.
    pub fn set_revision(&mut self, revision: Revision) {
        self.revision = revision;
    }

    pub fn hash_key(&self) -> HashKey {
        self.hash_key
    }

    pub fn project(&self, key: &ProjectKey) -> Option<&Arc<Project>> {
        self.project_keyed(key.as_str())
    }

    /// The project with this key, which need not be well-formed.
    #[inline]
    pub fn project_keyed(&self, key: &str) -> Option<&Arc<Project>> {
        let named = self.keys.get(self.hash_key.text(key))?;
        self.projects.get(ProjectId(named.number))
    }

    pub fn project_numbered(&self, id: ProjectId) -> Option<&Arc<Project>> {
        self.projects.get(id)
    }

    /// The living projects in the order in which they were created.
    pub fn projects(&self) -> impl Iterator<Item = &Arc<Project>> {
        self.projects.iter().filter(|project| project.record.lifecycle.exists())
    }

    /// All projects, those included that were deleted and are purged, or being purged.
    pub fn all_projects(&self) -> impl Iterator<Item = &Arc<Project>> {
        self.projects.iter()
    }

    /// Whether a project with this key was deleted (S5).
    pub fn was_deleted(&self, key: &ProjectKey) -> bool {
        self.retired.get(self.hash_key.text(key.as_str())).is_some()
    }

    pub(super) fn next_project(&self) -> ProjectId {
        ProjectId::new(self.next_project).unwrap_or(ProjectId(std::num::NonZeroU32::MAX))
    }

    /// Makes a change. Total: a change of what is not there does nothing. Loading, feeding, deciding and undoing all use it.
    pub fn apply(&mut self, change: &Change) {
        if let Change::Project(edit) = change {
            return self.apply_project(edit.key, edit.after.as_ref());
        }
        let Some(project) = self.projects.get_mut(change.project()) else { return };
        Arc::make_mut(project).apply(change);
    }

    /// Makes the changes of one commit and stands at its revision.
    pub fn apply_commit(&mut self, revision: Revision, changes: &[Change]) {
        changes.iter().for_each(|change| self.apply(change));
        self.revision = revision;
    }

    /// Gives back the counters of a project, which its rows alone do not tell.
    pub fn restore_counters(&mut self, project: ProjectId, counters: &Counters) {
        let Some(project) = self.projects.get_mut(project) else { return };
        let project = Arc::make_mut(project);
        project.permissions.set_next_number(counters.permission);
        project.roles.set_next_number(counters.role);
        project.role_sets.set_next_number(counters.role_set);
        project.role_mappings.set_next_number(counters.role_mapping);
        project.next_org = project.next_org.max(counters.org);
    }

    /// Keeps equal rows of role mappings once, as duplicates do that were decided here.
    pub fn share_rows(&mut self) {
        let ids: Vec<ProjectId> = self.projects.iter().map(|project| project.id).collect();
        for id in ids {
            if let Some(project) = self.projects.get_mut(id) {
                Arc::make_mut(project).share_rows();
            }
        }
    }

    fn apply_project(&mut self, id: ProjectId, after: Option<&super::project::ProjectRecord>) {
        let key = self.hash_key;
        if let Some(before) = self.projects.get(id) {
            let hash = key.text(before.record.key.as_str());
            self.keys.remove(hash, |named| named.number == id.0);
            self.retired.remove(hash, |named| named.number == id.0);
        }
        match after {
            Some(record) => {
                self.next_project = self.next_project.max(id.number().saturating_add(1));
                let names = if record.lifecycle.exists() { &mut self.keys } else { &mut self.retired };
                names.insert(Named::new(key.text(record.key.as_str()), id.0));
                match self.projects.get_mut(id) {
                    Some(project) => Arc::make_mut(project).record = Arc::new(record.clone()),
                    None => {
                        self.projects.set(id, Some(Arc::new(Project::new(id, record.clone(), key))));
                    }
                }
            }
            None => {
                self.projects.set(id, None);
            }
        }
    }
}

/// The next number of every noun in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    pub permission: u32,
    pub role: u32,
    pub role_set: u32,
    pub role_mapping: u32,
    pub org: u32,
}

impl Project {
    pub fn counters(&self) -> Counters {
        Counters {
            permission: self.permissions.next_number(),
            role: self.roles.next_number(),
            role_set: self.role_sets.next_number(),
            role_mapping: self.role_mappings.next_number(),
            org: self.next_org,
        }
    }

    fn apply(&mut self, change: &Change) {
        let key = self.hash_key;
        match change {
            Change::Project(_) => {}
            Change::Permission(edit) => {
                let id = edit.key.id;
                if let Some(before) = self.permissions.get(id) {
                    for name in named(&before.name, &before.aliases, PermissionName::as_str) {
                        self.permission_names.remove(key.text(name), |named| named.number == id.0);
                    }
                }
                if let Some(after) = &edit.after {
                    for name in named(&after.name, &after.aliases, PermissionName::as_str) {
                        self.permission_names.insert(Named::new(key.text(name), id.0));
                    }
                }
                self.permissions.set(id, edit.after.clone());
            }
            Change::Role(edit) => {
                let id = edit.key.id;
                if let Some(before) = self.roles.get(id) {
                    let names = named(&before.name, &before.aliases, RoleName::as_str);
                    self.role_names.remove(&key, names, id.0);
                }
                if let Some(after) = &edit.after {
                    self.role_names.insert(&key, named(&after.name, &after.aliases, RoleName::as_str), id.0);
                }
                self.place(id, edit.after.as_ref().map(|role| role.rank));
                self.roles.set(id, edit.after.clone());
            }
            Change::RoleSet(edit) => {
                let id = edit.key.id;
                if let Some(before) = self.role_sets.get(id) {
                    self.role_sets_by_roles.remove(key.bytes(&before.bytes()), |named| named.number == id.0);
                }
                if let Some(after) = edit.after.as_ref().filter(|set| !set.migrated) {
                    self.role_sets_by_roles.insert(Named::new(key.bytes(&after.bytes()), id.0));
                }
                let being_purged = edit.after.as_ref().is_some_and(|set| set.roles.is_empty());
                mark(&mut self.role_sets_being_purged, id, being_purged);
                self.role_sets.set(id, edit.after.clone());
            }
            Change::RoleMapping(edit) => self.apply_role_mapping(edit.key.id, edit.after.as_ref()),
            Change::Grants(edit) => {
                let Some(mapping) = self.role_mappings.get_mut(edit.key.role_mapping) else { return };
                let row = mapping.rows.get(edit.key.role).map(|row| (**row).clone()).unwrap_or_default();
                let (less, more) = (edit.before.clone().unwrap_or_default(), edit.after.clone().unwrap_or_default());
                let edited = row.edited(&less, &more);
                self.grants = self.grants - row.len() as u64 + edited.len() as u64;
                mapping.rows.set(edit.key.role, (!edited.is_empty()).then(|| Arc::new(edited)));
            }
            Change::Org(edit) => self.apply_org(edit.key.id, edit.after.as_ref()),
            Change::Subscription(edit) => {
                let before = self.org_numbered(edit.key.id).map(|org| org.record.clone());
                let Some((before, role_mapping)) = before.zip(edit.after) else { return };
                self.apply_org(edit.key.id, Some(&OrgRecord { role_mapping, ..before }));
            }
            Change::Fallbacks(edit) => {
                if let Some(org) = self.org_mut(edit.key.id) {
                    org.fallbacks = edit.after.clone().filter(|fallbacks| !fallbacks.is_empty());
                }
            }
            Change::Remap(edit) => {
                let (Some(before), Some(after)) = (&edit.before, &edit.after) else { return };
                let others: BTreeMap<RoleSetId, RoleSetId> =
                    before.iter().copied().zip(after.iter().copied()).collect();
                if let Some(org) = self.org_mut(edit.key.id) {
                    org.remap(&others);
                }
            }
            Change::Membership(edit) => {
                let user = &edit.key.user;
                if let Some(org) = self.org_mut(edit.key.org) {
                    org.set_membership(key.text(user.as_str()), user, edit.after.as_ref());
                }
            }
        }
    }

    /// Puts a role where its rank says; none takes it out. Ranks may be equal only while an order is being numbered anew,
    /// role by role; ids break the tie until then.
    fn place(&mut self, id: RoleId, rank: Option<u64>) {
        let before = self.roles.get(id).map(|role| role.rank);
        if before == rank {
            return;
        }
        let roles = &self.roles;
        let place = |other: &RoleId| (roles.get(*other).map_or(0, |role| role.rank), *other);
        let order = Arc::make_mut(&mut self.role_order);
        if let Some(Ok(at)) = before.map(|rank| order.binary_search_by_key(&(rank, id), place)) {
            order.remove(at);
        }
        if let Some(rank) = rank {
            let at = order.partition_point(|other| place(other) < (rank, id));
            order.insert(at, id);
        }
    }

    fn apply_role_mapping(
        &mut self,
        id: super::id::RoleMappingId,
        after: Option<&super::role_mapping::RoleMappingRecord>,
    ) {
        let key = self.hash_key;
        if let Some(before) = self.role_mappings.get(id) {
            let names = named(&before.record.name, &before.record.aliases, RoleMappingName::as_str);
            self.role_mapping_names.remove(&key, names, id.0);
        }
        match (after, self.role_mappings.get_mut(id)) {
            (Some(record), Some(mapping)) => mapping.record = record.clone(),
            (Some(record), None) => {
                let mapping = RoleMapping { record: record.clone(), rows: Pages::default(), subscribers: 0 };
                self.role_mappings.set(id, Some(mapping));
            }
            (None, mapping) => {
                let lost: usize = mapping.map_or(0, |mapping| mapping.grant_count());
                self.grants -= lost as u64;
                self.role_mappings.set(id, None);
            }
        }
        if let Some(after) = after {
            let names = named(&after.name, &after.aliases, RoleMappingName::as_str);
            self.role_mapping_names.insert(&key, names, id.0);
        }
    }

    fn apply_org(&mut self, no: OrgNo, after: Option<&OrgRecord>) {
        let before = self.org_numbered(no).map(|org| org.record.clone());
        if let Some(before) = before.as_ref().filter(|record| record.lifecycle.exists()) {
            self.count_subscriber(before.role_mapping, |count| count.saturating_sub(1));
        }
        if let Some(after) = after.filter(|record| record.lifecycle.exists()) {
            self.count_subscriber(after.role_mapping, |count| count.saturating_add(1));
        }
        mark(&mut self.orgs_being_purged, no, after.is_some_and(|record| record.lifecycle.is_being_purged()));
        let Some(record) = after else {
            self.take_org(no, before.as_ref());
            return;
        };
        self.next_org = self.next_org.max(no.number().saturating_add(1));
        // Most changes leave an org where it is.
        if before.as_ref().is_some_and(|before| before.lifecycle.exists() == record.lifecycle.exists()) {
            if let Some(org) = self.org_mut(no) {
                org.record = record.clone();
            }
            return;
        }
        let taken = self.take_org(no, before.as_ref());
        let mut org = taken.map_or_else(|| Org::new(no, record.clone()), Arc::unwrap_or_clone);
        org.record = record.clone();
        let hash = self.hash_key.text(record.profile.org_id.as_str());
        if record.lifecycle.exists() {
            self.org_hashes.set(no, Some(hash));
            self.orgs.insert(OrgSlot::new(hash, org));
        } else {
            self.retired.insert(Named::new(hash, no.0));
            self.deleted_orgs.set(no, Some(Arc::new(org)));
        }
    }

    /// An org, living or dead, to be altered.
    fn org_mut(&mut self, no: OrgNo) -> Option<&mut Org> {
        let org = match self.org_hashes.get(no).copied() {
            Some(hash) => self.orgs.get_mut(hash).map(|slot| &mut slot.org),
            None => self.deleted_orgs.get_mut(no),
        };
        org.map(Arc::make_mut)
    }

    /// Takes an org from among the living or the dead.
    fn take_org(&mut self, no: OrgNo, record: Option<&OrgRecord>) -> Option<Arc<Org>> {
        if let Some(hash) = self.org_hashes.set(no, None) {
            let org = self.orgs.get(hash).map(|slot| slot.org.clone());
            self.orgs.remove(hash, |slot| slot.org.no == no);
            return org;
        }
        let hash = self.hash_key.text(record?.profile.org_id.as_str());
        self.retired.remove(hash, |named| named.number == no.0);
        self.deleted_orgs.set(no, None)
    }

    fn count_subscriber(&mut self, id: RoleMappingId, count: impl FnOnce(u32) -> u32) {
        if let Some(mapping) = self.role_mappings.get_mut(id) {
            mapping.subscribers = count(mapping.subscribers);
        }
    }
}

/// A name and the old ones.
fn named<'a, N>(name: &'a N, aliases: &'a [N], text: fn(&N) -> &str) -> impl Iterator<Item = &'a str> {
    std::iter::once(name).chain(aliases).map(text)
}

/// Puts an id into a set or takes it out; the set is copied only where that changes it.
fn mark<I: Ord + Copy>(set: &mut Arc<BTreeSet<I>>, id: I, belongs: bool) {
    if belongs != set.contains(&id) {
        let set = Arc::make_mut(set);
        if belongs {
            set.insert(id)
        } else {
            set.remove(&id)
        };
    }
}

/// Contents and revision number alone: undoing does not take back an id that was given.
impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.revision.number == other.revision.number
            && self.projects == other.projects
            && self.keys == other.keys
            && self.retired == other.retired
    }
}
