//! Invitations (V1 to V6). The model knows a pending invitation by its address, see `placeholders.rs`.

use std::collections::BTreeSet;

use rolecall::domain::commands::command::{
    AcceptInvitation, CreateInvitations, NewInvitation, RevokeInvitation, RoleAssignment,
};
use rolecall::domain::model::invitation::InvitationId;
use rolecall::domain::model::membership::Origin;
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::{Reason, Time};
use rolecall::limits::{INVITATION_DAYS, INVITATION_DAYS_MAX, Limits};

use super::delegation::{LiveRole, lasts_as_long};
use super::members::expiries;
use super::{Answer, Member, OrgModel, ProjectModel, RoleRecord, Roles, at_most};
use crate::placeholders::EMAILS;

/// A pending invitation, which may have expired.
#[derive(Clone, Debug, PartialEq)]
pub struct InvitationModel {
    pub roles: BTreeSet<String>,
    pub inviter: Option<String>,
    pub created: Time,
    pub expire_time: Time,
}

impl InvitationModel {
    pub fn has_expired(&self, now: Time) -> bool {
        self.expire_time <= now
    }

    /// Returns the roles as those of a member, who would have no fallback roles.
    pub(super) fn as_member(&self) -> Member {
        let new = RoleRecord { expire_time: None, origin: Origin::Invitation };
        Member { roles: self.roles.iter().map(|role| (role.clone(), new)).collect(), ..Member::default() }
    }
}

impl OrgModel {
    pub(super) fn revoke_of(&mut self, user: &str) {
        self.invitations.retain(|_, invitation| invitation.inviter.as_deref() != Some(user));
    }

    pub(super) fn settle_expired(&mut self, now: Time) {
        self.invitations.retain(|_, invitation| !invitation.has_expired(now));
    }
}

fn days(days: i64) -> i64 {
    days * 24 * 60 * 60 * 1_000_000
}

/// Returns the address that an id in a random command means.
fn email_of(id: InvitationId) -> Option<&'static str> {
    EMAILS.get(id.0 as usize).copied()
}

impl ProjectModel {
    pub(super) fn invite(
        &mut self,
        acting: Option<&str>,
        command: &CreateInvitations,
        (now, created): (Time, Time),
        limits: &Limits,
    ) -> Result<Answer, Reason> {
        let org = command.org_id.to_string();
        if !self.orgs.contains_key(&org) {
            return Err(Reason::OrgNotFound);
        }
        let granting = match acting {
            Some(acting) => Some(self.require_roles_granting(acting, &org, "rolecall::can_invite", now)?),
            None => None,
        };
        let mut results = Vec::new();
        let mut swept = false;
        for row in &command.rows {
            let invited = self.invited(&org, granting.as_deref(), row, now, limits, &mut swept);
            if let Ok((roles, expire_time)) = &invited {
                let record = RoleRecord { expire_time: None, origin: Origin::Invitation };
                self.count_set(&roles.iter().map(|role| (role.clone(), record)).collect(), limits)?;
                let invitation = InvitationModel {
                    roles: roles.clone(),
                    inviter: acting.map(str::to_string),
                    created,
                    expire_time: *expire_time,
                };
                let org_model = self.orgs.get_mut(&org).expect("it exists");
                org_model.invitations.insert(row.email.to_string(), invitation);
            }
            results.push(invited.map(drop));
        }
        if command.batch {
            return Ok(Answer::Invitations(results));
        }
        results.remove(0)?;
        let email = command.rows[0].email.to_string();
        let invitation = self.orgs[&org].invitations[&email].clone();
        Ok(Answer::Invitation { email, invitation })
    }

