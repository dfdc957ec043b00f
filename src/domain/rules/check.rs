//! Checks: may this user do that in this org? (K1, K2, K6)

use crate::domain::collections::hash::TextHash;
use crate::domain::model::decision::Decision;
use crate::domain::model::id::{PermissionId, RoleId};
use crate::domain::model::project::RoleStructure;
use crate::domain::model::time::Time;
use crate::domain::rules::activity::AllowedMember;
use crate::domain::rules::role_state::{RecordedRole, RoleState};
use crate::domain::rules::usage::Recorded;
use crate::domain::state::membership::MembershipSlot;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub org_id: &'a str,
    pub user_id: &'a str,
    pub question: Question<'a>,
}

#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    Permission(&'a str),
    /// Is it a live role? (K6)
    Role(&'a str),
    /// SINGLE_ROLE: is it or a higher one a live role? MULTI_ROLE: as `Role`.
    AtLeastRole(&'a str),
    AllOf(&'a [String]),
    AnyOf(&'a [String]),
}

impl Project {
    pub fn check(&self, ask: &Ask<'_>, now: Time) -> Decision {
        self.check_noting(ask, now, |_| {})
    }

    /// Answers as `check`. Passes the member to `allowed` if the decision is ALLOWED.
    pub fn check_noting(&self, ask: &Ask<'_>, now: Time, allowed: impl FnOnce(AllowedMember<'_>)) -> Decision {
        let (org, user) = (self.org(ask.org_id).map(AsRef::as_ref), self.hash(ask.user_id));
        let decision = self.decide_question(org, ask.question, user, now);
        if let (Decision::Allowed, Some(org)) = (decision, org) {
            allowed(AllowedMember { project: self, org, user });
        }
        decision
    }

    /// Answers as if this were the org that `ask` names.
    pub(in crate::domain) fn check_in(&self, org: Option<&Org>, ask: &Ask<'_>, now: Time) -> Decision {
        self.decide_question(org, ask.question, self.hash(ask.user_id), now)
    }

    fn decide_question(&self, org: Option<&Org>, question: Question<'_>, user: TextHash, now: Time) -> Decision {
        match question {
            Question::Permission(name) => self.decide_permission(org, self.permission_named(name), user, now),
            Question::Role(name) => self.decide_role(org, self.role_named(name), false, user, now),
            Question::AtLeastRole(name) => {
                self.decide_role(org, self.role_named(name), self.has_hierarchy(), user, now)
            }
            Question::AllOf(names) => self.decide_all(org, names, user, now),
            Question::AnyOf(names) => self.decide_any(org, names, user, now),
        }
    }

    /// An unknown permission decides, else the first that fails (K6).
    fn decide_all(&self, org: Option<&Org>, names: &[String], user: TextHash, now: Time) -> Decision {
        let mut first = Decision::Allowed;
        for name in names {
            match self.decide_permission(org, self.permission_named(name), user, now) {
                Decision::UnknownPermission => return Decision::UnknownPermission,
                decision if first == Decision::Allowed => first = decision,
                _ => {}
            }
        }
        first
    }

    /// A granted permission decides, even beside an unknown one; else the order of K2 (K6).
    fn decide_any(&self, org: Option<&Org>, names: &[String], user: TextHash, now: Time) -> Decision {
        let mut first = Decision::MissingPermission;
        for name in names {
            match self.decide_permission(org, self.permission_named(name), user, now) {
                Decision::Allowed => return Decision::Allowed,
                decision => first = first.or(decision),
            }
        }
        first
    }

    fn decide_role(
        &self,
        org: Option<&Org>,
        role: Option<RoleId>,
        or_higher: bool,
        user: TextHash,
        now: Time,
    ) -> Decision {
        let Some(org) = org else { return Decision::OrgNotFound };
        let Some(asked) = role else { return Decision::UnknownRole };
        if self.is_blocked(user) {
            return Decision::UserBlocked;
        }
        let Some(member) = self.member_recorded(org, user) else { return Decision::NotAMember };
        self.decide_by_roles(org, member, now, |role| self.fits(role, asked, or_higher))
    }

    /// Returns true if a role answers a question about the role `asked`: it is that role, or also a higher one (K6).
    fn fits(&self, role: RoleId, asked: RoleId, or_higher: bool) -> bool {
        let rank = |id| self.roles.get(id).map(|role| role.rank);
        role == asked || or_higher && rank(role).zip(rank(asked)).is_some_and(|(rank, lowest)| rank < lowest)
    }

    /// Returns true if "at least" means that role or a higher one. In a MULTI_ROLE project it means the role itself (K6).
    fn has_hierarchy(&self) -> bool {
        self.record.role_structure == RoleStructure::SingleRole
    }

    /// Returns true if a live role allows "at least" the role `asked`.
    pub(in crate::domain) fn reaches(&self, live: RoleId, asked: RoleId) -> bool {
        self.fits(live, asked, self.has_hierarchy())
    }

    /// Returns true if a role would answer a question in an org if it were live: the same as its part in the decision.
    pub(in crate::domain) fn answers(&self, org: &Org, question: Question<'_>, role: RoleId) -> bool {
        let row = self.role_mappings.get(org.record.role_mapping).and_then(|mapping| mapping.row(role));
        let grants = |name: &str| {
            self.permission_named(name).is_some_and(|permission| row.is_some_and(|row| row.contains(permission)))
        };
        let fits = |name, or_higher| self.role_named(name).is_some_and(|asked| self.fits(role, asked, or_higher));
        match question {
            Question::Permission(name) => grants(name),
            Question::Role(name) => fits(name, false),
            Question::AtLeastRole(name) => fits(name, self.has_hierarchy()),
            Question::AllOf(names) => names.iter().all(|name| grants(name)),
            Question::AnyOf(names) => names.iter().any(|name| grants(name)),
        }
    }

    #[inline]
    fn decide_permission(
        &self,
        org: Option<&Org>,
        permission: Option<PermissionId>,
        user: TextHash,
        now: Time,
    ) -> Decision {
        self.decide_by_slot(org, permission, user, org.and_then(|org| org.slot(user)), now)
    }

    /// Decides for a user whose slot in the org was looked up.
    #[inline]
    pub(super) fn decide_by_slot(
        &self,
        org: Option<&Org>,
        permission: Option<PermissionId>,
        user: TextHash,
        slot: Option<MembershipSlot>,
        now: Time,
    ) -> Decision {
        let Some(org) = org else { return Decision::OrgNotFound };
        let Some(permission) = permission else { return Decision::UnknownPermission };
        if self.is_blocked(user) {
            return Decision::UserBlocked;
        }
        let Some(slot) = slot else { return Decision::NotAMember };
        // Most checks end here.
        if let Some(decision) = self.decide_by_row(org, permission, slot) {
            return decision;
        }
        let Some(member) = self.member_in(org, user, slot) else { return Decision::NotAMember };
        let Some(mapping) = self.role_mappings.get(org.record.role_mapping) else { return Decision::MissingPermission };
        let grants = |role| mapping.row(role).is_some_and(|row| row.contains(permission));
        self.decide_by_roles(org, member, now, grants)
    }

    /// Returns what is recorded of a member. A set without roles only waits to be purged: its holders are no members
    /// (R4).
    #[inline]
    pub(in crate::domain) fn member_recorded<'a>(&'a self, org: &'a Org, user: TextHash) -> Option<Recorded<'a>> {
        self.member_in(org, user, org.slot(user)?)
    }

    #[inline]
    fn member_in<'a>(&'a self, org: &'a Org, user: TextHash, slot: MembershipSlot) -> Option<Recorded<'a>> {
        self.recorded(org, user, slot).filter(|recorded| !recorded.set.roles.is_empty())
    }

    /// Decides by the states of the roles that answer the question.
    fn decide_by_roles(
        &self,
        org: &Org,
        member: Recorded<'_>,
        now: Time,
        answers: impl Fn(RoleId) -> bool,
    ) -> Decision {
        let states = self.role_states(org, member.set, member.temporary, now);
        states.map(|recorded| decision_by(recorded, &answers)).fold(Decision::MissingPermission, Decision::or)
    }
}

/// Decides by the state of a role and that of its fallback role.
fn decision_by(recorded: RecordedRole, answers: impl Fn(RoleId) -> bool) -> Decision {
    let states = recorded.roles().filter(|&(role, _)| answers(role));
    states.map(|(_, state)| decision_of(state, recorded.overridden)).fold(Decision::MissingPermission, Decision::or)
}

/// Decides by the state of a role that answers the question.
pub(super) fn decision_of(state: RoleState, overridden: bool) -> Decision {
    match state {
        RoleState::Live => Decision::Allowed,
        // Enabling an overridden role would not help.
        RoleState::Suspended if !overridden => Decision::RoleDisabled,
        RoleState::Expired => Decision::RoleExpired,
        RoleState::Suspended | RoleState::Overridden => Decision::MissingPermission,
    }
}
