//! Projects, roles, orgs and the rest as answers show them.

use crate::domain::model::etag::etag;
use crate::domain::model::id::{ProjectId, RoleId};
use crate::domain::model::membership::Origin;
use crate::domain::model::org::OrgProfile;
use crate::domain::model::permission::Permission;
use crate::domain::model::project::{Environment, ProjectRecord, RoleStructure};
use crate::domain::model::role::Role;
use crate::domain::rules::membership::{Member, MemberRole};
use crate::domain::rules::role_state::RoleState;
use crate::domain::{OrgId, RoleMappingName, RoleName, Time};
use crate::wire;

/// What a role mapping shows of itself beside its rows.
#[derive(Clone, Debug)]
pub struct RoleMappingParts<'a> {
    pub name: &'a RoleMappingName,
    pub description: &'a str,
    pub is_default: bool,
    /// In the order of the roles.
    pub disabled_roles: &'a [RoleName],
    pub grant_count: u64,
    pub create_time: Time,
    pub aliases: &'a [RoleMappingName],
    pub etag: String,
    pub subscribers: u64,
}

pub fn timestamp(time: Time) -> prost_types::Timestamp {
    let nanos = time.0.rem_euclid(1_000_000) as i32 * 1_000;
    prost_types::Timestamp { seconds: time.0.div_euclid(1_000_000), nanos }
}

/// A project; its record knows roles and mappings by number, answers name them.
pub fn project(
    id: ProjectId,
    record: &ProjectRecord,
    default_role: &RoleName,
    default_owner_role: &RoleName,
    default_role_mapping: &RoleMappingName,
) -> wire::Project {
    wire::Project {
        key: record.key.to_string(),
        display_name: record.display_name.to_string(),
        environment: environment(record.environment).into(),
        role_structure: role_structure(record.role_structure).into(),
        default_role: default_role.to_string(),
        default_owner_role: default_owner_role.to_string(),
        default_role_mapping: default_role_mapping.to_string(),
        create_time: Some(timestamp(record.create_time)),
        etag: etag(id.number(), record.version),
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

/// A role; `position` counts from 1, the highest. The roles that it manages are named in the order of the roles.
pub fn role(id: RoleId, role: &Role, position: u32, manages: &[RoleName]) -> wire::Role {
    wire::Role {
        name: role.name.to_string(),
        description: role.description.to_string(),
        internal: role.internal,
        position: i32::try_from(position).unwrap_or(i32::MAX),
        create_time: Some(timestamp(role.create_time)),
        aliases: texts(&role.aliases),
        etag: etag(id.number(), role.version),
        manages: texts(manages),
    }
}

pub fn role_mapping(parts: RoleMappingParts<'_>) -> wire::RoleMapping {
    wire::RoleMapping {
        name: parts.name.to_string(),
        description: parts.description.to_owned(),
        is_default: parts.is_default,
        disabled_roles: parts.disabled_roles.iter().map(RoleName::to_string).collect(),
        grant_count: count(parts.grant_count),
        create_time: Some(timestamp(parts.create_time)),
        aliases: texts(parts.aliases),
        etag: parts.etag,
        subscriber_count: count(parts.subscribers),
    }
}

/// Returns a count as messages hold it. No count of a project can exceed 2^31 with the limits of this service.
pub fn count(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Names as messages hold them.
pub fn texts<N: ToString>(names: &[N]) -> Vec<String> {
    names.iter().map(N::to_string).collect()
}

pub fn org(profile: &OrgProfile, role_mapping: &RoleMappingName) -> wire::Org {
    wire::Org {
        org_id: profile.org_id.to_string(),
        display_name: profile.display_name.to_string(),
        metadata: profile.metadata.to_string(),
        role_mapping: role_mapping.to_string(),
        create_time: Some(timestamp(profile.create_time)),
    }
}

pub fn subscription(org_id: &OrgId, role_mapping: &RoleMappingName) -> wire::Subscription {
    wire::Subscription { org_id: org_id.to_string(), role_mapping: role_mapping.to_string() }
}

/// A member; `revision` is the token of the latest change of the membership, in the form that answers give it.
pub fn member(member: &Member, revision: String) -> wire::Member {
    wire::Member {
        org_id: member.org_id.to_string(),
        user_id: member.user_id.to_string(),
        roles: member.roles.iter().map(member_role).collect(),
        origin: member.origin.map_or(wire::MembershipOrigin::Unspecified, origin).into(),
        revision,
    }
}

fn member_role(role: &MemberRole) -> wire::MemberRole {
    let state = match role.state {
        RoleState::Live => wire::MemberRoleState::Live,
        RoleState::Suspended => wire::MemberRoleState::Suspended,
        RoleState::Overridden => wire::MemberRoleState::Overridden,
        RoleState::Expired => wire::MemberRoleState::Expired,
    };
    wire::MemberRole {
        role: role.role.to_string(),
        expire_time: role.expire_time.map(timestamp),
        state: state.into(),
        origin: origin(role.origin).into(),
        fallback_role: role.fallback_role.as_ref().map_or_else(String::new, RoleName::to_string),
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
