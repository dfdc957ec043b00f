//! Makes users members by the domains of their addresses (J2, J3).

use std::collections::BTreeSet;

use crate::domain::commands::command::ProvisionMember;
use crate::domain::commands::draft::Draft;
use crate::domain::commands::membership::removal;
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::role_set;
use crate::domain::model::id::RoleId;
use crate::domain::model::membership::{MembershipRecord, Origin, TemporaryRole, origins};
use crate::domain::model::name::RoleName;
use crate::domain::model::project::RoleStructure;
use crate::domain::model::refusal::Refusal;
use crate::domain::model::role_set::RoleSet;
use crate::domain::rules::owners::check_owner;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::change::{Change, Edit, MembershipKey};
use crate::domain::state::project::Project;

pub fn provision(draft: &mut Draft<'_>, command: &ProvisionMember) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.org_id)?;
    if !command.email_verified {
        return Err(Refusal::EmailNotVerified { rule: "J2" });
    }
    let user = &command.user_id;
    if project.is_user_blocked(user) {
        return Err(Refusal::UserNotAvailable(user.clone()));
    }
    let rule = org.domains().iter().find(|rule| rule.domain.as_str() == command.email.domain());
    let rule = rule.ok_or_else(|| Refusal::DomainNotListed { domain: command.email.domain().into() })?;
    if !rule.verified {
        return Err(Refusal::DomainNotVerified { domain: rule.domain.clone() });
    }
    let default_role = [project.record.default_role];
    let named = match project.domain_roles(rule) {
        [] => &default_role,
        named => named,
    };
    let mapping = project.role_mappings.get(org.record.role_mapping);
    let enabled = |role: &RoleId| mapping.is_some_and(|mapping| mapping.enabled(*role));
    let (given, skipped): (Vec<RoleId>, Vec<RoleId>) = named.iter().copied().partition(enabled);
    if given.is_empty() {
        return Err(Refusal::NoEnabledRole { domain: rule.domain.clone() });
    }
    let record = project.membership(org, user);
    let is_member = record.as_ref().and_then(|record| project.recorded_in(record));
    let is_member = is_member.is_some_and(|recorded| recorded.held(draft.now()).next().is_some());
    // Also a user who still holds internal roles here.
    if project.was_removed(org, user) && !command.allow_provisioning {
        return Err(Refusal::RemovedBefore(user.clone()));
    }
    let after = match &record {
        Some(record) if is_member && rule.apply_to_existing => again(draft, &project, record, &given)?,
        Some(record) if is_member => record.clone(),
        _ => new_member(draft, &project, given)?,
    };
    let changed = record.as_ref() != Some(&after);
    if changed {
        let key = MembershipKey { project: project.id, org: org.no, user: user.clone() };
        draft.edit(Change::Membership(Edit { key, before: record, after: Some(after.clone()) }));
        removal::forget(draft, &project, org, user);
    }
    let latest = draft.latest(&project)?;
    let org_after = latest.org_numbered(org.no).ok_or(Refusal::Bug)?;
    if changed && is_member && project.has_owner(org) {
        check_owner(&latest, org_after, draft.now())?;
    }
    let member = latest.member(org_after, user, &after, Visibility::All, draft.now());
    let skipped: Vec<RoleName> =
        project.in_role_order(&skipped).into_iter().map(|role| project.role_name(role)).collect();
    Ok(Outcome::Provisioned(member, skipped))
}

fn new_member(draft: &mut Draft<'_>, project: &Project, given: Vec<RoleId>) -> Result<MembershipRecord, Refusal> {
    let role_set = role_set::intern(draft, project.id, RoleSet::new(given))?;
    Ok(MembershipRecord { role_set, origin: Origin::Domain, temporary: [].into(), origins: [].into() })
}

/// Returns the record of a member to whom the domain applies again (J2.c). MULTI_ROLE adds the roles. SINGLE_ROLE
/// replaces a permanent role that came from a domain.
fn again(
    draft: &mut Draft<'_>,
    project: &Project,
    before: &MembershipRecord,
    given: &[RoleId],
) -> Result<MembershipRecord, Refusal> {
    let Some(recorded) = project.recorded_in(before) else { return Ok(before.clone()) };
    let now = draft.now();
    let held: BTreeSet<RoleId> = recorded.held(now).collect();
    let from_domain =
        |role: RoleId| recorded.expiry(role).is_none() && before.origin_of(role, recorded.set) == Origin::Domain;
    let kept: BTreeSet<RoleId> = match project.record.role_structure {
        RoleStructure::MultiRole => held.clone(),
        RoleStructure::SingleRole if held.iter().any(|&role| from_domain(role)) => {
            held.iter().copied().filter(|&role| !from_domain(role)).collect()
        }
        RoleStructure::SingleRole => return Ok(before.clone()),
    };
    let all: BTreeSet<RoleId> = kept.iter().chain(given).copied().collect();
    if all == held {
        return Ok(before.clone());
    }
    if project.record.role_structure == RoleStructure::MultiRole {
        draft.check_limit("member_roles", draft.limits().member_roles, all.len())?;
    }
    let single = project.record.role_structure == RoleStructure::SingleRole;
    // In SINGLE_ROLE the domain gives the permanent role, even if the member held that role for a time.
    let stays = |role: RoleId| kept.contains(&role) && !(single && given.contains(&role));
    let temporary: Vec<TemporaryRole> =
        before.temporary.iter().copied().filter(|temporary| stays(temporary.role)).collect();
    let origin_of = |role| if stays(role) { before.origin_of(role, recorded.set) } else { Origin::Domain };
    let origins = origins(all.iter().map(|&role| (role, origin_of(role))), Origin::Domain);
    let role_set = role_set::intern(draft, project.id, RoleSet::new(all))?;
    Ok(MembershipRecord { role_set, origin: Origin::Domain, temporary: temporary.into(), origins })
}
