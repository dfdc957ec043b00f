//! Collapses the changes of a group to one final form per object.

use std::collections::BTreeMap;
use std::sync::Arc;

use sea_orm::Value;

use crate::domain::collections::numbered::Numbered;
use crate::domain::commands::group::Commit;
use crate::domain::model::api_key::{ApiKey, ApiKeyId};
use crate::domain::model::fallback::Fallbacks;
use crate::domain::model::id::{OrgNo, PermissionId, ProjectId, RoleId, RoleMappingId, RoleSetId};
use crate::domain::model::invitation::{InvitationId, InvitationRecord};
use crate::domain::model::membership::MembershipRecord;
use crate::domain::model::org::OrgRecord;
use crate::domain::model::org_domain::OrgDomains;
use crate::domain::model::permission::{Permission, PermissionSet};
use crate::domain::model::project::ProjectRecord;
use crate::domain::model::role::Role;
use crate::domain::model::role_mapping::RoleMappingRecord;
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::user::Block;
use crate::domain::state::Counters;
use crate::domain::state::change::{GrantsKey, InvitationKey, MembershipKey, UserKey};
use crate::domain::{Change, Edit, Revision, Scoped, UserId};
use crate::store::ids::number;

/// An object before the group and after it.
pub struct Last<'a, V> {
    pub before: Option<&'a V>,
    pub after: Option<&'a V>,
    /// The commit of its latest change.
    pub revision: Revision,
}

pub type Lasts<'a, K, V> = BTreeMap<K, Last<'a, V>>;

/// The final forms of a group, sorted by key so that neighbours in a table are written together.
#[derive(Default)]
pub struct Final<'a> {
    pub projects: Lasts<'a, ProjectId, ProjectRecord>,
    pub permissions: Lasts<'a, Scoped<PermissionId>, Permission>,
    pub roles: Lasts<'a, Scoped<RoleId>, Role>,
    pub role_sets: Lasts<'a, Scoped<RoleSetId>, RoleSet>,
    pub role_mappings: Lasts<'a, Scoped<RoleMappingId>, RoleMappingRecord>,
    /// The edits of each row of a mapping, in order. A row may have 50,000 permissions, so they are not merged here.
    pub grants: BTreeMap<GrantsKey, Vec<&'a Edit<GrantsKey, PermissionSet>>>,
    pub orgs: Lasts<'a, Scoped<OrgNo>, OrgRecord>,
    /// The mappings that orgs moved to after the last change of the org record.
    pub subscriptions: BTreeMap<Scoped<OrgNo>, RoleMappingId>,
    pub memberships: Lasts<'a, &'a MembershipKey, MembershipRecord>,
    /// The role sets that replaced those in the last records of members.
    pub remapped: BTreeMap<&'a MembershipKey, RoleSetId>,
    pub invitations: Lasts<'a, InvitationKey, InvitationRecord>,
    /// The role sets that replaced those in the last records of invitations.
    pub remapped_invitations: BTreeMap<InvitationKey, RoleSetId>,
    /// For each org the role sets that replaced those from before the group, for all other members without temporary roles
    /// and all other invitations.
    pub remaps: BTreeMap<Scoped<OrgNo>, BTreeMap<RoleSetId, RoleSetId>>,
    pub fallbacks: Lasts<'a, Scoped<OrgNo>, Fallbacks>,
    pub blocks: Lasts<'a, &'a UserKey, Block>,
    pub api_keys: Lasts<'a, Scoped<ApiKeyId>, Arc<ApiKey>>,
    pub org_domains: Lasts<'a, Scoped<OrgNo>, OrgDomains>,
    pub removals: Lasts<'a, &'a MembershipKey, ()>,
    /// The next numbers of the nouns with new objects. 0 for the others.
    pub counters: BTreeMap<ProjectId, Counters>,
}

impl<'a> Final<'a> {
    pub fn of(commits: &'a [Commit]) -> Self {
        let mut all = Self::default();
        for commit in commits {
            for change in &commit.changes {
                all.add(change, commit.revision);
            }
        }
        all
    }

    fn add(&mut self, change: &'a Change, revision: Revision) {
        match change {
            Change::Project(edit) => take(&mut self.projects, edit.key, edit, revision),
            Change::Permission(edit) => {
                self.count(edit, |counters| &mut counters.permission);
                take(&mut self.permissions, edit.key, edit, revision);
            }
            Change::Role(edit) => {
                self.count(edit, |counters| &mut counters.role);
                take(&mut self.roles, edit.key, edit, revision);
            }
            Change::RoleSet(edit) => {
                self.count(edit, |counters| &mut counters.role_set);
                take(&mut self.role_sets, edit.key, edit, revision);
            }
            Change::RoleMapping(edit) => {
                self.count(edit, |counters| &mut counters.role_mapping);
                take(&mut self.role_mappings, edit.key, edit, revision);
            }
            Change::Grants(edit) => self.grants.entry(edit.key).or_default().push(edit),
            Change::Org(edit) => {
                self.count(edit, |counters| &mut counters.org);
                // The record contains the mapping.
                self.subscriptions.remove(&edit.key);
                take(&mut self.orgs, edit.key, edit, revision);
            }
            Change::Subscription(edit) => {
                self.subscriptions.extend(edit.after.map(|role_mapping| (edit.key, role_mapping)));
            }
            Change::Membership(edit) => {
                // The record contains the role set.
                self.remapped.remove(&edit.key);
                take(&mut self.memberships, &edit.key, edit, revision);
            }
            Change::Fallbacks(edit) => take(&mut self.fallbacks, edit.key, edit, revision),
            Change::Remap(edit) => self.remap(edit),
            Change::Invitation(edit) => {
                self.remapped_invitations.remove(&edit.key);
                take(&mut self.invitations, edit.key, edit, revision);
            }
            Change::OrgDomains(edit) => take(&mut self.org_domains, edit.key, edit, revision),
            Change::Removal(edit) => take(&mut self.removals, &edit.key, edit, revision),
            Change::Block(edit) => take(&mut self.blocks, &edit.key, edit, revision),
            Change::ApiKey(edit) => take(&mut self.api_keys, edit.key, edit, revision),
        }
    }

