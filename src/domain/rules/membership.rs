//! Members as answers show them (B5, B6, M3).

use crate::domain::model::membership::{MembershipRecord, Origin, expiry_of};
use crate::domain::model::name::{OrgId, RoleName, UserId};
use crate::domain::model::time::Time;
use crate::domain::rules::role_state::RoleState;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

#[derive(Clone, Debug, PartialEq)]
pub struct MemberRole {
    pub role: RoleName,
    pub expire_time: Option<Time>,
    pub state: RoleState,
    pub origin: Origin,
    /// The fallback role, live or overridden.
    pub fallback_role: Option<(RoleName, RoleState)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub org_id: OrgId,
    pub user_id: UserId,
    /// From the highest role to the lowest.
    pub roles: Vec<MemberRole>,
    /// `None` where internal roles are hidden, since one may have caused the latest change (I2).
    pub origin: Option<Origin>,
}

impl Project {
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
            let (shown, temporary) = self.shown_roles(&set.roles, &record.temporary, visibility);
            let mut recorded: Vec<_> = self.role_states_of(org, &shown, &temporary, now).collect();
            recorded.sort_by_key(|recorded| self.roles.get(recorded.role).map(|role| role.rank));
            roles.extend(recorded.into_iter().map(|recorded| MemberRole {
                role: self.role_name(recorded.role),
                expire_time: expiry_of(&record.temporary, recorded.role),
                state: recorded.state,
                origin: record.origin_of(recorded.role, set),
                fallback_role: recorded.fallback_role.map(|(role, state)| (self.role_name(role), state)),
            }));
        }
        let org_id = org.record.profile.org_id.clone();
        Member { org_id, user_id: user.clone(), roles, origin: (visibility == Visibility::All).then_some(origin) }
    }
}
