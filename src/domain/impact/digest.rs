//! The digest of a report: equal where the report is, on every server. It is made of names, not of what one process draws.

use sha2::{Digest, Sha256};

use super::{Impact, MemberImpact, Who};
use crate::domain::name::OrgId;

/// The orgs that are touched, in whatever order they are met.
#[derive(Debug, Default)]
pub struct Orgs {
    sum: u128,
}

impl Orgs {
    pub fn add(&mut self, org: &OrgId, members: u64) {
        let hash = Sha256::new().chain_update(members.to_le_bytes()).chain_update(org.as_str()).finalize();
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(std::array::from_fn(|at| hash[at])));
    }
}

/// 32 hexadecimal digits that stand for a report, the ids of users aside.
pub fn digest(impact: &Impact, orgs: &Orgs) -> String {
    let mut hash = Sha256::new();
    let mut number = |number: u64| hash.update(number.to_le_bytes());
    [impact.orgs, impact.members, impact.members_losing_at_least].into_iter().for_each(&mut number);
    for role in &impact.roles {
        [role.given, role.ended, role.suspended, role.reactivated].into_iter().for_each(&mut number);
    }
    let lists = [&impact.grants_gained, &impact.grants_lost].map(|list| list.total);
    let pairs = [&impact.at_least_lost, &impact.manages_lost].map(|list| list.total);
    lists.into_iter().chain(pairs).chain([impact.orgs_left_ownerless.total]).for_each(&mut number);
    hash.update(orgs.sum.to_le_bytes());
    let mut text = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    impact.roles.iter().for_each(|role| text(role.role.as_str()));
    for grant in impact.grants_gained.first.iter().chain(&impact.grants_lost.first) {
        [grant.role_mapping.as_str(), grant.role.as_str(), grant.permission.as_str()].into_iter().for_each(&mut text);
    }
    for (role, other) in impact.at_least_lost.first.iter().chain(&impact.manages_lost.first) {
        [role.as_str(), other.as_str()].into_iter().for_each(&mut text);
    }
    impact.orgs_left_ownerless.first.iter().for_each(|org| text(org.as_str()));
    // Members alike may be told of together or one by one, and in any order within an org.
    let mut sample: Vec<[u8; 32]> = Vec::new();
    for row in &impact.sample {
        let members = match row.who {
            Who::Member(_) => 1,
            Who::SomeOf { at_most, .. } => at_most,
        };
        sample.extend(std::iter::repeat_n(digest_of(row), members));
    }
    sample.sort_unstable();
    sample.iter().for_each(|row| hash.update(row));
    let digest = hash.finalize();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Of what one member gains and loses.
fn digest_of(row: &MemberImpact) -> [u8; 32] {
    let mut hash = Sha256::new().chain_update((row.org_id.as_str().len() as u64).to_le_bytes());
    hash.update(row.org_id.as_str());
    let mut list = |total: u64, first: &[&str]| {
        hash.update(total.to_le_bytes());
        for text in first {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
    };
    for roles in [&row.roles_given, &row.roles_ended, &row.roles_suspended, &row.roles_reactivated] {
        list(roles.len() as u64, &roles.iter().map(|role| role.as_str()).collect::<Vec<_>>());
    }
    for permissions in [&row.permissions_gained, &row.permissions_lost] {
        list(permissions.total, &permissions.first.iter().map(|it| it.as_str()).collect::<Vec<_>>());
    }
    hash.finalize().into()
}
