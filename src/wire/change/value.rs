//! The values in changes.

use std::sync::Arc;

use super::super::resource::texts;
use crate::domain::collections::numbered::Numbered;
use crate::domain::model::api_key::{ApiKey, ApiKeyScope};
use crate::domain::model::email::{EmailAddress, EmailDomain};
use crate::domain::model::fallback::{Fallback, Fallbacks};
use crate::domain::model::id::{OrgNo, PermissionId, ProjectId, RoleId, RoleSetId};
use crate::domain::model::invitation::{InvitationRecord, Settled, Stage};
use crate::domain::model::lifecycle::Lifecycle;
use crate::domain::model::membership::{MembershipRecord, Origin, RoleOrigin, TemporaryRole};
use crate::domain::model::org::{OrgProfile, OrgRecord};
use crate::domain::model::org_domain::{OrgDomain, OrgDomains};
use crate::domain::model::permission::{Permission, PermissionSet};
use crate::domain::model::project::{Environment, ProjectRecord, RoleStructure};
use crate::domain::model::role::Role;
use crate::domain::model::role_mapping::RoleMappingRecord;
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::user::Block;
use crate::domain::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, Scoped, Time, UserId};
use crate::wire::{self, storage};

/// A change that this release cannot read: a newer release wrote it, or the bytes are damaged. It must never be skipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; upgrade this server to the release that wrote it")]
pub struct UnknownChange(pub String);

pub(super) fn id<I: Numbered>(number: u32) -> Result<I, UnknownChange> {
    let number = std::num::NonZeroU32::new(number).ok_or_else(|| unread("number"))?;
    Ok(I::from_number(number))
}

pub(super) fn ids<I: Numbered>(numbers: Vec<u32>) -> Result<Vec<I>, UnknownChange> {
    numbers.into_iter().map(id).collect()
}

pub(super) fn numbers<I: Numbered>(ids: &[I]) -> Vec<u32> {
    ids.iter().map(|id| id.index() as u32).collect()
}

pub(super) fn scoped<I: Numbered>(project: u32, number: u32) -> Result<Scoped<I>, UnknownChange> {
    Ok(Scoped { project: id::<ProjectId>(project)?, id: id(number)? })
}

pub(super) fn unread(what: &str) -> UnknownChange {
    UnknownChange(format!("a stored change has a {what} that this release does not know"))
}

fn read_environment(environment: wire::Environment) -> Result<Environment, UnknownChange> {
    match environment {
        wire::Environment::Test => Ok(Environment::Test),
        wire::Environment::Live => Ok(Environment::Live),
        wire::Environment::Unspecified => Err(unread("environment")),
    }
}

pub(super) fn project_value(record: &ProjectRecord) -> storage::ProjectValue {
    storage::ProjectValue {
        key: record.key.to_string(),
        display_name: record.display_name.to_string(),
        environment: super::super::resource::environment(record.environment).into(),
        role_structure: super::super::resource::role_structure(record.role_structure).into(),
        default_role: record.default_role.number(),
        default_owner_role: record.default_owner_role.number(),
        default_role_mapping: record.default_role_mapping.number(),
        create_time_micros: record.create_time.0,
        version: record.version,
        role_order_version: record.role_order_version,
        delete_time_micros: deleted_at(record.lifecycle),
        purged: record.lifecycle.is_purged(),
    }
}

pub(super) fn read_project(value: storage::ProjectValue) -> Result<ProjectRecord, UnknownChange> {
    Ok(ProjectRecord {
        environment: read_environment(value.environment())?,
        role_structure: match value.role_structure() {
            wire::RoleStructure::SingleRole => RoleStructure::SingleRole,
            wire::RoleStructure::MultiRole => RoleStructure::MultiRole,
            wire::RoleStructure::Unspecified => return Err(unread("role structure")),
        },
        key: ProjectKey::stored(value.key),
        display_name: value.display_name.into(),
        default_role: id(value.default_role)?,
        default_owner_role: id(value.default_owner_role)?,
        default_role_mapping: id(value.default_role_mapping)?,
        create_time: Time(value.create_time_micros),
        version: value.version,
        role_order_version: value.role_order_version,
        lifecycle: lifecycle(value.delete_time_micros, value.purged),
    })
}

