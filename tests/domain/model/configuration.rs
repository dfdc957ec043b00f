//! Applies a configuration. What it says about the project is set by name. What it means for members follows from the other
//! operations of the model, in the order that `src/domain/commands/configuration.rs` describes.

mod names;
mod outcome;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::commands::command::configuration::ApplyConfiguration;
use rolecall::domain::commands::command::*;
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::{PermissionName, Reason, RoleMappingName, RoleName, Time};
use rolecall::limits::Limits;

pub use names::Renames;
use names::{Entry, Meaning, Objects, entries, equal};
use steps::{mapping_update, role_update};

use super::{Answer, ProjectModel, TEMPLATE_TEXT, at_most, equal_ignoring_case, fresh};
use crate::state_to_model::described;

/// The objects of one noun, and what the entries mean.
type Naming = (Objects, Meaning);

/// Refuses an entry that occurs twice, or that is deleted.
fn distinct(
    entries: &[Entry],
    deleted: Vec<String>,
    same: fn(&str, &str) -> bool,
    twice: Reason,
) -> Result<(), Reason> {
    for (at, entry) in entries.iter().enumerate() {
        if entries[..at].iter().any(|other| same(&other.name, &entry.name)) {
            return Err(twice);
        }
    }
    let wanted = |name: &String| entries.iter().any(|entry| entry.name == *name);
    if deleted.iter().any(wanted) { Err(Reason::Contradiction) } else { Ok(()) }
}

impl ProjectModel {
    fn namings(&self, command: &ApplyConfiguration) -> [Naming; 3] {
        let naming = |objects: Objects, entries| (objects.clone(), Meaning::new(&objects, entries));
        let permissions = self.permissions.iter().map(|(name, it)| (name.clone(), it.aliases.clone())).collect();
        let roles = self.roles.iter().map(|(name, it)| (name.clone(), it.aliases.clone())).collect();
        let mappings = self.mappings.iter().map(|(name, it)| (name.clone(), it.details.aliases.clone())).collect();
        [
            naming(permissions, entries(command.permissions.iter().map(|wanted| &wanted.names))),
            naming(roles, entries(command.roles.iter().map(|wanted| &wanted.names))),
            naming(mappings, entries(command.role_mappings.iter().map(|wanted| &wanted.names))),
        ]
    }

    pub(super) fn renames(&self, command: &ApplyConfiguration) -> Renames {
        let [permissions, roles, mappings] = self.namings(command).map(|(_, meaning)| meaning.renames());
        Renames { permissions, roles, mappings }
    }

    /// Renames everything at once, without aliases.
    pub(super) fn rename_all(&mut self, renames: &Renames) {
        let called = |names: &BTreeMap<String, String>, name: &String| names.get(name).unwrap_or(name).clone();
        // One role may get the name that another gives up.
        for old in renames.roles.keys() {
            self.rename_role(old, &format!("\0{old}"));
        }
        for (old, new) in &renames.roles {
            self.rename_role(&format!("\0{old}"), new);
        }
        let permissions = std::mem::take(&mut self.permissions).into_iter();
        self.permissions = permissions.map(|(name, it)| (called(&renames.permissions, &name), it)).collect();
        for row in self.mappings.values_mut().flat_map(|mapping| mapping.grants.values_mut()) {
            *row = row.iter().map(|name| called(&renames.permissions, name)).collect();
        }
        let mappings = std::mem::take(&mut self.mappings).into_iter();
        self.mappings = mappings.map(|(name, it)| (called(&renames.mappings, &name), it)).collect();
        self.default_mapping = called(&renames.mappings, &self.default_mapping);
        for org_model in self.orgs.values_mut() {
            org_model.mapping = called(&renames.mappings, &org_model.mapping);
        }
    }

