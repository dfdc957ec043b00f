//! Permissions and roles (R1 to R6, R8, R10, P4).

use std::collections::BTreeSet;

use rolecall::domain::commands::command::{
    BatchCreateRoles, CreatePermissions, CreateRole, DeletePermission, DeleteRole, Place, ReorderRoles,
    UpdatePermission, UpdateRole,
};
use rolecall::domain::model::membership::Origin;
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::{Reason, RoleName, Time};
use rolecall::limits::Limits;

use super::{Answer, Details, Member, ProjectModel, RoleRecord, at_most, fresh, texts};
use crate::placeholders::ALL_OTHERS;

impl ProjectModel {
    /// Returns the current name of the permission with this name or alias.
    pub fn permission(&self, wanted: &str) -> Result<String, Reason> {
        let found = self.permissions.iter().find(|(name, details)| details.matches(name, wanted));
        found.map(|(name, _)| name.clone()).ok_or(Reason::PermissionNotFound)
    }

    pub fn role(&self, wanted: &str) -> Result<String, Reason> {
        let found = self.roles.iter().find(|(name, details)| details.matches(name, wanted));
        found.map(|(name, _)| name.clone()).ok_or(Reason::RoleNotFound)
    }

    pub fn role_details(&self, name: &str) -> &Details {
        &self.roles.iter().find(|(role, _)| role == name).expect("the role exists").1
    }

    pub fn is_internal(&self, role: &str) -> bool {
        self.role_details(role).built_in_or_internal
    }

    pub(super) fn create_permissions(
        &mut self,
        command: &CreatePermissions,
        created: Time,
        limits: &Limits,
    ) -> Result<Answer, Reason> {
        at_most(limits.permissions, self.permissions.len() + command.permissions.len())?;
        let mut names = Vec::new();
        for new in &command.permissions {
            let name = new.name.to_string();
            if name.starts_with("rolecall::") {
                return Err(Reason::ReservedName);
            }
            if self.permission(&name).is_ok() {
                return Err(Reason::PermissionAlreadyExists);
            }
            self.permissions.insert(name.clone(), Details::new(&new.description, false, created));
            names.push(name);
        }
        Ok(match names.pop() {
            Some(only) if !command.batch => Answer::Permission(only),
            _ => Answer::PermissionsCreated(command.permissions.len()),
        })
    }

    /// R3, P4.
    pub(super) fn update_permission(&mut self, command: &UpdatePermission) -> Result<Answer, Reason> {
        let name = self.permission(command.name.as_str())?;
        let mut details = self.permissions[&name].clone();
        let new_name = command.new_name.as_ref().map(|name| name.as_str());
        if let Some(new_name) = new_name.filter(|new| *new != name) {
            if details.built_in_or_internal {
                return Err(Reason::BuiltIn);
            }
            if new_name.starts_with("rolecall::") {
                return Err(Reason::ReservedName);
            }
            if self.permission(new_name).is_ok_and(|other| other != name) {
                return Err(Reason::PermissionAlreadyExists);
            }
        }
        let (new_name, aliases) = details.names(&name, new_name, texts(&command.aliases))?;
        details.aliases = aliases;
        if let Some(text) = &command.description {
            details.description = text.clone();
        }
        self.permissions.remove(&name);
        self.permissions.insert(new_name.clone(), details);
        for row in self.mappings.values_mut().flat_map(|mapping| mapping.grants.values_mut()) {
            if row.remove(&name) {
                row.insert(new_name.clone());
            }
        }
        Ok(Answer::Permission(new_name))
    }

    /// R8.
    pub(super) fn delete_permission(&mut self, command: &DeletePermission) -> Result<Answer, Reason> {
        let name = self.permission(command.name.as_str())?;
        if self.permissions[&name].built_in_or_internal {
            return Err(Reason::BuiltIn);
        }
        self.permissions.remove(&name);
        let mut removed = 0;
        for mapping in self.mappings.values_mut() {
            for row in mapping.grants.values_mut() {
                removed += u64::from(row.remove(&name));
            }
            mapping.grants.retain(|_, row| !row.is_empty());
        }
        Ok(Answer::Deleted(removed))
    }

