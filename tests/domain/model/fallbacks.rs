//! Strategies for roles that become disabled for their holders (M7).

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::commands::command::OnDisabled;
use rolecall::domain::model::membership::Origin;
use rolecall::domain::{Reason, RoleName, Time};

use super::{Member, OrgModel, ProjectModel, RoleRecord, Roles};

impl Member {
    /// Returns the first enabled fallback role in the chain of a suspended role.
    pub(super) fn fallback_of(&self, role: &str, disabled: &BTreeSet<String>) -> Option<String> {
        let mut fallback_role = self.fallbacks.get(role)?;
        let mut steps = 0;
        while disabled.contains(fallback_role) {
            fallback_role = self.fallbacks.get(fallback_role)?;
            steps += 1;
            assert!(steps < 100, "a cycle of fallback roles: {self:?}");
        }
        Some(fallback_role.clone())
    }

    /// Returns true if the member has the role as a fallback, even if the fallback is itself disabled.
    pub(super) fn has_fallback(&self, role: &str, now: Time) -> bool {
        self.fallbacks_in_use(now).values().any(|fallback_role| fallback_role == role)
    }

    /// Returns the fallback roles in the chains of all roles held.
    fn fallbacks_in_use(&self, now: Time) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for role in self.roles.keys().filter(|role| self.holds(role, now)) {
            let mut role = role.clone();
            while let Some(fallback_role) = self.fallbacks.get(&role) {
                if found.insert(role, fallback_role.clone()).is_some() {
                    break;
                }
                role = fallback_role.clone();
            }
        }
        found
    }

    pub(super) fn drop_unused_fallbacks(&mut self, disabled: &BTreeSet<String>, now: Time) {
        self.fallbacks = self.fallbacks_in_use(now);
        self.fallbacks.retain(|role, _| disabled.contains(role));
    }
}

/// A strategy with current role names.
enum Strategy {
    Reject,
    Remap { replacements: BTreeMap<String, String>, default_replacement: Option<String> },
    Suspend { fallback_role: Option<String> },
}

impl ProjectModel {
    /// M7.d: removes the fallback roles of enabled roles.
    pub(super) fn drop_fallbacks_of_enabled_roles(&mut self) {
        for org_model in self.orgs.values_mut() {
            let disabled = &self.mappings[&org_model.mapping].disabled;
            for member in org_model.members.values_mut() {
                member.fallbacks.retain(|role, _| disabled.contains(role));
            }
        }
    }

    /// Resolves the names of a strategy. Refuses roles that do not suit the resulting mapping.
    fn strategy(&self, on_disabled: &OnDisabled, mapping: &str) -> Result<Strategy, Reason> {
        let target = |name: &RoleName| {
            let role = self.role(name.as_str())?;
            let disabled = self.mappings[mapping].disabled.contains(&role);
            if disabled { Err(Reason::RoleDisabled) } else { Ok(role) }
        };
        Ok(match on_disabled {
            OnDisabled::Reject => Strategy::Reject,
            OnDisabled::Remap { replacements, default_replacement } => {
                let mut map = BTreeMap::new();
                for (role, to) in replacements {
                    let (role, to) = (self.role(role.as_str())?, target(to)?);
                    if role == to {
                        return Err(Reason::Contradiction);
                    }
                    if self.is_internal(&role) != self.is_internal(&to) {
                        return Err(Reason::ReplacementUnsuitable);
                    }
                    if map.insert(role, to).is_some() {
                        return Err(Reason::Contradiction);
                    }
                }
                let default_replacement = match default_replacement {
                    Some(role) => Some(target(role)?),
                    None => None,
                };
                Strategy::Remap { replacements: map, default_replacement }
            }
            OnDisabled::Suspend { fallback_role: None } => Strategy::Suspend { fallback_role: None },
            OnDisabled::Suspend { fallback_role: Some(role) } => {
                let role = target(role)?;
                if self.is_internal(&role) {
                    return Err(Reason::ReplacementUnsuitable);
                }
                Strategy::Suspend { fallback_role: Some(role) }
            }
        })
    }

    /// Refuses a strategy with unsuitable roles, even if it applies to no member.
    pub(super) fn validate_strategy(&self, on_disabled: &OnDisabled, mapping: &str) -> Result<(), Reason> {
        self.strategy(on_disabled, mapping).map(|_| ())
    }