    /// Applies a configuration, all or nothing.
    pub(super) fn configure(
        &mut self,
        command: &ApplyConfiguration,
        now: Time,
        created: Time,
        limits: &Limits,
    ) -> Result<Answer, Reason> {
        fresh(&command.etag)?;
        let before = self.clone();
        let namings = self.namings(command);
        let [permissions, roles, mappings] = namings.each_ref().map(|(_, meaning)| &meaning.entries);
        let deleted = command.deleted_permissions.iter().map(ToString::to_string).collect();
        distinct(permissions, deleted, equal, Reason::PermissionAlreadyExists)?;
        let deleted = command.deleted_roles.iter().map(|deleted| deleted.name.to_string()).collect();
        distinct(roles, deleted, equal_ignoring_case, Reason::RoleAlreadyExists)?;
        let deleted = command.deleted_role_mappings.iter().map(|deleted| deleted.name.to_string()).collect();
        distinct(mappings, deleted, equal_ignoring_case, Reason::RoleMappingAlreadyExists)?;
        let mut counts = before.counts();
        for (count, entries) in counts.iter_mut().zip([permissions, roles, mappings]) {
            *count = entries.len();
        }
        check_counts(before.counts(), counts, limits)?;

        if self.structure == RoleStructure::SingleRole && command.role_structure == Some(RoleStructure::MultiRole) {
            (self.manages, self.structure) = (self.managed_by_order(), RoleStructure::MultiRole);
            let named = &namings[1].1.objects;
            self.manages.retain(|role, _| !command.prune && !named.iter().flatten().any(|name| name == role));
            check_counts(before.counts(), self.counts(), limits)?;
        }
        let renames = self.renames(command);
        self.set_names(command, &namings, &renames)?;
        self.create_new(command, &namings, created)?;
        self.describe(command, now)?;
        self.grant(command)?;
        self.drop_fallbacks_of_enabled_roles();
        if let Some(display_name) = &command.display_name {
            self.display_name = display_name.clone();
        }
        let (member, owner) = (command.default_role.as_str(), command.default_owner_role.as_str());
        (self.default_role, self.default_owner_role) = (self.suitable(member)?, self.suitable(owner)?);
        self.default_mapping = self.mapping(command.default_role_mapping.as_str())?;

        let internal = command.roles.iter().filter(|wanted| wanted.internal).map(|wanted| {
            Command::UpdateRole(UpdateRole { internal: Some(true), ..role_update(command, &wanted.names.name) })
        });
        let internal: Vec<Command> = internal.collect();
        // Some of these depend on what is deleted or disabled later.
        self.take_accepted_steps(&internal, now);
        self.take_accepted_steps(&self.role_deletions(command), now);
        self.take_steps(&self.disabling(command)?, now)?;
        self.take_steps(&self.mapping_deletions(command), now)?;
        self.take_steps(&self.role_deletions(command), now)?;
        self.take_steps(&self.permission_deletions(command), now)?;
        self.take_steps(&internal, now)?;
        self.set_order(command, now)?;
        let managing = command.roles.iter().map(|wanted| {
            let manages = Some(wanted.manages.clone());
            Command::UpdateRole(UpdateRole { manages, ..role_update(command, &wanted.names.name) })
        });
        self.take_steps(&managing.collect::<Vec<_>>(), now)?;
        self.add_aliases(command, now)?;
        check_counts(before.counts(), self.counts(), limits)?;
        if !command.allow_ownerless {
            self.require_owners(&before, now)?;
        }
        Ok(self.configured(&before, &namings, &renames))
    }

    /// Returns the numbers of permissions, roles, mappings, grants and managed pairs.
    fn counts(&self) -> [usize; 5] {
        let pairs = self.manages.values().map(BTreeSet::len).sum();
        [self.permissions.len(), self.roles.len(), self.mappings.len(), self.grant_count() as usize, pairs]
    }

    fn set_names(
        &mut self,
        command: &ApplyConfiguration,
        namings: &[Naming; 3],
        renames: &Renames,
    ) -> Result<(), Reason> {
        if renames.permissions.keys().any(|old| self.permissions[old].built_in_or_internal) {
            return Err(Reason::BuiltIn);
        }
        if renames.permissions.values().any(|new| new.starts_with("rolecall::")) {
            return Err(Reason::ReservedName);
        }
        let [permissions, roles, mappings] = namings.each_ref().map(|(objects, meaning)| {
            let same = if std::ptr::eq(meaning, &namings[0].1) { equal } else { equal_ignoring_case };
            meaning.names(objects, command.prune, same)
        });
        let (permissions, roles, mappings) = (
            permissions.ok_or(Reason::PermissionAlreadyExists)?,
            roles.ok_or(Reason::RoleAlreadyExists)?,
            mappings.ok_or(Reason::RoleMappingAlreadyExists)?,
        );
        self.rename_all(renames);
        for (name, details) in &mut self.permissions {
            details.aliases = permissions[name].clone();
        }
        for (name, details) in &mut self.roles {
            details.aliases = roles[name].clone();
        }
        for (name, mapping) in &mut self.mappings {
            mapping.details.aliases = mappings[name].clone();
        }
        Ok(())
    }

