//! Adds, sets and removes members (B1, B2, B3, M3).

use std::collections::{BTreeMap, BTreeSet};

use super::{MembershipRecord, Origin, TimedRole, origins};
use crate::domain::change::MembershipKey;
use crate::domain::command::{BatchWriteMembers, GivenRole, MemberWrite, Write, WriteMember};
use crate::domain::decide::{Draft, Outcome, Tally};
use crate::domain::hash::TextHash;
use crate::domain::id::RoleId;
use crate::domain::name::{OrgId, ProjectKey, UserId};
use crate::domain::org::Org;
use crate::domain::project::{Project, RoleStructure};
use crate::domain::refusal::{Noun, Refusal, Rows};
use crate::domain::role_set::{self, RoleSet};
use crate::domain::{Change, Edit, Time};

/// Adds, sets or removes one member.
pub fn write_one(draft: &mut Draft<'_>, command: &WriteMember) -> Result<Outcome, Refusal> {
    let (_, left) = write(draft, &command.project, &command.row)?;
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.row.org_id)?;
    if left && !command.allow_ownerless {
        owned(&project, org, &BTreeSet::from([&command.row.user_id]), draft.now())?;
    }
    Ok(match project.membership(org, &command.row.user_id) {
        Some(record) => Outcome::Member(project.member(org, &command.row.user_id, &record, draft.now())),
        None => Outcome::Removed,
    })
}

/// Adds, sets and removes many members, all or none (B2).
pub fn write_batch(draft: &mut Draft<'_>, command: &BatchWriteMembers) -> Result<Outcome, Refusal> {
    draft.project(&command.project)?;
    let mut tally = Tally::default();
    let mut seen = BTreeSet::new();
    let mut left = Vec::new();
    let mut rows = Rows::default();
    for (number, row) in command.rows.iter().enumerate() {
        if !seen.insert((&row.org_id, &row.user_id)) {
            rows.push(number, Refusal::RepeatedRow);
            continue;
        }
        match write(draft, &command.project, row) {
            Ok((done, owner_left)) => {
                tally.count(done);
                left.extend(owner_left.then_some((number, row)));
            }
            Err(refusal) => rows.push(number, refusal),
        }
    }
    rows.none()?;
    if !command.allow_ownerless {
        all_owned(draft, &command.project, &left)?;
    }
    Ok(Outcome::Tally(tally))
}

/// Refuses to leave an org without an owner that keeps visible members beside those who were its owners (B3).
fn owned(project: &Project, org: &Org, left: &BTreeSet<&UserId>, now: Time) -> Result<(), Refusal> {
    if project.has_owner(org) {
        return Ok(());
    }
    let left: BTreeSet<TextHash> = left.iter().map(|user| project.hash_key.text(user.as_str())).collect();
    if !project.has_visible_member(org, |user, _| left.contains(&user), now) {
        return Ok(());
    }
    let role = project.role_name(project.record.default_owner_role);
    Err(Refusal::LastOwner { role, first: org.record.profile.org_id.clone(), orgs: 1 })
}

/// Judges the orgs that owners left once all rows are written; each is looked through once.
fn all_owned(draft: &Draft<'_>, project: &ProjectKey, left: &[(usize, &MemberWrite)]) -> Result<(), Refusal> {
    let project = draft.project(project)?;
    let mut leavers: BTreeMap<&OrgId, BTreeSet<&UserId>> = BTreeMap::new();
    for (_, row) in left {
        leavers.entry(&row.org_id).or_default().insert(&row.user_id);
    }
    let mut judged: BTreeMap<&OrgId, Refusal> = BTreeMap::new();
    for (org_id, left) in leavers {
        let org = project.org_or_refusal(org_id)?;
        judged.extend(owned(&project, org, &left, draft.now()).err().map(|refusal| (org_id, refusal)));
    }
    let mut rows = Rows::default();
    for (number, row) in left {
        if let Some(refusal) = judged.get(&row.org_id) {
            rows.push(*number, refusal.clone());
        }
    }
    rows.none()
}

/// What became of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Added,
    Set,
    Removed,
    Unchanged,
}

