//! Which roles a caller may know of (I2, I4, G4).

use crate::domain::model::id::RoleId;
use crate::domain::model::membership::TemporaryRole;
use crate::domain::model::name::UserId;
use crate::domain::state::project::Project;

/// The roles that exist for a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    All,
    /// As if there were no internal roles.
    VisibleOnly,
}

impl Visibility {
    /// Returns what an acting user or viewer may know. `None` is a call without one, which knows all roles.
    pub fn of(end_user: Option<&UserId>) -> Self {
        if end_user.is_some() { Self::VisibleOnly } else { Self::All }
    }
}

impl Project {
    /// Returns true if the role exists and is not internal.
    pub fn is_visible(&self, role: RoleId) -> bool {
        self.roles.get(role).is_some_and(|role| !role.internal)
    }

    pub fn highest_visible(&self) -> Option<RoleId> {
        self.role_order.iter().copied().find(|&role| self.is_visible(role))
    }

    /// Filters recorded roles and temporary roles by visibility.
    pub fn shown_roles(
        &self,
        roles: &[RoleId],
        temporary: &[TemporaryRole],
        visibility: Visibility,
    ) -> (Vec<RoleId>, Vec<TemporaryRole>) {
        let shown = |role: RoleId| visibility == Visibility::All || self.is_visible(role);
        let temporary = temporary.iter().copied().filter(|temporary| shown(temporary.role)).collect();
        (roles.iter().copied().filter(|&role| shown(role)).collect(), temporary)
    }
}
