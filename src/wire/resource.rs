//! The messages of projects, roles, orgs and other resources.

use crate::domain::model::etag::etag;
use crate::domain::model::id::{RoleId, RoleMappingId};
use crate::domain::model::invitation::InvitationState;
use crate::domain::model::membership::Origin;
use crate::domain::model::org::OrgProfile;
use crate::domain::model::permission::Permission;
use crate::domain::model::project::{Environment, RoleStructure};
use crate::domain::model::user::Block;
use crate::domain::rules::access::Access;
use crate::domain::rules::api_key::ShownApiKey;
use crate::domain::rules::invitation::Invitation;
use crate::domain::rules::membership::{Member, MemberRole};
use crate::domain::rules::org_domain::ShownDomain;
use crate::domain::rules::role_state::RoleState;
use crate::domain::rules::visibility::Visibility;
use crate::domain::{OrgId, Project, RoleMappingName, Time, UserId};
use crate::wire;

pub fn timestamp(time: Time) -> prost_types::Timestamp {
    let nanos = time.0.rem_euclid(1_000_000) as i32 * 1_000;
    prost_types::Timestamp { seconds: time.0.div_euclid(1_000_000), nanos }
}

pub fn project(project: &Project) -> wire::Project {
    let record = &project.record;
    wire::Project {
        key: record.key.to_string(),
        display_name: record.display_name.to_string(),
        environment: environment(record.environment).into(),
        role_structure: role_structure(record.role_structure).into(),
        default_role: project.role_name(record.default_role).to_string(),
        default_owner_role: project.role_name(record.default_owner_role).to_string(),
        default_role_mapping: project.role_mapping_name(record.default_role_mapping).to_string(),
        create_time: Some(timestamp(record.create_time)),
        etag: etag(project.id.number(), record.version),
    }
}

pub fn permission(permission: &Permission) -> wire::Permission {
    wire::Permission {
        name: permission.name.to_string(),
        description: permission.description.to_string(),
        built_in: permission.built_in,
        create_time: Some(timestamp(permission.create_time)),
        aliases: texts(&permission.aliases),
    }
}

/// Returns a role of a project. `position` counts from 0, the highest. For a viewer the etag is left out, since it changes
/// with internal roles (I2.d).
pub fn role(project: &Project, id: RoleId, position: usize, visibility: Visibility) -> wire::Role {
    let Some(role) = project.roles.get(id) else { return wire::Role::default() };
    let to_viewer = visibility == Visibility::VisibleOnly;
    let mut manages = project.in_role_order(&role.manages);
    manages.retain(|&managed| !to_viewer || project.is_visible(managed));
    wire::Role {
        name: role.name.to_string(),
        description: role.description.to_string(),
        internal: role.internal,
        position: i32::try_from(position + 1).unwrap_or(i32::MAX),
        create_time: Some(timestamp(role.create_time)),
        aliases: texts(&role.aliases),
        etag: if to_viewer { String::new() } else { etag(id.number(), role.version) },
        manages: role_names(project, &manages),
    }
}

/// Returns a role mapping of a project, without its rows.
pub fn role_mapping(project: &Project, id: RoleMappingId) -> wire::RoleMapping {
    let Some(mapping) = project.role_mappings.get(id) else { return wire::RoleMapping::default() };
    let record = &mapping.record;
    wire::RoleMapping {
        name: record.name.to_string(),
        description: record.description.to_string(),
        is_default: project.record.default_role_mapping == id,
        disabled_roles: role_names(project, &project.in_role_order(&record.disabled_roles)),
        grant_count: count(mapping.grants),
        create_time: Some(timestamp(record.create_time)),
        aliases: texts(&record.aliases),
        etag: etag(id.number(), record.version),
        subscriber_count: count(mapping.subscribers.into()),
    }
}

fn role_names(project: &Project, roles: &[RoleId]) -> Vec<String> {
    roles.iter().map(|&role| project.role_name(role).to_string()).collect()
}

