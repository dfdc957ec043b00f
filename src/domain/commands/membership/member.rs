//! TODO doc

use crate::domain::commands::command::Write;
use crate::domain::commands::draft::Draft;
use crate::domain::commands::membership::given::{Given, Roles, counted, given};
use crate::domain::commands::outcome::Done;
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
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// Whose roles are written.
pub struct Member<'a> {
    pub project: &'a Project,
    pub org: &'a Org,
    pub user: &'a UserId,
    pub record: Option<&'a MembershipRecord>,
}

pub type Written = (Option<MembershipRecord>, Done);

impl Member<'_> {
    /// The roles held, with their ends.
    fn held(&self, now: Time) -> Roles {
        let recorded = self.record.and_then(|record| self.project.recorded_in(record));
        recorded.map_or_else(Roles::new, |it| it.held(now).map(|role| (role, it.expiry(role))).collect())
    }

    fn not_found(&self) -> Refusal {
        Refusal::NotFound(Noun::Member, self.user.to_string())
    }

    fn exists(&self) -> Refusal {
        Refusal::AlreadyExists(Noun::Member, self.user.to_string())
    }

    /// What a caller writes on its own behalf.
    pub fn written(&self, draft: &mut Draft<'_>, write: &Write) -> Result<Written, Refusal> {
        let held = self.held(draft.now());
        match write {
            Write::Add(_) if !held.is_empty() => Err(self.exists()),
            Write::Set(_) | Write::Remove if held.is_empty() => Err(self.not_found()),
            Write::Remove => Ok((None, Done::Removed)),
            Write::Add(roles) | Write::Set(roles) => {
                let (before, done) = match write {
                    Write::Set(_) => (self.record, Done::Set),
                    _ => (None, Done::Added),
                };
                let ask = Given { project: self.project, roles, kept: before, visible_only: false };
                let roles = given(&ask, draft.now())?;
                counted(draft, self.project, &roles)?;
                Ok((Some(self.record(draft, before, &held, roles)?), done))
            }
        }
    }

    /// What is written on behalf of an acting user. The member's internal roles stay, and nothing tells of them (I4).
    pub fn written_by(&self, draft: &mut Draft<'_>, write: &Write, acting: &Acting<'_>) -> Result<Written, Refusal> {
        let now = draft.now();
        let itself = acting.user == self.user;
        let permission = match write {
            Write::Add(_) => CAN_INVITE,
            Write::Set(_) => CAN_CHANGE_ROLES,
            Write::Remove => CAN_REMOVE_USERS,
        };
        if !itself || matches!(write, Write::Add(_)) {
            acting.check_ability(permission)?;
        }
        let (held, hidden): (Roles, Roles) =
            self.held(now).into_iter().partition(|(role, _)| self.project.is_visible(*role));
        let is_member = !held.is_empty();
        let to = match write {
            Write::Remove => Roles::new(),
            Write::Add(roles) | Write::Set(roles) => {
                let kept = self.record.filter(|_| is_member && matches!(write, Write::Set(_)));
                let ask = Given { project: self.project, roles, kept, visible_only: true };
                ask.known()?;
                if !is_member && matches!(write, Write::Set(_)) {
                    return Err(self.not_found());
                }
                given(&ask, now)?
            }
        };
        if !is_member && matches!(write, Write::Remove) {
            return Err(self.not_found());
        }
        let exists = is_member && matches!(write, Write::Add(_));
        // Whether it may or not, it is told so before it is told that there is such a member.
        let had = if exists { Roles::new() } else { held.clone() };
        let own = itself && !matches!(write, Write::Add(_));
        // Scope first, of all roles concerned; then whether they last too long (G6).
        self.concerned(&had, &to, |role, given| match given {
            Some(expire_time) if own && acting.steps_down(role, expire_time) => Ok(()),
            None if own => Ok(()),
            _ => acting.check_scope(permission, role),
        })?;
        self.concerned(&had, &to, |role, given| match given {
            Some(expire_time) if !own || !acting.steps_down(role, expire_time) => {
                acting.check_give(permission, role, expire_time)
            }
            _ => Ok(()),
        })?;
        if exists {
            return Err(self.exists());
        }
        if let Write::Remove = write {
            return Ok((self.without_visible(draft, hidden)?, Done::Removed));
        }
        counted(draft, self.project, &to)?;
        self.enabled(&held, &to)?;
        if let Some(record) = self.record.filter(|record| self.is_as_visible(record, &to)) {
            return Ok((Some(record.clone()), Done::Set));
        }
        let single = self.project.record.role_structure == RoleStructure::SingleRole;
        let owner = self.project.record.default_owner_role;
        let owner_left = held.get(&owner) == Some(&None) && to.get(&owner) != Some(&None);
        let all: Roles = to.into_iter().chain(hidden.clone()).collect();
        let taken_up = single && !is_member && !hidden.is_empty();
        if taken_up || !hidden.is_empty() && counted(draft, self.project, &all).is_err() {
            // What would be refused without internal roles is refused as it would be.
            if owner_left && self.project.needs_owner(self.org, self.user, now) {
                return Err(last_owner(self.project, self.org));
            }
            return Err(Refusal::UserNotAvailable(self.user.clone()));
        }
        let record = self.record.filter(|_| is_member || !hidden.is_empty());
        let all_held: Roles = held.into_iter().chain(hidden).collect();
        let done = if is_member { Done::Set } else { Done::Added };
        Ok((Some(self.record(draft, record, &all_held, all)?), done))
    }

    /// Whether these are all the visible roles that are recorded, ended ones included: then nothing is written, whatever
    /// is recorded of internal ones.
    fn is_as_visible(&self, record: &MembershipRecord, to: &Roles) -> bool {
        let Some(recorded) = self.project.recorded_in(record) else { return false };
        let visible = recorded.set.roles.iter().copied().filter(|&role| self.project.is_visible(role));
        visible.map(|role| (role, recorded.expiry(role))).eq(to.iter().map(|(&role, &end)| (role, end)))
    }

    /// Asks `may` of every role that a write concerns: taken (`None`), or given until then (G3).
    fn concerned(
        &self,
        held: &Roles,
        to: &Roles,
        may: impl Fn(RoleId, Option<Option<Time>>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let single = self.project.record.role_structure == RoleStructure::SingleRole;
        let lent = |(role, after): (&RoleId, &Option<Time>)| {
            after.is_some() && held.get(role).is_none_or(|&before| lasts_longer(*after, before))
        };
        let lends = single && to.iter().any(lent);
        // What stands in for a role goes with it, and lasts as long.
        let with_fallback_role = |role, given| {
            may(role, given)?;
            self.project.fallback_of(self.org, role).map_or(Ok(()), |fallback_role| may(fallback_role, given))
        };
        for (&role, &before) in held {
            // Whom a role is lent, for the first time or for longer, loses the base role for as long.
            if to.get(&role).is_none_or(|&after| lasts_longer(before, after) || after.is_none() && lends) {
                with_fallback_role(role, None)?;
            }
        }
        for (&role, &after) in to {
            match held.get(&role) {
                Some(&before) if lasts_longer(after, before) => with_fallback_role(role, Some(after))?,
                Some(_) => {}
                None => may(role, Some(after))?,
            }
        }
        Ok(())
    }

    /// What is left of a member whose visible roles go.
    fn without_visible(&self, draft: &mut Draft<'_>, hidden: Roles) -> Result<Option<MembershipRecord>, Refusal> {
        if hidden.is_empty() {
            return Ok(None);
        }
        self.record(draft, self.record, &hidden.clone(), hidden).map(Some)
    }

    /// Refuses to give anew what is disabled here (M3).
    fn enabled(&self, held: &Roles, to: &Roles) -> Result<(), Refusal> {
        let mapping = self.project.role_mappings.get(self.org.record.role_mapping);
        for role in to.keys() {
            if !mapping.is_some_and(|mapping| mapping.enabled(*role)) && !held.contains_key(role) {
                return Err(Refusal::RoleDisabled {
                    role: self.project.role_name(*role),
                    role_mapping: self.project.role_mapping_name(self.org.record.role_mapping),
                });
            }
        }
        Ok(())
    }

    /// Turns roles into what is recorded, if the member may have them.
    fn record(
        &self,
        draft: &mut Draft<'_>,
        before: Option<&MembershipRecord>,
        held: &Roles,
        roles: Roles,
    ) -> Result<MembershipRecord, Refusal> {
        self.enabled(held, &roles)?;
        let temporary: Vec<TemporaryRole> = roles
            .iter()
            .filter_map(|(&role, &expire_time)| Some(TemporaryRole { role, expire_time: expire_time? }))
            .collect();
        let set = before.and_then(|record| Some((record, self.project.role_sets.get(record.role_set)?)));
        // Whoever asks for what there is changes nothing, whatever it came by.
        if let Some((record, recorded)) = set
            && recorded.roles.iter().eq(roles.keys())
            && *record.temporary == *temporary
        {
            return Ok(record.clone());
        }
        let came = |role| match set {
            Some((record, set)) if held.contains_key(&role) => record.origin_of(role, set),
            _ => Origin::Direct,
        };
        let origins = origins(roles.keys().map(|&role| (role, came(role))), Origin::Direct);
        let role_set = role_set::intern(draft, self.project.id, RoleSet::new(roles.into_keys()))?;
        Ok(MembershipRecord { role_set, origin: Origin::Direct, temporary: temporary.into(), origins })
    }
}
