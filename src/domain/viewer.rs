//! Viewers: the members of an org for whom it is read (I2).

use super::Time;
use super::delegation::{Acting, CAN_VIEW_OTHER_MEMBERS};
use super::name::UserId;
use super::org::Org;
use super::project::Project;

/// Which members of an org a viewer sees (I2.b).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    AllMembers,
    OnlySelf,
}

impl Project {
    /// Returns which members of an org a viewer sees. `None` if the viewer is not a member (I2.a). A member who holds only
    /// internal or suspended roles is a viewer too.
    pub fn view_of(&self, org: &Org, viewer: &UserId, now: Time) -> Option<View> {
        let viewer = Acting::new(self, org, viewer, now).ok()?;
        Some(if viewer.able(CAN_VIEW_OTHER_MEMBERS).is_ok() { View::AllMembers } else { View::OnlySelf })
    }
}