    /// Replaces the role sets of the members and invitations of an org, as left by the changes before. Members written by the group are
    /// replaced one by one, from their last records. For all other members, whom the group does not know, the replacement
    /// starts from the set that they had before the group.
    fn remap(&mut self, edit: &Edit<Scoped<OrgNo>, Arc<[RoleSetId]>>) {
        let pairs = edit.before.iter().zip(&edit.after).flat_map(|(before, after)| before.iter().zip(after.iter()));
        let pairs: BTreeMap<RoleSetId, RoleSetId> = pairs.map(|(&before, &after)| (before, after)).collect();
        let Scoped { project, id: org } = edit.key;
        let first = MembershipKey { project, org, user: UserId::stored("") };
        let written = self.memberships.range::<MembershipKey, _>(&first..);
        for (&key, last) in written.take_while(|(key, _)| (key.project, key.org) == (project, org)) {
            let Some(record) = last.after.filter(|record| record.temporary.is_empty()) else { continue };
            let set = self.remapped.get(key).unwrap_or(&record.role_set);
            if let Some(&after) = pairs.get(set) {
                self.remapped.insert(key, after);
            }
        }
        let first = InvitationKey { project, org, id: InvitationId(0) };
        let written = self.invitations.range(first..);
        for (&key, last) in written.take_while(|(key, _)| (key.project, key.org) == (project, org)) {
            let Some(set) = last.after.and_then(InvitationRecord::role_set) else { continue };
            let set = self.remapped_invitations.get(&key).copied().unwrap_or(set);
            if let Some(&after) = pairs.get(&set) {
                self.remapped_invitations.insert(key, after);
            }
        }
        let others = self.remaps.entry(edit.key).or_default();
        for set in others.values_mut() {
            *set = pairs.get(set).copied().unwrap_or(*set);
        }
        for (before, after) in pairs {
            others.entry(before).or_insert(after);
        }
    }

    /// A number is never reused, even if its object is deleted.
    fn count<I: Numbered, V>(&mut self, edit: &Edit<Scoped<I>, V>, which: impl Fn(&mut Counters) -> &mut u32) {
        if edit.before.is_none() && edit.after.is_some() {
            let none = Counters { permission: 0, role: 0, role_set: 0, role_mapping: 0, org: 0 };
            let next = which(self.counters.entry(edit.key.project).or_insert(none));
            *next = (*next).max((edit.key.id.index() as u32).saturating_add(1));
        }
    }
}

impl<V> Last<'_, V> {
    pub fn is_deleted(&self) -> bool {
        self.before.is_some() && self.after.is_none()
    }

    /// Returns true if the object gives up its name: another may take it in the same group.
    pub fn gives_up<N: PartialEq>(&self, name: impl Fn(&V) -> &N) -> bool {
        self.before.is_some_and(|before| self.after.is_none_or(|after| name(before) != name(after)))
    }
}

/// Returns true if the group deletes the object.
pub fn is_gone<K: Ord, V>(lasts: &BTreeMap<K, Last<'_, V>>, key: &K) -> bool {
    lasts.get(key).is_some_and(|last| last.after.is_none())
}

fn take<'a, K: Ord, E, V>(lasts: &mut Lasts<'a, K, V>, key: K, edit: &'a Edit<E, V>, revision: Revision) {
    let last = lasts.entry(key).or_insert(Last { before: edit.before.as_ref(), after: None, revision });
    last.after = edit.after.as_ref();
    last.revision = revision;
}

/// Returns the keys of the deleted objects.
pub fn deleted<I: Numbered, V>(lasts: &Lasts<'_, Scoped<I>, V>) -> Vec<Value> {
    keys(lasts, |last| last.is_deleted())
}

/// Returns the keys of the objects that are deleted or renamed.
pub fn given_up<I: Numbered, V, N: PartialEq>(lasts: &Lasts<'_, Scoped<I>, V>, name: impl Fn(&V) -> &N) -> Vec<Value> {
    keys(lasts, |last| last.gives_up(&name))
}

fn keys<I: Numbered, V>(lasts: &Lasts<'_, Scoped<I>, V>, which: impl Fn(&Last<'_, V>) -> bool) -> Vec<Value> {
    let chosen = lasts.iter().filter(|(_, last)| which(last));
    chosen.flat_map(|(key, _)| [number(key.project).into(), number(key.id).into()]).collect()
}
