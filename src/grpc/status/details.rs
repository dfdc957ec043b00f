//! The details of refusals.

use tonic::Code;
use tonic_types::ErrorDetails;

use super::code;
use super::names::Names;
use crate::domain::Refusal;
use crate::domain::commands::call::{LOCAL, SYSTEM};
use crate::domain::model::project::{BOOTSTRAP, WORKSPACE};
use crate::domain::model::refusal::Noun;
use crate::limits::{VIOLATIONS_BYTES_MAX, VIOLATIONS_MAX};
use crate::wire::{ErrorReason, timestamp};

/// Adds the details of a refusal. `row_path` is the path of the refused row. Empty for no row.
pub fn add(details: &mut ErrorDetails, refusal: &Refusal, names: &Names<'_>, row_path: &str, description: String) {
    let reason = ErrorReason::from(refusal.reason());
    let subject = row_path.trim_end_matches('.').to_string();
    match refusal {
        Refusal::NotFound(noun, name)
        | Refusal::AlreadyExists(noun, name)
        | Refusal::AliasOf { noun, name, .. }
        | Refusal::Retired(noun, name) => {
            // There is only one ResourceInfo. It names the first row, as the message does.
            if details.resource_info().is_none() {
                details.set_resource_info(resource(*noun), name.clone(), "", description.clone());
            }
            if !row_path.is_empty() {
                details.add_bad_request_violation(subject, description);
            }
        }
        Refusal::LimitExceeded { limit, max, asked } => {
            let place = if subject.is_empty() { String::new() } else { format!("`{subject}`: ") };
            details.add_quota_failure_violation(*limit, format!("{place}{asked} asked for, {max} allowed"));
        }
        _ if code(reason) == Code::FailedPrecondition && !subject.is_empty() => {
            details.add_precondition_failure_violation(reason.as_str_name(), subject, description);
        }
        _ if code(reason) == Code::FailedPrecondition => preconditions(details, reason, refusal, names, &description),
        // The metadata says what is stored now, or what is missing.
        _ if matches!(code(reason), Code::Aborted | Code::PermissionDenied) => {}
        _ => {
            details.add_bad_request_violation(format!("{row_path}{}", field(refusal, names)), description);
        }
    }
}

/// Returns the metadata: the numbers of a refusal, and what the caller needs to try again.
pub fn metadata(refusal: &Refusal) -> Vec<(&'static str, String)> {
    match refusal {
        Refusal::EtagMismatch { now } => vec![("etag", now.clone())],
        Refusal::ImpactChanged { now } => vec![("impact_digest", now.clone())],
        Refusal::ActingUserBlocked(user) | Refusal::ActingUserNotAMember(user) => vec![("user_id", user.to_string())],
        Refusal::ActingUserMissingPermission { permission } | Refusal::ViewerMissingPermission { permission } => {
            vec![("permission", permission.to_string())]
        }
        Refusal::RoleOutOfScope { role, permission } => {
            vec![("role", role.to_string()), ("permission", permission.to_string())]
        }
        Refusal::ExceedsCaller { permission } => vec![("permission", permission.to_string())],
        Refusal::ApiKeyOutlasts { expire_time } => vec![("expire_time_max", timestamp(*expire_time).to_string())],
        Refusal::OutlastsGranter { role, expire_time } => {
            vec![("role", role.to_string()), ("expire_time_max", timestamp(*expire_time).to_string())]
        }
        Refusal::ProjectHasOrgs { orgs } | Refusal::RoleMappingInUse { orgs, .. } | Refusal::LastOwner { orgs, .. } => {
            vec![("orgs", orgs.to_string())]
        }
        Refusal::RoleInUse { members, invitations, domains, .. } => {
            let counts = [("members", members), ("invitations", invitations), ("domains", domains)];
            counts.map(|(name, count)| (name, count.to_string())).into()
        }
        Refusal::ReplacementDisabled { disabled_in, .. } => {
            let members: u64 = disabled_in.iter().map(|(_, members)| members).sum();
            vec![("members", members.to_string())]
        }
        Refusal::RolesWouldBeDisabled { members, invitations, domains, orgs, .. } => {
            let counts = [("members", members), ("invitations", invitations), ("domains", domains), ("orgs", orgs)];
            counts.map(|(name, count)| (name, count.to_string())).into()
        }
        _ => vec![],
    }
}

