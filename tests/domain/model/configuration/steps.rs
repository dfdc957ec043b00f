//! The steps of a configuration that concern members: the other operations of the model.

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::commands::command::configuration::ApplyConfiguration;
use rolecall::domain::commands::command::*;
use rolecall::domain::{PermissionName, Reason, RoleMappingName, RoleName, Time};
use rolecall::limits::Limits;

use crate::model::ProjectModel;

pub fn role_update(command: &ApplyConfiguration, name: &RoleName) -> UpdateRole {
    UpdateRole {
        project: command.project.clone(),
        name: name.clone(),
        etag: None,
        new_name: None,
        description: None,
        internal: None,
        aliases: None,
        manages: None,
    }
}

pub fn mapping_update(command: &ApplyConfiguration, name: &RoleMappingName) -> UpdateRoleMapping {
    UpdateRoleMapping {
        project: command.project.clone(),
        name: name.clone(),
        etag: None,
        new_name: None,
        description: None,
        aliases: None,
        edits: RoleMappingEdits::default(),
        on_disabled: OnDisabled::Reject,
    }
}

/// Orders deletions so that none comes before one that names it as its replacement.
fn dependents_first(mut deleted: Vec<(String, Option<String>)>) -> Vec<(String, Option<String>)> {
    let mut ordered = Vec::new();
    while !deleted.is_empty() {
        let is_needed = |name: &String| deleted.iter().any(|(other, to)| other != name && to.as_ref() == Some(name));
        let (mut free, mut rest): (Vec<_>, Vec<_>) = deleted.iter().cloned().partition(|(name, _)| !is_needed(name));
        if free.is_empty() {
            free.append(&mut rest);
        }
        ordered.extend(free);
        deleted = rest;
    }
    ordered
}

impl ProjectModel {
    pub(super) fn take_step(&mut self, step: &Command, now: Time) -> Result<(), Reason> {
        // Limits count in the end.
        let limits = &Limits::default();
        match step {
            Command::UpdatePermission(step) => self.update_permission(step),
            Command::DeletePermission(step) => self.delete_permission(step),
            Command::UpdateRole(step) => self.update_role(step, now, limits),
            Command::DeleteRole(step) => self.delete_role(step, now),
            Command::UpdateRoleMapping(step) => self.update_mapping(step, now, limits),
            Command::DeleteRoleMapping(step) => self.delete_mapping(step, now),
            Command::ConvertRoleStructure(step) => self.convert(step, now, limits),
            other => panic!("no step: {other:?}"),
        }?;
        self.drop_fallbacks_of_enabled_roles();
        Ok(())
    }

    pub(super) fn take_steps(&mut self, steps: &[Command], now: Time) -> Result<(), Reason> {
        steps.iter().try_for_each(|step| self.take_step(step, now))
    }

    /// Takes steps up to the first one that is refused.
    pub(super) fn take_accepted_steps(&mut self, steps: &[Command], now: Time) {
        for step in steps {
            let mut next = self.clone();
            if next.take_step(step, now).is_err() {
                break;
            }
            *self = next;
        }
    }

    /// Returns the steps that disable roles, each with the strategy of its mapping.
    pub(super) fn disabling(&self, command: &ApplyConfiguration) -> Result<Vec<Command>, Reason> {
        let mut steps = Vec::new();
        for wanted in &command.role_mappings {
            let disabled = &self.mappings[wanted.names.name.as_str()].disabled;
            let wanted_disabled = self.named_roles(&wanted.disabled_roles)?;
            let disable: Vec<RoleName> =
                wanted_disabled.difference(disabled).map(|role| RoleName::stored(role.as_str())).collect();
            if !disable.is_empty() {
                let edits = RoleMappingEdits { disable, ..RoleMappingEdits::default() };
                let (update, on_disabled) = (mapping_update(command, &wanted.names.name), wanted.on_disabled.clone());
                steps.push(Command::UpdateRoleMapping(UpdateRoleMapping { edits, on_disabled, ..update }));
            }
        }
        Ok(steps)
    }

    pub(super) fn role_deletions(&self, command: &ApplyConfiguration) -> Vec<Command> {
        let mut named: BTreeMap<String, Option<String>> = BTreeMap::new();
        for deleted in &command.deleted_roles {
            if let Ok(role) = self.role(deleted.name.as_str()) {
                named.insert(role, deleted.replacement.as_ref().map(ToString::to_string));
            }
        }
        let others = self.roles.iter().map(|(name, _)| name).filter(|name| !Self::names_role(command, name));
        let deleted = others.filter(|name| command.prune || named.contains_key(*name));
        let deleted = deleted.map(|name| (name.clone(), named.get(name).cloned().flatten())).collect();
        let step = |(name, to): (String, Option<String>)| {
            let (project, name, replacement) =
                (command.project.clone(), RoleName::stored(name), to.map(RoleName::stored));
            Command::DeleteRole(DeleteRole { project, name, etag: None, replacement })
        };
        dependents_first(deleted).into_iter().map(step).collect()
    }

    /// Returns the mappings to delete, where their orgs move, and the strategy.
    pub(super) fn deleted_mappings(&self, command: &ApplyConfiguration) -> Vec<(String, Option<String>, OnDisabled)> {
        let mut found = Vec::new();
        for name in self.mappings.keys().filter(|name| !Self::names_mapping(command, name)) {
            let mut named = command.deleted_role_mappings.iter().rev();
            let named = named.find(|deleted| self.mapping(deleted.name.as_str()).as_ref() == Ok(name));
            if command.prune || named.is_some() {
                let to = named.and_then(|deleted| deleted.move_subscribers_to.as_ref()).map(ToString::to_string);
                found.push((name.clone(), to, named.map_or(OnDisabled::Reject, |deleted| deleted.on_disabled.clone())));
            }
        }
        found
    }

    pub(super) fn mapping_deletions(&self, command: &ApplyConfiguration) -> Vec<Command> {
        let deleted = self.deleted_mappings(command);
        let ordered = dependents_first(deleted.iter().map(|(name, to, _)| (name.clone(), to.clone())).collect());
        let step = |(name, to): (String, Option<String>)| {
            let strategy = deleted.iter().find(|(other, ..)| *other == name).map(|(.., strategy)| strategy.clone());
            Command::DeleteRoleMapping(DeleteRoleMapping {
                project: command.project.clone(),
                name: RoleMappingName::stored(name),
                etag: None,
                move_subscribers_to: to.map(RoleMappingName::stored),
                on_disabled: strategy.expect("it is deleted"),
            })
        };
        ordered.into_iter().map(step).collect()
    }

    pub(super) fn permission_deletions(&self, command: &ApplyConfiguration) -> Vec<Command> {
        let named: BTreeSet<String> =
            command.deleted_permissions.iter().filter_map(|name| self.permission(name.as_str()).ok()).collect();
        let wanted = |name: &String| command.permissions.iter().any(|wanted| wanted.names.name.as_str() == name);
        let others = self.permissions.iter().filter(|(name, _)| !wanted(name));
        let deleted = others.filter(|(name, it)| command.prune && !it.built_in_or_internal || named.contains(*name));
        let step = |(name, _): (&String, _)| {
            let (project, name) = (command.project.clone(), PermissionName::stored(name.as_str()));
            Command::DeletePermission(DeletePermission { project, name })
        };
        deleted.map(step).collect()
    }
}