    /// Returns the roles and the expiry of a new invitation (V1).
    fn invited(
        &mut self,
        org: &str,
        granting: Option<&[LiveRole]>,
        row: &NewInvitation,
        now: Time,
        limits: &Limits,
        swept: &mut bool,
    ) -> Result<(BTreeSet<String>, Time), Reason> {
        let mut roles = BTreeSet::new();
        for RoleAssignment { role, .. } in &row.roles {
            let role = self.role(role.as_str())?;
            if granting.is_some() && self.is_internal(&role) {
                return Err(Reason::RoleNotFound);
            }
            if !roles.insert(role) {
                return Err(Reason::RepeatedRole);
            }
        }
        if roles.is_empty() {
            roles.insert(self.default_role.clone());
        }
        if let Some(granting) = granting {
            self.require_giving(granting, &roles)?;
        }
        match self.structure {
            RoleStructure::SingleRole if roles.len() > 1 => return Err(Reason::TooManyRoles),
            RoleStructure::SingleRole => {}
            RoleStructure::MultiRole => at_most(limits.member_roles, roles.len())?,
        }
        let org_model = self.orgs[org].clone();
        if roles.iter().any(|role| self.mappings[&org_model.mapping].disabled.contains(role)) {
            return Err(Reason::RoleDisabled);
        }
        let expire_time = row.expire_time.unwrap_or(Time(now.0 + days(INVITATION_DAYS)));
        if expire_time <= now {
            return Err(Reason::EndInThePast);
        }
        if expire_time.0 > now.0 + days(INVITATION_DAYS_MAX) {
            return Err(Reason::InvitationExpiryTooLate);
        }
        let before = org_model.invitations.get(row.email.as_str());
        if let Some(before) = before.filter(|before| !before.has_expired(now)) {
            if let Some(granting) = granting {
                if before.roles.iter().any(|role| self.is_internal(role)) {
                    return Err(Reason::UserNotAvailable);
                }
                if row.replace {
                    self.require_covering(granting, &before.roles)?;
                }
            }
            if !row.replace {
                return Err(Reason::InvitationAlreadyExists);
            }
        }
        let org_model = self.orgs.get_mut(org).expect("it exists");
        if org_model.invitations.len() as u64 >= limits.org_invitations && !*swept {
            *swept = true;
            org_model.settle_expired(now);
        }
        let others = org_model.invitations.keys().filter(|email| *email != row.email.as_str()).count();
        at_most(limits.org_invitations, others + 1)?;
        Ok((roles, expire_time))
    }

    fn require_covering(&self, granting: &[LiveRole], roles: &BTreeSet<String>) -> Result<(), Reason> {
        let covered = |role: &String| granting.iter().any(|it| self.scope(&it.role).contains(role));
        if roles.iter().all(covered) { Ok(()) } else { Err(Reason::RoleOutOfScope) }
    }

    /// Refuses if the live roles cannot give these roles for good (G2, G6).
    fn require_giving(&self, granting: &[LiveRole], roles: &BTreeSet<String>) -> Result<(), Reason> {
        self.require_covering(granting, roles)?;
        let for_good = |role: &String| {
            let mut covering = granting.iter().filter(|it| self.scope(&it.role).contains(role));
            covering.any(|it| lasts_as_long(it.expire_time, None))
        };
        if roles.iter().all(for_good) { Ok(()) } else { Err(Reason::OutlastsGranter) }
    }

    pub(super) fn revoke(
        &mut self,
        acting: Option<&str>,
        command: &RevokeInvitation,
        now: Time,
    ) -> Result<Answer, Reason> {
        let org = command.org_id.to_string();
        let org_model = self.orgs.get(&org).ok_or(Reason::OrgNotFound)?;
        let granting = match acting {
            Some(acting) => Some(self.require_roles_granting(acting, &org, "rolecall::can_invite", now)?),
            None => None,
        };
        let email = email_of(command.id).ok_or(Reason::InvitationNotFound)?;
        let invitation = org_model.invitations.get(email).ok_or(Reason::InvitationNotFound)?;
        if let Some(granting) = granting {
            if invitation.roles.iter().any(|role| self.is_internal(role)) {
                return Err(Reason::InvitationNotFound);
            }
            self.require_covering(&granting, &invitation.roles)?;
        }
        if invitation.has_expired(now) {
            return Err(Reason::InvitationNotPending);
        }
        self.orgs.get_mut(&org).expect("it exists").invitations.remove(email);
        Ok(Answer::Removed)
    }

