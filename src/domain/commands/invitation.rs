//! Creates, revokes and accepts invitations (V1 to V6).

use std::sync::Arc;

use crate::domain::commands::command::{AcceptInvitation, CreateInvitations, NewInvitation, RevokeInvitation};
use crate::domain::commands::draft::Draft;
use crate::domain::commands::membership::given::{Given, check_count, given};
use crate::domain::commands::membership::member::Member;
use crate::domain::commands::membership::{record, removal};
use crate::domain::commands::outcome::Outcome;
use crate::domain::commands::role_set;
use crate::domain::model::id::RoleId;
use crate::domain::model::invitation::{InvitationId, InvitationRecord, InvitationState, Settled, Stage};
use crate::domain::model::name::UserId;
use crate::domain::model::permission::CAN_INVITE;
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::model::role_set::RoleSet;
use crate::domain::model::time::Time;
use crate::domain::rules::delegation::Acting;
use crate::domain::rules::owners::check_owner;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::change::{Change, Edit, InvitationKey};
use crate::domain::state::invitation::Invitation;
use crate::domain::state::org::Org;
use crate::domain::state::project::Project;
use crate::limits::{INVITATION_DAYS, INVITATION_DAYS_MAX};

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Creates one invitation, or many. Refused rows of a batch do not refuse the others (V5).
pub fn create(draft: &mut Draft<'_>, command: &CreateInvitations) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.org_id)?;
    let user = draft.acting_user();
    let acting = Acting::with_ability(&project, org, user.as_ref(), CAN_INVITE, draft.now())?;
    let mut inviting = Inviting { project: &project, org, acting, may_sweep: true };
    if !command.batch {
        let Some(row) = command.rows.first() else { return Err(Refusal::Bug) };
        inviting.create(draft, row)?;
        return shown(draft, &project, org, row.id);
    }
    let mut results = Vec::with_capacity(command.rows.len());
    for row in &command.rows {
        let created = inviting.create(draft, row);
        match created {
            // `decide` deletes unused sets and tries once more.
            Err(refusal) if refusal.exceeds(role_set::LIMIT) => return Err(refusal),
            created => results.push(created.map(|()| row.id)),
        }
    }
    Ok(Outcome::Invitations(results))
}

pub fn revoke(draft: &mut Draft<'_>, command: &RevokeInvitation) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.org_id)?;
    let user = draft.acting_user();
    let acting = Acting::with_ability(&project, org, user.as_ref(), CAN_INVITE, draft.now())?;
    let record = pending(&project, org, command.id)?;
    if let Some(acting) = &acting {
        let roles = project.invited_roles(record);
        if !roles.iter().all(|&role| project.is_visible(role)) {
            return Err(not_found(command.id));
        }
        roles.iter().try_for_each(|&role| acting.check_scope(CAN_INVITE, role))?;
    }
    if record.has_expired(draft.now()) {
        return Err(Refusal::InvitationNotPending { id: command.id, state: InvitationState::Expired });
    }
    settle(draft, &project, org, (command.id, record), None);
    Ok(Outcome::Removed)
}

pub fn accept(draft: &mut Draft<'_>, command: &AcceptInvitation) -> Result<Outcome, Refusal> {
    let project = draft.project(&command.project)?;
    let org = project.org_or_refusal(&command.org_id)?;
    let now = draft.now();
    let invitation = pending(&project, org, command.id)?;
    if !command.email_verified {
        return Err(Refusal::EmailNotVerified { rule: "V2" });
    }
    if command.email != invitation.email {
        return Err(Refusal::EmailMismatch(command.email.clone()));
    }
    if project.is_user_blocked(&command.user_id) {
        return Err(Refusal::UserNotAvailable(command.user_id.clone()));
    }
    project.check_acceptable(org, invitation, now)?;
    let inviter = invitation.inviter.as_ref().map(|inviter| Acting::new(&project, org, inviter, now)).transpose()?;
    let before = project.membership(org, &command.user_id);
    let member = Member { project: &project, org, user: &command.user_id, record: before.as_ref() };
    let after = member.accepted(draft, project.invited_roles(invitation), inviter.as_ref())?;
    if record(draft, &project, org, &command.user_id, Some(after))? {
        let latest = draft.latest(&project)?;
        check_owner(&latest, latest.org_or_refusal(&command.org_id)?, now)?;
    }
    removal::forget(draft, &project, org, &command.user_id);
    settle(draft, &project, org, (command.id, invitation), Some(command.user_id.clone()));
    let latest = draft.latest(&project)?;
    let org = latest.org_or_refusal(&command.org_id)?;
    let Some(record) = latest.membership(org, &command.user_id) else { return Err(Refusal::Bug) };
    Ok(Outcome::Member(latest.member(org, &command.user_id, &record, Visibility::All, now)))
}

