//! Memberships (B1 to B3, B5, B6, M3).

use std::collections::BTreeSet;

use rolecall::domain::commands::command::{BatchWriteMembers, MemberWrite, RoleAssignment, Write, WriteMember};
use rolecall::domain::model::membership::Origin;
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::{Reason, Time};
use rolecall::limits::{EXPIRED_SECONDS, Limits};

use super::{Answer, Member, OrgModel, ProjectModel, RoleRecord, Roles, ShownRole, at_most};

impl Member {
    /// Returns true if the role is recorded and has not expired.
    pub(super) fn holds(&self, role: &str, now: Time) -> bool {
        self.roles.get(role).is_some_and(|given| !expired(given, now))
    }

    pub fn is_member(&self, now: Time) -> bool {
        self.roles.values().any(|given| !expired(given, now))
    }
}

/// Returns true if a role is temporary, and it or its fallback role is live (B5).
pub(super) fn overrides_permanent((_, expire_time, state, _, fallback_role): &ShownRole) -> bool {
    expire_time.is_some() && (*state == RoleState::Live || fallback_role.is_some())
}

pub(super) fn expired(given: &RoleRecord, now: Time) -> bool {
    given.expire_time.is_some_and(|expire_time| now >= expire_time)
}

pub(super) fn expiries(roles: &Roles) -> Vec<(&String, Option<Time>)> {
    roles.iter().map(|(role, record)| (role, record.expire_time)).collect()
}

impl ProjectModel {
    /// Returns the recorded roles of a member, highest first.
    pub fn member_roles(&self, org_model: &OrgModel, member: &Member, now: Time) -> Vec<ShownRole> {
        self.member_roles_if(&self.mappings[&org_model.mapping].disabled, member, now)
    }

    /// Returns the recorded roles of a member as they would be with these disabled roles.
    pub(super) fn member_roles_if(&self, disabled: &BTreeSet<String>, member: &Member, now: Time) -> Vec<ShownRole> {
        let mut shown = Vec::new();
        for (name, _) in &self.roles {
            let Some(given) = member.roles.get(name) else { continue };
            let mut fallback_role = None;
            let state = if expired(given, now) {
                RoleState::Expired
            } else if disabled.contains(name) {
                fallback_role = member.fallback_of(name, disabled).map(|role| (role, RoleState::Live));
                RoleState::Suspended
            } else {
                RoleState::Live
            };
            shown.push((name.clone(), given.expire_time, state, given.origin, fallback_role));
        }
        // B5: a live temporary role, or its live fallback role, overrides the permanent role.
        if self.structure == RoleStructure::SingleRole && shown.iter().any(overrides_permanent) {
            for (_, _, state, _, fallback_role) in shown.iter_mut().filter(|(_, expire_time, ..)| expire_time.is_none())
            {
                for state in [state].into_iter().chain(fallback_role.as_mut().map(|(_, state)| state)) {
                    if *state == RoleState::Live {
                        *state = RoleState::Overridden;
                    }
                }
            }
        }
        shown
    }

    /// Returns the state of each role of a member and of each fallback role.
    pub(super) fn state(&self, org_model: &OrgModel, member: &Member, now: Time) -> Vec<(String, RoleState)> {
        let shown = self.member_roles(org_model, member, now);
        let states = shown
            .into_iter()
            .flat_map(|(role, _, state, _, fallback_role)| std::iter::once((role, state)).chain(fallback_role));
        states.collect()
    }

    /// Counts a new role set (P7).
    pub(super) fn count_set(&mut self, roles: &Roles, limits: &Limits) -> Result<(), Reason> {
        let Some(sets) = &mut self.role_sets else { return Ok(()) };
        if sets.insert(roles.keys().cloned().collect()) {
            at_most(limits.role_sets, sets.len())?;
        }
        Ok(())
    }

    /// Refuses if an org lost its last permanent owner and still has visible members (B3).
    pub(super) fn require_owners(&self, before: &ProjectModel, now: Time) -> Result<(), Reason> {
        for (id, org_model) in &self.orgs {
            let owned = before.orgs.get(id).is_some_and(|org_model| before.has_owner(org_model));
            let visible =
                |member: &Member| member.roles.keys().any(|role| member.holds(role, now) && !self.is_internal(role));
            if owned && org_model.members.values().any(visible) && !self.has_owner(org_model) {
                return Err(Reason::LastOwner);
            }
        }
        Ok(())
    }

    pub(super) fn has_owner(&self, org_model: &OrgModel) -> bool {
        org_model.members.values().any(|member| self.is_permanent_owner(member))
    }

    fn is_permanent_owner(&self, member: &Member) -> bool {
        member.roles.get(&self.default_owner_role).is_some_and(|it| it.expire_time.is_none())
    }

    pub(super) fn write_one(&mut self, command: &WriteMember, now: Time, limits: &Limits) -> Result<Answer, Reason> {
        let before = self.clone();
        self.write_member(&command.row, now, limits)?;
        if matches!(command.row.write, Write::Remove) && !command.keep_invitations {
            self.revoke_of(command.row.org_id.as_str(), command.row.user_id.as_str());
        }
        if !command.allow_ownerless {
            self.require_owners(&before, now)?;
        }
        let (org, user) = (command.row.org_id.to_string(), command.row.user_id.to_string());
        let org_model = &self.orgs[&org];
        Ok(match org_model.members.get(&user) {
            Some(member) => {
                let (roles, origin) = (self.member_roles(org_model, member, now), Some(member.origin));
                Answer::Member { org, user, roles, origin }
            }
            None => Answer::Removed,
        })
    }

    /// V6.
    pub(super) fn revoke_of(&mut self, org: &str, user: &str) {
        self.orgs.get_mut(org).expect("the org exists").revoke_of(user);
    }

