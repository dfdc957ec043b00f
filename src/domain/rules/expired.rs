//! Expired roles are kept for a while, so that a check can answer ROLE_EXPIRED (B5, K2). So are expired invitations.

use crate::domain::model::id::OrgNo;
use crate::domain::model::invitation::InvitationId;
use crate::domain::model::membership::TemporaryRole;
use crate::domain::model::name::UserId;
use crate::domain::model::time::Time;
use crate::domain::state::project::Project;
use crate::limits::EXPIRED_SECONDS;

/// Returns true if a role expired so long ago that it is removed.
pub fn is_long_expired(role: &TemporaryRole, now: Time) -> bool {
    is_past(role.expire_time, now)
}

fn is_past(expire_time: Time, now: Time) -> bool {
    expire_time.plus_seconds(EXPIRED_SECONDS) <= now
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

    /// Returns at most `max` invitations that expired long ago. Which of more is not specified.
    pub fn long_expired_invitations(&self, now: Time, max: usize) -> Vec<(OrgNo, InvitationId)> {
        let mut found = Vec::new();
        self.for_each_org(|org| {
            org.any_invitation(|invitation| {
                if found.len() < max && is_past(invitation.record.expire_time, now) {
                    found.push((org.no, invitation.id));
                }
                found.len() >= max
            });
        });
        found.sort_unstable();
        found
    }

    /// Returns true if a role or an invitation expired long ago.
    pub fn has_long_expired(&self, now: Time) -> bool {
        !self.with_long_expired_roles(now, 1).is_empty() || !self.long_expired_invitations(now, 1).is_empty()
    }
}