/// 0 means not deleted.
fn deleted_at(lifecycle: Lifecycle) -> i64 {
    lifecycle.deleted_at().map_or(0, |at| at.0)
}

fn lifecycle(delete_time_micros: i64, purged: bool) -> Lifecycle {
    Lifecycle::stored((delete_time_micros != 0).then_some(Time(delete_time_micros)), purged)
}

pub(super) fn permission_value(permission: &Permission) -> storage::PermissionValue {
    storage::PermissionValue {
        name: permission.name.to_string(),
        description: permission.description.to_string(),
        built_in: permission.built_in,
        create_time_micros: permission.create_time.0,
        aliases: texts(&permission.aliases),
    }
}

pub(super) fn read_permission(value: storage::PermissionValue) -> Result<Permission, UnknownChange> {
    Ok(Permission {
        name: PermissionName::stored(value.name),
        description: value.description.into(),
        built_in: value.built_in,
        create_time: Time(value.create_time_micros),
        aliases: value.aliases.into_iter().map(PermissionName::stored).collect(),
    })
}

pub(super) fn role_value(role: &Role) -> storage::RoleValue {
    storage::RoleValue {
        name: role.name.to_string(),
        description: role.description.to_string(),
        internal: role.internal,
        rank: role.rank,
        create_time_micros: role.create_time.0,
        aliases: texts(&role.aliases),
        version: role.version,
        manages: numbers(&role.manages),
    }
}

pub(super) fn read_role(value: storage::RoleValue) -> Result<Role, UnknownChange> {
    Ok(Role {
        name: RoleName::stored(value.name),
        description: value.description.into(),
        internal: value.internal,
        rank: value.rank,
        create_time: Time(value.create_time_micros),
        aliases: value.aliases.into_iter().map(RoleName::stored).collect(),
        version: value.version,
        manages: ids(value.manages)?.into(),
    })
}

pub(super) fn role_set_value(set: &RoleSet) -> storage::RoleSetValue {
    storage::RoleSetValue {
        roles: numbers(&set.roles),
        migrated: set.migrated,
        migrated_roles: numbers(&set.migrated_roles),
    }
}

pub(super) fn read_role_set(value: storage::RoleSetValue) -> Result<RoleSet, UnknownChange> {
    let migrated_roles = ids(value.migrated_roles)?.into();
    Ok(RoleSet { migrated: value.migrated, migrated_roles, ..RoleSet::new(ids::<RoleId>(value.roles)?) })
}

pub(super) fn role_mapping_value(record: &RoleMappingRecord) -> storage::RoleMappingValue {
    storage::RoleMappingValue {
        name: record.name.to_string(),
        description: record.description.to_string(),
        disabled_roles: numbers(&record.disabled_roles),
        create_time_micros: record.create_time.0,
        aliases: texts(&record.aliases),
        version: record.version,
    }
}

pub(super) fn read_role_mapping(value: storage::RoleMappingValue) -> Result<RoleMappingRecord, UnknownChange> {
    Ok(RoleMappingRecord {
        name: RoleMappingName::stored(value.name),
        description: value.description.into(),
        disabled_roles: ids(value.disabled_roles)?.into(),
        create_time: Time(value.create_time_micros),
        aliases: value.aliases.into_iter().map(RoleMappingName::stored).collect(),
        version: value.version,
    })
}

pub(super) fn permission_ids(set: &PermissionSet) -> storage::PermissionIds {
    let mut last = 0;
    let steps = set.iter().map(|id| id.number() - std::mem::replace(&mut last, id.number()));
    storage::PermissionIds { ids: steps.collect() }
}

pub(super) fn read_permission_ids(value: storage::PermissionIds) -> Result<PermissionSet, UnknownChange> {
    let mut last = 0u32;
    let ids = value.ids.into_iter().map(|step| {
        last = last.checked_add(step).ok_or_else(|| unread("number"))?;
        id::<PermissionId>(last)
    });
    ids.collect()
}