    /// V2, V3.
    pub(super) fn accept(&mut self, command: &AcceptInvitation, now: Time, limits: &Limits) -> Result<Answer, Reason> {
        let before = self.clone();
        let (org, user) = (command.org_id.to_string(), command.user_id.to_string());
        let org_model = self.orgs.get(&org).ok_or(Reason::OrgNotFound)?.clone();
        let email = email_of(command.id).ok_or(Reason::InvitationNotFound)?;
        let invitation = org_model.invitations.get(email).ok_or(Reason::InvitationNotFound)?;
        if !command.email_verified {
            return Err(Reason::EmailNotVerified);
        }
        if command.email.as_str() != email {
            return Err(Reason::EmailMismatch);
        }
        if self.is_blocked(&user) {
            return Err(Reason::UserNotAvailable);
        }
        if invitation.has_expired(now) {
            return Err(Reason::InvitationExpired);
        }
        let disabled = &self.mappings[&org_model.mapping].disabled;
        if invitation.roles.iter().any(|role| disabled.contains(role)) {
            return Err(Reason::RoleDisabled);
        }
        let granting = match &invitation.inviter {
            Some(inviter) => {
                let granting = self.require_roles_granting(inviter, &org, "rolecall::can_invite", now);
                let granting = granting.map_err(|_| Reason::InviterMayNot)?;
                self.require_giving(&granting, &invitation.roles).map_err(|_| Reason::InviterMayNot)?;
                Some(granting)
            }
            None => None,
        };
        let recorded = org_model.members.get(&user).cloned();
        let held: Roles = recorded.iter().flat_map(|member| member.roles.clone()).collect();
        let held: Roles = held.into_iter().filter(|(_, it)| it.expire_time.is_none_or(|at| at > now)).collect();
        let roles = match self.structure {
            RoleStructure::MultiRole => self.with_roles(&held, &invitation.roles),
            RoleStructure::SingleRole => {
                let permanent = held.iter().find(|(_, it)| it.expire_time.is_none()).map(|(role, _)| role.clone());
                let place = |role: &String| self.roles.iter().position(|(name, _)| name == role);
                let invited = invitation.roles.first().expect("an invitation has a role");
                let replaces = permanent.is_none_or(|held| {
                    let covered = |granting: &Vec<LiveRole>| {
                        self.require_covering(granting, &BTreeSet::from([held.clone()])).is_ok()
                    };
                    place(invited) < place(&held) && granting.as_ref().is_none_or(covered)
                });
                let temporary: Roles = held.clone().into_iter().filter(|(_, it)| it.expire_time.is_some()).collect();
                if replaces { self.with_roles(&temporary, &invitation.roles) } else { held.clone() }
            }
        };
        // A role that is still held keeps its origin.
        let origin = |role: &String, it: RoleRecord| held.get(role).map_or(it.origin, |held| held.origin);
        let roles: Roles = roles
            .into_iter()
            .map(|(role, it)| {
                let record = RoleRecord { origin: origin(&role, it), ..it };
                (role, record)
            })
            .collect();
        if self.structure == RoleStructure::MultiRole {
            at_most(limits.member_roles, roles.len())?;
        }
        let changed = recorded.as_ref().is_none_or(|member| expiries(&member.roles) != expiries(&roles));
        if changed {
            self.count_set(&roles, limits)?;
        }
        let org_model = self.orgs.get_mut(&org).expect("it exists");
        org_model.invitations.remove(email);
        org_model.removed.remove(&user);
        if changed {
            let fallbacks = recorded.map(|member| member.fallbacks).unwrap_or_default();
            org_model.members.insert(user.clone(), Member { roles, origin: Origin::Invitation, fallbacks });
            self.require_owners(&before, now)?;
        }
        let org_model = &self.orgs[&org];
        let member = &org_model.members[&user];
        let roles = self.member_roles(org_model, member, now);
        Ok(Answer::Member { org, user, roles, origin: Some(member.origin) })
    }

    /// Adds permanent roles. They also replace temporary ones.
    fn with_roles(&self, held: &Roles, given: &BTreeSet<String>) -> Roles {
        let new = RoleRecord { expire_time: None, origin: Origin::Invitation };
        held.clone().into_iter().chain(given.iter().map(|role| (role.clone(), new))).collect()
    }
}
