//! Expired roles are kept for a while, so that a check can answer ROLE_EXPIRED (B5, K2).

use crate::domain::model::id::OrgNo;
use crate::domain::model::membership::TemporaryRole;
use crate::domain::model::name::UserId;
use crate::domain::model::time::Time;
use crate::domain::state::project::Project;
use crate::limits::EXPIRED_ROLE_SECONDS;

/// Returns true if a role expired so long ago that it is removed.
pub fn is_outdated(role: &TemporaryRole, now: Time) -> bool {
    role.expire_time.plus_seconds(EXPIRED_ROLE_SECONDS) <= now
}

impl Project {
    /// Returns at most `max` members with outdated roles.
    pub fn with_outdated_roles(&self, now: Time, max: usize) -> Vec<(OrgNo, UserId)> {
        let mut found = Vec::new();
        self.for_each_org(|org| {
            org.for_each_temporary(|user, roles| {
                if found.len() < max && roles.iter().any(|role| is_outdated(role, now)) {
                    found.push((org.no, user.clone()));
                }
            });
        });
        // In an order that does not depend on the process.
        found.sort();
        found
    }
}
