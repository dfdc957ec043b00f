//! Who may manage whom: what an acting user's live roles allow (G1 to G4, G6).

use crate::domain::model::id::RoleId;
use crate::domain::model::name::UserId;
use crate::domain::model::permission::TEAM_MANAGE;
use crate::domain::model::project::{BOOTSTRAP, RoleStructure};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::time::{Time, later};
use crate::domain::rules::role_state::RoleState;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

impl Project {
    /// Returns true if a role has another in its scope (G2). No role has an internal one in its scope (G4).
    pub fn manages(&self, role: RoleId, other: RoleId) -> bool {
        let (Some(manager), Some(managed)) = (self.roles.get(role), self.roles.get(other)) else { return false };
        if managed.internal {
            return false;
        }
        match self.record.role_structure {
            RoleStructure::SingleRole => {
                manager.rank < managed.rank || role == other && self.highest_visible() == Some(role)
            }
            RoleStructure::MultiRole => manager.manages.binary_search(&other).is_ok(),
        }
    }
}

/// A role and its expiry. `None` is permanent.
type ExpiringRole = (RoleId, Option<Time>);

/// The acting user of a write in an org.
pub struct Acting<'a> {
    project: &'a Project,
    org: &'a Org,
    pub user: &'a UserId,
    /// The live roles. A fallback role has the expiry of the suspended role.
    live: Vec<ExpiringRole>,
    /// The visible roles that are live or overridden.
    own: Vec<ExpiringRole>,
}

impl<'a> Acting<'a> {
    /// Refuses a user who is blocked or not a member of the org (G1).
    pub fn new(project: &'a Project, org: &'a Org, user: &'a UserId, now: Time) -> Result<Self, Refusal> {
        if project.is_user_blocked(user) {
            return Err(Refusal::ActingUserBlocked(user.clone()));
        }
        let record = project.membership(org, user);
        let recorded = record.as_ref().and_then(|record| project.recorded_in(record));
        let recorded = recorded.filter(|recorded| recorded.held(now).next().is_some());
        let recorded = recorded.ok_or_else(|| Refusal::ActingUserNotAMember(user.clone()))?;
        let (mut live, mut own) = (Vec::new(), Vec::new());
        for held in project.role_states(org, recorded.set, recorded.temporary, now) {
            let expire_time = recorded.expiry(held.role);
            let live_roles = held.roles().filter(|&(_, state)| state == RoleState::Live);
            live.extend(live_roles.map(|(role, _)| (role, expire_time)));
            if matches!(held.state, RoleState::Live | RoleState::Overridden) && project.is_visible(held.role) {
                own.push((held.role, expire_time));
            }
        }
        Ok(Self { project, org, user, live, own })
    }

    /// Returns the acting user of a call that needs the ability. `None` if the call has no acting user.
    pub fn with_ability(
        project: &'a Project,
        org: &'a Org,
        user: Option<&'a UserId>,
        permission: &'static str,
        now: Time,
    ) -> Result<Option<Self>, Refusal> {
        let Some(user) = user else { return Ok(None) };
        let acting = Self::new(project, org, user, now)?;
        acting.check_ability(permission)?;
        Ok(Some(acting))
    }

    /// Returns the permission that gives an ability. In the workspace all abilities are one permission (W7).
    fn ability(&self, permission: &'static str) -> &'static str {
        if self.project.is_workspace() { TEAM_MANAGE } else { permission }
    }

    /// Returns true if a role is live.
    pub fn has_live(&self, role: RoleId) -> bool {
        self.live.iter().any(|&(live, _)| live == role)
    }

    /// Refuses if no live role grants the ability.
    pub fn check_ability(&self, permission: &'static str) -> Result<(), Refusal> {
        let permission = self.ability(permission);
        match self.granters(permission).next() {
            Some(_) => Ok(()),
            None => Err(Refusal::ActingUserMissingPermission { permission }),
        }
    }

    /// Refuses if no live role both grants the ability and has the role in its scope.
    pub fn check_scope(&self, permission: &'static str, role: RoleId) -> Result<(), Refusal> {
        self.check_ability(permission)?;
        match self.managers(permission, role).next() {
            Some(_) => Ok(()),
            None => {
                let (role, permission) = (self.project.role_name(role), self.ability(permission));
                Err(Refusal::RoleOutOfScope { role, permission })
            }
        }
    }

    /// Refuses to give a role out of scope, or for longer than the role by which it is given (G6).
    pub fn check_give(&self, permission: &'static str, role: RoleId, expire_time: Option<Time>) -> Result<(), Refusal> {
        self.check_scope(permission, role)?;
        // The first Owner is given by `bootstrap`, whose own role expires (W9).
        if self.project.is_workspace() && self.user.as_str() == BOOTSTRAP {
            return Ok(());
        }
        match self.expiry_max(permission, role) {
            Some(Some(max)) if expire_time.is_none_or(|expire_time| expire_time > max) => {
                Err(Refusal::OutlastsGranter { role: self.project.role_name(role), expire_time: max })
            }
            _ => Ok(()),
        }
    }

    /// Returns the latest expiry with which a role can be given; `Some(None)` is permanent. `None` if it cannot be
    /// given.
    pub fn expiry_max(&self, permission: &'static str, role: RoleId) -> Option<Option<Time>> {
        self.managers(permission, role).map(|(_, expire_time)| expire_time).reduce(later)
    }

    /// Returns true if giving oneself a role is stepping down: in a SINGLE_ROLE project from an own higher role that
    /// lasts as long (G3).
    pub fn steps_down(&self, role: RoleId, expire_time: Option<Time>) -> bool {
        self.step_down_expiry_max(role)
            .is_some_and(|max| max.is_none_or(|max| expire_time.is_some_and(|expire_time| expire_time <= max)))
    }

    /// Returns the latest expiry with which the user may step down to a role; `Some(None)` is permanent. `None` if that
    /// would not be stepping down.
    pub fn step_down_expiry_max(&self, role: RoleId) -> Option<Option<Time>> {
        let rank = |role| self.project.roles.get(role).map(|role| role.rank);
        let single = self.project.record.role_structure == RoleStructure::SingleRole;
        let higher = self.own.iter().filter(|&&(own, _)| single && rank(own) < rank(role));
        higher.map(|&(_, expire_time)| expire_time).reduce(later)
    }

    /// Returns the live roles that grant a permission here.
    fn granters(&self, permission: &'static str) -> impl Iterator<Item = ExpiringRole> {
        let mapping = self.project.role_mappings.get(self.org.record.role_mapping);
        let permission = self.project.permission_named(self.ability(permission));
        let row = move |role| mapping.and_then(|mapping| mapping.row(role));
        let grants =
            move |role| permission.is_some_and(|permission| row(role).is_some_and(|row| row.contains(permission)));
        self.live.iter().copied().filter(move |&(role, _)| grants(role))
    }

    fn managers(&self, permission: &'static str, other: RoleId) -> impl Iterator<Item = ExpiringRole> {
        self.granters(permission).filter(move |&(role, _)| self.project.manages(role, other))
    }
}
