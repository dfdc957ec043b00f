//! The steps that delete: what the request names, and with `prune` everything that the configuration does not name.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::commands::command::configuration::{
    ApplyConfiguration, DeletedRole, DeletedRoleMapping, WantedNames,
};
use crate::domain::commands::command::{Command, DeleteRoleMapping, OnDisabled};
use crate::domain::commands::configuration::noun::{Configured, delete_permission, delete_role};
use crate::domain::commands::configuration::{Managed, Names, Phase};
use crate::domain::model::id::{PermissionId, RoleId, RoleMappingId};
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::rules::configuration::Object;
use crate::domain::state::project::Project;

/// Refuses a configuration that names an object twice, or that names what the request deletes.
pub fn check(command: &ApplyConfiguration, wanted: &Names<'_>) -> Result<(), Refusal> {
    fn check_noun<'a, I: Configured>(
        noun: Noun,
        wanted: &[&WantedNames<I::Name>],
        mut deleted: impl Iterator<Item = &'a I::Name>,
    ) -> Result<(), Refusal> {
        let mut keys = BTreeSet::new();
        if let Some(twice) = wanted.iter().find(|names| !keys.insert(I::key(&names.name))) {
            return Err(Refusal::AlreadyExists(noun, twice.name.to_string()));
        }
        let names: BTreeSet<&I::Name> = wanted.iter().map(|names| &names.name).collect();
        match deleted.find(|name| names.contains(name)) {
            Some(name) => Err(Refusal::WantedAndDeleted { noun, name: name.to_string() }),
            None => Ok(()),
        }
    }
    check_noun::<PermissionId>(Noun::Permission, &wanted.permissions, command.deleted_permissions.iter())?;
    check_noun::<RoleId>(Noun::Role, &wanted.roles, command.deleted_roles.iter().map(|deleted| &deleted.name))?;
    let deleted = command.deleted_role_mappings.iter().map(|deleted| &deleted.name);
    check_noun::<RoleMappingId>(Noun::RoleMapping, &wanted.role_mappings, deleted)
}

impl Managed {
    /// Returns the objects that the configuration does not name. Built-in permissions always exist.
    pub fn others(&self, project: &Project) -> Vec<Object> {
        let permissions = project.permissions.entries().filter(|(id, _)| !self.permissions.contains(id));
        let permissions = permissions.filter(|(_, permission)| !permission.built_in);
        let permissions = permissions.map(|(_, permission)| Object::permission(&permission.name));
        let roles = project.role_order.iter().filter(|id| !self.roles.contains(id));
        let roles = roles.map(|&id| Object::role(&project.role_name(id)));
        let mappings = project.role_mappings.entries().filter(|(id, _)| !self.role_mappings.contains(id));
        let mappings = mappings.map(|(id, _)| Object::role_mapping(&project.role_mapping_name(id)));
        permissions.chain(roles).chain(mappings).collect()
    }
}

/// Deletes roles. A role that replaces another one is deleted after that one.
pub fn delete_roles(phase: Phase<'_>) -> Result<Vec<Command>, Refusal> {
    let Phase { project, command, managed } = phase;
    // An old name counts too (R3). If the configuration names the object, only its old name is deleted: nothing.
    let named = command.deleted_roles.iter().filter_map(|deleted| Some((project.role(&deleted.name).ok()?, deleted)));
    let named: BTreeMap<RoleId, &DeletedRole> = named.collect();
    let roles = project.role_order.iter().copied().filter(|id| !managed.roles.contains(id));
    let deleted = roles.filter(|id| command.prune || named.contains_key(id));
    let deleted = deleted.map(|id| {
        let replacement = named.get(&id).and_then(|deleted| deleted.replacement.clone());
        (project.role_name(id), replacement)
    });
    let ordered = dependents_first(deleted.collect());
    Ok(ordered.into_iter().map(|(name, to)| delete_role(&command.project, name, to)).collect())
}

/// Deletes role mappings. One that orgs move to is deleted after the one that they come from.
pub fn delete_role_mappings(phase: Phase<'_>) -> Result<Vec<Command>, Refusal> {
    let Phase { project, command, managed } = phase;
    let named = deleted_role_mappings(phase);
    let mappings = project.role_mappings.entries().filter(|(id, _)| !managed.role_mappings.contains(id));
    let deleted = mappings.filter(|(id, _)| command.prune || named.contains_key(id));
    let deleted = deleted.map(|(id, mapping)| {
        let to = named.get(&id).and_then(|deleted| deleted.move_subscribers_to.clone());
        (mapping.record.name.clone(), to)
    });
    let ordered = dependents_first(deleted.collect()).into_iter().map(|(name, move_subscribers_to)| {
        let strategy = |deleted: &&DeletedRoleMapping| deleted.on_disabled.clone();
        let id = project.role_mapping_named(name.as_str());
        let on_disabled = id.and_then(|id| named.get(&id)).map_or(OnDisabled::Reject, strategy);
        Command::DeleteRoleMapping(DeleteRoleMapping {
            project: command.project.clone(),
            name,
            etag: None,
            move_subscribers_to,
            on_disabled,
        })
    });
    Ok(ordered.collect())
}

/// Returns the role mappings that the request deletes by name. An old name counts too (R3).
pub fn deleted_role_mappings(phase: Phase<'_>) -> BTreeMap<RoleMappingId, &DeletedRoleMapping> {
    let deleted = phase.command.deleted_role_mappings.iter();
    deleted.filter_map(|deleted| Some((phase.project.role_mapping(&deleted.name).ok()?, deleted))).collect()
}

pub fn delete_permissions(phase: Phase<'_>) -> Result<Vec<Command>, Refusal> {
    let Phase { project, command, managed } = phase;
    let others = project.permissions.entries().filter(|(id, _)| !managed.permissions.contains(id));
    let named: BTreeSet<PermissionId> =
        command.deleted_permissions.iter().filter_map(|name| project.permission(name).ok()).collect();
    // A built-in permission stays, unless the request names it: then it is refused.
    let deleted = others.filter(|(id, permission)| command.prune && !permission.built_in || named.contains(id));
    Ok(deleted.map(|(_, permission)| delete_permission(&command.project, permission.name.clone())).collect())
}

/// Orders deletions so that none comes before one that names it. In a circle the order stays.
fn dependents_first<N: Clone + Ord>(mut deleted: Vec<(N, Option<N>)>) -> Vec<(N, Option<N>)> {
    let mut ordered = Vec::with_capacity(deleted.len());
    while !deleted.is_empty() {
        let needed: BTreeSet<N> =
            deleted.iter().filter(|(name, to)| to.as_ref() != Some(name)).filter_map(|(_, to)| to.clone()).collect();
        let (mut free, rest): (Vec<_>, Vec<_>) = deleted.into_iter().partition(|(name, _)| !needed.contains(name));
        deleted = rest;
        if free.is_empty() {
            free.append(&mut deleted);
        }
        ordered.append(&mut free);
    }
    ordered
}