    /// R1, R2.
    pub(super) fn create_role(
        &mut self,
        command: &CreateRole,
        created: Time,
        limits: &Limits,
    ) -> Result<Answer, Reason> {
        let name = command.name.to_string();
        if self.roles.iter().any(|(other, details)| details.matches_ignoring_case(other, &name)) {
            return Err(Reason::RoleAlreadyExists);
        }
        at_most(limits.roles, self.roles.len() + 1)?;
        for wanted in &command.disabled_in {
            let mapping = self.mapping(wanted.as_str())?;
            self.mappings.get_mut(&mapping).expect("found").disabled.insert(name.clone());
        }
        let position = |wanted: &str| {
            let wanted = self.role(wanted)?;
            Ok(self.roles.iter().position(|(role, _)| *role == wanted).expect("found"))
        };
        let at = match &command.place {
            Place::Last => self.roles.len(),
            Place::Above(other) => position(other.as_str())?,
            Place::Below(other) => position(other.as_str())? + 1,
        };
        self.roles.insert(at, (name.clone(), Details::new(&command.description, command.internal, created)));
        self.manage(&name, &command.manages, limits)?;
        Ok(Answer::Role(name))
    }

    /// R2, all or none.
    pub(super) fn create_roles(
        &mut self,
        command: &BatchCreateRoles,
        now: Time,
        limits: &Limits,
    ) -> Result<Answer, Reason> {
        at_most(limits.roles, self.roles.len() + command.roles.len())?;
        let (pairs_before, grants_before) = (self.managed_pairs(), self.grant_count());
        for new in &command.roles {
            let create = CreateRole {
                project: command.project.clone(),
                name: new.name.clone(),
                description: new.description.clone(),
                internal: new.internal,
                place: Place::Last,
                disabled_in: new.disabled_in.clone(),
                manages: Vec::new(),
            };
            self.create_role(&create, now, &Limits::default())?;
            for (mapping, permissions) in &new.grants {
                let permissions = permissions.iter().map(|name| self.permission(name.as_str()));
                let permissions = permissions.collect::<Result<Vec<String>, _>>()?;
                let mapping = self.mapping(mapping.as_str())?;
                if !permissions.is_empty() {
                    let grants = &mut self.mappings.get_mut(&mapping).expect("found").grants;
                    grants.entry(new.name.to_string()).or_default().extend(permissions);
                }
            }
            self.manage(new.name.as_str(), &new.manages, &Limits::default())?;
        }
        if self.managed_pairs() > pairs_before {
            at_most(limits.managed_roles, self.managed_pairs())?;
        }
        self.grants_at_most(limits, grants_before)?;
        Ok(Answer::RolesCreated(command.roles.len()))
    }

    fn managed_pairs(&self) -> usize {
        self.manages.values().map(BTreeSet::len).sum()
    }

    /// Sets the list of managed roles (G2). A role can list itself.
    fn manage(&mut self, role: &str, managed: &[RoleName], limits: &Limits) -> Result<(), Reason> {
        let mut all = BTreeSet::new();
        for name in managed {
            all.insert(self.role(name.as_str())?);
        }
        if all.is_empty() {
            self.manages.remove(role);
            return Ok(());
        }
        if self.structure == RoleStructure::SingleRole {
            return Err(Reason::WrongRoleStructure);
        }
        let before = self.manages.insert(role.to_string(), all.clone()).unwrap_or_default();
        if all.len() > before.len() {
            at_most(limits.managed_roles, self.managed_pairs())?;
        }
        Ok(())
    }

