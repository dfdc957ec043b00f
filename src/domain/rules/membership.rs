//! Memberships: a user's roles in an org, some of them until a time (B5, B6, M3). What is written of them is in
//! `membership/write.rs`.

use crate::domain::model::membership::{MembershipRecord, Origin, expiry_of};
use crate::domain::model::name::{OrgId, RoleName, UserId};
use crate::domain::model::time::Time;
use crate::domain::rules::role_state::{RecordedRole, RoleState};
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// A role of a member, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberRole {
    pub role: RoleName,
    pub expire_time: Option<Time>,
    pub state: RoleState,
    pub origin: Origin,
    /// What the member holds in its place.
    pub fallback_role: Option<RoleName>,
}

/// A member, as it is shown after a write.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub org_id: OrgId,
    pub user_id: UserId,
    /// From the highest role to the lowest.
    pub roles: Vec<MemberRole>,
    /// Not said where internal roles are hidden: the latest change may have been of one.
    pub origin: Option<Origin>,
}

impl Project {
    /// A member as it is shown.
    pub fn member(
        &self,
        org: &Org,
        user: &UserId,
        record: &MembershipRecord,
        visibility: Visibility,
        now: Time,
    ) -> Member {
        let mut roles = Vec::new();
        let mut origin = record.origin;
        if let Some(set) = self.role_sets.get(record.role_set) {
            origin = record.latest_origin(set);
            let (known, temporary) = self.shown_roles(&set.roles, &record.temporary, visibility);
            let mut role_states: Vec<_> = self.role_states_of(org, &known, &temporary, now).collect();
            role_states.sort_by_key(|recorded_role| self.roles.get(recorded_role.role).map(|role| role.rank));
            let shown = |recorded_role: RecordedRole| MemberRole {
                role: self.role_name(recorded_role.role),
                expire_time: expiry_of(&record.temporary, recorded_role.role),
                state: recorded_role.state,
                origin: record.origin_of(recorded_role.role, set),
                fallback_role: recorded_role.fallback_role.map(|(role, _)| self.role_name(role)),
            };
            roles.extend(role_states.into_iter().map(shown));
        }
        let org_id = org.record.profile.org_id.clone();
        Member { org_id, user_id: user.clone(), roles, origin: (visibility == Visibility::All).then_some(origin) }
    }
}
