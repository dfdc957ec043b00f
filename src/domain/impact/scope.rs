//! Which orgs and members the changes of a write can affect. The report compares no others.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::model::id::{OrgNo, RoleId, RoleMappingId};
use crate::domain::model::invitation::InvitationId;
use crate::domain::model::name::UserId;
use crate::domain::state::change::{Change, Edit};
use crate::domain::state::org::Org;

#[derive(Debug, Default)]
pub struct Scope<'a> {
    /// All members of all orgs.
    pub all: bool,
    /// The roles that mappings enable, disable, or grant something different. Only members with these roles in the orgs
    /// of these mappings can be affected. Nobody holds a new role yet.
    pub role_mappings: BTreeMap<RoleMappingId, BTreeSet<RoleId>>,
    /// All members of these orgs.
    pub orgs: BTreeSet<OrgNo>,
    /// Orgs that were themselves changed.
    pub changed: BTreeSet<OrgNo>,
    /// Members that were written individually.
    pub users: BTreeMap<OrgNo, BTreeSet<&'a UserId>>,
    /// Invitations that were written individually.
    pub invitations: BTreeMap<OrgNo, BTreeSet<InvitationId>>,
    /// Orgs whose members got other role sets.
    pub remapped: BTreeSet<OrgNo>,
    /// True if the relations between roles may have changed.
    pub roles: bool,
    /// True if an existing role got another place, or the role structure changed.
    pub reordered: bool,
    /// True if an existing role became internal or visible.
    pub flagged: bool,
    pub changed_roles: BTreeSet<RoleId>,
}

impl<'a> Scope<'a> {
    pub fn of(changes: &'a [Change]) -> Self {
        let mut scope = Self::default();
        changes.iter().for_each(|change| scope.add(change));
        let created = changes.iter().filter_map(|change| match change {
            Change::Role(Edit { key, before: None, .. }) => Some(key.id),
            _ => None,
        });
        let created: BTreeSet<RoleId> = created.collect();
        scope.role_mappings.retain(|_, roles| {
            roles.retain(|role| !created.contains(role));
            !roles.is_empty()
        });
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
                self.reordered |= structure;
            }
            Change::Role(edit) => {
                self.roles = true;
                self.changed_roles.insert(edit.key.id);
                if let (Some(before), Some(after)) = (&edit.before, &edit.after) {
                    self.reordered |= before.rank != after.rank;
                    self.flagged |= before.internal != after.internal;
                }
            }
            Change::RoleSet(Edit { before: Some(_), after: Some(_), .. }) => self.all = true,
            Change::RoleMapping(Edit { key, before: Some(before), after: Some(after) })
                if before.disabled_roles != after.disabled_roles =>
            {
                let sides = [&before.disabled_roles, &after.disabled_roles].map(|roles| roles.iter().copied());
                let [before, after] = sides.map(BTreeSet::from_iter);
                self.role_mappings.entry(key.id).or_default().extend(before.symmetric_difference(&after));
            }
            Change::Grants(edit) => {
                self.role_mappings.entry(edit.key.role_mapping).or_default().insert(edit.key.role);
            }
            Change::Org(edit) => {
                self.changed.insert(edit.key.id);
                if edit.before.as_ref().map(|org| org.lifecycle) != edit.after.as_ref().map(|org| org.lifecycle) {
                    self.orgs.insert(edit.key.id);
                }
            }
            Change::Subscription(edit) => self.org(edit.key.id),
            Change::Fallbacks(edit) => self.org(edit.key.id),
            Change::OrgDomains(edit) => {
                self.changed.insert(edit.key.id);
            }
            Change::Remap(edit) => {
                self.orgs.insert(edit.key.id);
                self.remapped.insert(edit.key.id);
            }
            Change::Membership(edit) => {
                self.users.entry(edit.key.org).or_default().insert(&edit.key.user);
            }
            Change::Invitation(edit) => {
                self.invitations.entry(edit.key.org).or_default().insert(edit.key.id);
            }
            // A block changes no role (R9.g).
            Change::Block(_)
            | Change::ApiKey(_)
            | Change::Removal(_)
            | Change::Project(_)
            | Change::Permission(_)
            | Change::RoleSet(_)
            | Change::RoleMapping(_) => {}
        }
    }

    fn org(&mut self, org: OrgNo) {
        self.changed.insert(org);
        self.orgs.insert(org);
    }

    /// Returns true if members of this org with this mapping are in scope.
    pub fn holds(&self, org: OrgNo, mapping: RoleMappingId) -> bool {
        self.all || self.orgs.contains(&org) || self.role_mappings.contains_key(&mapping)
    }

    /// Returns the roles whose holders in an org are in scope. `None` if all its members are.
    pub fn roles_in(&self, org: &Org) -> Option<&BTreeSet<RoleId>> {
        if self.all || self.orgs.contains(&org.no) {
            return None;
        }
        let roles = self.role_mappings.get(&org.record.role_mapping)?;
        // The holders of another role may have one of these roles as their fallback role.
        org.fallbacks().iter().all(|fallback| !roles.contains(&fallback.fallback_role)).then_some(roles)
    }
}
