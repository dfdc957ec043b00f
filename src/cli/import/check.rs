//! Finds the members that the server would refuse: with unknown or disabled roles, or with too many.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::contents::{Contents, Member};
use crate::wire::{Configuration, Org, RoleStructure};

/// What members are checked against.
pub struct Project<'a> {
    /// The configuration of the project. `None` if it does not exist.
    pub configuration: Option<&'a Configuration>,
    /// The orgs of the project by id.
    pub orgs: &'a HashMap<String, Org>,
    pub member_roles_max: usize,
}

/// Returns the members that the server would take. Moves the others to the misfits.
pub fn drop_what_is_refused(contents: &mut Contents, project: &Project<'_>) -> Vec<Member> {
    let none = Configuration::default();
    let (new, old) = (contents.configuration.as_ref().unwrap_or(&none), project.configuration.unwrap_or(&none));
    let structure = if contents.configuration.is_some() { new.role_structure() } else { old.role_structure() };
    let default_mapping =
        [&new.default_role_mapping, &old.default_role_mapping].into_iter().find(|name| !name.is_empty());
    let default_mapping = default_mapping.cloned().unwrap_or_default();
    let roles: HashSet<String> = new.roles.iter().chain(&old.roles).map(|role| role.name.clone()).collect();
    // What the files say about a role mapping comes after what it is.
    let mappings = old.role_mappings.iter().chain(&new.role_mappings);
    let mappings: BTreeMap<String, BTreeSet<String>> =
        mappings.map(|it| (it.name.clone(), it.disabled_roles.iter().cloned().collect())).collect();
    for org in &mut contents.orgs {
        let unknown = !org.role_mapping.is_empty() && !mappings.contains_key(&org.role_mapping);
        if unknown && !project.orgs.contains_key(&org.id) {
            let what = format!("{} of {}", std::mem::take(&mut org.role_mapping), org.id);
            contents.misfits.add("role mappings of orgs that do not exist: the default one is used", what);
        }
    }
    let mut kept = Vec::new();
    for member in contents.take_members() {
        let org = &contents.orgs[member.org];
        let mapping = match project.orgs.get(&org.id) {
            // An import moves no org.
            Some(found) => &found.role_mapping,
            None if org.role_mapping.is_empty() => &default_mapping,
            None => &org.role_mapping,
        };
        let disabled = mappings.get(mapping);
        let held = contents.roles(member.roles);
        let what = |names: Vec<&str>| format!("{} of {} in {}", names.join(" + "), member.user_id, org.id);
        let unknown: Vec<&str> = held.iter().map(|role| &*role.name).filter(|name| !roles.contains(*name)).collect();
        let of_disabled = held.iter().filter(|role| disabled.is_some_and(|disabled| disabled.contains(&role.name)));
        let of_disabled: Vec<&str> = of_disabled.map(|role| &*role.name).collect();
        let permanent = held.iter().filter(|role| role.expiry.is_none()).count();
        let too_many = structure == RoleStructure::SingleRole && (permanent > 1 || held.len() - permanent > 1);
        let (kind, what) = if !unknown.is_empty() {
            ("members with roles that do not exist: not imported", what(unknown))
        } else if !of_disabled.is_empty() {
            ("members with roles that are disabled in the role mapping of the org: not imported", what(of_disabled))
        } else if too_many {
            let names = held.iter().map(|role| &*role.name).collect();
            ("members with several roles in a SINGLE_ROLE project: not imported", what(names))
        } else if held.len() > project.member_roles_max {
            let what = format!("{} roles of {} in {}", held.len(), member.user_id, org.id);
            ("members with more roles than the server allows: not imported", what)
        } else {
            kept.push(member);
            continue;
        };
        contents.misfits.add(kind, what);
    }
    kept
}
