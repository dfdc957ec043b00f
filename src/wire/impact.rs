//! The impact of a write, as answers report it and as it is remembered (R9).

use super::resource::{count, texts};
use crate::domain::impact::report::{GrantImpact, Impact, Listed, MemberImpact, RoleImpact, Who};
use crate::domain::{OrgId, PermissionName, RoleName};
use crate::wire;

pub fn impact(impact: &Impact) -> wire::Impact {
    wire::Impact {
        digest: impact.digest.clone(),
        orgs: count(impact.orgs),
        members: count(impact.members),
        invitations: count(impact.invitations),
        members_losing_at_least: count(impact.members_losing_at_least),
        roles: impact.roles.iter().map(role).collect(),
        grants_gained: some(&impact.grants_gained, grants),
        grants_lost: some(&impact.grants_lost, grants),
        at_least_lost: some(&impact.at_least_lost, pairs),
        manages_lost: some(&impact.manages_lost, pairs),
        orgs_left_ownerless: some(&impact.orgs_left_ownerless, orgs),
        sample: impact.sample.iter().filter_map(member).collect(),
    }
}

fn role(impact: &RoleImpact) -> wire::RoleImpact {
    wire::RoleImpact {
        role: impact.role.to_string(),
        given: count(impact.given),
        removed: count(impact.removed),
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

/// Returns the row of a member. `None` if it stands for several members.
fn member(impact: &MemberImpact) -> Option<wire::MemberImpact> {
    let Who::Member(user_id) = &impact.who else { return None };
    Some(wire::MemberImpact {
        org_id: impact.org_id.to_string(),
        user_id: user_id.to_string(),
        roles_given: texts(&impact.roles_given),
        roles_removed: texts(&impact.roles_removed),
        roles_suspended: texts(&impact.roles_suspended),
        roles_reactivated: texts(&impact.roles_reactivated),
        permissions_gained: some(&impact.permissions_gained, permissions),
        permissions_lost: some(&impact.permissions_lost, permissions),
    })
}

fn permissions(permissions: &Listed<PermissionName>) -> wire::PermissionNames {
    wire::PermissionNames { total: count(permissions.total), first: texts(&permissions.first) }
}

/// Returns a list. `None` for an empty one, which would make most answers twice as long.
fn some<T, W>(listed: &Listed<T>, wire: impl Fn(&Listed<T>) -> W) -> Option<W> {
    (listed.total > 0).then(|| wire(listed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r9_empty_lists_are_left_out() {
        assert_eq!(super::impact(&Impact::default()), wire::Impact::default());
        let orgs_left_ownerless = Listed { total: 1, first: vec![OrgId::stored("acme")] };
        let some = super::impact(&Impact { orgs_left_ownerless, ..Impact::default() });
        let expected = Some(wire::OrgIds { total: 1, first: vec!["acme".into()] });
        assert_eq!(some, wire::Impact { orgs_left_ownerless: expected, ..Default::default() });
    }
}
