//! What applying a configuration answers: the objects that change, and those that the configuration does not name.

use std::collections::{BTreeMap, BTreeSet};

use super::Naming;
use super::names::{Entry, Renames};
use crate::model::{Answer, Details, ProjectModel};

impl ProjectModel {
    pub(super) fn configured(&self, before: &Self, namings: &[Naming; 3], renames: &Renames) -> Answer {
        let mut was = before.clone();
        was.rename_all(renames);
        let (objects, were) = (self.objects(), was.objects());
        let old = |noun: &str, new: &String| {
            let renames =
                [&renames.permissions, &renames.roles, &renames.mappings][NOUNS.iter().position(|it| *it == noun)?];
            renames.iter().find(|(_, other)| *other == new).map(|(old, _)| old.clone())
        };
        let mut steps = BTreeSet::new();
        for key @ (noun, name) in were.keys().chain(objects.keys()) {
            match (were.get(key), objects.get(key)) {
                (Some(was), Some(is)) if was == is && old(noun, name).is_none() => {}
                (Some(_), Some(_)) => drop(steps.insert(format!("Update {noun} {name}"))),
                (None, _) => drop(steps.insert(format!("Create {noun} {name}"))),
                (_, None) => drop(steps.insert(format!("Delete {noun} {name}"))),
            }
        }
        let order = |one: &Self, other: &Self| {
            let names = one.roles.iter().map(|(name, _)| name.clone());
            names.filter(|name| other.roles.iter().any(|(role, _)| role == name)).collect::<Vec<_>>()
        };
        let settings = |project: &Self| {
            let defaults =
                (project.default_role.clone(), project.default_owner_role.clone(), project.default_mapping.clone());
            (project.display_name.clone(), project.structure, defaults)
        };
        if settings(&was) != settings(self) || order(&was, self) != order(self, &was) {
            steps.insert("Update Project".into());
        }
        let mut unmanaged = BTreeSet::new();
        for (noun, name) in objects.keys() {
            let at = NOUNS.iter().position(|it| it == noun).expect("a noun");
            let is_named = namings[at].1.entries.iter().any(|entry: &Entry| entry.name == *name);
            let is_built_in = at == 0 && self.permissions[name].built_in_or_internal;
            if !is_named && !is_built_in {
                unmanaged.insert(format!("{noun} {name}"));
            }
        }
        Answer::Configuration { steps, unmanaged }
    }

    /// Returns everything that a configuration says about each object. The order of aliases means nothing.
    fn objects(&self) -> BTreeMap<(&'static str, String), Object> {
        let details = |it: &Details| {
            let aliases: BTreeSet<String> = it.aliases.iter().cloned().collect();
            (it.description.clone(), it.built_in_or_internal, aliases)
        };
        let permissions =
            self.permissions.iter().map(|(name, it)| (("Permission", name.clone()), (details(it), None, None)));
        let roles = self.roles.iter().map(|(name, it)| {
            (("Role", name.clone()), (details(it), Some(self.manages.get(name).cloned().unwrap_or_default()), None))
        });
        let mappings = self.mappings.iter().map(|(name, it)| {
            (("RoleMapping", name.clone()), (details(&it.details), Some(it.disabled.clone()), Some(it.grants.clone())))
        });
        permissions.chain(roles).chain(mappings).collect()
    }
}

const NOUNS: [&str; 3] = ["Permission", "Role", "RoleMapping"];

/// Details, the roles that a role manages or a mapping disables, and grants.
type Object = ((String, bool, BTreeSet<String>), Option<BTreeSet<String>>, Option<BTreeMap<String, BTreeSet<String>>>);
