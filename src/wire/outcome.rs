//! The answers of accepted commands, as they are remembered for a repeated request (A4).

use prost::Message;

use super::configuration;
use super::resource::{self, count};
use crate::domain;
use crate::domain::Refusal;
use crate::domain::commands::outcome::Tally;
use crate::domain::impact::report::Impact;
use crate::domain::model::invitation::InvitationId;
use crate::domain::rules::visibility::Visibility;
use crate::wire;
use crate::wire::storage::{self, outcome::Outcome};

/// Returns an answer without its revision, which is stored separately. So the `revision` of a member is empty.
pub fn outcome(outcome: &domain::Outcome, impact: &Impact) -> storage::Outcome {
    let kind = match outcome {
        domain::Outcome::Project(project) => Outcome::Project(resource::project(project)),
        domain::Outcome::Permission(permission) => Outcome::Permission(resource::permission(permission)),
        domain::Outcome::PermissionsCreated(created) => {
            Outcome::PermissionsCreated(storage::PermissionsCreated { created: count(*created as u64) })
        }
        domain::Outcome::Role(project, id) => {
            let position = domain::rules::role::position(project, *id);
            Outcome::Role(resource::role(project, *id, position, Visibility::All))
        }
        domain::Outcome::RolesCreated(created) => {
            Outcome::RolesCreated(storage::RolesCreated { created: count(*created as u64) })
        }
        domain::Outcome::RoleMapping(project, id) => Outcome::RoleMapping(resource::role_mapping(project, *id)),
        domain::Outcome::Org(project, org) => {
            Outcome::Org(resource::org(&org.profile, &project.role_mapping_name(org.role_mapping)))
        }
        domain::Outcome::Subscription { org_id, role_mapping } => {
            Outcome::Subscription(resource::subscription(org_id, role_mapping))
        }
        domain::Outcome::Member(member) => Outcome::Member(resource::member(member, String::new())),
        domain::Outcome::User(user_id, block) => Outcome::User(resource::user(user_id, *block)),
        domain::Outcome::OrgDomains(domains) => {
            Outcome::OrgDomains(storage::OrgDomains { domains: domains.iter().map(resource::org_domain).collect() })
        }
        domain::Outcome::Provisioned(member, skipped) => Outcome::Provisioned(storage::Provisioned {
            member: Some(resource::member(member, String::new())),
            skipped_roles: resource::texts(skipped),
        }),
        domain::Outcome::Removed => Outcome::Removed(storage::Removed {}),
        domain::Outcome::Tally(tally) => Outcome::Counts(counts(*tally)),
        domain::Outcome::Deleted(affected) => Outcome::Deleted(storage::Deleted { affected: count(*affected) }),
        domain::Outcome::RolesReordered(project) => {
            let etag = domain::rules::role::role_order_etag(project);
            Outcome::RolesReordered(storage::RolesReordered { etag })
        }
        domain::Outcome::OrgsSubscribed { moved, unchanged } => {
            let (moved, unchanged) = (count(*moved as u64), count(*unchanged as u64));
            Outcome::OrgsSubscribed(storage::OrgsSubscribed { moved, unchanged })
        }
        domain::Outcome::Invitation(invitation) => Outcome::Invitation(resource::invitation(invitation)),
        domain::Outcome::Invitations(rows) => {
            let results = rows.iter().map(invitation_result).collect();
            Outcome::InvitationResults(storage::InvitationResults { results })
        }
        domain::Outcome::ApiKey(key) => Outcome::ApiKey(resource::api_key(key)),
        domain::Outcome::Configuration(applied) => Outcome::ConfigurationApplied(storage::ConfigurationApplied {
            steps: applied.steps.iter().map(configuration::step).collect(),
            unmanaged: applied.unmanaged.iter().map(configuration::object).collect(),
            etag: applied.etag.clone(),
        }),
        // The purger sends it without a request id.
        domain::Outcome::Purged(_) => Outcome::Removed(storage::Removed {}),
    };
    storage::Outcome { outcome: Some(kind), impact: Some(super::impact::impact(impact)) }
}

pub fn encode(it: &domain::Outcome, impact: &Impact) -> Vec<u8> {
    outcome(it, impact).encode_to_vec()
}

fn counts(tally: Tally) -> storage::MemberWriteCounts {
    storage::MemberWriteCounts {
        added: count(tally.added as u64),
        set: count(tally.set as u64),
        removed: count(tally.removed as u64),
        unchanged: count(tally.unchanged as u64),
    }
}

fn invitation_result(row: &Result<InvitationId, Refusal>) -> wire::InvitationResult {
    match row {
        Ok(id) => wire::InvitationResult { invitation_id: id.to_string(), ..Default::default() },
        Err(refusal) => wire::InvitationResult {
            reason: wire::ErrorReason::from(refusal.reason()).into(),
            description: refusal.to_string(),
            field: refused_field(refusal),
            ..Default::default()
        },
    }
}

/// Returns the field of a NewInvitation with the refused value. Empty if no value of its own is at fault.
fn refused_field(refusal: &Refusal) -> String {
    match refusal {
        Refusal::InvitationExpiryPast | Refusal::InvitationExpiryTooLate => "expire_time".into(),
        Refusal::RepeatedRole { at, .. } => format!("roles[{at}]"),
        Refusal::TooManyRoles { .. } => "roles".into(),
        _ => String::new(),
    }
}
