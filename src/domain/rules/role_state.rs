//! The states of a member's roles (M3, M7, B5).

use crate::domain::model::fallback::{Fallback, first_enabled_fallback};
use crate::domain::model::id::RoleId;
use crate::domain::model::membership::{TemporaryRole, expiry_of};
use crate::domain::model::project::RoleStructure;
use crate::domain::model::refusal::Refusal;
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::time::Time;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleState {
    /// Grants its permissions.
    Live,
    /// Held, but disabled in the org's role mapping (M3).
    Suspended,
    /// A permanent role in a SINGLE_ROLE project while a temporary role is live (B5).
    Overridden,
    /// Recorded, but no longer held (B5).
    Expired,
}

/// A recorded role with its state, and its fallback role while it is suspended (M7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedRole {
    pub role: RoleId,
    pub state: RoleState,
    /// True if a temporary role overrides this role, or would if this role were enabled.
    pub overridden: bool,
    /// The fallback role and its state: live or overridden.
    pub fallback_role: Option<(RoleId, RoleState)>,
}

impl RecordedRole {
    /// Returns the role and its fallback role.
    pub fn roles(self) -> impl Iterator<Item = (RoleId, RoleState)> {
        std::iter::once((self.role, self.state)).chain(self.fallback_role)
    }
}

impl Project {
    /// Refuses a role that is disabled in the role mapping of an org (M3).
    pub fn check_enabled(&self, org: &Org, roles: impl IntoIterator<Item = RoleId>) -> Result<(), Refusal> {
        let mapping = self.role_mappings.get(org.record.role_mapping);
        let mut disabled = roles.into_iter().filter(|&role| !mapping.is_some_and(|mapping| mapping.enabled(role)));
        match disabled.next() {
            Some(role) => Err(Refusal::RoleDisabled {
                role: self.role_name(role),
                role_mapping: self.role_mapping_name(org.record.role_mapping),
            }),
            None => Ok(()),
        }
    }

    /// Returns the state of each role of a set for a member of an org with these temporary roles.
    pub fn role_states<'a>(
        &'a self,
        org: &'a Org,
        set: &'a RoleSet,
        temporary: &'a [TemporaryRole],
        now: Time,
    ) -> impl Iterator<Item = RecordedRole> + use<'a> {
        self.role_states_of(org, &set.roles, temporary, now)
    }

    /// Returns the states of these roles only.
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

/// Returns the state of each role of a member. Checks and lists share this rule. A fallback role has the expiry of the
/// suspended role, and in a SINGLE_ROLE project overrides or is overridden as that role would be.
pub fn role_states<'a>(
    structure: RoleStructure,
    roles: &'a [RoleId],
    temporary: &'a [TemporaryRole],
    enabled: impl Fn(RoleId) -> bool + Copy + 'a,
    fallbacks: &'a [Fallback],
    now: Time,
) -> impl Iterator<Item = RecordedRole> + 'a {
    let fallback_of = move |role| first_enabled_fallback(fallbacks, role, enabled);
    let has_effect = |role| enabled(role) || fallback_of(role).is_some();
    let overrides = structure == RoleStructure::SingleRole
        && temporary.iter().any(|temporary| temporary.expire_time > now && has_effect(temporary.role));
    roles.iter().map(move |&role| {
        let expire_time = expiry_of(temporary, role);
        let overridden = expire_time.is_none() && overrides;
        let if_enabled = if overridden { RoleState::Overridden } else { RoleState::Live };
        let (state, fallback_role) = match expire_time {
            Some(expire_time) if expire_time <= now => (RoleState::Expired, None),
            _ if !enabled(role) => (RoleState::Suspended, fallback_of(role).map(|role| (role, if_enabled))),
            _ => (if_enabled, None),
        };
        RecordedRole { role, state, overridden, fallback_role }
    })
}
