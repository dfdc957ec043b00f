//! Removes roles and invitations that expired long ago (B5, V2).

use crate::domain::commands::command::RemoveExpired;
use crate::domain::commands::draft::Draft;
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::{invitation, role_set};
use crate::domain::model::membership::{MembershipRecord, origins};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::role_set::RoleSet;
use crate::domain::rules::expired::is_long_expired;
use crate::domain::state::change::{Change, Edit, MembershipKey};
use crate::domain::state::project::Project;
use crate::limits::PURGE_ROWS_MAX;

/// Removes roles that expired long ago from a chunk of members, then settles invitations that expired long ago, up to
/// the size of the chunk. Members without other roles are removed first: that needs no new role set, and may free some.
/// At the limit of role sets the command does what it can.
pub fn remove(draft: &mut Draft<'_>, command: &RemoveExpired) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let mut with_other_roles = Vec::new();
    for (no, user) in project.with_long_expired_roles(draft.now(), PURGE_ROWS_MAX) {
        let Some(before) = project.org_numbered(no).and_then(|org| project.membership(org, &user)) else { continue };
        let Some(set) = project.role_sets.get(before.role_set) else { return Err(Refusal::Bug) };
        let key = MembershipKey { project: project.id, org: no, user };
        if before.temporary.iter().filter(|role| is_long_expired(role, draft.now())).count() == set.roles.len() {
            draft.edit(Change::Membership(Edit { key, before: Some(before), after: None }));
        } else {
            with_other_roles.push((key, before, set));
        }
    }
    for (key, before, set) in with_other_roles {
        match without_long_expired(draft, &project, &before, set) {
            Ok(after) => draft.edit(Change::Membership(Edit { key, before: Some(before), after: Some(after) })),
            Err(refusal) if refusal.exceeds(role_set::LIMIT) && !draft.changes().is_empty() => break,
            Err(refusal) => return Err(refusal),
        }
    }
    let rows_left = PURGE_ROWS_MAX.saturating_sub(draft.changes().len());
    for (no, id) in project.long_expired_invitations(draft.now(), rows_left) {
        let Some(org) = project.org_numbered(no) else { return Err(Refusal::Bug) };
        invitation::settle_expired(draft, &project, org, id)?;
    }
    Ok(Outcome::Purged(draft.changes().len()))
}

/// Returns the record without the roles that expired long ago. The other roles keep their origins.
fn without_long_expired(
    draft: &mut Draft<'_>,
    project: &Project,
    before: &MembershipRecord,
    set: &RoleSet,
) -> Result<MembershipRecord, Refusal> {
    let (removed, temporary): (Vec<_>, Vec<_>) =
        before.temporary.iter().copied().partition(|role| is_long_expired(role, draft.now()));
    let is_kept = |role| !removed.iter().any(|removed| removed.role == role);
    let roles = RoleSet::new(set.roles.iter().copied().filter(|&role| is_kept(role)));
    let origin = before.latest_origin(set);
    let origins = origins(roles.roles.iter().map(|&role| (role, before.origin_of(role, set))), origin);
    let role_set = role_set::intern(draft, project.id, roles)?;
    Ok(MembershipRecord { role_set, origin, temporary: temporary.into(), origins })
}