/// Revokes the pending invitations of these inviters in an org (V6).
pub fn revoke_of(draft: &mut Draft<'_>, project: &Project, org: &Org, left: impl Fn(&UserId) -> bool) {
    settle_where(draft, project, org, |record| record.inviter.as_ref().is_some_and(&left));
}

/// Settles the pending invitations of an org that match `predicate`: revokes them, or ends those that have expired.
pub fn settle_where(
    draft: &mut Draft<'_>,
    project: &Project,
    org: &Org,
    predicate: impl Fn(&InvitationRecord) -> bool,
) {
    for invitation in org.invitations().into_iter().filter(|invitation| predicate(&invitation.record)) {
        settle(draft, project, org, (invitation.id, &invitation.record), None);
    }
}

/// Settles an invitation that has expired. It stays EXPIRED, and no longer takes memory.
pub fn settle_expired(draft: &mut Draft<'_>, project: &Project, org: &Org, id: InvitationId) -> Result<(), Refusal> {
    settle(draft, project, org, (id, pending(project, org, id)?), None);
    Ok(())
}

fn shown(draft: &Draft<'_>, project: &Project, org: &Org, id: InvitationId) -> Result<Outcome, Refusal> {
    let latest = draft.latest(project)?;
    let org = latest.org_numbered(org.no).ok_or(Refusal::Bug)?;
    let record = pending(&latest, org, id)?;
    let shown = latest.invitation(org, (id, record), None, draft.now()).ok_or(Refusal::Bug)?;
    Ok(Outcome::Invitation(shown))
}

fn pending<'a>(project: &Project, org: &'a Org, id: InvitationId) -> Result<&'a InvitationRecord, Refusal> {
    project.pending_invitation(org, id).map(|invitation| &invitation.record).ok_or_else(|| not_found(id))
}

fn not_found(id: InvitationId) -> Refusal {
    Refusal::NotFound(Noun::Invitation, id.to_string())
}

/// Accepts or revokes an invitation. One that has expired before becomes neither, see [`InvitationRecord::state`].
fn settle(
    draft: &mut Draft<'_>,
    project: &Project,
    org: &Org,
    (id, record): (InvitationId, &InvitationRecord),
    user: Option<UserId>,
) {
    let mut at = draft.commit_time();
    if !record.has_expired(draft.now()) {
        // The commit time may be ahead of the clock. Without this an invitation revoked in time would read as EXPIRED.
        at = at.min(record.expire_time.previous());
    }
    let roles = project.invited_roles(record).into();
    let after = InvitationRecord { stage: Stage::Settled(Settled { at, user, roles }), ..record.clone() };
    let key = InvitationKey { project: project.id, org: org.no, id };
    draft.edit(Change::Invitation(Edit { key, before: Some(record.clone()), after: Some(after) }));
}

/// A call that invites.
struct Inviting<'a> {
    /// The project and the org before the call.
    project: &'a Project,
    org: &'a Org,
    acting: Option<Acting<'a>>,
    /// False once the expired invitations of the org were settled.
    may_sweep: bool,
}