    /// R3, R5, R10.
    pub(super) fn update_role(&mut self, command: &UpdateRole, now: Time, limits: &Limits) -> Result<Answer, Reason> {
        let name = self.role(command.name.as_str())?;
        fresh(&command.etag)?;
        let mut details = self.role_details(&name).clone();
        let new_name = command.new_name.as_ref().map(|name| name.as_str());
        if let Some(new_name) = new_name {
            let others = self.roles.iter().filter(|(other, _)| *other != name);
            if others.into_iter().any(|(other, details)| details.matches_ignoring_case(other, new_name)) {
                return Err(Reason::RoleAlreadyExists);
            }
        }
        if let Some(internal) = command.internal.filter(|internal| *internal != details.built_in_or_internal) {
            if internal && (name == self.default_role || name == self.default_owner_role) {
                return Err(Reason::DefaultRoleUnsuitable);
            }
            let holds = |member: &Member| member.holds(&name, now) || member.has_fallback(&name, now);
            let named = |org_model: &super::OrgModel| org_model.domains.values().any(|rule| rule.roles.contains(&name));
            let invited = |org_model: &super::OrgModel| {
                let mut pending = org_model.invitations.values().filter(|invitation| !invitation.has_expired(now));
                pending.any(|invitation| invitation.roles.contains(&name))
            };
            if self.orgs.values().any(named) || self.orgs.values().any(invited) {
                return Err(Reason::RoleInUse);
            }
            if self.orgs.values().flat_map(|org_model| org_model.members.values()).any(holds) {
                return Err(Reason::RoleInUse);
            }
            details.built_in_or_internal = internal;
        }
        let (new_name, aliases) = details.names(&name, new_name, texts(&command.aliases))?;
        details.aliases = aliases;
        if let Some(text) = &command.description {
            details.description = text.clone();
        }
        if let Some(managed) = &command.manages {
            self.manage(&name, managed, limits)?;
        }
        for (role, old) in &mut self.roles {
            if *role == name {
                *old = details.clone();
            }
        }
        self.rename_role(&name, &new_name);
        Ok(Answer::Role(new_name))
    }

    pub(super) fn rename_role(&mut self, from: &str, to: &str) {
        let changed = |name: &String| if name == from { to.to_string() } else { name.clone() };
        for (role, _) in &mut self.roles {
            *role = changed(role);
        }
        self.default_role = changed(&self.default_role);
        self.default_owner_role = changed(&self.default_owner_role);
        let set = |set: &BTreeSet<String>| set.iter().map(changed).collect::<BTreeSet<String>>();
        self.manages = self.manages.iter().map(|(role, managed)| (changed(role), set(managed))).collect();
        for mapping in self.mappings.values_mut() {
            mapping.disabled = mapping.disabled.iter().map(changed).collect();
            mapping.grants = mapping.grants.iter().map(|(role, row)| (changed(role), row.clone())).collect();
        }
        for member in self.orgs.values_mut().flat_map(|org_model| org_model.members.values_mut()) {
            member.roles = member.roles.iter().map(|(role, given)| (changed(role), *given)).collect();
            member.fallbacks =
                member.fallbacks.iter().map(|(role, fallback_role)| (changed(role), changed(fallback_role))).collect();
        }
        for rule in self.orgs.values_mut().flat_map(|org_model| org_model.domains.values_mut()) {
            rule.roles = set(&rule.roles);
        }
        for invitation in self.orgs.values_mut().flat_map(|org_model| org_model.invitations.values_mut()) {
            invitation.roles = set(&invitation.roles);
        }
        self.role_sets = self.role_sets.as_ref().map(|sets| sets.iter().map(set).collect());
    }

    /// R6.
    pub(super) fn reorder(&mut self, command: &ReorderRoles) -> Result<Answer, Reason> {
        fresh(&command.etag)?;
        self.roles = self.ordered(&command.roles)?;
        Ok(Answer::RolesReordered)
    }

    /// Returns all roles in the requested order. The name `*` means all other roles.
    pub(super) fn ordered(&self, names: &[RoleName]) -> Result<Vec<(String, Details)>, Reason> {
        let mut order: Vec<(String, Details)> = Vec::new();
        let wanted: Vec<&str> = names.iter().map(|name| name.as_str()).filter(|name| *name != ALL_OTHERS).collect();
        for name in &wanted {
            let name = self.role(name)?;
            if order.iter().any(|(other, _)| *other == name) {
                return Err(Reason::RepeatedRole);
            }
            order.push((name.clone(), self.role_details(&name).clone()));
        }
        let rest: Vec<_> = self.roles.iter().filter(|role| !order.contains(role)).cloned().collect();
        if wanted.len() < names.len() {
            order.extend(rest);
        } else if !rest.is_empty() {
            return Err(Reason::IncompleteOrder);
        }
        Ok(order)
    }

