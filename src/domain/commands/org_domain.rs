//! Sets and verifies the e-mail domains of orgs (J1), also for an acting user (G1).

use std::collections::BTreeMap;

use crate::domain::commands::command::{NewOrgDomain, SetOrgDomains, VerifyOrgDomain};
use crate::domain::commands::draft::Draft;
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::role_set;
use crate::domain::model::email::EmailDomain;
use crate::domain::model::id::{RoleId, RoleSetId};
use crate::domain::model::org_domain::{OrgDomain, OrgDomains, is_public};
use crate::domain::model::permission::{CAN_EDIT_ORG_ACCESS, CAN_INVITE};
use crate::domain::model::project::RoleStructure;
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::model::role_set::RoleSet;
use crate::domain::rules::delegation::Acting;
use crate::domain::state::change::{Change, Edit, Scoped};
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// Replaces all domains of an org. A domain that it lists already stays verified or unverified.
pub fn set(draft: &mut Draft<'_>, command: &SetOrgDomains) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.org_id)?;
    let user = draft.acting_user();
    let acting = Acting::with_ability(&project, org, user.as_ref(), CAN_EDIT_ORG_ACCESS, draft.now())?;
    draft.check_limit("org_domains", draft.limits().org_domains, command.domains.len())?;
    let mut rules: BTreeMap<&EmailDomain, OrgDomain> = BTreeMap::new();
    for (at, given) in command.domains.iter().enumerate() {
        if is_public(&given.domain) {
            return Err(Refusal::PublicDomain { at, domain: given.domain.clone() });
        }
        if rules.contains_key(&given.domain) {
            return Err(Refusal::RepeatedDomain { at, domain: given.domain.clone() });
        }
        let before = org.domains().iter().find(|rule| rule.domain == given.domain);
        let role_set = given_roles(draft, &project, org, at, given, before, acting.as_ref())?;
        let verified = before.map_or(acting.is_none(), |before| before.verified);
        let rule =
            OrgDomain { domain: given.domain.clone(), role_set, verified, apply_to_existing: given.apply_to_existing };
        rules.insert(&given.domain, rule);
    }
    replace(draft, &project, org, rules.into_values().collect());
    answer(draft, &project, org)
}

/// Returns the set of the roles that a domain gives. `None` is the default role.
fn given_roles(
    draft: &mut Draft<'_>,
    project: &Project,
    org: &Org,
    at: usize,
    given: &NewOrgDomain,
    before: Option<&OrgDomain>,
    acting: Option<&Acting<'_>>,
) -> Result<Option<RoleSetId>, Refusal> {
    let mut roles: Vec<RoleId> = Vec::with_capacity(given.roles.len());
    for name in &given.roles {
        let role = project.role(name)?;
        if !project.is_visible(role) {
            // An acting user does not know internal roles (G4).
            return Err(match acting {
                Some(_) => Refusal::NotFound(Noun::Role, name.to_string()),
                None => Refusal::InternalRole { role: name.clone() },
            });
        }
        if roles.contains(&role) {
            return Err(Refusal::RepeatedDomainRole { at, role: name.clone() });
        }
        roles.push(role);
    }
    match project.record.role_structure {
        RoleStructure::SingleRole if roles.len() > 1 => return Err(Refusal::TooManyDomainRoles { at }),
        RoleStructure::SingleRole => {}
        RoleStructure::MultiRole => draft.check_limit("member_roles", draft.limits().member_roles, roles.len())?,
    }
    let named = before.map_or(&[][..], |rule| project.domain_roles(rule));
    let mut new: Vec<RoleId> = roles.iter().copied().filter(|role| !named.contains(role)).collect();
    let is_new = before.is_none_or(|rule| !rule.apply_to_existing && given.apply_to_existing);
    if let Some(acting) = acting {
        // The roles that a new rule gives, the default role included.
        if is_new {
            new.clone_from(&roles);
        }
        if roles.is_empty() && (is_new || !named.is_empty()) {
            new.push(project.record.default_role);
        }
        new.iter().try_for_each(|&role| acting.check_give(CAN_INVITE, role, None))?;
    }
    project.check_enabled(org, new.iter().copied().filter(|role| !named.contains(role)))?;
    let set = RoleSet::new(roles);
    if let Some(before) = before.and_then(|rule| rule.role_set)
        && project.role_sets.get(before).is_some_and(|recorded| recorded.roles == set.roles)
    {
        return Ok(Some(before));
    }
    if set.roles.is_empty() { Ok(None) } else { role_set::intern(draft, project.id, set).map(Some) }
}

/// Verifies a domain, so that users can join by it.
pub fn verify(draft: &mut Draft<'_>, command: &VerifyOrgDomain) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.org_id)?;
    let mut rules = org.domains().to_vec();
    let rule = rules.iter_mut().find(|rule| rule.domain == command.domain);
    rule.ok_or_else(|| Refusal::NotFound(Noun::OrgDomain, command.domain.to_string()))?.verified = true;
    replace(draft, &project, org, rules);
    answer(draft, &project, org)
}

/// Replaces the domains of an org.
pub fn replace(draft: &mut Draft<'_>, project: &Project, org: &Org, rules: Vec<OrgDomain>) {
    if rules != org.domains() {
        let key = Scoped { project: project.id, id: org.no };
        let after: Option<OrgDomains> = (!rules.is_empty()).then(|| rules.into());
        draft.edit(Change::OrgDomains(Edit { key, before: org.domains.clone(), after }));
    }
}

/// Returns the domains after the write.
fn answer(draft: &Draft<'_>, project: &Project, org: &Org) -> Result<Outcome, Refusal> {
    let project = draft.latest(project)?;
    let org = project.org_numbered(org.no).ok_or(Refusal::Bug)?;
    Ok(Outcome::OrgDomains(project.shown_domains(org)))
}
