//! Which decisions make an org active (U4, I3).

use crate::domain::collections::hash::TextHash;
use crate::domain::model::time::Time;
use crate::domain::rules::role_state::{RecordedRole, RoleState};
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// A member to whom a check allowed something.
#[derive(Clone, Copy)]
pub struct AllowedMember<'a> {
    pub project: &'a Project,
    pub org: &'a Org,
    pub(in crate::domain) user: TextHash,
}

impl AllowedMember<'_> {
    /// Returns true if the decision makes the org active: the member has a live visible role.
    pub fn counts_as_activity(&self, now: Time) -> bool {
        let Some(member) = self.project.member_recorded(self.org, self.user) else { return false };
        let states = self.project.role_states(self.org, member.set, member.temporary, now);
        let mut roles = states.flat_map(RecordedRole::roles);
        roles.any(|(role, state)| state == RoleState::Live && self.project.is_visible(role))
    }
}
