//! Adds, sets and removes members (B1, B2, B3, M3), also for an acting user (G1, G3, I4).

pub mod given;
pub mod member;
pub mod removal;

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::commands::command::{BatchWriteMembers, MemberWrite, Write, WriteMember};
use crate::domain::commands::draft::Draft;
use crate::domain::commands::invitation;
use crate::domain::commands::membership::member::Member;
use crate::domain::commands::outcome::{Outcome, RowEffect, Tally};
use crate::domain::model::membership::MembershipRecord;
use crate::domain::model::name::{OrgId, ProjectKey, UserId};
use crate::domain::model::refusal::{Refusal, Rows};
use crate::domain::rules::delegation::Acting;
use crate::domain::rules::owners::check_owner;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::change::{Change, Edit, MembershipKey};
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// Adds, sets or removes one member.
pub fn write_one(draft: &mut Draft<'_>, command: &WriteMember) -> Result<Outcome, Refusal> {
    let acting = draft.acting_user();
    let (effect, left) = write(draft, &command.project, &command.row, acting.as_ref())?;
    if effect == RowEffect::Removed && !command.keep_invitations {
        revoke_invitations(draft, &command.project, &[&command.row])?;
    }
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.row.org_id)?;
    if left && !command.allow_ownerless {
        check_owner(&project, org, draft.now())?;
    }
    let record = project.membership(org, &command.row.user_id);
    let record = record.filter(|_| !matches!(command.row.write, Write::Remove));
    let visibility = Visibility::of(acting.as_ref());
    Ok(match record {
        Some(record) => Outcome::Member(project.member(org, &command.row.user_id, &record, visibility, draft.now())),
        None => Outcome::Removed,
    })
}

/// Adds, sets and removes many members, all or none (B2).
pub fn write_batch(draft: &mut Draft<'_>, command: &BatchWriteMembers) -> Result<Outcome, Refusal> {
    draft.project(&command.project)?;
    let mut tally = Tally::default();
    let mut named = BTreeSet::new();
    let (mut left, mut removed) = (Vec::new(), Vec::new());
    let acting = draft.acting_user();
    let mut rows = Rows::default();
    for (number, row) in command.rows.iter().enumerate() {
        if !named.insert((&row.org_id, &row.user_id)) {
            rows.push(number, Refusal::RepeatedRow);
            continue;
        }
        match write(draft, &command.project, row, acting.as_ref()) {
            Ok((effect, owner_left)) => {
                tally.count(effect);
                removed.extend((effect == RowEffect::Removed).then_some(row));
                left.extend(owner_left.then_some((number, row)));
            }
            Err(refusal) => rows.push(number, refusal),
        }
    }
    rows.refuse_if_any()?;
    if !command.allow_ownerless {
        check_owners(draft, &command.project, &left)?;
    }
    if !command.keep_invitations {
        revoke_invitations(draft, &command.project, &removed)?;
    }
    Ok(Outcome::Tally(tally))
}

/// Checks the orgs that owners left, after all rows are written. Each org is scanned once.
fn check_owners(draft: &Draft<'_>, project: &ProjectKey, left: &[(usize, &MemberWrite)]) -> Result<(), Refusal> {
    let project = draft.project(project)?;
    let orgs: BTreeSet<&OrgId> = left.iter().map(|(_, row)| &row.org_id).collect();
    let mut refused: BTreeMap<&OrgId, Refusal> = BTreeMap::new();
    for org_id in orgs {
        let org = project.org_or_refusal(org_id)?;
        refused.extend(check_owner(&project, org, draft.now()).err().map(|refusal| (org_id, refusal)));
    }
    let mut rows = Rows::default();
    for (number, row) in left {
        if let Some(refusal) = refused.get(&row.org_id) {
            rows.push(*number, refusal.clone());
        }
    }
    rows.refuse_if_any()
}

/// Revokes the pending invitations of removed members (V6). Each org is scanned once.
fn revoke_invitations(draft: &mut Draft<'_>, project: &ProjectKey, removed: &[&MemberWrite]) -> Result<(), Refusal> {
    let mut users: BTreeMap<&OrgId, BTreeSet<&UserId>> = BTreeMap::new();
    for row in removed {
        users.entry(&row.org_id).or_default().insert(&row.user_id);
    }
    let project = draft.project(project)?;
    for (org_id, users) in users {
        invitation::revoke_of(draft, &project, project.org_or_refusal(org_id)?, |inviter| users.contains(inviter));
    }
    Ok(())
}

/// Writes one row. Also returns true if the member was a permanent owner and no longer is.
fn write(
    draft: &mut Draft<'_>,
    project: &ProjectKey,
    row: &MemberWrite,
    acting: Option<&UserId>,
) -> Result<(RowEffect, bool), Refusal> {
    let project = draft.project(project)?;
    let org = project.org_or_refusal(&row.org_id)?;
    let before = project.membership(org, &row.user_id);
    let member = Member { project: &project, org, user: &row.user_id, record: before.as_ref() };
    let (after, effect) = match acting {
        None => member.written(draft, &row.write)?,
        Some(acting) => member.written_by(draft, &row.write, &Acting::new(&project, org, acting, draft.now())?)?,
    };
    if after == before {
        return Ok((RowEffect::Unchanged, false));
    }
    let owner_left = record(draft, &project, org, &row.user_id, after)?;
    match row.write {
        Write::Remove if acting == Some(&row.user_id) => {}
        Write::Remove => removal::record(draft, &project, org, &row.user_id),
        Write::Add(_) | Write::Set(_) => removal::forget(draft, &project, org, &row.user_id),
    }
    Ok((effect, owner_left))
}

/// Records the roles of a user. Returns true if the user was a permanent owner and no longer is.
pub(in crate::domain::commands) fn record(
    draft: &mut Draft<'_>,
    project: &Project,
    org: &Org,
    user: &UserId,
    after: Option<MembershipRecord>,
) -> Result<bool, Refusal> {
    let before = project.membership(org, user);
    if after == before {
        return Ok(false);
    }
    // Only the draft has a set that was just created.
    let latest = draft.latest(project)?;
    let owner = project.record.default_owner_role;
    let owns = |record: &Option<MembershipRecord>| {
        let recorded = record.as_ref().and_then(|record| latest.recorded_in(record));
        recorded.is_some_and(|recorded| recorded.holds_permanently(owner))
    };
    let owner_left = owns(&before) && !owns(&after);
    let key = MembershipKey { project: project.id, org: org.no, user: user.clone() };
    draft.edit(Change::Membership(Edit { key, before, after }));
    Ok(owner_left)
}
