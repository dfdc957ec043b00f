//! Replaces roles of members: one is deleted (R4), or disabled with REMAP (M7).
//!
//! Members without temporary roles change with their role set. Members with temporary roles are written one by one,
//! since each may have other expiries to combine.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::commands::draft::Draft;
use crate::domain::commands::role_set;
use crate::domain::model::id::RoleId;
use crate::domain::model::membership::{MembershipRecord, Origin, TemporaryRole, origins};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::time::{Time, later};
use crate::domain::state::project::Project;

/// Returns the record of a member after its roles are replaced. `None` if no role remains.
///
/// `replacement_of` takes a role and whether it is held, not expired. It returns the role itself to keep it, or `None`
/// to drop it. An expired role is never replaced. A replacement keeps the expiry, and of two expiries the later one
/// counts.
pub fn record(
    draft: &mut Draft<'_>,
    project: &Project,
    before: &MembershipRecord,
    replacement_of: impl Fn(RoleId, bool) -> Option<RoleId>,
) -> Result<Option<MembershipRecord>, Refusal> {
    let now = draft.now();
    let Some(recorded) = project.recorded_in(before) else { return Ok(None) };
    let set = recorded.set;
    let replaced = set.roles.iter().map(|&role| (role, replacement_of(role, recorded.holds(role, now))));
    let (kept, replaced): (Vec<_>, Vec<_>) = replaced.partition(|(role, replacement)| *replacement == Some(*role));
    let mut roles: BTreeMap<RoleId, Option<Time>> =
        kept.iter().map(|&(role, _)| (role, recorded.expiry(role))).collect();
    let mut given = BTreeSet::new();
    for (role, replacement) in replaced {
        let Some(replacement) = replacement.filter(|_| recorded.holds(role, now)) else { continue };
        let expiry = recorded.expiry(role);
        let held = kept.iter().any(|(kept, _)| *kept == replacement) && recorded.holds(replacement, now);
        match roles.get_mut(&replacement).filter(|_| held || given.contains(&replacement)) {
            Some(present) => *present = later(*present, expiry),
            None => {
                roles.insert(replacement, expiry);
                given.insert(replacement);
            }
        }
    }
    if roles.is_empty() {
        return Ok(None);
    }
    let temporary = roles
        .iter()
        .filter_map(|(&role, &expire_time)| Some(TemporaryRole { role, expire_time: expire_time? }))
        .collect();
    let origin_of = |role| if given.contains(&role) { Origin::Migration } else { before.origin_of(role, set) };
    let origins = origins(roles.keys().map(|&role| (role, origin_of(role))), Origin::Migration);
    let role_set = role_set::intern(draft, project.id, RoleSet::new(roles.into_keys()))?;
    Ok(Some(MembershipRecord { role_set, origin: Origin::Migration, temporary, origins }))
}
