//! Checks: may this user do that in this org? (K1, K2)

use crate::domain::collections::hash::TextHash;
use crate::domain::model::id::{PermissionId, RoleId};
use crate::domain::model::project::RoleStructure;
use crate::domain::model::time::Time;
use crate::domain::rules::role_state::{RecordedRole, RoleState};
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub org_id: &'a str,
    pub user_id: &'a str,
    pub question: Question<'a>,
}

/// What is asked about the user in the org.
#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    Permission(&'a str),
    /// Whether it is a live role (K6).
    Role(&'a str),
    /// SINGLE_ROLE: whether it or a higher one is a live role. MULTI_ROLE: as `Role`.
    AtLeastRole(&'a str),
    AllOf(&'a [String]),
    AnyOf(&'a [String]),
}

/// The answer to a check (K2). The numbers are those of `rolecall.v1.Decision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Decision {
    Allowed = 1,
    NotAMember = 2,
    MissingPermission = 3,
    RoleDisabled = 4,
    UserBlocked = 5,
    RoleExpired = 6,
    OrgNotFound = 7,
    UnknownPermission = 8,
    UnknownRole = 9,
}

impl Project {
    /// Answers one check.
    pub fn check(&self, ask: &Ask<'_>, now: Time) -> Decision {
        let org = self.org(ask.org_id).map(AsRef::as_ref);
        let user = self.hash(ask.user_id);
        self.decide_question(org, ask.question, user, now)
    }

    /// Answers many checks from this one state, in their order.
    pub fn check_batch<'a>(&self, asks: impl Iterator<Item = Ask<'a>>, now: Time, out: &mut Vec<Decision>) {
        // Rows of one batch often repeat the org or the permission of the row before.
        let mut last_org: (&str, Option<&Org>) = ("", None);
        let mut last_permission: (&str, Option<PermissionId>) = ("", None);
        for ask in asks {
            if last_org.0 != ask.org_id {
                last_org = (ask.org_id, self.org(ask.org_id).map(AsRef::as_ref));
            }
            let user = self.hash(ask.user_id);
            out.push(match ask.question {
                Question::Permission(permission) => {
                    if last_permission.0 != permission {
                        last_permission = (permission, self.permission_named(permission));
                    }
                    self.decide_check(last_org.1, last_permission.1, user, now)
                }
                question => self.decide_question(last_org.1, question, user, now),
            });
        }
    }

    fn decide_question(&self, org: Option<&Org>, question: Question<'_>, user: TextHash, now: Time) -> Decision {
        match question {
            Question::Permission(name) => self.decide_check(org, self.permission_named(name), user, now),
            Question::Role(name) => self.decide_role(org, self.role_named(name), false, user, now),
            Question::AtLeastRole(name) => {
                let higher = self.record.role_structure == RoleStructure::SingleRole;
                self.decide_role(org, self.role_named(name), higher, user, now)
            }
            Question::AllOf(names) => self.decide_all(org, names, user, now),
            Question::AnyOf(names) => self.decide_any(org, names, user, now),
        }
    }

    /// An unknown one decides, else the first that is not granted (K6).
    fn decide_all(&self, org: Option<&Org>, names: &[String], user: TextHash, now: Time) -> Decision {
        let mut first = Decision::Allowed;
        for name in names {
            match self.decide_check(org, self.permission_named(name), user, now) {
                Decision::UnknownPermission => return Decision::UnknownPermission,
                decision if first == Decision::Allowed => first = decision,
                _ => {}
            }
        }
        first
    }

    /// Allowed if one is granted. Else the first that fits of K2's precedence, over all of them (K6).
    fn decide_any(&self, org: Option<&Org>, names: &[String], user: TextHash, now: Time) -> Decision {
        let of = |name: &String| self.decide_check(org, self.permission_named(name), user, now);
        let decisions: Vec<Decision> = names.iter().map(of).collect();
        let precedence = [
            Decision::Allowed,
            Decision::OrgNotFound,
            Decision::UnknownPermission,
            Decision::UserBlocked,
            Decision::NotAMember,
            Decision::RoleDisabled,
            Decision::RoleExpired,
        ];
        precedence.into_iter().find(|decision| decisions.contains(decision)).unwrap_or(Decision::MissingPermission)
    }

    /// The precedence of K2 for a role, or where `or_higher` for it and those above it.
    fn decide_role(
        &self,
        org: Option<&Org>,
        role: Option<RoleId>,
        or_higher: bool,
        user: TextHash,
        now: Time,
    ) -> Decision {
        let Some(org) = org else { return Decision::OrgNotFound };
        let rank = |id| self.roles.get(id).map(|role| role.rank);
        let Some((asked, lowest)) = role.and_then(|id| Some((id, rank(id)?))) else { return Decision::UnknownRole };
        let Some(slot) = org.slot(user) else { return Decision::NotAMember };
        let set = slot.role_set().and_then(|id| self.role_sets.get(id)).filter(|set| !set.roles.is_empty());
        let Some(set) = set else { return Decision::NotAMember };
        let fits = |role| role == asked || or_higher && rank(role).is_some_and(|rank| rank < lowest);
        let temporary = org.temporary_roles(user, slot);
        let recorded_role = |wanted| {
            let mut roles = self.role_states(org, set, temporary, now).flat_map(RecordedRole::roles);
            roles.any(|(role, state)| state == wanted && fits(role))
        };
        if recorded_role(RoleState::Live) {
            Decision::Allowed
        } else if recorded_role(RoleState::Suspended) {
            Decision::RoleDisabled
        } else if recorded_role(RoleState::Expired) {
            Decision::RoleExpired
        } else {
            Decision::MissingPermission
        }
    }

    /// The precedence of K2: the first that fits is the answer.
    #[inline]
    fn decide_check(&self, org: Option<&Org>, permission: Option<PermissionId>, user: TextHash, now: Time) -> Decision {
        let Some(org) = org else { return Decision::OrgNotFound };
        let Some(permission) = permission else { return Decision::UnknownPermission };
        let Some(slot) = org.slot(user) else { return Decision::NotAMember };
        let set = slot.role_set().and_then(|id| self.role_sets.get(id));
        let mapping = self.role_mappings.get(org.record.role_mapping);
        // A set without roles is left to those who have it until they are purged.
        let Some(set) = set.filter(|set| !set.roles.is_empty()) else { return Decision::NotAMember };
        let Some(mapping) = mapping else { return Decision::MissingPermission };
        let grants = |role| mapping.row(role).is_some_and(|row| row.contains(permission));

        let temporary = org.temporary_roles(user, slot);
        if temporary.is_empty() && set.roles.iter().any(|&role| grants(role) && mapping.enabled(role)) {
            return Decision::Allowed;
        }
        let would = |wanted| {
            let mut roles = self.role_states(org, set, temporary, now).flat_map(RecordedRole::roles);
            roles.any(|(role, state)| state == wanted && grants(role))
        };
        if (!temporary.is_empty() || org.fallbacks.is_some()) && would(RoleState::Live) {
            Decision::Allowed
        } else if would(RoleState::Suspended) {
            Decision::RoleDisabled
        } else if would(RoleState::Expired) {
            Decision::RoleExpired
        } else {
            Decision::MissingPermission
        }
    }
}
