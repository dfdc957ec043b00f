//! What an accepted command is answered with, as it is remembered for a repetition (A4).

use prost::Message;

use super::messages as wire;
use super::messages::outcome::Outcome;
use super::resource;
use crate::domain;
use crate::domain::decide::Tally;
use crate::domain::impact::Impact;
use crate::domain::membership::Visibility;

/// The answer without its revision, which is kept beside it: the `revision` of a member is left empty for the same reason.
pub fn outcome(outcome: &domain::Outcome, impact: &Impact) -> wire::Outcome {
    let kind = match outcome {
        domain::Outcome::Project(project) => Outcome::Project(resource::project(project)),
        domain::Outcome::Permission(permission) => Outcome::Permission(resource::permission(permission)),
        domain::Outcome::PermissionsCreated(created) => {
            Outcome::PermissionsCreated(wire::PermissionsCreated { created: count(*created) })
        }
        domain::Outcome::Role(project, id) => {
            let position = domain::role::position(project, *id);
            Outcome::Role(resource::role(project, *id, position, Visibility::All))
        }
        domain::Outcome::RoleMapping(project, id) => Outcome::RoleMapping(resource::role_mapping(project, *id)),
        domain::Outcome::Org(project, org) => {
            Outcome::Org(resource::org(&org.profile, &project.role_mapping_name(org.role_mapping)))
        }
        domain::Outcome::Subscription { org_id, role_mapping } => {
            Outcome::Subscription(resource::subscription(org_id, role_mapping))
        }
        domain::Outcome::Member(member) => Outcome::Member(resource::member(member, String::new())),
        domain::Outcome::Removed => Outcome::Removed(wire::Removed {}),
        domain::Outcome::Tally(tally) => Outcome::Counts(counts(*tally)),
        domain::Outcome::Deleted(affected) => {
            Outcome::Deleted(wire::Deleted { affected: i64::try_from(*affected).unwrap_or(i64::MAX) })
        }
        domain::Outcome::RolesReordered(project) => {
            let etag = domain::role::role_order_etag(project);
            Outcome::RolesReordered(wire::RolesReordered { etag })
        }
        domain::Outcome::OrgsSubscribed { moved, unchanged } => {
            let (moved, unchanged) = (count(*moved), count(*unchanged));
            Outcome::OrgsSubscribed(wire::OrgsSubscribed { moved, unchanged })
        }
        // The service itself asks for it, and remembers no answer.
        domain::Outcome::Purged(_) => Outcome::Removed(wire::Removed {}),
    };
    wire::Outcome { outcome: Some(kind), impact: Some(super::impact::impact(impact)) }
}

/// The bytes in which an answer is remembered.
pub fn encode(it: &domain::Outcome, impact: &Impact) -> Vec<u8> {
    outcome(it, impact).encode_to_vec()
}

fn counts(tally: Tally) -> wire::MemberWriteCounts {
    wire::MemberWriteCounts {
        added: count(tally.added),
        set: count(tally.set),
        removed: count(tally.removed),
        unchanged: count(tally.unchanged),
    }
}

fn count(rows: usize) -> i32 {
    i32::try_from(rows).unwrap_or(i32::MAX)
}