    /// Creates what is new, without contents.
    fn create_new(&mut self, command: &ApplyConfiguration, namings: &[Naming; 3], created: Time) -> Result<(), Reason> {
        let [permissions, roles, mappings] = namings.each_ref().map(|(_, meaning)| meaning.new_names());
        // Limits count in the end.
        let (project, limits) = (command.project.clone(), &Limits::default());
        let permission =
            |name: &&str| NewPermission { name: PermissionName::stored(*name), description: String::new() };
        let permissions = permissions.iter().map(permission).collect();
        self.create_permissions(
            &CreatePermissions { project: project.clone(), permissions, batch: true },
            created,
            limits,
        )?;
        let new = command.roles.iter().filter(|wanted| roles.contains(&wanted.names.name.as_str()));
        let new = new.map(|wanted| NewRole {
            name: wanted.names.name.clone(),
            description: String::new(),
            internal: wanted.internal,
            disabled_in: vec![],
            manages: vec![],
            grants: vec![],
        });
        self.create_roles(&BatchCreateRoles { project: project.clone(), roles: new.collect() }, created, limits)?;
        for name in mappings {
            let create = CreateRoleMapping {
                project: project.clone(),
                name: RoleMappingName::stored(name),
                description: String::new(),
                duplicate_of: None,
                edits: RoleMappingEdits::default(),
                subscribe: vec![],
                on_disabled: OnDisabled::Reject,
            };
            self.create_mapping(&create, created, created, limits)?;
        }
        Ok(())
    }

    /// Describes everything, and makes roles visible.
    fn describe(&mut self, command: &ApplyConfiguration, now: Time) -> Result<(), Reason> {
        for (_, details) in self.permissions.iter_mut().filter(|(_, it)| command.prune && it.built_in_or_internal) {
            details.description = TEMPLATE_TEXT.into();
        }
        for wanted in &command.permissions {
            let details = self.permissions.get_mut(wanted.names.name.as_str()).expect("it was created");
            details.description = described(&wanted.description).into();
        }
        for wanted in &command.roles {
            let name = &wanted.names.name;
            for (_, details) in self.roles.iter_mut().filter(|(role, _)| *role == name.as_str()) {
                details.description = described(&wanted.description).into();
            }
            if !wanted.internal {
                let update = UpdateRole { internal: Some(false), ..role_update(command, name) };
                self.take_step(&Command::UpdateRole(update), now)?;
            }
        }
        for wanted in &command.role_mappings {
            let mapping = self.mappings.get_mut(wanted.names.name.as_str()).expect("it was created");
            mapping.details.description = described(&wanted.description).into();
        }
        Ok(())
    }

    fn named_roles(&self, names: &[RoleName]) -> Result<BTreeSet<String>, Reason> {
        names.iter().map(|name| self.role(name.as_str())).collect()
    }

    fn names_role(command: &ApplyConfiguration, role: &str) -> bool {
        command.roles.iter().any(|wanted| wanted.names.name.as_str() == role)
    }

    fn names_mapping(command: &ApplyConfiguration, mapping: &str) -> bool {
        command.role_mappings.iter().any(|wanted| wanted.names.name.as_str() == mapping)
    }

    /// Grants what the configuration grants, and enables the roles that it does not disable. What it does not name stays.
    fn grant(&mut self, command: &ApplyConfiguration) -> Result<(), Reason> {
        let mut mappings = self.mappings.clone();
        for wanted in &command.role_mappings {
            let mapping = mappings.get_mut(wanted.names.name.as_str()).expect("it was created");
            let disabled = self.named_roles(&wanted.disabled_roles)?;
            mapping.disabled.retain(|role| disabled.contains(role) || !Self::names_role(command, role));
            let mut rows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for (role, permissions) in &wanted.grants {
                let row = rows.entry(self.role(role.as_str())?).or_default();
                for permission in permissions {
                    row.insert(self.permission(permission.as_str())?);
                }
            }
            mapping.grants.retain(|role, _| !Self::names_role(command, role));
            mapping.grants.extend(rows);
            mapping.grants.retain(|_, permissions| !permissions.is_empty());
        }
        // A default role is enabled everywhere, also in what is deleted later.
        let deleted = self.deleted_mappings(command);
        for (_, mapping) in mappings.iter_mut().filter(|(name, _)| deleted.iter().any(|(other, ..)| other == *name)) {
            for role in [&command.default_role, &command.default_owner_role] {
                if let Ok(role) = self.role(role.as_str()) {
                    mapping.disabled.remove(&role);
                }
            }
        }
        self.mappings = mappings;
        Ok(())
    }

