//! Finds the members that the server would refuse: with unknown or disabled roles, or with too many.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::contents::{Contents, Member, Role};
use super::names::CurrentNames;
use crate::wire::{Configuration, Org, RoleStructure};

/// What members are checked against: the project as it is after the roles and role mappings of the files were imported. All
/// names are current ones.
pub struct Checks {
    structure: RoleStructure,
    default_mapping: String,
    roles: HashSet<String>,
    /// The disabled roles of each role mapping.
    disabled: BTreeMap<String, BTreeSet<String>>,
    member_roles_max: usize,
}

impl Checks {
    /// `present` is the project, and `wanted` is what the files say about it.
    pub fn new(present: &Configuration, wanted: &Configuration, names: &CurrentNames, member_roles_max: usize) -> Self {
        let structure = match wanted.role_structure() {
            RoleStructure::Unspecified => present.role_structure(),
            structure => structure,
        };
        let default_mapping = match &wanted.default_role_mapping {
            none if none.is_empty() => &present.default_role_mapping,
            default => names.role_mapping(default),
        };
        let roles = wanted.roles.iter().chain(&present.roles).map(|role| names.role(&role.name).clone());
        // What the files say about a role mapping comes after what it is.
        let mappings = present.role_mappings.iter().chain(&wanted.role_mappings).map(|it| {
            let disabled = it.disabled_roles.iter().map(|role| names.role(role).clone());
            (names.role_mapping(&it.name).clone(), disabled.collect())
        });
        Self {
            structure,
            default_mapping: default_mapping.clone(),
            roles: roles.collect(),
            disabled: mappings.collect(),
            member_roles_max,
        }
    }

    /// Puts new orgs whose role mapping does not exist on the default one.
    pub fn drop_unknown_role_mappings(&self, contents: &mut Contents, present: &HashMap<String, Org>) {
        for org in &mut contents.orgs {
            let unknown = !org.role_mapping.is_empty() && !self.disabled.contains_key(&org.role_mapping);
            if unknown && !present.contains_key(&org.id) {
                let what = format!("{} of {}", std::mem::take(&mut org.role_mapping), org.id);
                contents.misfits.add("role mappings of orgs that do not exist: the default one is used", what);
            }
        }
    }

    /// Returns why the server would refuse a member, as a kind of misfits and an example. `present` is the org and the roles that
    /// the member has. `None` if the server would take it.
    pub fn misfit(
        &self,
        contents: &Contents,
        member: &Member,
        present: (Option<&Org>, &[Role]),
    ) -> Option<(&'static str, String)> {
        let org = &contents.orgs[member.org];
        let (found, present) = present;
        let mapping = match found {
            // An import moves no org.
            Some(found) => &found.role_mapping,
            None if org.role_mapping.is_empty() => &self.default_mapping,
            None => &org.role_mapping,
        };
        let disabled = self.disabled.get(mapping);
        // A member may keep a disabled role (M3).
        let is_disabled = |role: &&Role| {
            let has = present.iter().any(|it| it.name == role.name);
            !has && disabled.is_some_and(|disabled| disabled.contains(&role.name))
        };
        let wanted = contents.roles(member.roles);
        let what = |names: Vec<&str>| format!("{} of {} in {}", names.join(" + "), member.user_id, org.id);
        let unknown: Vec<&str> =
            wanted.iter().map(|role| &*role.name).filter(|name| !self.roles.contains(*name)).collect();
        let of_disabled: Vec<&str> = wanted.iter().filter(is_disabled).map(|role| &*role.name).collect();
        let permanent = wanted.iter().filter(|role| role.expiry.is_none()).count();
        let too_many = self.structure == RoleStructure::SingleRole && (permanent > 1 || wanted.len() - permanent > 1);
        if !unknown.is_empty() {
            Some(("members with roles that do not exist: not imported", what(unknown)))
        } else if !of_disabled.is_empty() {
            let kind = "members with roles that are disabled in the role mapping of the org: not imported";
            Some((kind, what(of_disabled)))
        } else if too_many {
            let names = wanted.iter().map(|role| &*role.name).collect();
            Some(("members with several roles in a SINGLE_ROLE project: not imported", what(names)))
        } else if wanted.len() > self.member_roles_max {
            let what = format!("{} roles of {} in {}", wanted.len(), member.user_id, org.id);
            Some(("members with more roles than the server allows: not imported", what))
        } else {
            None
        }
    }
}
