//! Viewers: the members of an org for whom it is read (I2).

use crate::domain::model::name::UserId;
use crate::domain::model::permission::{CAN_EDIT_ORG_ACCESS, CAN_VIEW_OTHER_MEMBERS};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::time::Time;
use crate::domain::rules::delegation::Acting;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// Which members of an org a viewer sees (I2.b).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    AllMembers,
    OnlySelf,
}

impl Project {
    /// Returns which members of an org a viewer sees. Refuses one who is blocked or not a member, as an acting user (I2.a). A
    /// member who holds only internal or suspended roles is a viewer too.
    pub fn view_of(&self, org: &Org, viewer: &UserId, now: Time) -> Result<View, Refusal> {
        let viewer = Acting::new(self, org, viewer, now)?;
        Ok(if viewer.check_ability(CAN_VIEW_OTHER_MEMBERS).is_ok() { View::AllMembers } else { View::OnlySelf })
    }

    /// Returns true if a viewer sees the e-mail domains of an org (J1.e).
    pub fn sees_domains(&self, org: &Org, viewer: &UserId, now: Time) -> bool {
        Acting::new(self, org, viewer, now).is_ok_and(|viewer| viewer.check_ability(CAN_EDIT_ORG_ACCESS).is_ok())
    }
}
