//! InvitationService.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use tonic_types::StatusExt;

use crate::clock;
use crate::domain::commands::command::{
    AcceptInvitation, CreateInvitations, NewInvitation, RevokeInvitation, RoleAssignment,
};
use crate::domain::model::email::EmailAddress;
use crate::domain::model::invitation::{InvitationId, InvitationRecord, InvitationState};
use crate::domain::model::refusal::Noun;
use crate::domain::rules::invitation::{Invitation, InvitationViewer};
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::org::Org;
use crate::domain::{Command, Project, ProjectKey, Refusal, RoleName, Time, UserId};
use crate::grpc::app::App;
use crate::grpc::generated::invitation_service_server::InvitationService;
use crate::grpc::page::{Page, Scope};
use crate::grpc::read::Reading;
use crate::grpc::services::Reply;
use crate::grpc::write::{WriteRequest, respond};
use crate::grpc::{convert, status};
use crate::limits::{LIST_READS_MAX, PAGE_SIZE_MAX};
use crate::store::SettledInvitations;
use crate::wire::{self, ErrorReason, storage::outcome::Outcome};

pub struct InvitationApi(pub Arc<App>);

#[tonic::async_trait]
impl InvitationService for InvitationApi {
    async fn create_invitation(
        &self,
        request: Request<wire::CreateInvitationRequest>,
    ) -> Reply<wire::CreateInvitationResponse> {
        let (metadata, _, request) = request.into_parts();
        let wire::CreateInvitationRequest { email, roles, expire_time, replace, .. } = request.clone();
        let row = new(&wire::NewInvitation { email, roles, expire_time, replace })?;
        let command = CreateInvitations {
            project: convert::project(&request.project)?,
            org_id: convert::org_id(&request.org_id)?,
            rows: vec![row],
            batch: false,
        };
        let answered = self.0.write(&metadata, &request, Command::CreateInvitations(command), &status::no_rows).await?;
        respond!(answered, Outcome::Invitation(invitation) => CreateInvitationResponse { invitation: Some(invitation) })
    }

    async fn batch_create_invitations(
        &self,
        request: Request<wire::BatchCreateInvitationsRequest>,
    ) -> Reply<wire::BatchCreateInvitationsResponse> {
        let (metadata, _, request) = request.into_parts();
        convert::bulk("rows", request.rows.len(), self.0.limits.bulk_rows)?;
        // The results of malformed rows. `None` for the others.
        let (mut malformed, mut rows) = (Vec::with_capacity(request.rows.len()), Vec::new());
        for row in &request.rows {
            match new(row) {
                Ok(row) => {
                    rows.push(row);
                    malformed.push(None);
                }
                Err(status) => malformed.push(Some(result(&status))),
            }
        }
        let command = CreateInvitations {
            project: convert::project(&request.project)?,
            org_id: convert::org_id(&request.org_id)?,
            rows,
            batch: true,
        };
        let answered = self.0.write(&metadata, &request, Command::CreateInvitations(command), &status::no_rows).await?;
        respond!(answered, Outcome::InvitationResults(decided) => BatchCreateInvitationsResponse {
            results: {
                let mut decided = decided.results.into_iter();
                malformed.into_iter().map(|row| row.or_else(|| decided.next()).unwrap_or_default()).collect()
            },
        })
    }

