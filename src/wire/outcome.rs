//! What an accepted command is answered with, as it is remembered for a repetition (A4).

use prost::Message;

use super::resource::{self, RoleMappingParts, count};
use crate::domain;
use crate::domain::commands::outcome::Tally;
use crate::domain::impact::report::Impact;
use crate::domain::model::id::{RoleId, RoleMappingId};
use crate::domain::{Project, RoleName};
use crate::wire::storage::outcome::Outcome;
use crate::wire::{self, storage};

/// The answer without its revision, which is kept beside it: the `revision` of a member is left empty for the same reason.
pub fn outcome(outcome: &domain::Outcome, impact: &Impact) -> storage::Outcome {
    let kind = match outcome {
        domain::Outcome::Project(project) => Outcome::Project(project_of(project)),
        domain::Outcome::Permission(permission) => Outcome::Permission(resource::permission(permission)),
        domain::Outcome::PermissionsCreated(created) => {
            Outcome::PermissionsCreated(storage::PermissionsCreated { created: count(*created as u64) })
        }
        domain::Outcome::Role(project, id) => Outcome::Role(role_of(project, *id)),
        domain::Outcome::RoleMapping(project, id) => Outcome::RoleMapping(role_mapping_of(project, *id)),
        domain::Outcome::Org(project, org) => {
            Outcome::Org(resource::org(&org.profile, &project.role_mapping_name(org.role_mapping)))
        }
        domain::Outcome::Subscription { org_id, role_mapping } => {
            Outcome::Subscription(resource::subscription(org_id, role_mapping))
        }
        domain::Outcome::Member(member) => Outcome::Member(resource::member(member, String::new())),
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
        // The service itself asks for it, and remembers no answer.
        domain::Outcome::Purged(_) => Outcome::Removed(storage::Removed {}),
    };
    storage::Outcome { outcome: Some(kind), impact: Some(super::impact::impact(impact)) }
}

/// The bytes in which an answer is remembered.
pub fn encode(it: &domain::Outcome, impact: &Impact) -> Vec<u8> {
    outcome(it, impact).encode_to_vec()
}

fn project_of(project: &Project) -> wire::Project {
    let record = &project.record;
    resource::project(
        project.id,
        record,
        &project.role_name(record.default_role),
        &project.role_name(record.default_owner_role),
        &project.role_mapping_name(record.default_role_mapping),
    )
}

fn role_of(project: &Project, id: RoleId) -> wire::Role {
    let Some(role) = project.roles.get(id) else { return wire::Role::default() };
    let position = crate::domain::rules::role::position(project, id) as u32 + 1;
    let managed = project.role_order.iter().filter(|managed| role.manages.contains(managed));
    let manages: Vec<RoleName> = managed.map(|&managed| project.role_name(managed)).collect();
    resource::role(id, role, position, &manages)
}

fn role_mapping_of(project: &Project, id: RoleMappingId) -> wire::RoleMapping {
    let Some(mapping) = project.role_mappings.get(id) else { return wire::RoleMapping::default() };
    let disabled = project.role_order.iter().filter(|&&role| !mapping.enabled(role));
    let disabled: Vec<RoleName> = disabled.map(|&role| project.role_name(role)).collect();
    resource::role_mapping(RoleMappingParts {
        name: &mapping.record.name,
        description: &mapping.record.description,
        is_default: project.record.default_role_mapping == id,
        disabled_roles: &disabled,
        grant_count: mapping.grant_count() as u64,
        create_time: mapping.record.create_time,
        aliases: &mapping.record.aliases,
        etag: domain::model::etag::etag(id.number(), mapping.record.version),
        subscribers: mapping.subscribers.into(),
    })
}

fn counts(tally: Tally) -> storage::MemberWriteCounts {
    storage::MemberWriteCounts {
        added: count(tally.added as u64),
        set: count(tally.set as u64),
        removed: count(tally.removed as u64),
        unchanged: count(tally.unchanged as u64),
    }
}
