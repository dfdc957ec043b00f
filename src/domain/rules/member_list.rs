//! Which members a read shows (B4, I2): the same question for one member, for a list of an org and for a user's orgs.

use crate::domain::model::id::{PermissionId, RoleId, RoleSetId};
use crate::domain::model::name::UserId;
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::time::Time;
use crate::domain::rules::membership::Member;
use crate::domain::rules::role_state::RoleState;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;
use crate::domain::state::role_mapping::RoleMapping;

/// Selects members of an org.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberFilter {
    pub visibility: Visibility,
    /// Members who hold this role, or hold it as a fallback role.
    pub role: Option<RoleId>,
    /// Members with a live role that grants this permission.
    pub permission: Option<PermissionId>,
}

impl MemberFilter {
    pub const ALL: Self = Self { visibility: Visibility::All, role: None, permission: None };
}

/// The role sets of the members that a filter may select.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchingSets {
    pub sets: Vec<RoleSetId>,
    /// How many members have one of them.
    pub members: usize,
}

impl Project {
    /// Returns a user of an org as a member. `None` if the user holds no role there, or none that the filter selects.
    pub fn selected_member(&self, org: &Org, user: &UserId, filter: MemberFilter, now: Time) -> Option<Member> {
        // A blocked user has no permission (K2).
        if filter.permission.is_some() && self.is_user_blocked(user) {
            return None;
        }
        let record = self.membership(org, user)?;
        let set = self.role_sets.get(record.role_set)?;
        let (roles, temporary) = self.shown_roles(&set.roles, &record.temporary, filter.visibility);
        let mapping = self.role_mappings.get(org.record.role_mapping)?;
        let (mut held, mut has_role, mut has_permission) = (false, filter.role.is_none(), filter.permission.is_none());
        for recorded in self.role_states_of(org, &roles, &temporary, now) {
            held |= recorded.state != RoleState::Expired;
            for (role, state) in recorded.roles() {
                has_role |= state != RoleState::Expired && Some(role) == filter.role;
                has_permission |= state == RoleState::Live && filter.is_granted_by(mapping, role);
            }
        }
        let selected = held && has_role && has_permission;
        selected.then(|| self.member(org, user, &record, filter.visibility, now))
    }

    /// Returns the role sets of the members that a filter may select. It ignores expiry and overriding, which differ
    /// from member to member, so that it may return too many. It looks at every membership: about 10 ms for a million.
    pub fn matching_sets(&self, org: &Org, filter: MemberFilter) -> MatchingSets {
        let mut ids = Vec::with_capacity(org.memberships_len());
        self.each_membership(org, |recorded| ids.push(recorded.set_id));
        ids.sort_unstable();
        let mut matching = MatchingSets::default();
        let Some(mapping) = self.role_mappings.get(org.record.role_mapping) else { return matching };
        for same in ids.chunk_by(|id, next| id == next) {
            if self.role_sets.get(same[0]).is_some_and(|set| self.may_match(org, mapping, set, filter)) {
                matching.sets.push(same[0]);
                matching.members += same.len();
            }
        }
        matching
    }

    fn may_match(&self, org: &Org, mapping: &RoleMapping, set: &RoleSet, filter: MemberFilter) -> bool {
        let known = |role: RoleId| filter.visibility == Visibility::All || self.is_visible(role);
        let (mut held, mut has_role, mut has_permission) = (false, filter.role.is_none(), filter.permission.is_none());
        for &role in set.roles.iter().filter(|&&role| known(role)) {
            held = true;
            for role in [Some(role), self.fallback_of(org, role)].into_iter().flatten() {
                has_role |= Some(role) == filter.role;
                has_permission |= mapping.enabled(role) && filter.is_granted_by(mapping, role);
            }
        }
        held && has_role && has_permission
    }
}

impl MemberFilter {
    fn is_granted_by(&self, mapping: &RoleMapping, role: RoleId) -> bool {
        let row = mapping.row(role);
        self.permission.is_some_and(|permission| row.is_some_and(|row| row.contains(permission)))
    }
}