/// Writes one row; also says whether it took a permanent owner from the org.
fn write(draft: &mut Draft<'_>, project: &ProjectKey, row: &MemberWrite) -> Result<(Done, bool), Refusal> {
    let now = draft.now();
    let project = draft.project(project)?;
    let org = project.org_or_refusal(&row.org_id)?;
    let before = project.membership(org, &row.user_id);
    let held = before.as_ref().map(|record| project.held(record, now)).unwrap_or_default();
    let not_found = || Refusal::NotFound(Noun::Member, row.user_id.to_string());
    let (after, done) = match &row.write {
        Write::Add(_) if !held.is_empty() => {
            return Err(Refusal::AlreadyExists(Noun::Member, row.user_id.to_string()));
        }
        Write::Set(_) | Write::Remove if held.is_empty() => return Err(not_found()),
        Write::Remove => (None, Done::Removed),
        Write::Add(given) => (Some(record(draft, &project, org, None, &held, given)?), Done::Added),
        Write::Set(given) => (Some(record(draft, &project, org, before.as_ref(), &held, given)?), Done::Set),
    };
    if after == before {
        return Ok((Done::Unchanged, false));
    }
    // A set that was just made is in the draft alone.
    let latest = draft.again(&project)?;
    let owner = project.record.default_owner_role;
    let owns = |record: &Option<MembershipRecord>| {
        let recorded = record.as_ref().and_then(|record| latest.recorded_in(record));
        recorded.is_some_and(|recorded| recorded.holds_for_ever(owner))
    };
    let owner_left = owns(&before) && !owns(&after);
    let key = MembershipKey { project: project.id, org: org.no, user: row.user_id.clone() };
    draft.edit(Change::Membership(Edit { key, before, after }));
    Ok((done, owner_left))
}

/// Turns the roles given into what is recorded, if the member may have them.
fn record(
    draft: &mut Draft<'_>,
    project: &Project,
    org: &Org,
    before: Option<&MembershipRecord>,
    held: &[RoleId],
    given: &[GivenRole],
) -> Result<MembershipRecord, Refusal> {
    let now = draft.now();
    // A set, since a request may name as many as fit into its bytes before they are counted.
    let mut roles = BTreeSet::new();
    let mut timed = Vec::new();
    if given.is_empty() {
        roles.insert(project.record.default_role);
    }
    for (at, given) in given.iter().enumerate() {
        let role = project.role(&given.role)?;
        if !roles.insert(role) {
            return Err(Refusal::RepeatedRole { at, role: given.role.clone() });
        }
        let kept = before.and_then(|record| record.timed.iter().find(|timed| timed.role == role));
        let until = match given.permanent {
            true => given.until,
            false => given.until.or(kept.map(|timed| timed.until)),
        };
        // Also an end that is kept: who writes back the names that were read must not revive a role by accident.
        if until.is_some_and(|until| until <= now) {
            return Err(Refusal::EndInThePast { at, role: given.role.clone() });
        }
        timed.extend(until.map(|until| TimedRole { role, until }));
    }
    counted(draft, project, roles.len(), &timed)?;
    let mapping = project.role_mappings.get(org.record.role_mapping);
    for &role in &roles {
        if !mapping.is_some_and(|mapping| mapping.enabled(role)) && !held.contains(&role) {
            return Err(Refusal::RoleDisabled {
                role: project.role_name(role),
                role_mapping: project.role_mapping_name(org.record.role_mapping),
            });
        }
    }
    timed.sort_by_key(|timed| timed.role);
    let set = before.and_then(|record| Some((record, project.role_sets.get(record.role_set)?)));
    // Whoever asks for what there is changes nothing, whatever it came by.
    if let Some((record, recorded)) = set
        && recorded.roles.iter().eq(&roles)
        && *record.timed == *timed
    {
        return Ok(record.clone());
    }
    let came = |role| match set {
        Some((record, set)) if held.contains(&role) => record.origin_of(role, set),
        _ => Origin::Direct,
    };
    let origins = origins(roles.iter().map(|&role| (role, came(role))), Origin::Direct);
    let role_set = role_set::intern(draft, project, RoleSet::new(roles))?;
    Ok(MembershipRecord { role_set, origin: Origin::Direct, timed: timed.into(), origins })
}

/// SINGLE_ROLE: one role, and besides it at most one lent until a time; MULTI_ROLE: one to fifty (B1, P7).
fn counted(draft: &Draft<'_>, project: &Project, roles: usize, timed: &[TimedRole]) -> Result<(), Refusal> {
    match project.record.role_structure {
        RoleStructure::SingleRole => {
            let lasting = roles - timed.len();
            if lasting > 1 || timed.len() > 1 {
                Err(Refusal::TooManyRoles { lasting, timed: timed.len() })
            } else {
                Ok(())
            }
        }
        RoleStructure::MultiRole => draft.within("member_roles", draft.limits().member_roles, roles),
    }
}
