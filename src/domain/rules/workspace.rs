//! The permissions of operators: what their live roles grant in the workspace (W1).

use crate::domain::model::decision::Decision;
use crate::domain::model::id::RoleId;
use crate::domain::model::name::{PermissionName, RoleName, UserId};
use crate::domain::model::permission::{PermissionSet, TEAM_MANAGE};
use crate::domain::model::project::{TEAM, WORKSPACE};
use crate::domain::model::time::Time;
use crate::domain::rules::check::{Ask, Question};
use crate::domain::rules::role_state::RoleState;
use crate::domain::rules::usage::Recorded;
use crate::domain::state::State;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

impl State {
    /// Decides whether a live role of an operator grants a permission of the workspace.
    pub fn operator_decision(&self, operator: &UserId, permission: &str, now: Time) -> Decision {
        let ask = Ask { org_id: TEAM, user_id: operator.as_str(), question: Question::Permission(permission) };
        self.project_keyed(WORKSPACE).map_or(Decision::OrgNotFound, |workspace| workspace.check(&ask, now))
    }

    /// Returns true if a live role of an operator grants a permission of the workspace.
    pub fn operator_may(&self, operator: &UserId, permission: &str, now: Time) -> bool {
        self.operator_decision(operator, permission, now) == Decision::Allowed
    }

    /// Returns true if a live role of an operator who is not blocked grants `team.manage`. Otherwise nobody can add an operator,
    /// and only `rolecall recover` helps (W9).
    pub fn has_team_manager(&self, now: Time) -> bool {
        let Some(workspace) = self.project_keyed(WORKSPACE) else { return false };
        let Some((team, permission)) = workspace.org(TEAM).zip(workspace.permission_named(TEAM_MANAGE)) else {
            return false;
        };
        let mapping = workspace.role_mappings.get(team.record.role_mapping);
        let grants = |role| mapping.and_then(|mapping| mapping.row(role)).is_some_and(|row| row.contains(permission));
        workspace.any_member(team, |user, recorded| {
            !workspace.is_blocked(user) && workspace.live_roles(team, recorded, now).any(grants)
        })
    }
}

impl Project {
    pub fn is_workspace(&self) -> bool {
        self.record.key.as_str() == WORKSPACE
    }

    /// Returns true if a user holds a role in the org, live or not.
    pub fn has_member(&self, org: &Org, user: &UserId, now: Time) -> bool {
        let record = self.membership(org, user);
        record.as_ref().and_then(|record| self.recorded_in(record)).is_some_and(|it| it.held(now).next().is_some())
    }

    /// Returns the live roles of an operator. A blocked one has none.
    pub fn operator_roles(&self, team: &Org, operator: &UserId, now: Time) -> Vec<RoleId> {
        let record = self.membership(team, operator).filter(|_| !self.is_user_blocked(operator));
        let Some(recorded) = record.as_ref().and_then(|record| self.recorded_in(record)) else { return Vec::new() };
        self.live_roles(team, recorded, now).collect()
    }

    fn live_roles<'a>(&'a self, team: &'a Org, recorded: Recorded<'a>, now: Time) -> impl Iterator<Item = RoleId> + 'a {
        let states = self.role_states(team, recorded.set, recorded.temporary, now).flat_map(|held| held.roles());
        states.filter(|&(_, state)| state == RoleState::Live).map(|(role, _)| role)
    }

    /// Returns the union of what the live roles of an operator grant.
    pub fn operator_permissions(&self, team: &Org, operator: &UserId, now: Time) -> PermissionSet {
        let mapping = self.role_mappings.get(team.record.role_mapping);
        let roles = self.operator_roles(team, operator, now);
        PermissionSet::union(roles.into_iter().filter_map(|role| mapping?.row(role)))
    }

    /// Returns the names of the live roles of an operator and of what they grant, in byte order.
    pub fn operator_access(&self, team: &Org, operator: &UserId, now: Time) -> (Vec<RoleName>, Vec<PermissionName>) {
        let roles = self.operator_roles(team, operator, now).into_iter().map(|role| self.role_name(role)).collect();
        let permissions = self.operator_permissions(team, operator, now);
        let names = permissions.iter().filter_map(|id| self.permissions.get(id).map(|it| it.name.clone()));
        let mut names: Vec<PermissionName> = names.collect();
        names.sort_unstable();
        (roles, names)
    }
}
