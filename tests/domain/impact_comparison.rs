//! Compares the impact of the domain with the one that the model finds (R9).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use rolecall::domain::impact::report::{Impact, Listed, MemberImpact, Who};
use rolecall::domain::{Project, RoleName, State, UserId};

use crate::model::{AffectedMember, Report};

/// The states before and after a write. Only `users` can be members.
pub struct BeforeAndAfter<'a> {
    pub project: &'a str,
    pub before: &'a State,
    pub after: &'a State,
    pub users: &'a [&'a str],
    /// True if an acting user deletes an org. Such an impact has no sample: grouping members would reveal internal
    /// roles (I4).
    pub no_sample: bool,
}

/// Random histories affect fewer members than this, and fill no list of a report.
const SAMPLE: usize = 20;

pub fn agree(impact: &Impact, report: &Report, states: &BeforeAndAfter<'_>) -> TestCaseResult {
    let mut orgs = report.orgs.clone();
    orgs.extend(other_fallbacks(states));
    prop_assert_eq!(impact.orgs, orgs.len() as u64, "orgs: {:?}", orgs);
    prop_assert_eq!(impact.members, report.affected.len() as u64, "members: {:?}", &report.affected);
    prop_assert_eq!(impact.invitations, report.invitations, "invitations");
    prop_assert_eq!(impact.members_losing_at_least, report.members_losing_at_least, "losing at least");
    let roles = impact.roles.iter();
    let roles = roles.map(|it| (it.role.to_string(), [it.given, it.removed, it.suspended, it.reactivated]));
    prop_assert_eq!(roles.collect::<BTreeMap<_, _>>(), report.roles.clone());
    prop_assert_eq!(impact.roles.len(), report.roles.len());
    let grant = |listed: &Listed<rolecall::domain::impact::report::GrantImpact>| {
        all(listed, |it| (it.role_mapping.to_string(), it.role.to_string(), it.permission.to_string()))
    };
    prop_assert_eq!(&grant(&impact.grants_gained), &report.grants_gained, "grants gained");
    prop_assert_eq!(&grant(&impact.grants_lost), &report.grants_lost, "grants lost");
    let pair = |listed: &Listed<(RoleName, RoleName)>| all(listed, |(one, two)| (one.to_string(), two.to_string()));
    prop_assert_eq!(&pair(&impact.at_least_lost), &report.at_least_lost, "at least lost");
    prop_assert_eq!(&pair(&impact.manages_lost), &report.manages_lost, "manages lost");
    prop_assert_eq!(&all(&impact.orgs_left_ownerless, ToString::to_string), &report.orgs_left_ownerless, "ownerless");
    prop_assert!(impact.orgs_left_ownerless.first.is_sorted());
    if states.no_sample {
        prop_assert!(impact.sample.is_empty());
        return Ok(());
    }
    sample(impact, report, states)
}

/// Returns all entries of a list. Asserts that it is complete and has no duplicates.
fn all<T, S: Ord + Debug>(listed: &Listed<T>, text: impl Fn(&T) -> S) -> BTreeSet<S> {
    assert_eq!(listed.total, listed.first.len() as u64, "the list is not complete");
    let found: BTreeSet<S> = listed.first.iter().map(text).collect();
    assert_eq!(found.len(), listed.first.len(), "listed twice: {found:?}");
    found
}

/// Returns the orgs with changed fallback roles. The model does not keep those of roles that nobody holds.
fn other_fallbacks(states: &BeforeAndAfter<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Some(before) = states.before.project_keyed(states.project) {
        let Some(project) = states.after.project_numbered(before.id) else { return found };
        before.for_each_org(|org| {
            let after = project.org_numbered(org.no).filter(|after| after.record.lifecycle.exists());
            if after.is_some_and(|after| after.fallbacks() != org.fallbacks()) {
                found.insert(org.record.profile.org_id.to_string());
            }
        });
    }
    found
}

