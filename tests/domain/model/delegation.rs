//! What acting users may do (G1 to G4, G6, I1, I4).

use std::collections::BTreeSet;

use rolecall::domain::commands::command::{RoleAssignment, Write, WriteMember};
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::{Reason, Time};
use rolecall::limits::Limits;

use super::members::expiries;
use super::{Answer, Member, OrgModel, ProjectModel, RoleRecord, Roles, at_most};

/// A live role of an acting user.
#[derive(Clone, Debug)]
pub struct LiveRole {
    pub role: String,
    pub expire_time: Option<Time>,
}

/// Returns true if the first expiry is not earlier than the second. `None` is the latest.
pub fn lasts_as_long(expire_time: Option<Time>, other: Option<Time>) -> bool {
    match (expire_time, other) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(expire_time), Some(other)) => expire_time >= other,
    }
}

impl ProjectModel {
    /// Returns the roles that a role manages (G2, G4).
    pub fn scope(&self, role: &str) -> BTreeSet<String> {
        let managed = match self.structure {
            RoleStructure::SingleRole => self.managed_by_order(),
            RoleStructure::MultiRole => self.manages.clone(),
        };
        let listed = managed.get(role).cloned().unwrap_or_default();
        listed.into_iter().filter(|role| !self.is_internal(role)).collect()
    }

    /// Returns true if a role grants a permission in the mapping of an org.
    pub fn grants(&self, org_model: &OrgModel, role: &str, permission: &str) -> bool {
        self.mappings[&org_model.mapping].grants.get(role).is_some_and(|row| row.contains(permission))
    }

    /// Returns the live roles of a user in an org, fallback roles included.
    pub fn live_roles(&self, org_model: &OrgModel, user: &str, now: Time) -> Vec<LiveRole> {
        let Some(member) = org_model.members.get(user) else { return Vec::new() };
        let mut live_roles = Vec::new();
        let shown = self.member_roles(org_model, member, now);
        for (role, expire_time, state, _, fallback_role) in shown {
            let states = std::iter::once((role, state)).chain(fallback_role);
            let live = states.filter(|(_, state)| *state == RoleState::Live);
            live_roles.extend(live.map(|(role, _)| LiveRole { role, expire_time }));
        }
        live_roles
    }

    /// Returns the live roles of the acting user that grant `permission` (G1). Refuses if there are none.
    pub(super) fn require_roles_granting(
        &self,
        acting: &str,
        org: &str,
        permission: &str,
        now: Time,
    ) -> Result<Vec<LiveRole>, Reason> {
        let granting = self.roles_granting(acting, org, permission, now)?;
        if granting.is_empty() { Err(Reason::ActingUserMissingPermission) } else { Ok(granting) }
    }

    fn roles_granting(&self, acting: &str, org: &str, permission: &str, now: Time) -> Result<Vec<LiveRole>, Reason> {
        let org_model = self.orgs.get(org).ok_or(Reason::OrgNotFound)?;
        if self.is_blocked(acting) {
            return Err(Reason::ActingUserBlocked);
        }
        if !org_model.members.get(acting).is_some_and(|member| member.is_member(now)) {
            return Err(Reason::ActingUserNotAMember);
        }
        let live_roles = self.live_roles(org_model, acting, now);
        Ok(live_roles.into_iter().filter(|it| self.grants(org_model, &it.role, permission)).collect())
    }

    pub(super) fn write_one_for(
        &mut self,
        acting: &str,
        command: &WriteMember,
        now: Time,
        limits: &Limits,
    ) -> Result<Answer, Reason> {
        let before = self.clone();
        self.write_for(acting, command, now, limits)?;
        if matches!(command.row.write, Write::Remove) && !command.keep_invitations {
            self.revoke_of(command.row.org_id.as_str(), command.row.user_id.as_str());
        }
        if !command.allow_ownerless {
            self.require_owners(&before, now)?;
        }
        let (org, user) = (command.row.org_id.to_string(), command.row.user_id.to_string());
        let org_model = self.without_internal_roles(&self.orgs[&org]);
        Ok(match org_model.members.get(&user) {
            Some(member) if !matches!(command.row.write, Write::Remove) => {
                Answer::Member { roles: self.member_roles(&org_model, member, now), origin: None, org, user }
            }
            _ => Answer::Removed,
        })
    }

