//! Applies changes to the state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::collections::pages::Pages;
use crate::domain::model::id::{OrgNo, ProjectId, RoleId, RoleMappingId, RoleSetId};
use crate::domain::model::name::{PermissionName, RoleMappingName, RoleName};
use crate::domain::model::org::OrgRecord;
use crate::domain::model::project::ProjectRecord;
use crate::domain::model::revision::Revision;
use crate::domain::model::role_mapping::RoleMappingRecord;
use crate::domain::state::State;
use crate::domain::state::change::Change;
use crate::domain::state::name_index::Named;
use crate::domain::state::org::{Org, OrgSlot};
use crate::domain::state::project::Project;
use crate::domain::state::role_mapping::RoleMapping;
use crate::domain::state::user::BlockedUser;

impl State {
    /// Applies a change. A change of a missing record does nothing. Loading, replication, deciding and undoing all use
    /// it.
    pub fn apply(&mut self, change: &Change) {
        if let Change::Project(edit) = change {
            return self.apply_project(edit.key, edit.after.as_ref());
        }
        let Some(project) = self.projects.get_mut(change.project()) else { return };
        Arc::make_mut(project).apply(change);
    }

    /// Applies the changes of one commit and takes its revision.
    pub fn apply_commit(&mut self, revision: Revision, changes: &[Change]) {
        changes.iter().for_each(|change| self.apply(change));
        self.revision = revision;
    }

    fn apply_project(&mut self, id: ProjectId, after: Option<&ProjectRecord>) {
        let key = self.hash_key.clone();
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
                    Some(project) => {
                        let project = Arc::make_mut(project);
                        project.record = Arc::new(record.clone());
                        project.decisions = Arc::default();
                    }
                    None => {
                        self.projects.set(id, Some(Arc::new(Project::new(id, record.clone(), key.clone()))));
                    }
                }
            }
            None => {
                self.projects.set(id, None);
            }
        }
    }
}