pub(super) fn org_value(record: &OrgRecord) -> storage::OrgValue {
    storage::OrgValue {
        org_id: record.profile.org_id.to_string(),
        display_name: record.profile.display_name.to_string(),
        metadata: record.profile.metadata.to_string(),
        role_mapping: record.role_mapping.number(),
        create_time_micros: record.profile.create_time.0,
        delete_time_micros: deleted_at(record.lifecycle),
        purged: record.lifecycle.is_purged(),
    }
}

pub(super) fn read_org(value: storage::OrgValue) -> Result<OrgRecord, UnknownChange> {
    Ok(OrgRecord {
        role_mapping: id(value.role_mapping)?,
        lifecycle: lifecycle(value.delete_time_micros, value.purged),
        profile: Arc::new(OrgProfile {
            org_id: OrgId::stored(value.org_id),
            display_name: value.display_name.into(),
            metadata: value.metadata.into(),
            create_time: Time(value.create_time_micros),
        }),
    })
}

pub(super) fn fallbacks_value(fallbacks: &Fallbacks) -> storage::FallbacksValue {
    let value = |fallback: &Fallback| storage::FallbackValue {
        role: fallback.role.number(),
        fallback_role: fallback.fallback_role.number(),
    };
    storage::FallbacksValue { fallbacks: fallbacks.iter().map(value).collect() }
}

pub(super) fn read_fallbacks(value: storage::FallbacksValue) -> Result<Fallbacks, UnknownChange> {
    let read = |fallback: storage::FallbackValue| {
        Ok(Fallback { role: id(fallback.role)?, fallback_role: id(fallback.fallback_role)? })
    };
    value.fallbacks.into_iter().map(read).collect()
}

pub(super) fn membership_value(record: &MembershipRecord) -> storage::MembershipValue {
    let temporary = |temporary: &TemporaryRole| storage::TemporaryRole {
        role: temporary.role.number(),
        expire_time_micros: temporary.expire_time.0,
    };
    storage::MembershipValue {
        role_set: record.role_set.number(),
        origin: super::super::resource::origin(record.origin).into(),
        temporary: record.temporary.iter().map(temporary).collect(),
        origins: record.origins.iter().map(role_origin).collect(),
    }
}

fn role_origin(of: &RoleOrigin) -> storage::RoleOrigin {
    storage::RoleOrigin { role: of.role.number(), origin: super::super::resource::origin(of.origin).into() }
}

fn read_origin(origin: wire::MembershipOrigin) -> Result<Origin, UnknownChange> {
    match origin {
        wire::MembershipOrigin::Direct => Ok(Origin::Direct),
        wire::MembershipOrigin::Creator => Ok(Origin::Creator),
        wire::MembershipOrigin::Invitation => Ok(Origin::Invitation),
        wire::MembershipOrigin::Domain => Ok(Origin::Domain),
        wire::MembershipOrigin::Migration => Ok(Origin::Migration),
        wire::MembershipOrigin::Unspecified => Err(unread("origin")),
    }
}

pub(super) fn read_membership(value: storage::MembershipValue) -> Result<MembershipRecord, UnknownChange> {
    let temporary = |temporary: &storage::TemporaryRole| {
        Ok(TemporaryRole { role: id(temporary.role)?, expire_time: Time(temporary.expire_time_micros) })
    };
    let origin = |of: &storage::RoleOrigin| Ok(RoleOrigin { role: id(of.role)?, origin: read_origin(of.origin())? });
    Ok(MembershipRecord {
        origin: read_origin(value.origin())?,
        role_set: id(value.role_set)?,
        temporary: value.temporary.iter().map(temporary).collect::<Result<_, UnknownChange>>()?,
        origins: value.origins.iter().map(origin).collect::<Result<_, UnknownChange>>()?,
    })
}

