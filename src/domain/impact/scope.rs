//! Which orgs and members the changes of a write can affect. The report compares no others.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::model::id::{OrgNo, RoleMappingId};
use crate::domain::model::name::UserId;
use crate::domain::state::change::{Change, Edit};

#[derive(Debug, Default)]
pub struct Scope<'a> {
    /// All members of all orgs.
    pub all: bool,
    /// All members of the orgs of these mappings.
    pub role_mappings: BTreeSet<RoleMappingId>,
    /// All members of these orgs.
    pub orgs: BTreeSet<OrgNo>,
    /// Orgs that were themselves changed.
    pub changed: BTreeSet<OrgNo>,
    /// Members that were written individually.
    pub users: BTreeMap<OrgNo, BTreeSet<&'a UserId>>,
    /// Orgs whose members got other role sets.
    pub remapped: BTreeSet<OrgNo>,
    /// True if the relations between roles may have changed.
    pub roles: bool,
}

impl<'a> Scope<'a> {
    pub fn of(changes: &'a [Change]) -> Self {
        let mut scope = Self::default();
        changes.iter().for_each(|change| scope.add(change));
        scope
    }

    fn add(&mut self, change: &'a Change) {
        match change {
            Change::Project(Edit { before: Some(before), after: Some(after), .. }) => {
                let structure = before.role_structure != after.role_structure;
                self.all |= structure
                    || before.default_owner_role != after.default_owner_role
                    || before.lifecycle != after.lifecycle
                    || before.role_order_version != after.role_order_version;
                self.roles |= structure;
            }
            Change::Role(_) => self.roles = true,
            Change::RoleSet(Edit { before: Some(_), after: Some(_), .. }) => self.all = true,
            Change::RoleMapping(Edit { key, before: Some(before), after: Some(after) })
                if before.disabled_roles != after.disabled_roles =>
            {
                self.role_mappings.insert(key.id);
            }
            Change::Grants(edit) => {
                self.role_mappings.insert(edit.key.role_mapping);
            }
            Change::Org(edit) => {
                self.changed.insert(edit.key.id);
                if edit.before.as_ref().map(|org| org.lifecycle) != edit.after.as_ref().map(|org| org.lifecycle) {
                    self.orgs.insert(edit.key.id);
                }
            }
            Change::Subscription(edit) => self.org(edit.key.id),
            Change::Fallbacks(edit) => self.org(edit.key.id),
            Change::Remap(edit) => {
                self.orgs.insert(edit.key.id);
                self.remapped.insert(edit.key.id);
            }
            Change::Membership(edit) => {
                self.users.entry(edit.key.org).or_default().insert(&edit.key.user);
            }
            Change::Project(_) | Change::Permission(_) | Change::RoleSet(_) | Change::RoleMapping(_) => {}
        }
    }

    fn org(&mut self, org: OrgNo) {
        self.changed.insert(org);
        self.orgs.insert(org);
    }

    /// Returns true if all members of this org with this mapping are in scope.
    pub fn holds(&self, org: OrgNo, mapping: RoleMappingId) -> bool {
        self.all || self.orgs.contains(&org) || self.role_mappings.contains(&mapping)
    }
}
