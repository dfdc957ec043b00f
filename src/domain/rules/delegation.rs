//! Who may manage whom: what an acting user's live roles let it do (G1 to G4, G6).

use crate::domain::model::id::RoleId;
use crate::domain::model::name::UserId;
use crate::domain::model::project::RoleStructure;
use crate::domain::model::refusal::Refusal;
use crate::domain::model::time::{Time, later};
use crate::domain::rules::role_state::{RecordedRole, RoleState};
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

impl Project {
    /// Whether a role has another in its scope (G2). Nobody has an internal one (G4).
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

/// The end user on whose behalf something is written in an org.
pub struct Acting<'a> {
    project: &'a Project,
    org: &'a Org,
    pub user: &'a UserId,
    /// Its live roles, and until when they are; one that stands in for another, as long as that.
    live: Vec<(RoleId, Option<Time>)>,
    /// Its visible roles that are live, or will be again, and until when.
    own: Vec<(RoleId, Option<Time>)>,
}

impl<'a> Acting<'a> {
    /// A member of the org, or a refusal (G1).
    pub fn new(project: &'a Project, org: &'a Org, user: &'a UserId, now: Time) -> Result<Self, Refusal> {
        let record = project.membership(org, user);
        let recorded = record.as_ref().and_then(|record| project.recorded_in(record));
        let recorded = recorded.filter(|it| it.held(now).next().is_some());
        let recorded = recorded.ok_or_else(|| Refusal::ActingUserNotAMember(user.clone()))?;
        let role_states: Vec<RecordedRole> = project.role_states(org, recorded.set, recorded.temporary, now).collect();
        let expire_time = |recorded_role: &RecordedRole| recorded.end(recorded_role.role);
        let live = role_states
            .iter()
            .flat_map(|recorded_role| recorded_role.roles().map(|(role, it)| (role, it, expire_time(recorded_role))));
        let live = live.filter(|(_, state, _)| *state == RoleState::Live);
        let own = role_states
            .iter()
            .filter(|recorded_role| matches!(recorded_role.state, RoleState::Live | RoleState::Overridden));
        let own = own
            .filter(|recorded_role| project.is_visible(recorded_role.role))
            .map(|recorded_role| (recorded_role.role, expire_time(recorded_role)));
        Ok(Self {
            project,
            org,
            user,
            live: live.map(|(role, _, expire_time)| (role, expire_time)).collect(),
            own: own.collect(),
        })
    }

    /// Refuses who has no live role that grants this at all.
    pub fn able(&self, permission: &'static str) -> Result<(), Refusal> {
        match self.granters(permission).next() {
            Some(_) => Ok(()),
            None => Err(Refusal::ActingUserMissingPermission { permission }),
        }
    }

    /// Refuses what concerns a role that no live role both grants this for and has in its scope.
    pub fn may(&self, permission: &'static str, role: RoleId) -> Result<(), Refusal> {
        self.able(permission)?;
        match self.managers(permission, role).next() {
            Some(_) => Ok(()),
            None => Err(Refusal::RoleOutOfScope { role: self.project.role_name(role), permission }),
        }
    }

    /// Refuses to give a role, or to give it for longer than the role by which it is given lasts (G6).
    pub fn may_give(&self, permission: &'static str, role: RoleId, expire_time: Option<Time>) -> Result<(), Refusal> {
        self.may(permission, role)?;
        let latest = self.longest(permission, role);
        match latest {
            Some(Some(latest)) if expire_time.is_none_or(|expire_time| expire_time > latest) => {
                Err(Refusal::OutlastsGranter { role: self.project.role_name(role), expire_time: latest })
            }
            _ => Ok(()),
        }
    }

    /// Until when a role can be given at the latest, `Some(None)` for ever; none, if it cannot be given.
    pub fn longest(&self, permission: &'static str, role: RoleId) -> Option<Option<Time>> {
        let ends = self.managers(permission, role).map(|(_, expire_time)| expire_time);
        ends.reduce(later)
    }

    /// Whether giving itself a role is stepping down: in a SINGLE_ROLE project from a higher one, of its own, that lasts as
    /// long (G3).
    pub fn steps_down(&self, role: RoleId, expire_time: Option<Time>) -> bool {
        self.lasts_down_to(role)
            .is_some_and(|end| end.is_none_or(|end| expire_time.is_some_and(|expire_time| expire_time <= end)))
    }

    /// Until when it may step down to a role at the latest, `Some(None)` for ever; none, if that would not be down.
    pub fn lasts_down_to(&self, role: RoleId) -> Option<Option<Time>> {
        let rank = |role| self.project.roles.get(role).map(|role| role.rank);
        let single = self.project.record.role_structure == RoleStructure::SingleRole;
        let higher = self.own.iter().filter(|&&(own, _)| single && rank(own) < rank(role));
        higher.map(|&(_, end)| end).reduce(later)
    }

    /// The live roles that grant a permission here.
    fn granters(&self, permission: &'static str) -> impl Iterator<Item = (RoleId, Option<Time>)> {
        let mapping = self.project.role_mappings.get(self.org.record.role_mapping);
        let permission = self.project.permission_named(permission);
        let row = move |role| mapping.and_then(|mapping| mapping.row(role));
        let grants =
            move |role| permission.is_some_and(|permission| row(role).is_some_and(|it| it.contains(permission)));
        self.live.iter().copied().filter(move |&(role, _)| grants(role))
    }

    fn managers(&self, permission: &'static str, other: RoleId) -> impl Iterator<Item = (RoleId, Option<Time>)> {
        self.granters(permission).filter(move |&(role, _)| self.project.manages(role, other))
    }
}
