//! Removes roles that expired long ago (B5).

use crate::domain::commands::command::RemoveExpiredRoles;
use crate::domain::commands::draft::Draft;
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::role_set;
use crate::domain::model::membership::{MembershipRecord, origins};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::role_set::RoleSet;
use crate::domain::rules::expired_roles::is_outdated;
use crate::domain::state::change::{Change, Edit, MembershipKey};
use crate::domain::state::project::Project;
use crate::limits::PURGE_ROWS_MAX;

/// Removes the outdated roles of a chunk of members. A member without other roles is removed.
pub fn remove(draft: &mut Draft<'_>, command: &RemoveExpiredRoles) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    for (no, user) in project.with_outdated_roles(draft.now(), PURGE_ROWS_MAX) {
        let Some(before) = project.org_numbered(no).and_then(|org| project.membership(org, &user)) else { continue };
        let after = without_outdated(draft, &project, &before)?;
        let key = MembershipKey { project: project.id, org: no, user };
        draft.edit(Change::Membership(Edit { key, before: Some(before), after }));
    }
    Ok(Outcome::Purged(draft.changes().len()))
}

/// Returns the record without outdated roles. `None` if no role remains. The other roles keep their origins.
fn without_outdated(
    draft: &mut Draft<'_>,
    project: &Project,
    before: &MembershipRecord,
) -> Result<Option<MembershipRecord>, Refusal> {
    let Some(set) = project.role_sets.get(before.role_set) else { return Err(Refusal::Bug) };
    let (outdated, temporary): (Vec<_>, Vec<_>) =
        before.temporary.iter().copied().partition(|role| is_outdated(role, draft.now()));
    let is_kept = |role| !outdated.iter().any(|outdated| outdated.role == role);
    let roles = RoleSet::new(set.roles.iter().copied().filter(|&role| is_kept(role)));
    if roles.roles.is_empty() {
        return Ok(None);
    }
    let origin = before.latest_origin(set);
    let origins = origins(roles.roles.iter().map(|&role| (role, before.origin_of(role, set))), origin);
    let role_set = role_set::intern(draft, project.id, roles)?;
    Ok(Some(MembershipRecord { role_set, origin, temporary: temporary.into(), origins }))
}