    async fn get_invitation(&self, request: Request<wire::GetInvitationRequest>) -> Reply<wire::GetInvitationResponse> {
        let (_, extensions, request) = request.into_parts();
        let key = convert::project(&request.project)?;
        let org_id = convert::org_id(&request.org_id)?;
        let id = invitation_id(&request.invitation_id)?;
        let viewer = convert::viewer(&request.viewer_user_id)?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &key).await?;
        let (project, now) = (&reading.project, clock::now());
        let org = project.org_or_refusal(&org_id).map_err(reading.refused(Visibility::of(viewer.as_ref())))?;
        let viewer = viewer.as_ref().map(|viewer| viewing(&reading, org, viewer, now)).transpose()?;
        let record = match project.pending_invitation(org, id) {
            Some(invitation) => Some(invitation.record.clone()),
            None => self.settled(&reading, org, id).await?,
        };
        let shown = record.and_then(|record| project.invitation(org, (id, &record), viewer.as_ref(), now));
        let shown = shown.ok_or_else(|| status::not_found(Noun::Invitation, &request.invitation_id))?;
        let invitation = Some(wire::invitation(&shown));
        Ok(Response::new(wire::GetInvitationResponse { invitation, revision: reading.revision() }))
    }

    async fn list_invitations(
        &self,
        request: Request<wire::ListInvitationsRequest>,
    ) -> Reply<wire::ListInvitationsResponse> {
        let (_, extensions, request) = request.into_parts();
        let key = convert::project(&request.project)?;
        let states = states(&request.states)?;
        let named = format!("{states:?}");
        let arguments = ["ListInvitations", key.as_str(), &request.org_id, &named, &request.viewer_user_id];
        let page = Page::read(&arguments, request.page_size, &request.page_token)?;
        let after = page.after.as_deref().map(|text| InvitationId::parse(text).ok_or_else(status::page_token));
        let after = after.transpose()?;
        let org_id = convert::org_id(&request.org_id)?;
        let viewer = convert::viewer(&request.viewer_user_id)?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &key).await?;
        let (project, now) = (&reading.project, clock::now());
        let org = project.org_or_refusal(&org_id).map_err(reading.refused(Visibility::of(viewer.as_ref())))?;
        let viewer = viewer.as_ref().map(|viewer| viewing(&reading, org, viewer, now)).transpose()?;
        let listing = Listing { project, org, viewer, states, now };
        let (rows, stopped) = self.listed(&reading, &listing, after, page.limit as usize + 1).await?;
        let scope = Scope { org: org.record.profile.create_time.0, ..reading.scope() };
        let (invitations, last) = page.fill(rows, wire::invitation);
        let last = last.map(|row| row.id).or(stopped);
        Ok(Response::new(wire::ListInvitationsResponse {
            next_page_token: page.next_token(scope, last.map(|id| id.to_string()).as_deref())?,
            invitations,
            revision: reading.revision(),
        }))
    }

    async fn revoke_invitation(
        &self,
        request: Request<wire::RevokeInvitationRequest>,
    ) -> Reply<wire::RevokeInvitationResponse> {
        let (metadata, extensions, request) = request.into_parts();
        let project = convert::project(&request.project)?;
        let id = invitation_id(&request.invitation_id)?;
        let command = RevokeInvitation { project: project.clone(), org_id: convert::org_id(&request.org_id)?, id };
        let answered = self.0.write(&metadata, &request, Command::RevokeInvitation(command), &status::no_rows).await;
        let answered = match answered {
            Err(refused) => {
                return Err(self.explained(refused, &extensions, &project, &request.org_id, id, &request).await);
            }
            Ok(answered) => answered,
        };
        respond!(answered, Outcome::Removed(_) => RevokeInvitationResponse {})
    }

    async fn accept_invitation(
        &self,
        request: Request<wire::AcceptInvitationRequest>,
    ) -> Reply<wire::AcceptInvitationResponse> {
        let (metadata, extensions, request) = request.into_parts();
        let project = convert::project(&request.project)?;
        let id = invitation_id(&request.invitation_id)?;
        let command = AcceptInvitation {
            project: project.clone(),
            org_id: convert::org_id(&request.org_id)?,
            id,
            user_id: convert::user_id(&request.user_id)?,
            email: email(&request.email)?,
            email_verified: request.email_verified,
        };
        let answered = self.0.write(&metadata, &request, Command::AcceptInvitation(command), &status::no_rows).await;
        let answered = match answered {
            Err(refused) => {
                return Err(self.explained(refused, &extensions, &project, &request.org_id, id, &request).await);
            }
            Ok(answered) => answered,
        };
        respond!(answered, Outcome::Member(member) => AcceptInvitationResponse { member: Some(member) })
    }
}

/// Which invitations of an org to list.
struct Listing<'a> {
    project: &'a Project,
    org: &'a Org,
    viewer: Option<InvitationViewer<'a>>,
    states: Vec<InvitationState>,
    now: Time,
}

impl Listing<'_> {
    /// `None` if the list leaves it out.
    fn shown(&self, id: InvitationId, record: &InvitationRecord) -> Option<Invitation> {
        let listed = self.states.is_empty() || self.states.contains(&record.state(self.now));
        let shown = || self.project.invitation(self.org, (id, record), self.viewer.as_ref(), self.now);
        listed.then(shown).flatten()
    }
}

impl InvitationApi {
    async fn settled(
        &self,
        reading: &Reading,
        org: &Org,
        id: InvitationId,
    ) -> Result<Option<InvitationRecord>, Status> {
        let ask = settled_of(reading, org);
        let _turn = self.0.list_turns.next(reading.project.id).await?;
        self.0.store.settled_invitation(ask, id).await.map_err(|error| status::unread(&error))
    }

