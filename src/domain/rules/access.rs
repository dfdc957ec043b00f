//! What a user may do in an org (K8), and why a check is decided as it is (K7).

use crate::domain::model::decision::Decision;
use crate::domain::model::id::{RoleId, RoleMappingId};
use crate::domain::model::name::{PermissionName, RoleMappingName, RoleName, UserId};
use crate::domain::model::time::Time;
use crate::domain::rules::check::{Ask, Question};
use crate::domain::rules::membership::{Member, MemberRole};
use crate::domain::rules::role_state::RoleState;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// What the live roles of a member give in an org.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    pub role_mapping: RoleMappingName,
    /// The roles for which "at least" is allowed, from the highest to the lowest.
    pub at_least_roles: Vec<RoleName>,
    /// Ascending.
    pub permissions: Vec<PermissionName>,
}

/// Why a check is decided as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    pub decision: Decision,
    /// The recorded roles, from the highest to the lowest. Empty if nothing is recorded.
    pub roles: Vec<ExplainedRole>,
    /// The mapping of the org. `None` if the org does not exist.
    pub role_mapping: Option<RoleMappingId>,
    /// For a denial, the other mappings on which the answer would be ALLOWED if the org moved there and all members kept
    /// their roles.
    pub allowed_on: Vec<RoleMappingId>,
    /// For a list of permissions, the decision on each alone.
    pub permissions: Vec<Decision>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedRole {
    pub role: MemberRole,
    /// True if the role would answer the question if it were live.
    pub grants: bool,
    /// The same for the fallback role.
    pub fallback_role_grants: bool,
}

impl Project {
    /// Returns what a user may do. `None` if the user is not a member.
    pub fn access(&self, org: &Org, user: &UserId, visibility: Visibility, now: Time) -> Option<(Member, Access)> {
        let record = self.membership(org, user)?;
        let member = self.member(org, user, &record, visibility, now);
        if member.roles.iter().all(|role| role.state == RoleState::Expired) {
            return None;
        }
        let set = self.role_sets.get(record.role_set)?;
        let (roles, temporary) = self.shown_roles(&set.roles, &record.temporary, visibility);
        let states = self.role_states_of(org, &roles, &temporary, now).flat_map(|recorded| recorded.roles());
        // Nothing is allowed to a blocked user (K2).
        let blocked = self.is_user_blocked(user);
        let states = states.filter(|(_, state)| *state == RoleState::Live && !blocked);
        let live: Vec<RoleId> = states.map(|(role, _)| role).collect();
        let reached = |&asked: &RoleId| live.iter().any(|&role| self.reaches(role, asked));
        let known = |role: RoleId| visibility == Visibility::All || self.is_visible(role);
        let known = self.role_order.iter().copied().filter(|&role| known(role));
        let mapping = self.role_mappings.get(org.record.role_mapping);
        let rows = live.iter().filter_map(|&role| mapping?.row(role));
        let mut permissions: Vec<_> = rows
            .flat_map(|row| row.iter())
            .filter_map(|permission| Some(self.permissions.get(permission)?.name.clone()))
            .collect();
        permissions.sort_unstable();
        permissions.dedup();
        let access = Access {
            role_mapping: self.role_mapping_name(org.record.role_mapping),
            at_least_roles: known.filter(reached).map(|role| self.role_name(role)).collect(),
            permissions,
        };
        Some((member, access))
    }

    /// Explains the answer of [`Self::check`].
    pub fn explain(&self, ask: &Ask<'_>, now: Time) -> Explanation {
        let org = self.org(ask.org_id).map(AsRef::as_ref);
        let decision = self.check_in(org, ask, now);
        let alone = |name: &String| self.check_in(org, &Ask { question: Question::Permission(name), ..*ask }, now);
        let permissions = match ask.question {
            Question::AllOf(names) | Question::AnyOf(names) => names.iter().map(alone).collect(),
            _ => Vec::new(),
        };
        let Some(org) = org else {
            return Explanation {
                decision,
                roles: Vec::new(),
                role_mapping: None,
                allowed_on: Vec::new(),
                permissions,
            };
        };
        let role_mapping = Some(org.record.role_mapping);
        let allowed_on = if decision == Decision::Allowed { Vec::new() } else { self.allowed_on(org, ask, now) };
        Explanation { decision, roles: self.explained_roles(org, ask, now), role_mapping, allowed_on, permissions }
    }

    fn explained_roles(&self, org: &Org, ask: &Ask<'_>, now: Time) -> Vec<ExplainedRole> {
        let user = UserId::stored(ask.user_id);
        let Some(record) = self.membership(org, &user) else { return Vec::new() };
        let answers =
            |name: &RoleName| self.role_named(name.as_str()).is_some_and(|role| self.answers(org, ask.question, role));
        let roles = self.member(org, &user, &record, Visibility::All, now).roles;
        let explained = roles.into_iter().map(|role| ExplainedRole {
            grants: answers(&role.role),
            fallback_role_grants: role.fallback_role.as_ref().is_some_and(|(name, _)| answers(name)),
            role,
        });
        explained.collect()
    }

    /// Asks again as if the org had each other mapping. Its fallback roles are those that a move with SUSPEND and no other
    /// fallback role leaves: a role that is enabled there needs none.
    fn allowed_on(&self, org: &Org, ask: &Ask<'_>, now: Time) -> Vec<RoleMappingId> {
        let others = self.role_mappings.entries().filter(|(id, _)| *id != org.record.role_mapping);
        let mut moved = org.clone();
        let allowed = others.filter_map(|(id, _)| {
            moved.record.role_mapping = id;
            (self.check_in(Some(&moved), ask, now) == Decision::Allowed).then_some(id)
        });
        allowed.collect()
    }
}
