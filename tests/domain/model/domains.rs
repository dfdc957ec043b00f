//! E-mail domains of orgs and joining by them (J1 to J3).

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::commands::command::{ProvisionMember, SetOrgDomains, VerifyOrgDomain};
use rolecall::domain::model::membership::Origin;
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::{Reason, Time};
use rolecall::limits::Limits;

use super::delegation::lasts_as_long;
use super::{Answer, Member, ProjectModel, RoleRecord, Roles, at_most};

#[derive(Clone, Debug, PartialEq)]
pub struct DomainModel {
    /// Empty: the default role.
    pub roles: BTreeSet<String>,
    pub verified: bool,
    pub apply_to_existing: bool,
}

impl ProjectModel {
    pub(super) fn set_domains(
        &mut self,
        acting: Option<&str>,
        command: &SetOrgDomains,
        now: Time,
        limits: &Limits,
    ) -> Result<Answer, Reason> {
        let org = command.org_id.to_string();
        let org_model = self.orgs.get(&org).ok_or(Reason::OrgNotFound)?.clone();
        if let Some(acting) = acting {
            self.require_roles_granting(acting, &org, "rolecall::can_edit_org_access", now)?;
        }
        at_most(limits.org_domains, command.domains.len())?;
        let mut domains: BTreeMap<String, DomainModel> = BTreeMap::new();
        for given in &command.domains {
            if domains.contains_key(given.domain.as_str()) {
                return Err(Reason::RepeatedDomain);
            }
            let before = org_model.domains.get(given.domain.as_str());
            let mut roles = BTreeSet::new();
            let mut ordered = Vec::new();
            for name in &given.roles {
                let role = self.role(name.as_str())?;
                if self.is_internal(&role) {
                    return Err(if acting.is_some() { Reason::RoleNotFound } else { Reason::RoleInternal });
                }
                if !roles.insert(role.clone()) {
                    return Err(Reason::RepeatedRole);
                }
                ordered.push(role);
            }
            match self.structure {
                RoleStructure::SingleRole if roles.len() > 1 => return Err(Reason::TooManyRoles),
                RoleStructure::SingleRole => {}
                RoleStructure::MultiRole => at_most(limits.member_roles, roles.len())?,
            }
            let named = before.map(|before| before.roles.clone()).unwrap_or_default();
            let new_roles: Vec<String> = ordered.iter().filter(|role| !named.contains(*role)).cloned().collect();
            if let Some(acting) = acting {
                let wider = before.is_none_or(|before| given.apply_to_existing && !before.apply_to_existing);
                let mut concerned = if wider { ordered.clone() } else { new_roles.clone() };
                if roles.is_empty() && (wider || !named.is_empty()) {
                    concerned.push(self.default_role.clone());
                }
                for role in concerned {
                    let inviting = self.require_roles_granting(acting, &org, "rolecall::can_invite", now)?;
                    let covering: Vec<_> = inviting.iter().filter(|it| self.scope(&it.role).contains(&role)).collect();
                    if covering.is_empty() {
                        return Err(Reason::RoleOutOfScope);
                    }
                    if !covering.iter().any(|it| lasts_as_long(it.expire_time, None)) {
                        return Err(Reason::OutlastsGranter);
                    }
                }
            }
            let disabled = &self.mappings[&org_model.mapping].disabled;
            if new_roles.iter().any(|role| disabled.contains(role)) {
                return Err(Reason::RoleDisabled);
            }
            if !roles.is_empty() && roles != named {
                self.count_domain_set(&roles, limits)?;
            }
            let verified = before.map_or(acting.is_none(), |before| before.verified);
            let rule = DomainModel { roles, verified, apply_to_existing: given.apply_to_existing };
            domains.insert(given.domain.to_string(), rule);
        }
        self.orgs.get_mut(&org).expect("it exists").domains = domains;
        Ok(self.domains(&org))
    }

