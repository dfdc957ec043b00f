//! Converts the role structure (P5).

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::commands::command::ConvertRoleStructure;
use rolecall::domain::model::membership::Origin;
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::{Reason, Time};
use rolecall::limits::Limits;

use super::members::expired;
use super::{Answer, Member, ProjectModel, Roles, at_most, fresh};

impl ProjectModel {
    /// Returns the roles that each role manages in SINGLE_ROLE (G2): the visible roles below it. The highest visible
    /// role manages itself as well.
    pub(super) fn managed_by_order(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut managed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let highest =
            self.roles.iter().find(|(_, details)| !details.built_in_or_internal).map(|(name, _)| name.clone());
        for (at, (name, _)) in self.roles.iter().enumerate() {
            let mut below = BTreeSet::new();
            for (other, details) in &self.roles[at + 1..] {
                if !details.built_in_or_internal {
                    below.insert(other.clone());
                }
            }
            if highest.as_ref() == Some(name) {
                below.insert(name.clone());
            }
            if !below.is_empty() {
                managed.insert(name.clone(), below);
            }
        }
        managed
    }

    /// P5.
    pub(super) fn convert(
        &mut self,
        command: &ConvertRoleStructure,
        now: Time,
        limits: &Limits,
    ) -> Result<Answer, Reason> {
        fresh(&command.etag)?;
        if self.structure == command.to {
            return Err(Reason::WrongRoleStructure);
        }
        let before = self.clone();
        match command.to {
            RoleStructure::MultiRole => {
                self.manages = self.managed_by_order();
                at_most(limits.managed_roles, self.manages.values().map(BTreeSet::len).sum())?;
            }
            RoleStructure::SingleRole => {
                self.roles = self.ordered(&command.order)?;
                self.manages.clear();
                for (id, org_model) in &before.orgs {
                    let preferred = self.preferred(&before.mappings[&org_model.mapping].disabled);
                    let kept = self.orgs.get_mut(id).expect("conversion keeps orgs");
                    for rule in kept.domains.values_mut() {
                        rule.roles =
                            preferred.iter().find(|role| rule.roles.contains(*role)).cloned().into_iter().collect();
                    }
                    for invitation in kept.invitations.values_mut() {
                        let kept_role = preferred.iter().find(|role| invitation.roles.contains(*role));
                        invitation.roles = kept_role.cloned().into_iter().collect();
                    }
                    let members = &mut kept.members;
                    for (user, member) in &org_model.members {
                        let Some(roles) = converted_roles(&preferred, member, now) else { continue };
                        let fallbacks = member.fallbacks.clone();
                        members.insert(user.clone(), Member { roles, origin: Origin::Migration, fallbacks });
                    }
                }
                self.role_sets = None;
            }
        }
        self.structure = command.to;
        if !command.allow_ownerless {
            self.require_owners(&before, now)?;
        }
        Ok(Answer::Project(command.project.to_string()))
    }

    /// Returns all roles in order of preference (P5.c): enabled visible, visible, internal, each from the highest.
    fn preferred(&self, disabled: &BTreeSet<String>) -> Vec<String> {
        let mut preferred = Vec::new();
        for wanted in [[true, true], [false, true], [true, false], [false, false]] {
            for (name, details) in &self.roles {
                let internal = details.built_in_or_internal;
                let enabled = !disabled.contains(name);
                // Whether an internal role is enabled does not matter.
                let kind = if internal { [true, false] } else { [enabled, true] };
                if kind == wanted {
                    preferred.push(name.clone());
                }
            }
        }
        preferred
    }
}

/// Returns the permanent and the temporary role that a member keeps. `None` if nothing changes.
fn converted_roles(preferred: &[String], member: &Member, now: Time) -> Option<Roles> {
    let best = |fits: &dyn Fn(&super::RoleRecord) -> bool| {
        preferred.iter().find(|role| member.roles.get(*role).is_some_and(fits))
    };
    let permanent = best(&|given| given.expire_time.is_none());
    let temporary = best(&|given| given.expire_time.is_some() && !expired(given, now));
    let place = |role: &String| preferred.iter().position(|other| other == role);
    let temporary = temporary.filter(|temporary| permanent.is_none_or(|permanent| place(temporary) < place(permanent)));
    let expired_role = if permanent.is_none() && temporary.is_none() { best(&|_| true) } else { None };
    let kept: BTreeSet<&String> = permanent.into_iter().chain(temporary).chain(expired_role).collect();
    if kept.len() == member.roles.len() {
        return None;
    }
    Some(
        member
            .roles
            .iter()
            .filter(|(role, _)| kept.contains(role))
            .map(|(role, given)| (role.clone(), *given))
            .collect(),
    )
}
