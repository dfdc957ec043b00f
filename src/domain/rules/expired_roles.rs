//! Expired roles are kept for a while, so that a check can answer ROLE_EXPIRED (B5, K2).

use crate::domain::model::id::OrgNo;
use crate::domain::model::membership::TemporaryRole;
use crate::domain::model::name::UserId;
use crate::domain::model::time::Time;
use crate::domain::state::project::Project;
use crate::limits::EXPIRED_ROLE_SECONDS;

/// Returns true if a role expired so long ago that it is removed.
pub fn is_long_expired(role: &TemporaryRole, now: Time) -> bool {
    role.expire_time.plus_seconds(EXPIRED_ROLE_SECONDS) <= now
}

impl Project {
    /// Returns at most `max` members with roles that expired long ago. Which of more is not specified.
    pub fn with_long_expired_roles(&self, now: Time, max: usize) -> Vec<(OrgNo, UserId)> {
        let mut found = Vec::new();
        self.for_each_org(|org| {
            org.for_each_temporary(|user, roles| {
                if found.len() < max && roles.iter().any(|role| is_long_expired(role, now)) {
                    found.push((org.no, user.clone()));
                }
            });
        });
        found.sort();
        found
    }
}
