//! Who may see an invitation, and whether it can be accepted now (V3, I2). Get, List and Accept ask the same functions.

use crate::domain::model::email::EmailAddress;
use crate::domain::model::id::RoleId;
use crate::domain::model::invitation::{InvitationId, InvitationRecord, InvitationState, Settled, Stage};
use crate::domain::model::name::{OrgId, RoleName, UserId};
use crate::domain::model::permission::{CAN_INVITE, CAN_VIEW_OTHER_MEMBERS};
use crate::domain::model::refusal::Refusal;
use crate::domain::model::time::Time;
use crate::domain::rules::delegation::Acting;
use crate::domain::rules::member_list::MemberFilter;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;

/// An invitation as answers show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Invitation {
    pub org_id: OrgId,
    pub id: InvitationId,
    pub email: EmailAddress,
    /// From the highest role to the lowest.
    pub roles: Vec<RoleName>,
    pub inviter: Option<UserId>,
    pub create_time: Time,
    pub expire_time: Time,
    pub state: InvitationState,
    pub settle_time: Option<Time>,
    pub accepted_by: Option<UserId>,
    /// Why a pending invitation cannot be accepted now. `None` if it can, and if it is not pending.
    pub unacceptable: Option<Refusal>,
}

/// A member for whom invitations are read.
pub struct InvitationViewer<'a> {
    acting: Acting<'a>,
    sees_others: bool,
}

impl<'a> InvitationViewer<'a> {
    /// Refuses a user who may not invite (I2.b).
    pub fn new(project: &'a Project, org: &'a Org, user: &'a UserId, now: Time) -> Result<Self, Refusal> {
        let acting = Acting::new(project, org, user, now)?;
        let missing = |_| Refusal::ViewerMissingPermission { permission: CAN_INVITE };
        acting.check_ability(CAN_INVITE).map_err(missing)?;
        let sees_others = acting.check_ability(CAN_VIEW_OTHER_MEMBERS).is_ok();
        Ok(Self { acting, sees_others })
    }

    /// Returns the user if the viewer may know of it: an internal member or a former one is unknown.
    fn known(&self, project: &Project, org: &Org, user: &UserId, now: Time) -> Option<UserId> {
        let filter = MemberFilter { visibility: Visibility::VisibleOnly, ..MemberFilter::ALL };
        let seen = self.sees_others || self.acting.user == user;
        (seen && project.selected_member(org, user, filter, now).is_some()).then(|| user.clone())
    }
}

/// Returns true if an acting user may revoke an invitation to these roles. It may know of no other invitation. A
/// deleted role was perhaps internal, so it counts as out of scope.
pub fn may_revoke(acting: &Acting<'_>, roles: &[RoleId]) -> bool {
    roles.iter().all(|&role| acting.check_scope(CAN_INVITE, role).is_ok())
}

impl Project {
    /// Returns the roles of an invitation, ascending by id. A role of an accepted or revoked one may be deleted.
    pub fn invited_roles<'a>(&'a self, record: &'a InvitationRecord) -> &'a [RoleId] {
        match &record.stage {
            Stage::Pending { role_set } => self.role_sets.get(*role_set).map_or(&[], |set| &set.roles),
            Stage::Settled(Settled { roles, .. }) => roles,
        }
    }

    /// Refuses a pending invitation that cannot be accepted now (V3): it has expired, a role is disabled, or the inviter
    /// could no longer invite to these roles.
    pub fn check_acceptable(&self, org: &Org, record: &InvitationRecord, now: Time) -> Result<(), Refusal> {
        self.check_invited_roles(org, record, now)?;
        let Some(inviter) = &record.inviter else { return Ok(()) };
        let acting = Acting::new(self, org, inviter, now);
        let could_invite = |acting: Acting<'_>| {
            self.invited_roles(record).iter().all(|&role| acting.check_give(CAN_INVITE, role, None).is_ok())
        };
        if acting.is_ok_and(could_invite) { Ok(()) } else { Err(Refusal::InviterMayNot) }
    }

    /// Refuses an invitation that has expired or has a disabled role.
    fn check_invited_roles(&self, org: &Org, record: &InvitationRecord, now: Time) -> Result<(), Refusal> {
        if record.has_expired(now) {
            return Err(Refusal::InvitationExpired { expire_time: record.expire_time });
        }
        self.check_enabled(org, self.invited_roles(record).iter().copied())
    }

    /// Returns an invitation as an answer shows it. `None` if the viewer may not know of it. For a viewer the inviter is
    /// not judged: the inviter may be internal.
    pub fn invitation(
        &self,
        org: &Org,
        (id, record): (InvitationId, &InvitationRecord),
        viewer: Option<&InvitationViewer<'_>>,
        now: Time,
    ) -> Option<Invitation> {
        let roles = self.invited_roles(record);
        if viewer.is_some_and(|viewer| !may_revoke(&viewer.acting, roles)) {
            return None;
        }
        let known = |user: &UserId| match viewer {
            Some(viewer) => viewer.known(self, org, user, now),
            None => Some(user.clone()),
        };
        let judged = match viewer {
            Some(_) => self.check_invited_roles(org, record, now),
            None => self.check_acceptable(org, record, now),
        };
        let state = record.state(now);
        let settled = match &record.stage {
            Stage::Pending { .. } => None,
            Stage::Settled(settled) => Some(settled),
        };
        let mut roles: Vec<RoleId> = roles.iter().copied().filter(|&role| self.roles.get(role).is_some()).collect();
        roles.sort_by_key(|&role| self.roles.get(role).map(|role| role.rank));
        Some(Invitation {
            org_id: org.record.profile.org_id.clone(),
            id,
            email: record.email.clone(),
            roles: roles.into_iter().map(|role| self.role_name(role)).collect(),
            inviter: record.inviter.as_ref().and_then(known),
            create_time: record.create_time,
            expire_time: record.expire_time,
            state,
            settle_time: settled.filter(|_| state != InvitationState::Expired).map(|settled| settled.at),
            accepted_by: settled.and_then(|settled| settled.user.as_ref()).and_then(known),
            unacceptable: judged.err().filter(|_| state == InvitationState::Pending),
        })
    }
}
