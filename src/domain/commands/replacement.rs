//! What becomes of members when roles of theirs become others: one is deleted (R4), or disabled with REMAP (M7).
//!
//! Whoever has no role that ends is changed with the set: the set itself, or another in its place. Whoever has one is
//! written alone: what becomes of two ends differs from one to the next.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::commands::draft::Draft;
use crate::domain::commands::role_set;
use crate::domain::model::id::RoleId;
use crate::domain::model::membership::{MembershipRecord, Origin, TemporaryRole, origins};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::time::{Time, later};
use crate::domain::state::project::Project;

/// What is recorded of a member once each role has become what `fate` says of it, held or ended; none, if nothing is left.
/// What is not held is never given on. A role keeps its end, and of two ends the later stands.
pub fn record(
    draft: &mut Draft<'_>,
    project: &Project,
    before: &MembershipRecord,
    replacement_of: impl Fn(RoleId, bool) -> Option<RoleId>,
) -> Result<Option<MembershipRecord>, Refusal> {
    let now = draft.now();
    let Some(recorded) = project.recorded_in(before) else { return Ok(None) };
    let set = recorded.set;
    let fates = set.roles.iter().map(|&role| (role, replacement_of(role, recorded.holds(role, now))));
    let (stay, go): (Vec<_>, Vec<_>) = fates.partition(|(role, replacement_of)| *replacement_of == Some(*role));
    let mut ends: BTreeMap<RoleId, Option<Time>> =
        stay.iter().map(|&(role, _)| (role, recorded.expiry(role))).collect();
    let mut given = BTreeSet::new();
    for (role, other) in go {
        let Some(other) = other.filter(|_| recorded.holds(role, now)) else { continue };
        let end = recorded.expiry(role);
        let held = stay.iter().any(|(stays, _)| *stays == other) && recorded.holds(other, now);
        match ends.get_mut(&other).filter(|_| held || given.contains(&other)) {
            Some(present) => *present = later(*present, end),
            None => {
                ends.insert(other, end);
                given.insert(other);
            }
        }
    }
    if ends.is_empty() {
        return Ok(None);
    }
    let temporary = ends
        .iter()
        .filter_map(|(&role, &expire_time)| Some(TemporaryRole { role, expire_time: expire_time? }))
        .collect();
    let came = |role| if given.contains(&role) { Origin::Migration } else { before.origin_of(role, set) };
    let origins = origins(ends.keys().map(|&role| (role, came(role))), Origin::Migration);
    let role_set = role_set::intern(draft, project.id, RoleSet::new(ends.into_keys()))?;
    Ok(Some(MembershipRecord { role_set, origin: Origin::Migration, temporary, origins }))
}
