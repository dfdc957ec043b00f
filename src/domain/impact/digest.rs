//! The digest of a report. Equal reports have equal digests on every server, so it depends on names and on ids that are
//! the same on every server, not on the hash key of a process.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::domain::impact::report::{Impact, MemberImpact, Who};
use crate::domain::model::name::OrgId;

/// What is marked only by numbers.
#[derive(Clone, Copy)]
pub enum Kind {
    GrantGained = 1,
    GrantLost,
    AtLeastLost,
    ManagesLost,
    /// The report is for an acting user, so it contains less.
    Visible,
}

/// Marks of items that have no order in the report, or that it only counts. Each is hashed, and a sum does not depend
/// on the order.
#[derive(Debug, Default)]
pub struct Marks {
    sum: u128,
}

impl Marks {
    /// Adds an org, with the number of members and of invitations for each effect.
    pub fn org(&mut self, org: &OrgId, members: &BTreeMap<u128, u64>, invitations: &BTreeMap<u128, u64>) {
        let mut mark = Mark::default();
        mark.text(org.as_str());
        for effects in [members, invitations] {
            mark.number(effects.len() as u64);
            for (&effect, &affected) in effects {
                mark.mark(effect);
                mark.number(affected);
            }
        }
        self.sum = self.sum.wrapping_add(mark.done());
    }

    /// Adds an item by numbers that are the same on every server. There may be very many items.
    pub fn add(&mut self, kind: Kind, numbers: &[u32]) {
        let mark = numbers.iter().fold(mixed(0, kind as u64), |mark, &number| mixed(mark, number.into()));
        self.sum = self.sum.wrapping_add(u128::from(mark));
    }
}

/// Hashes texts and numbers to one number.
#[derive(Default)]
pub struct Mark(Sha256);

impl Mark {
    pub fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    fn mark(&mut self, mark: u128) {
        self.0.update(mark.to_le_bytes());
    }

    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text);
    }

    pub fn done(self) -> u128 {
        let hash = self.0.finalize();
        u128::from_le_bytes(std::array::from_fn(|at| hash[at]))
    }
}

/// Mixes two numbers into one, quickly: the finalizer of SplitMix64 (Steele, Lea and Flood 2014).
pub fn mixed(one: u64, other: u64) -> u64 {
    let mut mixed = (one ^ other.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Returns 32 hexadecimal digits for a report, which do not depend on the ids of users.
pub fn digest(impact: &Impact, marks: &Marks) -> String {
    let mut mark = Mark::default();
    let numbers = [impact.orgs, impact.members, impact.invitations, impact.members_losing_at_least];
    numbers.into_iter().for_each(|number| mark.number(number));
    for role in &impact.roles {
        mark.text(role.role.as_str());
        [role.given, role.removed, role.suspended, role.reactivated].into_iter().for_each(|number| mark.number(number));
    }
    let lists = [&impact.grants_gained, &impact.grants_lost].map(|list| list.total);
    let pairs = [&impact.at_least_lost, &impact.manages_lost].map(|list| list.total);
    let all = lists.into_iter().chain(pairs).chain([impact.orgs_left_ownerless.total]);
    all.for_each(|number| mark.number(number));
    for grant in impact.grants_gained.first.iter().chain(&impact.grants_lost.first) {
        let names = [grant.role_mapping.as_str(), grant.role.as_str(), grant.permission.as_str()];
        names.into_iter().for_each(|name| mark.text(name));
    }
    for (role, other) in impact.at_least_lost.first.iter().chain(&impact.manages_lost.first) {
        [role, other].into_iter().for_each(|name| mark.text(name.as_str()));
    }
    // The sample counts too: only it shows what a new member gains. It may list equal members together or one by one,
    // in any order.
    let mut sample: Vec<u128> = Vec::new();
    for row in &impact.sample {
        let members = match row.who {
            Who::Member(_) => 1,
            Who::SomeOf { at_most, .. } => at_most,
        };
        sample.extend(std::iter::repeat_n(mark_of(row), members));
    }
    sample.sort_unstable();
    sample.into_iter().for_each(|row| mark.mark(row));
    impact.orgs_left_ownerless.first.iter().for_each(|org| mark.text(org.as_str()));
    mark.mark(marks.sum);
    format!("{:032x}", mark.done())
}

/// Returns the mark of what one member gains and loses.
fn mark_of(row: &MemberImpact) -> u128 {
    let mut mark = Mark::default();
    mark.text(row.org_id.as_str());
    for roles in [&row.roles_given, &row.roles_removed, &row.roles_suspended, &row.roles_reactivated] {
        mark.number(roles.len() as u64);
        roles.iter().for_each(|role| mark.text(role.as_str()));
    }
    for permissions in [&row.permissions_gained, &row.permissions_lost] {
        mark.number(permissions.total);
        permissions.first.iter().for_each(|permission| mark.text(permission.as_str()));
    }
    mark.done()
}
