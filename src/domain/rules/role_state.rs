//! TODO doc

use crate::domain::model::fallback::{Fallback, fallback_of};
use crate::domain::model::id::RoleId;
use crate::domain::model::membership::{TemporaryRole, expiry_of};
use crate::domain::model::project::RoleStructure;
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::time::Time;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// How one role of a member stands at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleState {
    /// It grants.
    Live,
    /// Held, but disabled in the org's role mapping: it grants nothing (M3).
    Suspended,
    /// Held in a SINGLE_ROLE project while a lent role is live: it counts again when that ends (B5).
    Overridden,
    /// Past its end: recorded, no longer held.
    Expired,
}

/// How one role of a member stands, and what the member holds in its place while it is suspended (M7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedRole {
    pub role: RoleId,
    pub state: RoleState,
    /// Live or overridden.
    pub fallback_role: Option<(RoleId, RoleState)>,
}

impl RecordedRole {
    /// The role, and the one in its place.
    pub fn roles(self) -> impl Iterator<Item = (RoleId, RoleState)> {
        std::iter::once((self.role, self.state)).chain(self.fallback_role)
    }
}

impl Project {
    /// How each role of a set stands for a member with these ends, in this org, now.
    pub fn role_states<'a>(
        &'a self,
        org: &'a Org,
        set: &'a RoleSet,
        temporary: &'a [TemporaryRole],
        now: Time,
    ) -> impl Iterator<Item = RecordedRole> + use<'a> {
        self.role_states_of(org, &set.roles, temporary, now)
    }

    /// The same, of these roles alone.
    pub(in crate::domain) fn role_states_of<'a>(
        &'a self,
        org: &'a Org,
        roles: &'a [RoleId],
        temporary: &'a [TemporaryRole],
        now: Time,
    ) -> impl Iterator<Item = RecordedRole> + use<'a> {
        let mapping = self.role_mappings.get(org.record.role_mapping);
        let enabled = move |role| mapping.is_some_and(|mapping| mapping.enabled(role));
        role_states(self.record.role_structure, roles, temporary, enabled, org.fallbacks(), now)
    }
}

/// How each of a member's roles stands: the one law of it, for checks and for lists. A role that stands in for a suspended
/// one has exactly its place: its end, and in a SINGLE_ROLE project its being lent over another.
pub fn role_states<'a>(
    structure: RoleStructure,
    roles: &'a [RoleId],
    temporary: &'a [TemporaryRole],
    enabled: impl Fn(RoleId) -> bool + Copy + 'a,
    fallbacks: &'a [Fallback],
    now: Time,
) -> impl Iterator<Item = RecordedRole> + 'a {
    let in_place = move |role| fallback_of(fallbacks, role, enabled);
    let works = |role| enabled(role) || in_place(role).is_some();
    let lent = structure == RoleStructure::SingleRole
        && temporary.iter().any(|temporary| temporary.expire_time > now && works(temporary.role));
    roles.iter().map(move |&role| {
        let expire_time = expiry_of(temporary, role);
        let behind = if expire_time.is_none() && lent { RoleState::Overridden } else { RoleState::Live };
        let (state, fallback_role) = match expire_time {
            Some(expire_time) if expire_time <= now => (RoleState::Expired, None),
            _ if !enabled(role) => (RoleState::Suspended, in_place(role).map(|role| (role, behind))),
            _ => (behind, None),
        };
        RecordedRole { role, state, fallback_role }
    })
}