    fn write_for(&mut self, acting: &str, command: &WriteMember, now: Time, limits: &Limits) -> Result<(), Reason> {
        let (org, user) = (command.row.org_id.as_str(), command.row.user_id.as_str());
        let permission = match command.row.write {
            Write::Add(_) => "rolecall::can_invite",
            Write::Set(_) => "rolecall::can_change_roles",
            Write::Remove => "rolecall::can_remove_users",
        };
        let own_roles = acting == user;
        let adds = matches!(command.row.write, Write::Add(_));
        let granting = self.roles_granting(acting, org, permission, now)?;
        if granting.is_empty() && (adds || !own_roles) {
            return Err(Reason::ActingUserMissingPermission);
        }
        let given = self.visible_assignments(&command.row.write)?;

        let org_model = self.orgs[org].clone();
        let recorded = org_model.members.get(user).cloned().unwrap_or_default();
        let visible = |role: &str| !self.is_internal(role);
        let mut visible_member = recorded.clone();
        visible_member.roles.retain(|role, _| visible(role));
        if !adds && !visible_member.is_member(now) {
            return Err(Reason::MemberNotFound);
        }
        // Check permission first: a refused caller must not learn whether the member exists.
        let no_member = Member::default();
        let target = if adds { &no_member } else { &visible_member };
        self.validate_assignments(target, &given, now)?;
        self.require_scope(&org_model, target, &granting, own_roles && !adds, &given, now)?;
        if adds && visible_member.is_member(now) {
            return Err(Reason::MemberAlreadyExists);
        }

        // Apply the usual refusals as if there were no internal roles.
        let after = match &command.row.write {
            Write::Remove => Roles::new(),
            Write::Add(given) | Write::Set(given) => self.assigned_roles(&org_model, target, given, now, limits)?,
        };
        // I4: refuse what is possible only without the internal roles.
        let internal: Roles =
            recorded.roles.iter().filter(|(role, _)| !visible(role)).map(|(r, g)| (r.clone(), *g)).collect();
        let held: Vec<_> =
            internal.values().filter(|given| given.expire_time.is_none_or(|expire_time| expire_time > now)).collect();
        let single = self.structure == RoleStructure::SingleRole;
        // Another refusal comes first.
        let not_available = || {
            let mut next = self.clone();
            let members = next.orgs.get_mut(org).map(|org_model| &mut org_model.members);
            if let Some(member) = members.and_then(|members| members.get_mut(user)) {
                member.roles = after.clone();
            }
            let owned = if command.allow_ownerless { Ok(()) } else { next.require_owners(self, now) };
            owned.err().unwrap_or(Reason::UserNotAvailable)
        };
        if adds && (self.is_blocked(user) || single && !held.is_empty()) {
            return Err(not_available());
        }
        if !matches!(command.row.write, Write::Remove) && !held.is_empty() {
            let roles = after.values().chain(held.iter().copied());
            let (temporary, permanent): (Vec<&RoleRecord>, Vec<_>) =
                roles.partition(|given| given.expire_time.is_some());
            if single && (temporary.len() > 1 || permanent.len() > 1) {
                return Err(not_available());
            }
            if !single && at_most(limits.member_roles, temporary.len() + permanent.len()).is_err() {
                return Err(not_available());
            }
        }
        if expiries(&after) == expiries(&visible_member.roles) {
            return Ok(());
        }
        let mut roles = after;
        // Expired internal roles are dropped like all expired roles.
        roles.extend(internal.into_iter().filter(|(role, _)| recorded.holds(role, now)));
        let removed = &mut self.orgs.get_mut(org).expect("the org exists").removed;
        match command.row.write {
            Write::Remove if own_roles => {}
            Write::Remove => {
                removed.insert(user.to_string());
            }
            _ => {
                removed.remove(user);
            }
        }
        self.store_roles(org, user, roles, recorded, limits)
    }