/// Returns a count as messages hold it. Only a limit above 2^31 that an operator sets could make one larger. It is then
/// shown as the largest number.
pub fn count(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub fn texts<N: ToString>(names: &[N]) -> Vec<String> {
    names.iter().map(N::to_string).collect()
}

/// Returns an org without its e-mail domains.
pub fn org(profile: &OrgProfile, role_mapping: &RoleMappingName) -> wire::Org {
    wire::Org {
        org_id: profile.org_id.to_string(),
        display_name: profile.display_name.to_string(),
        metadata: profile.metadata.to_string(),
        role_mapping: role_mapping.to_string(),
        create_time: Some(timestamp(profile.create_time)),
        domains: Vec::new(),
    }
}

pub fn org_domain(shown: &ShownDomain) -> wire::OrgDomain {
    wire::OrgDomain {
        domain: shown.domain.to_string(),
        roles: texts(&shown.roles),
        verified: shown.verified,
        apply_to_existing: shown.apply_to_existing,
    }
}

pub fn subscription(org_id: &OrgId, role_mapping: &RoleMappingName) -> wire::Subscription {
    wire::Subscription { org_id: org_id.to_string(), role_mapping: role_mapping.to_string() }
}

pub fn user(user_id: &UserId, block: Option<Block>) -> wire::User {
    wire::User {
        user_id: user_id.to_string(),
        blocked: block.is_some(),
        block_time: block.map(|block| timestamp(block.block_time)),
    }
}

pub fn api_key(shown: &ShownApiKey) -> wire::ApiKey {
    let ShownApiKey { id, key, project, org_id } = shown;
    wire::ApiKey {
        api_key_id: id.to_string(),
        display_name: key.display_name.to_string(),
        operator: key.operator.to_string(),
        environment: environment(key.environment).into(),
        scope: Some(wire::ApiKeyScope {
            checks_only: key.scope.checks_only,
            sidecar_only: key.scope.sidecar_only,
            acting_user_required: key.scope.acting_user_required,
            project: project.as_ref().map_or_else(String::new, ToString::to_string),
            org_id: org_id.as_ref().map_or_else(String::new, ToString::to_string),
            no_activity: key.scope.no_activity,
        }),
        creator: key.creator.to_string(),
        create_time: Some(timestamp(key.create_time)),
        expire_time: key.expire_time.map(timestamp),
        archive_time: key.archive_time.map(timestamp),
    }
}

/// Returns a member. `revision` is the token of the latest change of the membership.
pub fn member(member: &Member, revision: String) -> wire::Member {
    wire::Member {
        org_id: member.org_id.to_string(),
        user_id: member.user_id.to_string(),
        roles: member.roles.iter().map(member_role).collect(),
        origin: member.origin.map_or(wire::MembershipOrigin::Unspecified, origin).into(),
        revision,
        access: None,
    }
}

pub fn access(access: &Access) -> wire::Access {
    wire::Access {
        role_mapping: access.role_mapping.to_string(),
        at_least_roles: texts(&access.at_least_roles),
        permissions: texts(&access.permissions),
    }
}

pub fn invitation(invitation: &Invitation) -> wire::Invitation {
    let text = |user: &Option<UserId>| user.as_ref().map_or_else(String::new, ToString::to_string);
    let state = match invitation.state {
        InvitationState::Pending => wire::InvitationState::Pending,
        InvitationState::Accepted => wire::InvitationState::Accepted,
        InvitationState::Revoked => wire::InvitationState::Revoked,
        InvitationState::Expired => wire::InvitationState::Expired,
    };
    let why = invitation.unacceptable.as_ref().map(|refusal| wire::ErrorReason::from(refusal.reason()));
    wire::Invitation {
        org_id: invitation.org_id.to_string(),
        invitation_id: invitation.id.to_string(),
        email: invitation.email.to_string(),
        roles: texts(&invitation.roles),
        inviter_user_id: text(&invitation.inviter),
        create_time: Some(timestamp(invitation.create_time)),
        expire_time: Some(timestamp(invitation.expire_time)),
        state: state.into(),
        acceptable: invitation.state == InvitationState::Pending && why.is_none(),
        unacceptable_reason: why.unwrap_or_default().into(),
        settle_time: invitation.settle_time.map(timestamp),
        accepted_user_id: text(&invitation.accepted_by),
    }
}

fn role_state(state: RoleState) -> wire::MemberRoleState {
    match state {
        RoleState::Live => wire::MemberRoleState::Live,
        RoleState::Suspended => wire::MemberRoleState::Suspended,
        RoleState::Overridden => wire::MemberRoleState::Overridden,
        RoleState::Expired => wire::MemberRoleState::Expired,
    }
}

pub fn member_role(role: &MemberRole) -> wire::MemberRole {
    let fallback_role = role.fallback_role.as_ref();
    wire::MemberRole {
        role: role.role.to_string(),
        expire_time: role.expire_time.map(timestamp),
        state: role_state(role.state).into(),
        origin: origin(role.origin).into(),
        fallback_role: fallback_role.map_or_else(String::new, |(role, _)| role.to_string()),
        fallback_role_state: fallback_role
            .map_or(wire::MemberRoleState::Unspecified, |(_, state)| role_state(*state))
            .into(),
    }
}

pub(super) fn environment(environment: Environment) -> wire::Environment {
    match environment {
        Environment::Test => wire::Environment::Test,
        Environment::Live => wire::Environment::Live,
    }
}

pub(super) fn role_structure(structure: RoleStructure) -> wire::RoleStructure {
    match structure {
        RoleStructure::SingleRole => wire::RoleStructure::SingleRole,
        RoleStructure::MultiRole => wire::RoleStructure::MultiRole,
    }
}

pub(super) fn origin(origin: Origin) -> wire::MembershipOrigin {
    match origin {
        Origin::Direct => wire::MembershipOrigin::Direct,
        Origin::Creator => wire::MembershipOrigin::Creator,
        Origin::Invitation => wire::MembershipOrigin::Invitation,
        Origin::Domain => wire::MembershipOrigin::Domain,
        Origin::Migration => wire::MembershipOrigin::Migration,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_before_1970_count_backwards_in_seconds_and_forwards_in_nanoseconds() {
        let shown = |micros| {
            let timestamp = timestamp(Time(micros));
            (timestamp.seconds, timestamp.nanos)
        };
        assert_eq!(shown(1_500_000), (1, 500_000_000));
        assert_eq!(shown(-1), (-1, 999_999_000));
    }
}
