//! Blocked and deleted users (U1, U2).

use rolecall::domain::commands::command::{BlockUser, DeleteUser, UnblockUser};
use rolecall::domain::{Reason, Time};

use super::{Answer, ProjectModel};

impl ProjectModel {
    pub(super) fn block(&mut self, command: &BlockUser, created: Time) -> Result<Answer, Reason> {
        let user = command.user_id.to_string();
        let blocked = Some(*self.blocked.entry(user.clone()).or_insert(created));
        Ok(Answer::User { user, blocked })
    }

    pub(super) fn unblock(&mut self, command: &UnblockUser) -> Result<Answer, Reason> {
        let user = command.user_id.to_string();
        self.blocked.remove(&user);
        Ok(Answer::User { user, blocked: None })
    }

    /// U2: B3 is not checked.
    pub(super) fn delete_user(&mut self, command: &DeleteUser) -> Result<Answer, Reason> {
        let mut removed = 0;
        for org_model in self.orgs.values_mut() {
            if org_model.members.remove(command.user_id.as_str()).is_some() {
                org_model.removed.insert(command.user_id.to_string());
                removed += 1;
            }
            if !command.keep_invitations {
                org_model.revoke_of(command.user_id.as_str());
            }
        }
        Ok(Answer::Deleted(removed))
    }

    pub(super) fn is_blocked(&self, user: &str) -> bool {
        self.blocked.contains_key(user)
    }
}