    /// Returns up to `limit` invitations by ascending id: pending ones from the State, the others from the database. Also
    /// returns the id after which it stopped searching. `None` if it searched to the end or found enough.
    async fn listed(
        &self,
        reading: &Reading,
        listing: &Listing<'_>,
        after: Option<InvitationId>,
        limit: usize,
    ) -> Result<(Vec<Invitation>, Option<InvitationId>), Status> {
        let pending = listing.org.invitations().into_iter().filter(|invitation| Some(invitation.id) > after);
        let shown = pending.filter_map(|invitation| listing.shown(invitation.id, &invitation.record));
        let mut found: Vec<Invitation> = shown.take(limit).collect();
        if listing.states == [InvitationState::Pending] {
            return Ok((found, None));
        }
        let ask = settled_of(reading, listing.org);
        let (mut settled, mut after, mut stopped) = (Vec::new(), after, None);
        // Many rows at once, because a viewer or `states` may hide nearly all of them.
        let rows_max = PAGE_SIZE_MAX as usize;
        let _turn = self.0.list_turns.next(reading.project.id).await?;
        for read in 1.. {
            let rows = self.0.store.settled_invitations_after(ask, after, rows_max as u32).await;
            let rows = rows.map_err(|error| status::unread(&error))?;
            let full = rows.len() == rows_max;
            after = rows.last().map(|(id, _)| *id);
            settled.extend(rows.iter().filter_map(|(id, record)| listing.shown(*id, record)));
            if !full || settled.len() >= limit {
                break;
            }
            // For a viewer a short page would reveal that others are hidden (I2).
            if read == LIST_READS_MAX && listing.viewer.is_none() {
                stopped = after;
                break;
            }
        }
        found.extend(settled);
        found.retain(|invitation| stopped.is_none_or(|stopped| invitation.id <= stopped));
        found.sort_unstable_by_key(|invitation| invitation.id);
        found.truncate(limit);
        Ok((found, stopped))
    }

    /// Returns INVITATION_NOT_PENDING instead of INVITATION_NOT_FOUND for an accepted or revoked invitation, which only
    /// the database knows. An acting user learns of it only if it may revoke such an invitation.
    async fn explained(
        &self,
        refused: Status,
        extensions: &tonic::Extensions,
        project: &ProjectKey,
        org_id: &str,
        id: InvitationId,
        request: &impl WriteRequest,
    ) -> Status {
        let reason = refused.get_details_error_info().map(|info| info.reason);
        if reason.as_deref() != Some(ErrorReason::InvitationNotFound.as_str_name()) {
            return refused;
        }
        let Ok(reading) = self.0.reading(extensions, None, project).await else { return refused };
        let Some(org) = reading.project.org(org_id) else { return refused };
        let now = clock::now();
        let viewer = convert::viewer(request.acting_user_id()).ok().flatten();
        let viewer = viewer.as_ref().map(|user| InvitationViewer::new(&reading.project, org, user, now)).transpose();
        let Ok(viewer) = viewer else { return refused };
        let Ok(Some(record)) = self.settled(&reading, org, id).await else { return refused };
        match reading.project.invitation(org, (id, &record), viewer.as_ref(), now) {
            Some(shown) => status::refused(&Refusal::InvitationNotPending { id, state: shown.state }, &mut |_, _| None),
            None => refused,
        }
    }
}

fn settled_of(reading: &Reading, org: &Org) -> SettledInvitations {
    SettledInvitations { at: reading.published.state.revision(), project: reading.project.id, org: org.no }
}

fn viewing<'a>(
    reading: &'a Reading,
    org: &'a Org,
    viewer: &'a UserId,
    now: Time,
) -> Result<InvitationViewer<'a>, Status> {
    reading.view(org, viewer, now)?;
    InvitationViewer::new(&reading.project, org, viewer, now).map_err(reading.refused(Visibility::VisibleOnly))
}

fn email(text: &str) -> Result<EmailAddress, Status> {
    EmailAddress::parse(text).map_err(|why| status::invalid("email", why))
}

fn invitation_id(text: &str) -> Result<InvitationId, Status> {
    InvitationId::parse(text).ok_or_else(|| status::invalid("invitation_id", "must be a UUID in lower case"))
}

fn new(row: &wire::NewInvitation) -> Result<NewInvitation, Status> {
    let roles: Vec<RoleName> = convert::names("roles", &row.roles, RoleName::parse)?;
    Ok(NewInvitation {
        id: InvitationId(uuid::Uuid::now_v7().as_u128()),
        email: email(&row.email)?,
        roles: roles.into_iter().map(|role| RoleAssignment { role, expire_time: None, permanent: true }).collect(),
        expire_time: row.expire_time.as_ref().map(|time| convert::time("expire_time", time)).transpose()?,
        replace: row.replace,
    })
}

/// Returns the result of a malformed row.
fn result(status: &Status) -> wire::InvitationResult {
    let violation = status.get_details_bad_request().and_then(|bad| bad.field_violations.into_iter().next());
    wire::InvitationResult {
        reason: ErrorReason::InvalidField.into(),
        description: status.message().into(),
        field: violation.map_or_else(String::new, |violation| violation.field),
        ..Default::default()
    }
}

fn states(numbers: &[i32]) -> Result<Vec<InvitationState>, Status> {
    let state = |(at, &number): (usize, &i32)| match wire::InvitationState::try_from(number) {
        Ok(wire::InvitationState::Pending) => Ok(InvitationState::Pending),
        Ok(wire::InvitationState::Accepted) => Ok(InvitationState::Accepted),
        Ok(wire::InvitationState::Revoked) => Ok(InvitationState::Revoked),
        Ok(wire::InvitationState::Expired) => Ok(InvitationState::Expired),
        _ => Err(status::invalid(format!("states[{at}]"), "must be a state of an invitation")),
    };
    numbers.iter().enumerate().map(state).collect()
}