    /// R4, R5.
    pub(super) fn delete_role(&mut self, command: &DeleteRole, now: Time) -> Result<Answer, Reason> {
        let deleted = self.role(command.name.as_str())?;
        fresh(&command.etag)?;
        if deleted == self.default_role || deleted == self.default_owner_role {
            return Err(Reason::DefaultRoleUnsuitable);
        }
        let internal = self.is_internal(&deleted);
        let replacement = match &command.replacement {
            Some(name) => Some(self.role(name.as_str())?),
            None if internal => None,
            None => Some(self.default_role.clone()),
        };
        if replacement.as_ref() == Some(&deleted) {
            return Err(Reason::Contradiction);
        }
        if replacement.as_ref().is_some_and(|name| self.is_internal(name) != internal) {
            return Err(Reason::ReplacementUnsuitable);
        }
        let mut holders = 0;
        for org_model in self.orgs.values_mut() {
            let disabled = &self.mappings[&org_model.mapping].disabled;
            for member in org_model.members.values_mut() {
                let instead = replacement.as_ref().filter(|role| !disabled.contains(*role));
                // A holder of the deleted role as a fallback role gets the replacement as the fallback role.
                let as_fallback = member.has_fallback(&deleted, now);
                if as_fallback && instead.is_none() {
                    return Err(Reason::ReplacementDisabled);
                }
                holders += u64::from(as_fallback || member.holds(&deleted, now));
                member.fallbacks.remove(&deleted);
                let fallbacks =
                    std::mem::take(&mut member.fallbacks).into_iter().filter_map(|(role, fallback_role)| {
                        let stays = (fallback_role != deleted).then_some(&fallback_role);
                        let recorded_role = stays.or(instead).cloned();
                        recorded_role.map(|fallback_role| (role, fallback_role))
                    });
                member.fallbacks = fallbacks.collect();
                let held = member.holds(&deleted, now);
                let Some(lost) = member.roles.remove(&deleted) else { continue };
                member.origin = Origin::Migration;
                if !held {
                    continue;
                }
                let Some(replacement) = &replacement else { continue };
                let already = member.holds(replacement, now).then(|| member.roles[replacement]);
                let gets = match already {
                    // The later of two expiries applies; no expiry is the latest.
                    Some(RoleRecord { expire_time: Some(one), origin }) => {
                        RoleRecord { expire_time: lost.expire_time.map(|other| one.max(other)), origin }
                    }
                    Some(permanent) => permanent,
                    None => RoleRecord { expire_time: lost.expire_time, origin: Origin::Migration },
                };
                if Some(gets) != already && disabled.contains(replacement) {
                    return Err(Reason::ReplacementDisabled);
                }
                member.roles.insert(replacement.clone(), gets);
            }
            org_model.members.retain(|_, member| !member.roles.is_empty());
            for rule in org_model.domains.values_mut() {
                if !rule.roles.remove(&deleted) {
                    continue;
                }
                if replacement.as_ref().is_some_and(|replacement| disabled.contains(replacement)) {
                    return Err(Reason::ReplacementDisabled);
                }
                rule.roles.extend(replacement.clone());
            }
            for invitation in org_model.invitations.values_mut().filter(|it| it.roles.contains(&deleted)) {
                let gets = replacement.as_ref().filter(|role| !invitation.roles.contains(*role));
                if !invitation.has_expired(now) && gets.is_some_and(|role| disabled.contains(role)) {
                    return Err(Reason::ReplacementDisabled);
                }
                invitation.roles.remove(&deleted);
                invitation.roles.extend(replacement.clone());
            }
            org_model.invitations.retain(|_, invitation| !invitation.roles.is_empty());
        }
        self.roles.retain(|(name, _)| *name != deleted);
        self.manages.remove(&deleted);
        self.manages.values_mut().for_each(|managed| {
            managed.remove(&deleted);
        });
        self.manages.retain(|_, managed| !managed.is_empty());
        for mapping in self.mappings.values_mut() {
            mapping.disabled.remove(&deleted);
            mapping.grants.remove(&deleted);
        }
        self.role_sets = None;
        Ok(Answer::Deleted(holders))
    }

    /// Returns the role if it can be a default role (R5).
    pub(super) fn suitable(&self, wanted: &str) -> Result<String, Reason> {
        let name = self.role(wanted)?;
        let disabled = self.mappings.values().any(|mapping| mapping.disabled.contains(&name));
        if disabled || self.is_internal(&name) { Err(Reason::DefaultRoleUnsuitable) } else { Ok(name) }
    }
}
