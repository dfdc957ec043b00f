//! The data of a benchmark and the questions about it: generated from a seed, or read from files.

use std::ops::Range;

use uuid::Builder;

use super::files::Files;
use crate::wire::Decision;

const SEED: u64 = 42;
/// Members of an org, except for the last org.
const ORG_MEMBERS: u64 = 100;

const ROLES: [&str; 10] =
    ["owner", "admin", "member", "custom_1", "custom_2", "custom_3", "custom_4", "custom_5", "custom_6", "custom_7"];
/// How many of the permissions a role has, in percent.
const ROLE_SHARES: [usize; 10] = [95, 85, 35, 70, 60, 60, 50, 50, 50, 50];
/// A role mapping: how many percent of that it grants, and the roles that it disables.
const MAPPINGS: [(&str, usize, &[usize]); 4] =
    [("free", 75, &[7, 8]), ("pro", 95, &[9]), ("enterprise", 115, &[]), ("internal", 105, &[6])];
const PRODUCTS: [char; 10] = ['A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J'];
const VERBS: [&str; 20] = [
    "Create",
    "Read",
    "Update",
    "Delete",
    "List",
    "Export",
    "Import",
    "Share",
    "Approve",
    "Reject",
    "Archive",
    "Restore",
    "Invite",
    "Remove",
    "Configure",
    "Publish",
    "Comment",
    "Audit",
    "Assign",
    "Bill",
];

/// Roles, permissions and role mappings.
#[derive(Default)]
pub struct Model {
    /// Highest first.
    pub roles: Vec<String>,
    pub permissions: Vec<String>,
    pub mappings: Vec<Mapping>,
}

#[derive(Default)]
pub struct Mapping {
    pub name: String,
    /// By the index of the role.
    pub rows: Vec<Row>,
}

#[derive(Clone, Default)]
pub struct Row {
    pub disabled: bool,
    /// By the index of the permission.
    pub grants: Vec<bool>,
}

impl Model {
    /// Returns the decision that a member with this role must get.
    pub fn decision(&self, mapping: usize, role: usize, permission: usize) -> Decision {
        let row = &self.mappings[mapping].rows[role];
        match (row.grants[permission], row.disabled) {
            (false, _) => Decision::MissingPermission,
            (true, true) => Decision::RoleDisabled,
            (true, false) => Decision::Allowed,
        }
    }

    /// Returns the roles that no mapping disables, highest first.
    pub fn enabled_roles(&self) -> impl Iterator<Item = usize> {
        (0..self.roles.len()).filter(|&role| !self.mappings.iter().any(|mapping| mapping.rows[role].disabled))
    }
}

/// One check, and the decision that it must get.
pub struct Check {
    pub org_id: String,
    pub user_id: String,
    /// Its index.
    pub permission: usize,
    pub expected: Decision,
}

pub struct Member {
    pub org_id: String,
    pub user_id: String,
    /// Its index.
    pub role: usize,
}

pub struct Workload {
    pub model: Model,
    /// Names the contents: two workloads of the same name are the same.
    pub name: String,
    pub memberships: u64,
    pub orgs: u64,
    /// `None` for a generated workload. It keeps no ids: they are functions of the seed and a number.
    files: Option<Files>,
}

impl Workload {
    pub fn generated(memberships: u64) -> Self {
        let name = format!("seed {SEED}, {memberships} memberships");
        let orgs = memberships.div_ceil(ORG_MEMBERS);
        Self { model: generated_model(), name, memberships, orgs, files: None }
    }

    pub fn of_files(files: Files, model: Model, name: String) -> Self {
        let (memberships, orgs) = (files.members.len() as u64, files.orgs.len() as u64);
        Self { model, name, memberships, orgs, files: Some(files) }
    }

    pub fn org_id(&self, org: u64) -> String {
        match &self.files {
            Some(files) => files.orgs[org as usize].0.clone(),
            None => id(Kind::Org, org),
        }
    }

    /// Returns the index of the org's role mapping.
    pub fn mapping(&self, org: u64) -> usize {
        match &self.files {
            Some(files) => files.orgs[org as usize].1,
            None => below(random(Kind::Mapping, org), MAPPINGS.len()),
        }
    }

    pub fn member(&self, number: u64) -> Member {
        let (org_id, user_id) = (self.org_id(self.org_of(number)), self.user_id(number));
        Member { org_id, user_id, role: self.role(number) }
    }

    /// Returns the members of an org.
    pub fn members_of(&self, org: u64) -> Range<u64> {
        match &self.files {
            Some(files) => files.members_of(org as usize),
            None => org * ORG_MEMBERS..((org + 1) * ORG_MEMBERS).min(self.memberships),
        }
    }

    pub fn check(&self, number: u64) -> Check {
        let member = self.checked_member(number);
        let permission = match &self.files {
            Some(files) => usize::from(files.checks[number as usize % files.checks.len()].1),
            None => below(random(Kind::CheckedPermission, number), self.model.permissions.len()),
        };
        let Member { org_id, user_id, role } = self.member(member);
        let expected = self.model.decision(self.mapping(self.org_of(member)), role, permission);
        Check { org_id, user_id, permission, expected }
    }