pub(super) fn api_key_value(key: &Arc<ApiKey>) -> storage::ApiKeyValue {
    storage::ApiKeyValue {
        hash: prost::bytes::Bytes::copy_from_slice(&key.hash),
        display_name: key.display_name.to_string(),
        operator: key.operator.to_string(),
        environment: super::super::resource::environment(key.environment).into(),
        checks_only: key.scope.checks_only,
        sidecar_only: key.scope.sidecar_only,
        acting_user_required: key.scope.acting_user_required,
        no_activity: key.scope.no_activity,
        scope_project: key.scope.project.map_or(0, ProjectId::number),
        scope_org: key.scope.org.map_or(0, OrgNo::number),
        creator: key.creator.to_string(),
        create_time_micros: key.create_time.0,
        expire_time_micros: key.expire_time.map(|time| time.0),
        archive_time_micros: key.archive_time.map(|time| time.0),
    }
}

pub(super) fn read_api_key(value: storage::ApiKeyValue) -> Result<Arc<ApiKey>, UnknownChange> {
    let environment = read_environment(value.environment())?;
    Ok(Arc::new(ApiKey {
        hash: (*value.hash).try_into().map_err(|_| unread("hash"))?,
        display_name: value.display_name.into(),
        operator: UserId::stored(value.operator),
        environment,
        scope: ApiKeyScope {
            checks_only: value.checks_only,
            sidecar_only: value.sidecar_only,
            acting_user_required: value.acting_user_required,
            no_activity: value.no_activity,
            project: ProjectId::new(value.scope_project),
            org: OrgNo::new(value.scope_org),
        },
        creator: value.creator.into(),
        create_time: Time(value.create_time_micros),
        expire_time: value.expire_time_micros.map(Time),
        archive_time: value.archive_time_micros.map(Time),
    }))
}

pub(super) fn block_value(block: &Block) -> storage::BlockValue {
    storage::BlockValue { block_time_micros: block.block_time.0 }
}

pub(super) fn read_block(value: storage::BlockValue) -> Result<Block, UnknownChange> {
    Ok(Block { block_time: Time(value.block_time_micros) })
}

pub(super) fn invitation_value(record: &InvitationRecord) -> storage::InvitationValue {
    let text = |user: &Option<UserId>| user.as_ref().map_or_else(String::new, ToString::to_string);
    let value = storage::InvitationValue {
        email: record.email.to_string(),
        inviter: text(&record.inviter),
        create_time_micros: record.create_time.0,
        expire_time_micros: record.expire_time.0,
        ..Default::default()
    };
    match &record.stage {
        Stage::Pending { role_set } => storage::InvitationValue { role_set: role_set.number(), ..value },
        Stage::Settled(settled) => storage::InvitationValue {
            settle_time_micros: settled.at.0,
            accepted_by: text(&settled.user),
            roles: numbers(&settled.roles),
            ..value
        },
    }
}

pub(super) fn read_invitation(value: storage::InvitationValue) -> Result<InvitationRecord, UnknownChange> {
    let user = |text: String| Some(text).filter(|text| !text.is_empty()).map(UserId::stored);
    let stage = match value.role_set {
        0 => Stage::Settled(Settled {
            at: Time(value.settle_time_micros),
            user: user(value.accepted_by),
            roles: ids(value.roles)?.into(),
        }),
        role_set => Stage::Pending { role_set: id(role_set)? },
    };
    Ok(InvitationRecord {
        email: EmailAddress::stored(value.email),
        inviter: user(value.inviter),
        create_time: Time(value.create_time_micros),
        expire_time: Time(value.expire_time_micros),
        stage,
    })
}

pub(super) fn org_domains_value(domains: &OrgDomains) -> storage::OrgDomainsValue {
    let value = |rule: &OrgDomain| storage::OrgDomainValue {
        domain: rule.domain.to_string(),
        role_set: rule.role_set.map_or(0, |set| set.number()),
        verified: rule.verified,
        apply_to_existing: rule.apply_to_existing,
    };
    storage::OrgDomainsValue { domains: domains.iter().map(value).collect() }
}

pub(super) fn read_org_domains(value: storage::OrgDomainsValue) -> Result<OrgDomains, UnknownChange> {
    let read = |value: storage::OrgDomainValue| {
        Ok(OrgDomain {
            domain: EmailDomain::stored(value.domain),
            role_set: RoleSetId::new(value.role_set),
            verified: value.verified,
            apply_to_existing: value.apply_to_existing,
        })
    };
    value.domains.into_iter().map(read).collect()
}