/// Returns the request field with the refused value.
fn field(refusal: &Refusal, names: &Names<'_>) -> String {
    match refusal {
        Refusal::RepeatedRole { at, .. } => format!("roles[{at}]{}", names.role),
        Refusal::RepeatedInOrder { at, .. } => format!("role_order[{at}]"),
        Refusal::EndInThePast { at, .. } => format!("roles[{at}].expire_time"),
        Refusal::TooManyRoles { .. } => "roles".into(),
        Refusal::PublicDomain { at, .. } | Refusal::RepeatedDomain { at, .. } => format!("domains[{at}].domain"),
        Refusal::RepeatedDomainRole { at, .. } | Refusal::TooManyDomainRoles { at } => format!("domains[{at}].roles"),
        Refusal::IncompleteOrder { .. } => "role_order".into(),
        Refusal::ReservedName { reserved: WORKSPACE } => "key".into(),
        Refusal::ReservedName { reserved: SYSTEM | LOCAL | BOOTSTRAP } => "user_id".into(),
        Refusal::ReservedName { .. } => format!("{}name", names.resource),
        Refusal::UnknownAlias { .. } => format!("{}aliases", names.resource),
        Refusal::NotConfirmed { .. } => "confirm".into(),
        Refusal::OwnReplacement { noun: Noun::RoleMapping, .. } => "move_subscribers_to".into(),
        Refusal::OwnReplacement { .. } => "replacement".into(),
        Refusal::WantedAndDeleted { noun: Noun::Permission, .. } => "deleted_permissions".into(),
        Refusal::WantedAndDeleted { noun: Noun::Role, .. } => "deleted_roles".into(),
        Refusal::WantedAndDeleted { .. } => "deleted_role_mappings".into(),
        Refusal::EnabledAndDisabled { .. } => "disable_roles".into(),
        Refusal::AddedAndRemoved { .. } => "edits".into(),
        Refusal::RequestIdReused(_) => "request_id".into(),
        Refusal::InvitationExpiryPast | Refusal::InvitationExpiryTooLate | Refusal::ApiKeyExpiryPast => {
            "expire_time".into()
        }
        _ => String::new(),
    }
}

/// Adds precondition violations, as many as fit into an answer.
fn preconditions(
    details: &mut ErrorDetails,
    reason: ErrorReason,
    refusal: &Refusal,
    names: &Names<'_>,
    description: &str,
) {
    let one = |subject: String| vec![(subject, description.to_string())];
    let found = match refusal {
        Refusal::RoleDisabled { role, role_mapping } => one(format!("role_mappings/{role_mapping}/roles/{role}")),
        Refusal::DefaultRoleDisabled { role }
        | Refusal::DefaultRoleUnsuitable { role, .. }
        | Refusal::RoleInUse { role, .. }
        | Refusal::ReplacementUnsuitable { replacement: role, .. } => one(format!("roles/{role}")),
        Refusal::ReplacementDisabled { replacement, disabled_in } => {
            let disabled = |(mapping, members): &(_, u64)| {
                let why = format!("role `{replacement}` is disabled there; members who would get it: {members}");
                (format!("role_mappings/{mapping}/roles/{replacement}"), why)
            };
            disabled_in.iter().take(VIOLATIONS_MAX).map(disabled).collect()
        }
        Refusal::RolesWouldBeDisabled { held, .. } => {
            let held = held.iter().take(VIOLATIONS_MAX);
            held.map(|(role, members)| {
                (format!("roles/{role}"), format!("members, pending invitations and e-mail domains with it: {members}"))
            })
            .collect()
        }
        Refusal::DefaultRoleMapping(role_mapping) | Refusal::RoleMappingInUse { role_mapping, .. } => {
            one(format!("role_mappings/{role_mapping}"))
        }
        Refusal::LastOperatorOwner { role } => one(format!("roles/{role}")),
        Refusal::LastOwner { first, .. } => one(format!("orgs/{first}")),
        Refusal::InvitationNotPending { id, .. } => one(format!("invitations/{id}")),
        Refusal::AddressNotAvailable(email) | Refusal::EmailMismatch(email) => one(format!("emails/{email}")),
        Refusal::UserNotAvailable(user) | Refusal::RemovedBefore(user) => one(format!("users/{user}")),
        Refusal::EmailNotVerified { .. } => one("email".into()),
        Refusal::DomainNotListed { domain } => one(format!("domains/{domain}")),
        Refusal::DomainNotVerified { domain } | Refusal::NoEnabledRole { domain } => one(format!("domains/{domain}")),
        Refusal::InternalRole { role } => one(format!("roles/{role}")),
        Refusal::BuiltIn(permission) => one(format!("permissions/{permission}")),
        Refusal::ProjectHasOrgs { .. } | Refusal::ProjectPermanent(_) | Refusal::WrongRoleStructure { .. } => {
            one(format!("projects/{}", names.project))
        }
        _ => one(names.project.to_string()),
    };
    let mut bytes = 0;
    for (at, (subject, description)) in found.into_iter().enumerate() {
        bytes += subject.len() + description.len();
        if at > 0 && bytes > VIOLATIONS_BYTES_MAX {
            break;
        }
        details.add_precondition_failure_violation(reason.as_str_name(), subject, description);
    }
}

fn resource(noun: Noun) -> &'static str {
    match noun {
        Noun::Project => "rolecall.v1.Project",
        Noun::Permission => "rolecall.v1.Permission",
        Noun::Role => "rolecall.v1.Role",
        Noun::RoleMapping => "rolecall.v1.RoleMapping",
        Noun::Org => "rolecall.v1.Org",
        Noun::OrgDomain => "rolecall.v1.OrgDomain",
        Noun::Member => "rolecall.v1.Member",
        Noun::Invitation => "rolecall.v1.Invitation",
        Noun::ApiKey => "rolecall.v1.ApiKey",
    }
}