    /// Returns the member whom a check asks about.
    pub fn checked_member(&self, number: u64) -> u64 {
        match &self.files {
            Some(files) => u64::from(files.checks[number as usize % files.checks.len()].0),
            None => random(Kind::CheckedMember, number) % self.memberships,
        }
    }

    /// Returns the id of a user whom no check asks about.
    pub fn unchecked_user_id(&self, number: u64) -> String {
        id(Kind::UncheckedUser, number)
    }

    pub fn org_of(&self, member: u64) -> u64 {
        match &self.files {
            Some(files) => u64::from(files.members[member as usize].0),
            None => member / ORG_MEMBERS,
        }
    }

    fn user_id(&self, member: u64) -> String {
        match &self.files {
            Some(files) => files.members[member as usize].1.to_string(),
            None => id(Kind::User, member),
        }
    }

    fn role(&self, member: u64) -> usize {
        match &self.files {
            Some(files) => usize::from(files.members[member as usize].2),
            None => below(random(Kind::Role, member), ROLES.len()),
        }
    }
}

fn generated_model() -> Model {
    let permissions: Vec<String> = PRODUCTS
        .iter()
        .flat_map(|product| VERBS.iter().map(move |verb| format!("Product{product}::Can{verb}")))
        .collect();
    let mapping = |(at, &(name, share, disabled)): (usize, &(&str, usize, &[usize]))| {
        let row = |role: usize| {
            let number = (at * ROLES.len() + role) as u64;
            let granted = permissions.len() * ROLE_SHARES[role] * share / 10_000;
            Row { disabled: disabled.contains(&role), grants: sample(number, permissions.len(), granted) }
        };
        Mapping { name: name.into(), rows: (0..ROLES.len()).map(row).collect() }
    };
    let mappings = MAPPINGS.iter().enumerate().map(mapping).collect();
    Model { roles: ROLES.map(String::from).into(), permissions, mappings }
}

/// Returns a sample of `taken` of `all`: true for those in it.
fn sample(number: u64, all: usize, taken: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..all).collect();
    order.sort_by_key(|&at| random(Kind::Grant, number * all as u64 + at as u64));
    let mut grants = vec![false; all];
    order.iter().take(taken).for_each(|&at| grants[at] = true);
    grants
}

/// What a random number is for. Each kind has numbers of its own.
#[derive(Clone, Copy)]
enum Kind {
    Org,
    User,
    UncheckedUser,
    Mapping,
    Role,
    Grant,
    CheckedMember,
    CheckedPermission,
}

/// Returns a UUID of version 4.
fn id(kind: Kind, number: u64) -> String {
    let high = random(kind, number);
    let bytes = (u128::from(high) << 64) | u128::from(mixed(high));
    Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid().to_string()
}

/// Different numbers of one kind have different results.
fn random(kind: Kind, number: u64) -> u64 {
    mixed(mixed(SEED ^ ((kind as u64) << 32)) ^ number)
}

fn below(random: u64, end: usize) -> usize {
    (random % end as u64) as usize
}

/// The step of splitmix64.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_generated_workload_has_the_shape_of_the_yardstick() {
        let workload = Workload::generated(2_050);
        assert_eq!((workload.orgs, workload.members_of(20)), (21, 2_000..2_050));
        assert_eq!((workload.model.roles.len(), workload.model.permissions.len()), (10, 200));
        let disabled =
            workload.model.mappings.iter().map(|mapping| mapping.rows.iter().filter(|row| row.disabled).count());
        assert_eq!(disabled.collect::<Vec<_>>(), [2, 1, 0, 1]);
        let granted = |mapping: usize, role: usize| {
            workload.model.mappings[mapping].rows[role].grants.iter().filter(|&&granted| granted).count()
        };
        assert_eq!((granted(0, 0), granted(2, 0), granted(1, 2)), (142, 200, 66));
        assert_eq!(workload.model.enabled_roles().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn ids_are_different_and_always_the_same() {
        let workload = Workload::generated(2_000);
        let users: HashSet<String> = (0..2_000).map(|number| workload.member(number).user_id).collect();
        let orgs: HashSet<String> = (0..20).map(|org| workload.org_id(org)).collect();
        assert_eq!((users.len(), orgs.len()), (2_000, 20));
        assert!(users.is_disjoint(&orgs) && !users.contains(&workload.unchecked_user_id(0)));
        assert_eq!(workload.org_id(0), Workload::generated(10_000_000).org_id(0));
        assert_eq!(workload.org_id(0).len(), 36);
    }

    #[test]
    fn about_half_of_the_checks_are_allowed() {
        let workload = Workload::generated(2_000);
        let of = |decision| (0..4_000).filter(|&number| workload.check(number).expected == decision).count();
        assert!((1_900..2_500).contains(&of(Decision::Allowed)), "{}", of(Decision::Allowed));
        assert!((100..400).contains(&of(Decision::RoleDisabled)), "{}", of(Decision::RoleDisabled));
        assert_eq!(of(Decision::Allowed) + of(Decision::RoleDisabled) + of(Decision::MissingPermission), 4_000);
    }
}