/// Checks the sample: members who lose come first, then the order is by org, and each row fits its members.
fn sample(impact: &Impact, report: &Report, states: &BeforeAndAfter<'_>) -> TestCaseResult {
    let mut sampled: Vec<(String, bool)> = Vec::new();
    let mut met: BTreeSet<(String, String)> = BTreeSet::new();
    for row in &impact.sample {
        let users = users_of(row, states)?;
        let wanted = match &row.who {
            Who::Member(_) => 1,
            Who::SomeOf { at_most, .. } => *at_most,
        };
        prop_assert_eq!(users.len(), wanted, "{:?} is about {:?}", row, users);
        for user in users {
            let key = (row.org_id.to_string(), user);
            let affected = report.affected.get(&key);
            prop_assert_eq!(
                Some(affected_member(row)),
                affected.map(|it| AffectedMember { loses: false, ..it.clone() }),
                "{:?}",
                &key
            );
            sampled.push((key.0.clone(), affected.is_some_and(|it| it.loses)));
            prop_assert!(met.insert(key), "twice in the sample: {:?}", row);
        }
    }
    let mut should: Vec<(bool, String)> =
        report.affected.iter().map(|((org, _), it)| (!it.loses, org.clone())).collect();
    should.sort();
    should.truncate(SAMPLE);
    let sampled: Vec<_> = sampled.into_iter().map(|(org, loses)| (!loses, org)).collect();
    prop_assert_eq!(sampled, should, "the order of the sample");
    Ok(())
}

fn affected_member(row: &MemberImpact) -> AffectedMember {
    let names = |roles: &[RoleName]| {
        let names: BTreeSet<String> = roles.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), roles.len(), "a role twice: {row:?}");
        names
    };
    AffectedMember {
        roles_given: names(&row.roles_given),
        roles_removed: names(&row.roles_removed),
        roles_suspended: names(&row.roles_suspended),
        roles_reactivated: names(&row.roles_reactivated),
        permissions_gained: all(&row.permissions_gained, ToString::to_string),
        permissions_lost: all(&row.permissions_lost, ToString::to_string),
        loses: false,
    }
}

/// Returns the members that a row is about, as the database would find them.
fn users_of(row: &MemberImpact, states: &BeforeAndAfter<'_>) -> Result<Vec<String>, TestCaseError> {
    let (role_set, at_most) = match &row.who {
        Who::Member(user) => return Ok(vec![user.to_string()]),
        Who::SomeOf { role_set, at_most } => (*role_set, *at_most),
    };
    let has = |project: &Project| {
        let org = project.org_numbered(row.org)?;
        let mut users: Vec<&str> = states.users.to_vec();
        users.sort();
        users.retain(|user| {
            let record = project.membership(org, &UserId::stored(*user));
            record.is_some_and(|record| record.role_set == role_set && record.temporary.is_empty())
        });
        Some(users.into_iter().take(at_most).map(str::to_string).collect::<Vec<_>>())
    };
    let found = states.before.project_keyed(states.project).and_then(|project| has(project));
    found.ok_or_else(|| TestCaseError::fail(format!("{row:?} is about no member")))
}

/// The reports by digest. One digest must have one report. One report can have several digests, because it does not
/// name all the orgs it counts.
#[derive(Default)]
pub struct Digests {
    reports: BTreeMap<String, String>,
}

impl Digests {
    pub fn keep(&mut self, impact: &Impact) -> TestCaseResult {
        prop_assert_ne!(&impact.digest, "");
        let report = without_user_ids(impact);
        let before = self.reports.entry(impact.digest.clone()).or_insert_with(|| report.clone());
        prop_assert_eq!(&*before, &report, "one digest of two reports");
        Ok(())
    }
}

/// Formats a report without user ids and role sets.
pub fn without_user_ids(impact: &Impact) -> String {
    let mut rows = Vec::new();
    for row in &impact.sample {
        let (affected, org) = (affected_member(row), &row.org_id);
        let times = match &row.who {
            Who::Member(_) => 1,
            Who::SomeOf { at_most, .. } => *at_most,
        };
        rows.extend(std::iter::repeat_n(format!("{org} {affected:?}"), times));
    }
    rows.sort();
    let others = Impact { digest: String::new(), sample: Vec::new(), ..impact.clone() };
    format!("{others:?} {rows:?}")
}
