//! Role mappings and subscriptions (M1 to M7, S2).

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::commands::command::{
    BatchSubscribeOrgs, CreateRoleMapping, DeleteRoleMapping, OnDisabled, PromoteRoleMapping, RoleMappingEdits,
    SubscribeOrg, SubscribeTo, UpdateRoleMapping,
};
use rolecall::domain::{Reason, Time};
use rolecall::limits::Limits;

use super::{Answer, Details, Mapping, ProjectModel, at_most, fresh, texts};

impl ProjectModel {
    pub fn mapping(&self, wanted: &str) -> Result<String, Reason> {
        let found = self.mappings.iter().find(|(name, mapping)| mapping.details.matches(name, wanted));
        found.map(|(name, _)| name.clone()).ok_or(Reason::RoleMappingNotFound)
    }

    /// Returns true if a mapping other than `of` has this name or alias (R1, R3).
    fn mapping_name_taken(&self, name: &str, of: Option<&str>) -> bool {
        let mut others = self.mappings.iter().filter(|(other, _)| Some(other.as_str()) != of);
        others.any(|(other, mapping)| mapping.details.matches_ignoring_case(other, name))
    }

    /// Returns the number of (mapping, role, permission) triples.
    pub fn grant_count(&self) -> u64 {
        self.mappings.values().flat_map(|mapping| mapping.grants.values()).map(|row| row.len() as u64).sum()
    }

    /// M2.
    pub(super) fn create_mapping(
        &mut self,
        command: &CreateRoleMapping,
        now: Time,
        created: Time,
        limits: &Limits,
    ) -> Result<Answer, Reason> {
        let name = command.name.to_string();
        if self.mapping_name_taken(&name, None) {
            return Err(Reason::RoleMappingAlreadyExists);
        }
        at_most(limits.role_mappings, self.mappings.len() + 1)?;
        let details = Details::new(&command.description, false, created);
        let mapping = match &command.duplicate_of {
            Some(original) => {
                let original = self.mapping(original.as_str())?;
                Mapping { details, ..self.mappings[&original].clone() }
            }
            None => Mapping { details, disabled: BTreeSet::new(), grants: BTreeMap::new() },
        };
        let grants = self.grant_count();
        self.mappings.insert(name.clone(), mapping);
        self.edit_mapping(&name, &command.edits)?;
        self.grants_at_most(limits, grants)?;
        self.validate_strategy(&command.on_disabled, &name)?;
        for org in &command.subscribe {
            self.move_org(org.as_str(), &name, &command.on_disabled, now)?;
        }
        Ok(Answer::RoleMapping(name))
    }

    pub(super) fn update_mapping(
        &mut self,
        command: &UpdateRoleMapping,
        now: Time,
        limits: &Limits,
    ) -> Result<Answer, Reason> {
        let name = self.mapping(command.name.as_str())?;
        fresh(&command.etag)?;
        let new_name = command.new_name.as_ref().map(|name| name.as_str());
        if new_name.is_some_and(|new_name| self.mapping_name_taken(new_name, Some(&name))) {
            return Err(Reason::RoleMappingAlreadyExists);
        }
        let (new_name, aliases) = self.mappings[&name].details.names(&name, new_name, texts(&command.aliases))?;
        let before = self.clone();
        self.edit_mapping(&name, &command.edits)?;
        self.apply_strategy(&before, &command.on_disabled, &name, now)?;
        self.grants_at_most(limits, before.grant_count())?;
        let mut mapping = self.mappings.remove(&name).expect("found");
        mapping.details.aliases = aliases;
        if let Some(text) = &command.description {
            mapping.details.description = text.clone();
        }
        self.mappings.insert(new_name.clone(), mapping);
        if self.default_mapping == name {
            self.default_mapping = new_name.clone();
        }
        for org_model in self.orgs.values_mut().filter(|org_model| org_model.mapping == name) {
            org_model.mapping = new_name.clone();
        }
        Ok(Answer::RoleMapping(new_name))
    }