    /// Sets the order of roles. Others stay below the role that they are below.
    fn set_order(&mut self, command: &ApplyConfiguration, now: Time) -> Result<(), Reason> {
        let mut order: Vec<String> = Vec::new();
        let mut above = None;
        let mut others: Vec<(Option<String>, String)> = Vec::new();
        for (name, _) in &self.roles {
            if Self::names_role(command, name) {
                above = Some(name.clone());
            } else {
                others.push((above.clone(), name.clone()));
            }
        }
        for above in [None].into_iter().chain(command.roles.iter().map(|wanted| Some(wanted.names.name.to_string()))) {
            order.extend(above.clone());
            order.extend(others.iter().filter(|(other, _)| *other == above).map(|(_, name)| name.clone()));
        }
        let order: Vec<RoleName> = order.into_iter().map(RoleName::stored).collect();
        if self.structure == RoleStructure::MultiRole && command.role_structure == Some(RoleStructure::SingleRole) {
            let (project, to) = (command.project.clone(), RoleStructure::SingleRole);
            let convert = ConvertRoleStructure { project, etag: None, to, order, allow_ownerless: true };
            return self.take_step(&Command::ConvertRoleStructure(convert), now);
        }
        self.roles = self.ordered(&order)?;
        Ok(())
    }

    /// Gives each object the aliases that it lacks: it is renamed and renamed back.
    fn add_aliases(&mut self, command: &ApplyConfiguration, now: Time) -> Result<(), Reason> {
        let lacks =
            |present: &[String], name: &str, alias: &str| name != alias && !present.iter().any(|it| it == alias);
        for wanted in &command.permissions {
            let name = &wanted.names.name;
            for alias in &wanted.names.aliases {
                if lacks(&self.permissions[name.as_str()].aliases, name.as_str(), alias.as_str()) {
                    for (name, new_name) in [(name, alias), (alias, name)] {
                        let (project, name, new_name) = (command.project.clone(), name.clone(), Some(new_name.clone()));
                        let update = UpdatePermission { project, name, new_name, description: None, aliases: None };
                        self.take_step(&Command::UpdatePermission(update), now)?;
                    }
                }
            }
        }
        for wanted in &command.roles {
            let name = &wanted.names.name;
            for alias in &wanted.names.aliases {
                if lacks(&self.role_details(name.as_str()).aliases, name.as_str(), alias.as_str()) {
                    for (name, new) in [(name, alias), (alias, name)] {
                        let update = UpdateRole { new_name: Some(new.clone()), ..role_update(command, name) };
                        self.take_step(&Command::UpdateRole(update), now)?;
                    }
                }
            }
        }
        for wanted in &command.role_mappings {
            let name = &wanted.names.name;
            for alias in &wanted.names.aliases {
                if lacks(&self.mappings[name.as_str()].details.aliases, name.as_str(), alias.as_str()) {
                    for (name, new) in [(name, alias), (alias, name)] {
                        let update = UpdateRoleMapping { new_name: Some(new.clone()), ..mapping_update(command, name) };
                        self.take_step(&Command::UpdateRoleMapping(update), now)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Refuses numbers above their limits, if they are higher than before (P7).
fn check_counts(were: [usize; 5], are: [usize; 5], limits: &Limits) -> Result<(), Reason> {
    let max = [limits.permissions, limits.roles, limits.role_mappings, limits.grants, limits.managed_roles];
    let mut grown = were.into_iter().zip(are).zip(max).filter(|((was, is), _)| is > was);
    grown.try_for_each(|((_, is), max)| at_most(max, is))
}
