//! The new record of a member whose roles are written.

use crate::domain::commands::command::Write;
use crate::domain::commands::draft::Draft;
use crate::domain::commands::membership::given::{Given, Roles, check_count, given};
use crate::domain::commands::outcome::RowEffect;
use crate::domain::commands::role_set;
use crate::domain::model::id::RoleId;
use crate::domain::model::membership::{MembershipRecord, Origin, TemporaryRole, origins};
use crate::domain::model::name::UserId;
use crate::domain::model::permission::{CAN_CHANGE_ROLES, CAN_INVITE, CAN_REMOVE_USERS};
use crate::domain::model::project::RoleStructure;
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::time::{Time, lasts_longer};
use crate::domain::rules::delegation::Acting;
use crate::domain::rules::owners::last_owner;
use crate::domain::rules::usage::Recorded;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// The member whose roles are written.
pub struct Member<'a> {
    pub project: &'a Project,
    pub org: &'a Org,
    pub user: &'a UserId,
    pub record: Option<&'a MembershipRecord>,
}

pub type Written = (Option<MembershipRecord>, RowEffect);

impl Member<'_> {
    fn held(&self, now: Time) -> Roles {
        let recorded = self.record.and_then(|record| self.project.recorded_in(record));
        let held = |recorded: Recorded<'_>| recorded.held(now).map(|role| (role, recorded.expiry(role))).collect();
        recorded.map_or_else(Roles::new, held)
    }

    fn is_blocked(&self) -> bool {
        self.project.is_user_blocked(self.user)
    }

    fn not_found(&self) -> Refusal {
        Refusal::NotFound(Noun::Member, self.user.to_string())
    }

    fn exists(&self) -> Refusal {
        Refusal::AlreadyExists(Noun::Member, self.user.to_string())
    }

    /// Returns the record after a write without an acting user.
    pub fn written(&self, draft: &mut Draft<'_>, write: &Write) -> Result<Written, Refusal> {
        let held = self.held(draft.now());
        match write {
            Write::Add(_) if !held.is_empty() => Err(self.exists()),
            Write::Add(_) if self.is_blocked() => Err(Refusal::UserNotAvailable(self.user.clone())),
            Write::Set(_) | Write::Remove if held.is_empty() => Err(self.not_found()),
            Write::Remove => Ok((None, RowEffect::Removed)),
            Write::Add(roles) | Write::Set(roles) => {
                let (before, effect) = match write {
                    Write::Set(_) => (self.record, RowEffect::Set),
                    _ => (None, RowEffect::Added),
                };
                let request = Given { project: self.project, roles, kept: before, visible_only: false };
                let roles = given(&request, draft.now())?;
                check_count(draft, self.project, &roles)?;
                Ok((Some(self.new_record(draft, before, &held, roles, Origin::Direct)?), effect))
            }
        }
    }

    /// Returns the record after a write of an acting user. The internal roles of the member stay, and no answer reveals
    /// them (I4).
    pub fn written_by(&self, draft: &mut Draft<'_>, write: &Write, acting: &Acting<'_>) -> Result<Written, Refusal> {
        let now = draft.now();
        let is_self = acting.user == self.user;
        let permission = match write {
            Write::Add(_) => CAN_INVITE,
            Write::Set(_) => CAN_CHANGE_ROLES,
            Write::Remove => CAN_REMOVE_USERS,
        };
        if !is_self || matches!(write, Write::Add(_)) {
            acting.check_ability(permission)?;
        }
        let (held, hidden): (Roles, Roles) =
            self.held(now).into_iter().partition(|(role, _)| self.project.is_visible(*role));
        let is_member = !held.is_empty();
        let to = match write {
            Write::Remove => Roles::new(),
            Write::Add(roles) | Write::Set(roles) => {
                let kept = self.record.filter(|_| is_member && matches!(write, Write::Set(_)));
                let request = Given { project: self.project, roles, kept, visible_only: true };
                request.check_known()?;
                if !is_member && matches!(write, Write::Set(_)) {
                    return Err(self.not_found());
                }
                given(&request, now)?
            }
        };
        if !is_member && matches!(write, Write::Remove) {
            return Err(self.not_found());
        }
        let exists = is_member && matches!(write, Write::Add(_));
        // Check permission first: a denied caller must not learn whether the member exists.
        let before = if exists { Roles::new() } else { held.clone() };
        let own = is_self && !matches!(write, Write::Add(_));
        // First the scope of all roles concerned, then how long they last (G6).
        self.check_concerned(&before, &to, |role, given| match given {
            Some(expire_time) if own && acting.steps_down(role, expire_time) => Ok(()),
            None if own => Ok(()),
            _ => acting.check_scope(permission, role),
        })?;
        self.check_concerned(&before, &to, |role, given| match given {
            Some(expire_time) if !own || !acting.steps_down(role, expire_time) => {
                acting.check_give(permission, role, expire_time)
            }
            _ => Ok(()),
        })?;
        if exists {
            return Err(self.exists());
        }
        if let Write::Remove = write {
            return Ok((self.without_visible(draft, hidden)?, RowEffect::Removed));
        }
        check_count(draft, self.project, &to)?;
        self.check_enabled(&held, &to)?;
        if let Some(record) = self.record.filter(|record| self.has_visible_roles(record, &to)) {
            return Ok((Some(record.clone()), RowEffect::Set));
        }
        let single = self.project.record.role_structure == RoleStructure::SingleRole;
        let owner = self.project.record.default_owner_role;
        let owner_left = held.get(&owner) == Some(&None) && to.get(&owner) != Some(&None);
        let all: Roles = to.into_iter().chain(hidden.clone()).collect();
        // The same refusal for both, so that it does not reveal an internal role (I4).
        let unavailable = !is_member && (self.is_blocked() || single && !hidden.is_empty());
        if unavailable || !hidden.is_empty() && check_count(draft, self.project, &all).is_err() {
            // A write that would be refused without internal roles gets that refusal: the user would stay a visible
            // member.
            if owner_left && self.project.is_only_owner(self.org, self.user) {
                return Err(last_owner(self.project, self.org));
            }
            return Err(Refusal::UserNotAvailable(self.user.clone()));
        }
        let record = self.record.filter(|_| is_member || !hidden.is_empty());
        let all_held: Roles = held.into_iter().chain(hidden).collect();
        let effect = if is_member { RowEffect::Set } else { RowEffect::Added };
        Ok((Some(self.new_record(draft, record, &all_held, all, Origin::Direct)?), effect))
    }

    /// Returns the record after the user accepts an invitation to these roles (V3.b). `inviter` is the acting user who
    /// invited.
    pub fn accepted(
        &self,
        draft: &mut Draft<'_>,
        invited: &[RoleId],
        inviter: Option<&Acting<'_>>,
    ) -> Result<MembershipRecord, Refusal> {
        let held = self.held(draft.now());
        let mut roles = held.clone();
        match self.project.record.role_structure {
            RoleStructure::MultiRole => roles.extend(invited.iter().map(|&role| (role, None))),
            RoleStructure::SingleRole => {
                let Some(&invited) = invited.first() else { return Err(Refusal::Bug) };
                let permanent = held.iter().find(|(_, expire_time)| expire_time.is_none()).map(|(&role, _)| role);
                let rank = |role| self.project.roles.get(role).map(|role| role.rank);
                let covered = |held| inviter.is_none_or(|inviter| inviter.check_scope(CAN_INVITE, held).is_ok());
                if permanent.is_none_or(|held| rank(invited) < rank(held) && covered(held)) {
                    roles.retain(|_, expire_time| expire_time.is_some());
                    roles.insert(invited, None);
                }
            }
        }
        check_count(draft, self.project, &roles)?;
        let record = self.record.filter(|_| !held.is_empty());
        self.new_record(draft, record, &held, roles, Origin::Invitation)
    }

    /// Returns true if these are exactly the recorded visible roles, expired ones included. Then nothing is written,
    /// whatever internal roles are recorded.
    fn has_visible_roles(&self, record: &MembershipRecord, to: &Roles) -> bool {
        let Some(recorded) = self.project.recorded_in(record) else { return false };
        let visible = recorded.set.roles.iter().copied().filter(|&role| self.project.is_visible(role));
        visible.map(|role| (role, recorded.expiry(role))).eq(to.iter().map(|(&role, &expiry)| (role, expiry)))
    }

    /// Checks every role that a write concerns: a role taken (`None`), or given with an expiry (G3).
    fn check_concerned(
        &self,
        held: &Roles,
        to: &Roles,
        check: impl Fn(RoleId, Option<Option<Time>>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let single = self.project.record.role_structure == RoleStructure::SingleRole;
        let is_extended = |(role, after): (&RoleId, &Option<Time>)| {
            after.is_some() && held.get(role).is_none_or(|&before| lasts_longer(*after, before))
        };
        let overrides = single && to.iter().any(is_extended);
        // A fallback role is taken with its role, and lasts as long.
        let check_with_fallback = |role, given| {
            check(role, given)?;
            self.project.fallback_of(self.org, role).map_or(Ok(()), |fallback_role| check(fallback_role, given))
        };
        for (&role, &before) in held {
            // A new or longer temporary role overrides the permanent role, so it takes that role for the time.
            if to.get(&role).is_none_or(|&after| lasts_longer(before, after) || after.is_none() && overrides) {
                check_with_fallback(role, None)?;
            }
        }
        for (&role, &after) in to {
            match held.get(&role) {
                Some(&before) if lasts_longer(after, before) => check_with_fallback(role, Some(after))?,
                Some(_) => {}
                None => check(role, Some(after))?,
            }
        }
        Ok(())
    }

    /// Returns the record without visible roles. `None` if no internal roles remain.
    fn without_visible(&self, draft: &mut Draft<'_>, hidden: Roles) -> Result<Option<MembershipRecord>, Refusal> {
        if hidden.is_empty() {
            return Ok(None);
        }
        self.new_record(draft, self.record, &hidden.clone(), hidden, Origin::Direct).map(Some)
    }

    /// Refuses a new role that is disabled here (M3).
    fn check_enabled(&self, held: &Roles, to: &Roles) -> Result<(), Refusal> {
        self.project.check_enabled(self.org, to.keys().copied().filter(|role| !held.contains_key(role)))
    }

    /// Returns the record with these roles, or refuses a disabled one.
    fn new_record(
        &self,
        draft: &mut Draft<'_>,
        before: Option<&MembershipRecord>,
        held: &Roles,
        roles: Roles,
        origin: Origin,
    ) -> Result<MembershipRecord, Refusal> {
        self.check_enabled(held, &roles)?;
        let temporary: Vec<TemporaryRole> = roles
            .iter()
            .filter_map(|(&role, &expire_time)| Some(TemporaryRole { role, expire_time: expire_time? }))
            .collect();
        let set = before.and_then(|record| Some((record, self.project.role_sets.get(record.role_set)?)));
        // A request for the present roles changes nothing, not even origins.
        if let Some((record, recorded)) = set
            && recorded.roles.iter().eq(roles.keys())
            && *record.temporary == *temporary
        {
            return Ok(record.clone());
        }
        let origin_of = |role| match set {
            Some((record, set)) if held.contains_key(&role) => record.origin_of(role, set),
            _ => origin,
        };
        let origins = origins(roles.keys().map(|&role| (role, origin_of(role))), origin);
        let role_set = role_set::intern(draft, self.project.id, RoleSet::new(roles.into_keys()))?;
        Ok(MembershipRecord { role_set, origin, temporary: temporary.into(), origins })
    }
}
