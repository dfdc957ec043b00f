//! Stand-ins: what the holders of a suspended role hold meanwhile (M7).
//!
//! They are kept for each org and not for each member: while a role is disabled nobody is given it (M3), so that whoever
//! holds it in an org was there when it was suspended, and all of them were asked about at once.

use std::sync::Arc;

use super::decide::Draft;
use super::id::RoleId;
use super::org::Org;
use super::project::Project;
use super::{Change, Edit, Scoped};

/// A role that is held in the place of a suspended one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StandIn {
    pub role: RoleId,
    pub stand_in: RoleId,
}

/// The stand-ins of an org, ascending by the suspended role, each once; never empty.
pub type StandIns = Arc<[StandIn]>;

/// The role that is held in the place of a suspended one: where that is suspended as well, the one that stands in for it.
pub fn stand_in(stand_ins: &[StandIn], role: RoleId, enabled: impl Fn(RoleId) -> bool) -> Option<RoleId> {
    let mut role = role;
    // Each was enabled when it came to stand in for those before it, so there is no circle; the bound is for the reader.
    for _ in 0..stand_ins.len() {
        let at = stand_ins.binary_search_by_key(&role, |stands| stands.role).ok()?;
        role = stand_ins.get(at)?.stand_in;
        if enabled(role) {
            return Some(role);
        }
    }
    None
}

/// Says who stands in for the suspended roles of an org from now on.
pub fn set(draft: &mut Draft<'_>, project: &Project, org: &Org, stand_ins: Vec<StandIn>) {
    if stand_ins != org.stand_ins() {
        let key = Scoped { project: project.id, id: org.no };
        let after = (!stand_ins.is_empty()).then(|| stand_ins.into());
        draft.edit(Change::StandIns(Edit { key, before: org.stand_ins.clone(), after }));
    }
}