    pub(super) fn verify_domain(&mut self, command: &VerifyOrgDomain) -> Result<Answer, Reason> {
        let org = command.org_id.to_string();
        let org_model = self.orgs.get_mut(&org).ok_or(Reason::OrgNotFound)?;
        let rule = org_model.domains.get_mut(command.domain.as_str());
        rule.ok_or(Reason::OrgDomainNotFound)?.verified = true;
        Ok(self.domains(&org))
    }

    fn domains(&self, org: &str) -> Answer {
        Answer::Domains(self.orgs[org].domains.clone())
    }

    fn count_domain_set(&mut self, roles: &BTreeSet<String>, limits: &Limits) -> Result<(), Reason> {
        let record = RoleRecord { expire_time: None, origin: Origin::Domain };
        self.count_set(&roles.iter().map(|role| (role.clone(), record)).collect(), limits)
    }

    pub(super) fn provision(
        &mut self,
        command: &ProvisionMember,
        now: Time,
        limits: &Limits,
    ) -> Result<Answer, Reason> {
        let (org, user) = (command.org_id.to_string(), command.user_id.to_string());
        let org_model = self.orgs.get(&org).ok_or(Reason::OrgNotFound)?.clone();
        if !command.email_verified {
            return Err(Reason::EmailNotVerified);
        }
        if self.is_blocked(&user) {
            return Err(Reason::UserNotAvailable);
        }
        let rule = org_model.domains.get(command.email.domain()).ok_or(Reason::DomainNotListed)?;
        if !rule.verified {
            return Err(Reason::DomainNotVerified);
        }
        let disabled = &self.mappings[&org_model.mapping].disabled;
        let default_role = BTreeSet::from([self.default_role.clone()]);
        let named = if rule.roles.is_empty() { &default_role } else { &rule.roles };
        let given: BTreeSet<String> = named.iter().filter(|role| !disabled.contains(*role)).cloned().collect();
        let skipped: BTreeSet<String> = named.iter().filter(|role| disabled.contains(*role)).cloned().collect();
        if given.is_empty() {
            return Err(Reason::NoEnabledRole);
        }
        if org_model.removed.contains(&user) && !command.allow_provisioning {
            return Err(Reason::RemovedBefore);
        }
        let before = self.clone();
        let new = RoleRecord { expire_time: None, origin: Origin::Domain };
        let recorded = org_model.members.get(&user).cloned();
        let member = recorded.clone().filter(|member| member.is_member(now));
        let after: Option<Roles> = match &member {
            None => Some(given.iter().map(|role| (role.clone(), new)).collect()),
            Some(_) if !rule.apply_to_existing => None,
            Some(member) => {
                let mut roles = member.roles.clone();
                roles.retain(|role, _| member.holds(role, now));
                let held = roles.clone();
                if self.structure == RoleStructure::SingleRole {
                    let by_domain = |it: &RoleRecord| it.expire_time.is_none() && it.origin == Origin::Domain;
                    if roles.values().any(by_domain) {
                        roles.retain(|_, it| !by_domain(it));
                        roles.extend(given.iter().map(|role| (role.clone(), new)));
                    }
                } else {
                    given.iter().for_each(|role| {
                        roles.entry(role.clone()).or_insert(new);
                    });
                }
                let same = roles.keys().eq(held.keys());
                if !same && self.structure == RoleStructure::MultiRole {
                    at_most(limits.member_roles, roles.len())?;
                }
                (!same).then_some(roles)
            }
        };
        if let Some(roles) = after {
            self.count_set(&roles, limits)?;
            let org_model = self.orgs.get_mut(&org).expect("it exists");
            org_model.removed.remove(&user);
            let fallbacks = recorded.map(|member| member.fallbacks).unwrap_or_default();
            org_model.members.insert(user.clone(), Member { roles, origin: Origin::Domain, fallbacks });
            if member.is_some() {
                self.require_owners(&before, now)?;
            }
        }
        let org_model = &self.orgs[&org];
        let member = &org_model.members[&user];
        let roles = self.member_roles(org_model, member, now);
        Ok(Answer::Provisioned { user, roles, origin: Some(member.origin), skipped })
    }
}