    fn edit_mapping(&mut self, name: &str, edits: &RoleMappingEdits) -> Result<(), Reason> {
        let found = |names: &[rolecall::domain::RoleName]| -> Result<Vec<String>, Reason> {
            names.iter().map(|name| self.role(name.as_str())).collect()
        };
        let (enable, disable) = (found(&edits.enable)?, found(&edits.disable)?);
        if enable.iter().any(|role| disable.contains(role)) {
            return Err(Reason::Contradiction);
        }
        if disable.contains(&self.default_role) || disable.contains(&self.default_owner_role) {
            return Err(Reason::DefaultRoleDisabled);
        }
        let mut mapping = self.mappings[name].clone();
        for role in &enable {
            mapping.disabled.remove(role);
        }
        mapping.disabled.extend(disable);
        for edit in &edits.grants {
            let role = self.role(edit.role.as_str())?;
            let known = |names: &[rolecall::domain::PermissionName]| -> Result<Vec<String>, Reason> {
                names.iter().map(|name| self.permission(name.as_str())).collect()
            };
            let (add, remove) = (known(&edit.add)?, known(&edit.remove)?);
            if add.iter().any(|name| remove.contains(name)) {
                return Err(Reason::Contradiction);
            }
            let row = mapping.grants.entry(role).or_default();
            row.retain(|name| !remove.contains(name));
            row.extend(add);
        }
        mapping.grants.retain(|_, row| !row.is_empty());
        self.mappings.insert(name.to_string(), mapping);
        Ok(())
    }

    pub(super) fn grants_at_most(&self, limits: &Limits, before: u64) -> Result<(), Reason> {
        let grants = self.grant_count();
        if grants > before && grants > limits.grants { Err(Reason::LimitExceeded) } else { Ok(()) }
    }

    /// M1, M5.
    pub(super) fn promote(&mut self, command: &PromoteRoleMapping) -> Result<Answer, Reason> {
        self.default_mapping = self.mapping(command.name.as_str())?;
        Ok(Answer::RoleMapping(self.default_mapping.clone()))
    }

    /// M5, M6.
    pub(super) fn delete_mapping(&mut self, command: &DeleteRoleMapping, now: Time) -> Result<Answer, Reason> {
        let name = self.mapping(command.name.as_str())?;
        fresh(&command.etag)?;
        if name == self.default_mapping {
            return Err(Reason::DefaultRoleMapping);
        }
        let to = match &command.move_subscribers_to {
            Some(to) => Some(self.mapping(to.as_str())?),
            None => None,
        };
        if to.as_ref() == Some(&name) {
            return Err(Reason::Contradiction);
        }
        let before = self.clone();
        let mut moved = 0;
        for org_model in self.orgs.values_mut().filter(|org_model| org_model.mapping == name) {
            org_model.mapping = to.clone().ok_or(Reason::RoleMappingInUse)?;
            moved += 1;
        }
        if let Some(to) = to.filter(|_| moved > 0) {
            self.apply_strategy(&before, &command.on_disabled, &to, now)?;
        }
        self.mappings.remove(&name);
        Ok(Answer::Deleted(moved))
    }

    fn target(&self, to: &SubscribeTo) -> Result<String, Reason> {
        match to {
            SubscribeTo::RoleMapping(name) => self.mapping(name.as_str()),
            SubscribeTo::Default => Ok(self.default_mapping.clone()),
        }
    }

    /// Returns true if the org had another mapping.
    fn move_org(&mut self, org: &str, to: &str, on_disabled: &OnDisabled, now: Time) -> Result<bool, Reason> {
        let before = self.clone();
        let org_model = self.orgs.get_mut(org).ok_or(Reason::OrgNotFound)?;
        let moved = org_model.mapping != to;
        org_model.mapping = to.to_string();
        self.apply_strategy(&before, on_disabled, to, now)?;
        Ok(moved)
    }

    /// S2.
    pub(super) fn subscribe_one(&mut self, command: &SubscribeOrg, now: Time) -> Result<Answer, Reason> {
        let org = command.org_id.to_string();
        if !self.orgs.contains_key(&org) {
            return Err(Reason::OrgNotFound);
        }
        let mapping = self.target(&command.to)?;
        self.move_org(&org, &mapping, &command.on_disabled, now)?;
        Ok(Answer::Subscription { org, mapping })
    }

    /// S2: all or none.
    pub(super) fn subscribe_many(&mut self, command: &BatchSubscribeOrgs, now: Time) -> Result<Answer, Reason> {
        let mapping = self.target(&command.to)?;
        self.validate_strategy(&command.on_disabled, &mapping)?;
        let (mut moved, mut unchanged) = (0, 0);
        let mut distinct = BTreeSet::new();
        for org in &command.org_ids {
            if !distinct.insert(org.to_string()) {
                return Err(Reason::RepeatedRow);
            }
            match self.move_org(org.as_str(), &mapping, &command.on_disabled, now)? {
                true => moved += 1,
                false => unchanged += 1,
            }
        }
        Ok(Answer::OrgsSubscribed { moved, unchanged })
    }
}