    /// Returns the named roles. Refuses an internal role as unknown (G4).
    fn visible_assignments(&self, write: &Write) -> Result<Vec<(String, RoleAssignment)>, Reason> {
        let given = match write {
            Write::Add(given) | Write::Set(given) => given.clone(),
            Write::Remove => return Ok(Vec::new()),
        };
        let mut named = Vec::new();
        for given in given {
            let role = self.role(given.role.as_str())?;
            if self.is_internal(&role) {
                return Err(Reason::RoleNotFound);
            }
            named.push((role, given));
        }
        Ok(named)
    }

    /// Refuses repeated roles and past expiries (B1, B5).
    fn validate_assignments(
        &self,
        target: &Member,
        given: &[(String, RoleAssignment)],
        now: Time,
    ) -> Result<(), Reason> {
        for (at, (role, one)) in given.iter().enumerate() {
            if given[..at].iter().any(|(other, _)| other == role) {
                return Err(Reason::RepeatedRole);
            }
            if self.expiry_of(target, role, one).is_some_and(|expire_time| now >= expire_time) {
                return Err(Reason::EndInThePast);
            }
        }
        Ok(())
    }

    /// Returns the expiry that a role gets. A repeated role keeps its expiry (B2).
    fn expiry_of(&self, target: &Member, role: &str, given: &RoleAssignment) -> Option<Time> {
        let kept = target.roles.get(role).and_then(|it| it.expire_time).filter(|_| !given.permanent);
        given.expire_time.or(kept)
    }

    /// Refuses if a changed role is not covered (G3) or a given role outlasts the covering role (G6).
    fn require_scope(
        &self,
        org_model: &OrgModel,
        member: &Member,
        granting: &[LiveRole],
        own_roles: bool,
        given: &[(String, RoleAssignment)],
        now: Time,
    ) -> Result<(), Reason> {
        let disabled = &self.mappings[&org_model.mapping].disabled;
        let mut wanted: Vec<(String, Option<Time>)> =
            given.iter().map(|(role, given)| (role.clone(), self.expiry_of(member, role, given))).collect();
        // Without roles in the request, the member gets the default role.
        if wanted.is_empty() && !member.is_member(now) {
            wanted.push((self.default_role.clone(), None));
        }
        let mut given_roles: Vec<(String, Option<Time>)> = Vec::new();
        let mut lost: BTreeSet<String> = BTreeSet::new();
        for (role, expire_time) in &wanted {
            if !member.holds(role, now) || !lasts_as_long(member.roles[role].expire_time, *expire_time) {
                given_roles.push((role.clone(), *expire_time));
                // Its fallback role lasts longer as well.
                let fallback_role =
                    member.fallback_of(role, disabled).filter(|_| member.holds(role, now) && disabled.contains(role));
                given_roles.extend(fallback_role.map(|fallback_role| (fallback_role, *expire_time)));
            } else if !lasts_as_long(*expire_time, member.roles[role].expire_time) {
                lost.insert(role.clone());
            }
        }
        for role in member.roles.keys().filter(|role| member.holds(role, now)) {
            if !wanted.iter().any(|(other, _)| other == role) {
                lost.insert(role.clone());
            }
        }
        // A new or extended temporary role overrides the permanent role.
        if self.structure == RoleStructure::SingleRole
            && given_roles.iter().any(|(_, expire_time)| expire_time.is_some())
        {
            lost.extend(
                wanted
                    .iter()
                    .filter(|(role, expire_time)| expire_time.is_none() && member.holds(role, now))
                    .map(|it| it.0.clone()),
            );
        }
        // A fallback role is removed together with its role.
        let mut taken = lost.clone();
        for role in lost.iter().filter(|role| disabled.contains(*role)) {
            taken.extend(member.fallback_of(role, disabled));
        }
        let covering =
            |role: &str| granting.iter().filter(|it| self.scope(&it.role).contains(role)).collect::<Vec<_>>();
        let steps_down = |role: &str| {
            if own_roles { self.expiries_of_higher_roles(org_model, member, role, now) } else { Vec::new() }
        };
        // Roles taken are checked before roles given.
        if !own_roles {
            for role in &taken {
                if granting.is_empty() {
                    return Err(Reason::ActingUserMissingPermission);
                }
                if covering(role).is_empty() {
                    return Err(Reason::RoleOutOfScope);
                }
            }
        }
        given_roles
            .retain(|(role, expire_time)| !steps_down(role).iter().any(|expiry| lasts_as_long(*expiry, *expire_time)));
        for (role, _) in &given_roles {
            if granting.is_empty() {
                return Err(Reason::ActingUserMissingPermission);
            }
            if covering(role).is_empty() {
                return Err(Reason::RoleOutOfScope);
            }
        }
        for (role, expire_time) in &given_roles {
            if !covering(role).iter().any(|it| lasts_as_long(it.expire_time, *expire_time)) {
                return Err(Reason::OutlastsGranter);
            }
        }
        Ok(())
    }