impl Inviting<'_> {
    fn create(&mut self, draft: &mut Draft<'_>, row: &NewInvitation) -> Result<(), Refusal> {
        let (project, now) = (self.project, draft.now());
        let request = Given { project, roles: &row.roles, kept: None, visible_only: self.acting.is_some() };
        let roles = given(&request, now)?;
        if let Some(acting) = &self.acting {
            // First the scope of all roles, then how long they last: an invited role is permanent (G6).
            roles.keys().try_for_each(|&role| acting.check_scope(CAN_INVITE, role))?;
            roles.keys().try_for_each(|&role| acting.check_give(CAN_INVITE, role, None))?;
        }
        check_count(draft, project, &roles)?;
        let roles: Vec<RoleId> = roles.into_keys().collect();
        project.check_enabled(self.org, roles.iter().copied())?;
        let expire_time = expiry(row.expire_time, now)?;
        self.check_address(draft, row)?;
        self.check_limit(draft, row)?;
        // Before the change to the pending invitation: a refused row of a batch must change nothing.
        let role_set = role_set::intern(draft, project.id, RoleSet::new(roles))?;
        self.settle_before(draft, row)?;
        let record = InvitationRecord {
            email: row.email.clone(),
            inviter: self.acting.as_ref().map(|acting| acting.user.clone()),
            create_time: draft.commit_time(),
            expire_time,
            stage: Stage::Pending { role_set },
        };
        let key = InvitationKey { project: project.id, org: self.org.no, id: row.id };
        draft.edit(Change::Invitation(Edit { key, before: None, after: Some(record) }));
        Ok(())
    }

    /// Returns the pending invitation of the address, and its roles.
    fn before(&self, draft: &Draft<'_>, row: &NewInvitation) -> Option<(Arc<Invitation>, Box<[RoleId]>)> {
        let latest = draft.state().project_numbered(self.project.id)?;
        let before = latest.invitation_of(latest.org_numbered(self.org.no)?, &row.email)?;
        Some((before.clone(), latest.invited_roles(&before.record).into()))
    }

    /// Refuses an address with a pending invitation that the call does not replace. One that has expired is in nobody's
    /// way.
    fn check_address(&self, draft: &Draft<'_>, row: &NewInvitation) -> Result<(), Refusal> {
        let before = self.before(draft, row);
        let Some((_, roles)) = before.filter(|(before, _)| !before.record.has_expired(draft.now())) else {
            return Ok(());
        };
        if let Some(acting) = &self.acting {
            // The acting user must not learn of an invitation to an internal role (I2.c).
            if !roles.iter().all(|&role| self.project.is_visible(role)) {
                return Err(Refusal::AddressNotAvailable(row.email.clone()));
            }
            if row.replace {
                roles.iter().try_for_each(|&role| acting.check_scope(CAN_INVITE, role))?;
            }
        }
        if row.replace { Ok(()) } else { Err(Refusal::AlreadyExists(Noun::Invitation, row.email.to_string())) }
    }

    /// Settles the pending invitation of the address.
    fn settle_before(&self, draft: &mut Draft<'_>, row: &NewInvitation) -> Result<(), Refusal> {
        let latest = draft.latest(self.project)?;
        let before = self.before(draft, row);
        if let Some((before, _)) = before {
            settle(draft, &latest, self.org, (before.id, &before.record), None);
        }
        Ok(())
    }

    /// Refuses one more pending invitation than the org may have (P7). At the limit, expired ones are settled first, once
    /// per call.
    fn check_limit(&mut self, draft: &mut Draft<'_>, row: &NewInvitation) -> Result<(), Refusal> {
        let pending = |draft: &Draft<'_>| {
            let org = draft.state().project_numbered(self.project.id).and_then(|it| it.org_numbered(self.org.no));
            org.map_or(0, |org| org.invitations_len())
        };
        let max = draft.limits().org_invitations;
        if pending(draft) as u64 >= max && self.may_sweep {
            self.may_sweep = false;
            let latest = draft.latest(self.project)?;
            if let Some(org) = latest.org_numbered(self.org.no) {
                let now = draft.now();
                settle_where(draft, &latest, org, |record| record.has_expired(now));
            }
        }
        let replaced = usize::from(self.before(draft, row).is_some());
        draft.check_limit("org_invitations", max, pending(draft) + 1 - replaced)
    }
}

/// Returns the expiry of a new invitation (V1.a).
fn expiry(asked: Option<Time>, now: Time) -> Result<Time, Refusal> {
    let Some(asked) = asked else { return Ok(now.plus_seconds(INVITATION_DAYS * DAY_SECONDS)) };
    if asked <= now {
        return Err(Refusal::InvitationExpiryPast);
    }
    if asked > now.plus_seconds(INVITATION_DAYS_MAX * DAY_SECONDS) {
        return Err(Refusal::InvitationExpiryTooLate);
    }
    Ok(asked)
}