    /// Applies the strategy to the members for whom a change, already made, disables roles (M7). `mapping` is the
    /// resulting mapping.
    pub(super) fn apply_strategy(
        &mut self,
        before: &ProjectModel,
        on_disabled: &OnDisabled,
        mapping: &str,
        now: Time,
    ) -> Result<(), Reason> {
        let strategy = self.strategy(on_disabled, mapping)?;
        let mut orgs = self.orgs.clone();
        for (id, org_model) in &mut orgs {
            let was = &before.mappings[&before.orgs[id].mapping].disabled;
            let is = &self.mappings[&org_model.mapping].disabled;
            let mut suspended = BTreeMap::new();
            for member in org_model.members.values_mut() {
                suspended.extend(self.apply_to_member(member, &strategy, was, is, now)?);
            }
            // The fallback roles are those of the org. They count for an expired role too, if the clock goes back.
            for member in org_model.members.values_mut() {
                member.fallbacks.extend(suspended.clone());
            }
            let is_remap = matches!(strategy, Strategy::Remap { .. });
            if is_remap && is.iter().any(|role| !was.contains(role)) {
                org_model.settle_expired(now);
            }
            for invitation in org_model.invitations.values_mut().filter(|invitation| !invitation.has_expired(now)) {
                let mut joining = invitation.as_member();
                self.apply_to_member(&mut joining, &strategy, was, is, now)?;
                invitation.roles = joining.roles.into_keys().collect();
            }
            for rule in org_model.domains.values_mut() {
                let roles = rule
                    .roles
                    .iter()
                    .map(|role| (role.clone(), RoleRecord { expire_time: None, origin: Origin::Domain }));
                let mut joining = Member { roles: roles.collect(), ..Member::default() };
                self.apply_to_member(&mut joining, &strategy, was, is, now)?;
                rule.roles = joining.roles.into_keys().collect();
            }
        }
        // How many role sets are kept after members got others is not specified.
        if matches!(strategy, Strategy::Remap { .. }) && orgs != self.orgs {
            self.role_sets = None;
        }
        self.orgs = orgs;
        Ok(())
    }

    /// Returns the fallback roles of the roles that are suspended.
    fn apply_to_member(
        &self,
        member: &mut Member,
        strategy: &Strategy,
        was: &BTreeSet<String>,
        is: &BTreeSet<String>,
        now: Time,
    ) -> Result<BTreeMap<String, String>, Reason> {
        // An enabled role needs no fallback role.
        member.fallbacks.retain(|role, _| is.contains(role));
        let turns = |role: &String| !was.contains(role) && is.contains(role);
        let own: BTreeSet<String> = member.roles.keys().filter(|role| member.holds(role, now)).cloned().collect();
        let mut affected: BTreeSet<String> = own.iter().filter(|role| turns(role)).cloned().collect();
        // Fallback roles held until now: the first enabled one in each chain.
        for role in own.iter().filter(|role| is.contains(*role)) {
            let mut role = role.clone();
            while let Some(fallback_role) = member.fallbacks.get(&role).cloned() {
                if turns(&fallback_role) {
                    affected.insert(fallback_role.clone());
                }
                if !is.contains(&fallback_role) {
                    break;
                }
                role = fallback_role;
            }
        }
        if affected.is_empty() {
            return Ok(BTreeMap::new());
        }
        match strategy {
            Strategy::Reject => Err(Reason::RolesWouldBeDisabled),
            Strategy::Suspend { fallback_role } => {
                let Some(fallback_role) = fallback_role else { return Ok(BTreeMap::new()) };
                let visible = affected.into_iter().filter(|role| !self.is_internal(role));
                Ok(visible.map(|role| (role, fallback_role.clone())).collect())
            }
            Strategy::Remap { replacements, default_replacement } => {
                let mut to = BTreeMap::new();
                for role in &affected {
                    let internal = self.is_internal(role);
                    let default_replacement =
                        default_replacement.as_ref().filter(|other| self.is_internal(other) == internal);
                    let target = replacements.get(role).or(default_replacement).ok_or(Reason::RolesWouldBeDisabled)?;
                    to.insert(role.clone(), target.clone());
                }
                for fallback_role in member.fallbacks.values_mut() {
                    if let Some(target) = to.get(fallback_role) {
                        *fallback_role = target.clone();
                    }
                }
                if own.iter().any(|role| to.contains_key(role)) {
                    member.roles = remapped(&member.roles, &to, now);
                    member.origin = Origin::Migration;
                }
                Ok(BTreeMap::new())
            }
        }
    }

    /// Returns the org as acting users know it (I2, I4): without internal roles and internal members.
    pub(super) fn without_internal_roles(&self, org_model: &OrgModel) -> OrgModel {
        let mut org_model = org_model.clone();
        for member in org_model.members.values_mut() {
            member.roles.retain(|role, _| !self.is_internal(role));
        }
        org_model.members.retain(|_, member| !member.roles.is_empty());
        let visible = |role: &String| !self.is_internal(role);
        org_model.invitations.retain(|_, invitation| invitation.roles.iter().all(visible));
        org_model
    }
}

/// Replaces roles all at once. If two become the same role, the later expiry applies; no expiry is the latest.
fn remapped(roles: &Roles, to: &BTreeMap<String, String>, now: Time) -> Roles {
    let held = |given: &RoleRecord| given.expire_time.is_none_or(|expire_time| expire_time > now);
    let mut after: Roles = Roles::new();
    for (role, given) in roles.iter().filter(|(role, _)| !to.contains_key(*role)) {
        after.insert(role.clone(), *given);
    }
    for (role, given) in roles.iter().filter(|(_, given)| held(given)) {
        let Some(target) = to.get(role) else { continue };
        let added = match after.get(target).filter(|present| held(present)) {
            Some(present) => RoleRecord {
                expire_time: present.expire_time.zip(given.expire_time).map(|(one, other)| one.max(other)),
                ..*present
            },
            None => RoleRecord { expire_time: given.expire_time, origin: Origin::Migration },
        };
        after.insert(target.clone(), added);
    }
    after
}