impl Project {
    fn apply(&mut self, change: &Change) {
        let key = self.hash_key.clone();
        match change {
            Change::Org(_)
            | Change::Membership(_)
            | Change::Subscription(_)
            | Change::Fallbacks(_)
            | Change::Remap(_)
            | Change::Invitation(_)
            | Change::Block(_)
            | Change::ApiKey(_)
            | Change::OrgDomains(_)
            | Change::Removal(_) => {}
            // Not cleared but replaced: a copy of this project without the change has the old ones.
            _ => self.decisions = Arc::default(),
        }
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
                let removed = edit.before.clone().unwrap_or_default();
                let added = edit.after.clone().unwrap_or_default();
                let edited = row.edited(&removed, &added);
                let (before, after) = (row.len() as u64, edited.len() as u64);
                mapping.grants = mapping.grants - before + after;
                self.grants = self.grants - before + after;
                mapping.rows.set(edit.key.role, (!edited.is_empty()).then(|| Arc::new(edited)));
            }
            Change::Org(edit) => self.apply_org(edit.key.id, edit.before.as_ref(), edit.after.as_ref()),
            Change::Subscription(edit) => {
                let before = self.org_numbered(edit.key.id).map(|org| org.record.clone());
                let Some((before, role_mapping)) = before.zip(edit.after) else { return };
                self.apply_org(edit.key.id, Some(&before), Some(&OrgRecord { role_mapping, ..before.clone() }));
            }
            Change::Fallbacks(edit) => {
                if let Some(org) = self.org_mut(edit.key.id) {
                    org.fallbacks = edit.after.clone().filter(|fallbacks| !fallbacks.is_empty());
                }
            }
            Change::Remap(edit) => {
                let (Some(before), Some(after)) = (&edit.before, &edit.after) else { return };
                let replacements: BTreeMap<RoleSetId, RoleSetId> =
                    before.iter().copied().zip(after.iter().copied()).collect();
                if let Some(org) = self.org_mut(edit.key.id) {
                    org.remap(&key, &replacements);
                }
            }
            Change::OrgDomains(edit) => {
                if let Some(org) = self.org_mut(edit.key.id) {
                    org.domains = edit.after.clone().filter(|domains| !domains.is_empty());
                }
            }
            Change::Removal(edit) => {
                if let Some(org) = self.org_mut(edit.key.org) {
                    org.set_removed(key.text(edit.key.user.as_str()), edit.after.is_some());
                }
            }
            Change::Block(edit) => {
                let (hash, user) = (key.text(edit.key.user.as_str()), &edit.key.user);
                match edit.after {
                    Some(block) => self.blocked.insert(BlockedUser::new(hash, user.clone(), block)),
                    None => self.blocked.remove(hash, |_| true),
                }
            }
            Change::ApiKey(edit) => self.api_keys.set(edit.key.id, edit.after.clone()),
            Change::Membership(edit) => {
                let user = &edit.key.user;
                if let Some(org) = self.org_mut(edit.key.org) {
                    org.set_membership(key.text(user.as_str()), user, edit.after.as_ref());
                }
            }
            Change::Invitation(edit) => {
                let pending = edit.after.as_ref().filter(|record| record.role_set().is_some());
                if let Some(org) = self.org_mut(edit.key.org) {
                    org.set_invitation(&key, edit.key.id, pending);
                }
            }
        }
    }

    /// Moves a role to the position of its rank. `None` removes it. Ranks may be equal only while an order is being
    /// renumbered, role by role. Until then ids decide.
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

    fn apply_role_mapping(&mut self, id: RoleMappingId, after: Option<&RoleMappingRecord>) {
        let key = self.hash_key.clone();
        if let Some(before) = self.role_mappings.get(id) {
            let names = named(&before.record.name, &before.record.aliases, RoleMappingName::as_str);
            self.role_mapping_names.remove(&key, names, id.0);
        }
        match (after, self.role_mappings.get_mut(id)) {
            (Some(record), Some(mapping)) => mapping.record = record.clone(),
            (Some(record), None) => {
                let mapping = RoleMapping { record: record.clone(), rows: Pages::default(), grants: 0, subscribers: 0 };
                self.role_mappings.set(id, Some(mapping));
            }
            (None, mapping) => {
                self.grants -= mapping.map_or(0, |mapping| mapping.grants);
                self.role_mappings.set(id, None);
            }
        }
        if let Some(after) = after {
            let names = named(&after.name, &after.aliases, RoleMappingName::as_str);
            self.role_mapping_names.insert(&key, names, id.0);
        }
    }

    /// `stated` is the record before the change. It is used for a purged org, which has no record in memory.
    fn apply_org(&mut self, no: OrgNo, stated: Option<&OrgRecord>, after: Option<&OrgRecord>) {
        let before = self.org_numbered(no).map(|org| org.record.clone()).or_else(|| stated.cloned());
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
        // Most changes neither delete nor restore the org.
        if before.as_ref().is_some_and(|before| before.lifecycle.exists() == record.lifecycle.exists())
            && !record.lifecycle.is_purged()
            && let Some(org) = self.org_mut(no)
        {
            org.record = record.clone();
            return;
        }
        let taken = self.take_org(no, before.as_ref());
        let hash = self.hash_key.text(record.profile.org_id.as_str());
        if record.lifecycle.is_purged() {
            self.retired.insert(Named::new(hash, no.0));
            return;
        }
        let mut org = taken.map_or_else(|| Org::new(no, record.clone()), Arc::unwrap_or_clone);
        org.record = record.clone();
        if record.lifecycle.exists() {
            self.org_hashes.set(no, Some(hash));
            self.orgs.insert(OrgSlot::new(hash, org));
        } else {
            self.retired.insert(Named::new(hash, no.0));
            self.deleted_orgs.set(no, Some(Arc::new(org)));
        }
    }

    /// Returns an org even if it is deleted.
    fn org_mut(&mut self, no: OrgNo) -> Option<&mut Org> {
        let org = match self.org_hashes.get(no).copied() {
            Some(hash) => self.orgs.get_mut(hash).map(|slot| &mut slot.org),
            None => self.deleted_orgs.get_mut(no),
        };
        org.map(Arc::make_mut)
    }

    /// Removes an org from the existing or the deleted ones.
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

/// Returns the name and the aliases.
fn named<'a, N>(name: &'a N, aliases: &'a [N], text: fn(&N) -> &str) -> impl Iterator<Item = &'a str> {
    std::iter::once(name).chain(aliases).map(text)
}

/// Inserts or removes an id. Copies the set only if that changes it.
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