    /// Returns the latest expiry that an acting user can give a role with. `None` if the user has no live role that
    /// manages it and grants the permission.
    pub fn latest_given_expiry(
        &self,
        org_model: &OrgModel,
        acting: &str,
        permission: &str,
        role: &str,
        now: Time,
    ) -> Option<Option<Time>> {
        let live_roles = self.live_roles(org_model, acting, now).into_iter();
        let fits =
            live_roles.filter(|it| self.grants(org_model, &it.role, permission) && self.scope(&it.role).contains(role));
        fits.map(|it| it.expire_time).reduce(|one, other| if lasts_as_long(one, other) { one } else { other })
    }

    /// Returns the latest expiry of a role that a member may step down to. `None` if the member cannot step down to it.
    pub fn latest_step_down_expiry(
        &self,
        org_model: &OrgModel,
        user: &str,
        role: &str,
        now: Time,
    ) -> Option<Option<Time>> {
        let org_model = self.without_internal_roles(org_model);
        let expiries = self.expiries_of_higher_roles(&org_model, org_model.members.get(user)?, role, now).into_iter();
        expiries.reduce(|one, other| if lasts_as_long(one, other) { one } else { other })
    }

    /// Returns the expiries of the user's live or overridden roles above `role`, from which the user may step down in
    /// SINGLE_ROLE (G3).
    fn expiries_of_higher_roles(
        &self,
        org_model: &OrgModel,
        member: &Member,
        role: &str,
        now: Time,
    ) -> Vec<Option<Time>> {
        let place = |role: &str| self.roles.iter().position(|(other, _)| other == role);
        let mut expiries = Vec::new();
        if self.structure == RoleStructure::SingleRole {
            for (own, expire_time, state, ..) in self.member_roles(org_model, member, now) {
                if matches!(state, RoleState::Live | RoleState::Overridden) && place(&own) < place(role) {
                    expiries.push(expire_time);
                }
            }
        }
        expiries
    }

    /// Stores the roles of a member. A user without roles is not a member.
    fn store_roles(&mut self, org: &str, user: &str, roles: Roles, was: Member, limits: &Limits) -> Result<(), Reason> {
        if !roles.is_empty() {
            self.count_set(&roles, limits)?;
        }
        let members = &mut self.orgs.get_mut(org).expect("the org exists").members;
        if roles.is_empty() {
            members.remove(user);
        } else {
            let origin = rolecall::domain::model::membership::Origin::Direct;
            members.insert(user.to_string(), Member { roles, origin, ..was });
        }
        Ok(())
    }
}
