//! What a write does to those whom it touches, as answers show it and as it is remembered (R9).

use super::messages as wire;
use super::resource::texts;
use crate::domain::impact::{GrantImpact, Impact, Listed, MemberImpact, RoleImpact, Who};
use crate::domain::{OrgId, PermissionName, RoleName};

/// The report of a write.
pub fn impact(impact: &Impact) -> wire::Impact {
    wire::Impact {
        digest: impact.digest.clone(),
        orgs: count(impact.orgs),
        members: count(impact.members),
        members_losing_at_least: count(impact.members_losing_at_least),
        roles: impact.roles.iter().map(role).collect(),
        grants_gained: Some(grants(&impact.grants_gained)),
        grants_lost: Some(grants(&impact.grants_lost)),
        at_least_lost: Some(pairs(&impact.at_least_lost)),
        manages_lost: Some(pairs(&impact.manages_lost)),
        orgs_left_ownerless: Some(orgs(&impact.orgs_left_ownerless)),
        sample: impact.sample.iter().filter_map(member).collect(),
    }
}

fn role(impact: &RoleImpact) -> wire::RoleImpact {
    wire::RoleImpact {
        role: impact.role.to_string(),
        given: count(impact.given),
        ended: count(impact.ended),
        suspended: count(impact.suspended),
        reactivated: count(impact.reactivated),
    }
}

fn grants(grants: &Listed<GrantImpact>) -> wire::GrantImpacts {
    let grant = |grant: &GrantImpact| wire::GrantImpact {
        role_mapping: grant.role_mapping.to_string(),
        role: grant.role.to_string(),
        permission: grant.permission.to_string(),
    };
    wire::GrantImpacts { total: count(grants.total), first: grants.first.iter().map(grant).collect() }
}

fn pairs(pairs: &Listed<(RoleName, RoleName)>) -> wire::RolePairs {
    let pair =
        |(role, other): &(RoleName, RoleName)| wire::RolePair { role: role.to_string(), other: other.to_string() };
    wire::RolePairs { total: count(pairs.total), first: pairs.first.iter().map(pair).collect() }
}

fn orgs(orgs: &Listed<OrgId>) -> wire::OrgIds {
    wire::OrgIds { total: count(orgs.total), first: texts(&orgs.first) }
}

/// A row for one member. For some of many who were not named there is none.
fn member(impact: &MemberImpact) -> Option<wire::MemberImpact> {
    let Who::Member(user_id) = &impact.who else { return None };
    Some(wire::MemberImpact {
        org_id: impact.org_id.to_string(),
        user_id: user_id.to_string(),
        roles_given: texts(&impact.roles_given),
        roles_ended: texts(&impact.roles_ended),
        roles_suspended: texts(&impact.roles_suspended),
        roles_reactivated: texts(&impact.roles_reactivated),
        permissions_gained: Some(permissions(&impact.permissions_gained)),
        permissions_lost: Some(permissions(&impact.permissions_lost)),
    })
}

fn permissions(permissions: &Listed<PermissionName>) -> wire::PermissionNames {
    wire::PermissionNames { total: count(permissions.total), first: texts(&permissions.first) }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
