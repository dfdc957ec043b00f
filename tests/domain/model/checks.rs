//! Checks (K1, K2, K6).

use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::{Decision, Question, Time};

use super::{Model, OrgModel, ProjectModel};

impl Model {
    /// Decides a check (K1, K2, K6). The project must exist.
    pub fn check(&self, project: &str, org: &str, user: &str, question: Question<'_>, now: Time) -> Decision {
        let project = &self.projects[project];
        let Some(org_model) = project.orgs.get(org) else { return Decision::OrgNotFound };
        match question {
            Question::Permission(name) => project.check_permission(org_model, user, name, now),
            Question::Role(name) => project.check_role(org_model, user, name, false, now),
            Question::AtLeastRole(name) => {
                project.check_role(org_model, user, name, project.structure == RoleStructure::SingleRole, now)
            }
            Question::AllOf(names) => {
                let decisions = || names.iter().map(|name| project.check_permission(org_model, user, name, now));
                if decisions().any(|decision| decision == Decision::UnknownPermission) {
                    return Decision::UnknownPermission;
                }
                decisions().find(|decision| *decision != Decision::Allowed).unwrap_or(Decision::Allowed)
            }
            Question::AnyOf(names) => {
                let decisions: Vec<_> =
                    names.iter().map(|name| project.check_permission(org_model, user, name, now)).collect();
                use Decision::*;
                let precedence =
                    [Allowed, UnknownPermission, UserBlocked, NotAMember, RoleDisabled, RoleExpired, MissingPermission];
                let found = precedence.into_iter().find(|decision| decisions.contains(decision));
                found.expect("the list is not empty")
            }
        }
    }
}

impl ProjectModel {
    /// K2.
    fn check_permission(&self, org_model: &OrgModel, user: &str, permission: &str, now: Time) -> Decision {
        let Ok(permission) = self.permission(permission) else { return Decision::UnknownPermission };
        let grants = &self.mappings[&org_model.mapping].grants;
        self.decision_of(org_model, user, |role| grants.get(role).is_some_and(|row| row.contains(&permission)), now)
    }

    /// K6. With `or_above`, a higher role counts as well.
    fn check_role(&self, org_model: &OrgModel, user: &str, role: &str, or_above: bool, now: Time) -> Decision {
        let Ok(role) = self.role(role) else { return Decision::UnknownRole };
        let mut matching = Vec::new();
        for (other, _) in &self.roles {
            if or_above || *other == role {
                matching.push(other.clone());
            }
            if *other == role {
                break;
            }
        }
        self.decision_of(org_model, user, |role| matching.iter().any(|other| other == role), now)
    }

    /// Returns the decision for the matching roles. The order is: a live role, a role that enabling it would make live,
    /// an expired role.
    fn decision_of(&self, org_model: &OrgModel, user: &str, matches: impl Fn(&str) -> bool, now: Time) -> Decision {
        if self.is_blocked(user) {
            return Decision::UserBlocked;
        }
        let Some(member) = org_model.members.get(user) else { return Decision::NotAMember };
        let mut role_states = Vec::new();
        let mut would_grant = false;
        for (role, state) in self.state(org_model, member, now) {
            if !matches(&role) {
                continue;
            }
            if state == RoleState::Suspended {
                let mut disabled = self.mappings[&org_model.mapping].disabled.clone();
                disabled.remove(&role);
                let enabled = self.member_roles_if(&disabled, member, now);
                would_grant |= enabled.iter().any(|(other, _, state, ..)| *other == role && *state == RoleState::Live);
            }
            role_states.push(state);
        }
        if role_states.contains(&RoleState::Live) {
            Decision::Allowed
        } else if would_grant {
            Decision::RoleDisabled
        } else if role_states.contains(&RoleState::Expired) {
            Decision::RoleExpired
        } else {
            Decision::MissingPermission
        }
    }
}