    /// B5: an expired role is removed 30 days later. So is an expired invitation.
    pub(super) fn remove_expired(&mut self, now: Time) {
        let is_recent = |expire_time: Time| now.0 - expire_time.0 < EXPIRED_SECONDS * 1_000_000;
        let is_kept = |given: &RoleRecord| given.expire_time.is_none_or(is_recent);
        for org_model in self.orgs.values_mut() {
            org_model.invitations.retain(|_, invitation| is_recent(invitation.expire_time));
            for member in org_model.members.values_mut() {
                let before = member.roles.len();
                member.roles.retain(|_, given| is_kept(given));
                if (1..before).contains(&member.roles.len())
                    && let Some(sets) = &mut self.role_sets
                {
                    sets.insert(member.roles.keys().cloned().collect());
                }
            }
            org_model.members.retain(|_, member| !member.roles.is_empty());
        }
    }

    /// B2: all or none, each (org, user) once.
    pub(super) fn write_many(
        &mut self,
        command: &BatchWriteMembers,
        now: Time,
        limits: &Limits,
    ) -> Result<Answer, Reason> {
        let before = self.clone();
        let mut distinct = BTreeSet::new();
        let (mut added, mut set, mut removed, mut unchanged) = (0, 0, 0, 0);
        for row in &command.rows {
            if !distinct.insert((row.org_id.to_string(), row.user_id.to_string())) {
                return Err(Reason::RepeatedRow);
            }
            let changed = self.write_member(row, now, limits)?;
            match row.write {
                _ if !changed => unchanged += 1,
                Write::Add(_) => added += 1,
                Write::Set(_) => set += 1,
                Write::Remove => removed += 1,
            }
            if matches!(row.write, Write::Remove) && !command.keep_invitations {
                self.revoke_of(row.org_id.as_str(), row.user_id.as_str());
            }
        }
        if !command.allow_ownerless {
            self.require_owners(&before, now)?;
        }
        Ok(Answer::Tally { added, set, removed, unchanged })
    }

    /// Returns true if anything changed.
    fn write_member(&mut self, row: &MemberWrite, now: Time, limits: &Limits) -> Result<bool, Reason> {
        let (org, user) = (row.org_id.as_str(), row.user_id.as_str());
        let org_model = self.orgs.get(org).ok_or(Reason::OrgNotFound)?;
        let recorded = org_model.members.get(user).cloned();
        let is_member = recorded.as_ref().is_some_and(|member| member.is_member(now));
        let nothing = Member::default();
        let after = match &row.write {
            Write::Add(_) if is_member => return Err(Reason::MemberAlreadyExists),
            Write::Add(_) if self.is_blocked(user) => return Err(Reason::UserNotAvailable),
            Write::Set(_) | Write::Remove if !is_member => return Err(Reason::MemberNotFound),
            Write::Add(given) => Some(self.assigned_roles(org_model, &nothing, given, now, limits)?),
            Write::Set(given) => {
                Some(self.assigned_roles(org_model, recorded.as_ref().unwrap_or(&nothing), given, now, limits)?)
            }
            Write::Remove => None,
        };
        if let Some(roles) = &after {
            self.count_set(roles, limits)?;
        }
        // A write that changes no role does not change the origin either.
        if after.as_ref().map(expiries) == recorded.as_ref().map(|member| expiries(&member.roles)) {
            return Ok(false);
        }
        let org_model = self.orgs.get_mut(org).expect("the org exists");
        match row.write {
            Write::Remove => org_model.removed.insert(user.to_string()),
            _ => org_model.removed.remove(user),
        };
        let members = &mut org_model.members;
        match after {
            Some(roles) => {
                let fallbacks = recorded.map(|member| member.fallbacks).unwrap_or_default();
                members.insert(user.to_string(), Member { roles, origin: Origin::Direct, fallbacks })
            }
            None => members.remove(user),
        };
        Ok(true)
    }

    /// Returns the roles of a member after an assignment (B1, B2, B5, B6, M3).
    pub(super) fn assigned_roles(
        &self,
        org_model: &OrgModel,
        member: &Member,
        given: &[RoleAssignment],
        now: Time,
        limits: &Limits,
    ) -> Result<Roles, Reason> {
        let mut roles = Roles::new();
        if given.is_empty() {
            roles.insert(self.default_role.clone(), RoleRecord { expire_time: None, origin: Origin::Direct });
        }
        for assignment in given {
            let name = self.role(assignment.role.as_str())?;
            if roles.contains_key(&name) {
                return Err(Reason::RepeatedRole);
            }
            // A repeated role keeps its expiry. A past expiry is refused.
            let kept = if assignment.permanent { None } else { member.roles.get(&name).and_then(|it| it.expire_time) };
            let expire_time = assignment.expire_time.or(kept);
            if expire_time.is_some_and(|expire_time| now >= expire_time) {
                return Err(Reason::EndInThePast);
            }
            // A role that is still held keeps its origin.
            let origin = if member.holds(&name, now) { member.roles[&name].origin } else { Origin::Direct };
            roles.insert(name, RoleRecord { expire_time, origin });
        }
        if self.structure == RoleStructure::MultiRole {
            at_most(limits.member_roles, roles.len())?;
        } else {
            let temporary = roles.values().filter(|given| given.expire_time.is_some()).count();
            if temporary > 1 || roles.len() - temporary > 1 {
                return Err(Reason::TooManyRoles);
            }
        }
        let disabled = &self.mappings[&org_model.mapping].disabled;
        if roles.keys().any(|name| disabled.contains(name) && !member.holds(name, now)) {
            return Err(Reason::RoleDisabled);
        }
        Ok(roles)
    }
}
