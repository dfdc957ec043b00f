//! The calls of CheckService that answer "why" (K7) and "who" (K8).

use std::sync::Arc;

use prost::Message;
use tonic::{Request, Response, Status};

use super::{check, membership, past};
use crate::clock;
use crate::domain::model::refusal::Noun;
use crate::domain::rules::access::ExplainedRole;
use crate::domain::rules::viewer::View;
use crate::domain::rules::visibility::Visibility;
use crate::domain::{Ask, Decision};
use crate::grpc::app::{App, Checks};
use crate::grpc::layers::deadline::Deadline;
use crate::grpc::services::Reply;
use crate::grpc::{convert, status};
use crate::limits::ALLOWED_ON_MAX;
use crate::wire::{self, timestamp};

pub async fn explain(app: &Checks, request: Request<wire::ExplainRequest>) -> Reply<wire::ExplainResponse> {
    let deadline = request.extensions().get::<Deadline>().copied();
    let request = as_check(request.get_ref())?;
    convert::own_ids(&request.org_id, &request.user_id).map_err(|(field, why)| status::invalid(field, why))?;
    let question = check::question(&request)?;
    let moment = past::moment(app, &request, deadline).await?;
    let project = check::project(&moment.state, &request.project)?;
    let ask = Ask { org_id: &request.org_id, user_id: &request.user_id, question };
    let explanation = project.explain(&ask, moment.time);
    let mapping = explanation.role_mapping.map(|id| wire::role_mapping(project, id)).unwrap_or_default();
    let names = explanation.allowed_on.iter().take(ALLOWED_ON_MAX).map(|&id| project.role_mapping_name(id).to_string());
    let permissions = match &request.question {
        Some(wire::check_request::Question::AllOf(list) | wire::check_request::Question::AnyOf(list)) => {
            let decided = list.permissions.iter().zip(&explanation.permissions);
            decided.map(|(permission, &decision)| wire::PermissionDecision {
                permission: permission.clone(),
                decision: decision as i32,
            })
        }
        .collect(),
        _ => Vec::new(),
    };
    Ok(Response::new(wire::ExplainResponse {
        allowed: explanation.decision == Decision::Allowed,
        decision: explanation.decision as i32,
        roles: explanation.roles.iter().map(explained_role).collect(),
        role_mapping: mapping.name,
        role_mapping_etag: mapping.etag,
        allowed_on: names.collect(),
        allowed_on_total: wire::resource::count(explanation.allowed_on.len() as u64),
        permissions,
        revision: moment.token,
        evaluated_at: Some(timestamp(moment.time)),
    }))
}

/// Reads a request with the fields of a check.
pub(super) fn as_check(request: &impl Message) -> Result<wire::CheckRequest, Status> {
    wire::CheckRequest::decode(&*request.encode_to_vec()).map_err(|error| status::malformed(&error.to_string()))
}

fn explained_role(explained: &ExplainedRole) -> wire::ExplainedRole {
    wire::ExplainedRole {
        role: Some(wire::member_role(&explained.role)),
        grants: explained.grants,
        fallback_role_grants: explained.fallback_role_grants,
    }
}

pub async fn get(app: &Checks, request: Request<wire::GetAccessRequest>) -> Reply<wire::GetAccessResponse> {
    let (_, extensions, request) = request.into_parts();
    let project = convert::project(&request.project)?;
    let (org_id, user_id) = (convert::org_id(&request.org_id)?, convert::user_id(&request.user_id)?);
    let viewer = convert::viewer(&request.viewer_user_id)?;
    let reading = app.reading(&extensions, request.consistency.as_ref(), &project).await?;
    let (project, now) = (&reading.project, clock::now());
    let visibility = Visibility::of(viewer.as_ref());
    let org = project.org_or_refusal(&org_id).map_err(reading.refused(visibility))?;
    let view = viewer.as_ref().map(|viewer| reading.view(org, viewer, now)).transpose()?;
    let hidden = view == Some(View::OnlySelf) && viewer.as_ref() != Some(&user_id);
    let access = project.access(org, &user_id, visibility, now).filter(|_| !hidden);
    let (member, access) = access.ok_or_else(|| status::not_found(Noun::Member, user_id.as_str()))?;
    Ok(Response::new(wire::GetAccessResponse {
        roles: member.roles.iter().map(wire::member_role).collect(),
        access: Some(wire::access(&access)),
        revision: reading.revision(),
        evaluated_at: Some(timestamp(now)),
    }))
}

/// A list of members with a permission that must be named.
pub async fn list_members(
    app: &Arc<App>,
    request: Request<wire::ListMembersWithPermissionRequest>,
) -> Reply<wire::ListMembersWithPermissionResponse> {
    let (_, extensions, request) = request.into_parts();
    convert::permission("permission", &request.permission)?;
    let ask = wire::ListMembersRequest {
        project: request.project,
        org_id: request.org_id,
        role: String::new(),
        permission: request.permission,
        consistency: request.consistency,
        page_size: request.page_size,
        page_token: request.page_token,
        viewer_user_id: request.viewer_user_id,
    };
    let listed = membership::list_members(app, &extensions, "ListMembersWithPermission", &ask).await?;
    Ok(Response::new(wire::ListMembersWithPermissionResponse {
        members: listed.members,
        next_page_token: listed.next_page_token,
        revision: listed.revision,
    }))
}

/// A list of the memberships of a user, with a permission that must be named.
pub async fn list_orgs(
    app: &Arc<App>,
    request: Request<wire::ListOrgsWithPermissionRequest>,
) -> Reply<wire::ListOrgsWithPermissionResponse> {
    let (_, extensions, request) = request.into_parts();
    let permission = convert::permission("permission", &request.permission)?;
    let ask = wire::ListUserMembershipsRequest {
        project: request.project,
        user_id: request.user_id,
        view: wire::MembershipView::Basic.into(),
        consistency: request.consistency,
        page_size: request.page_size,
        page_token: request.page_token,
    };
    let listed = membership::list_of_user(app, &extensions, "ListOrgsWithPermission", &ask, Some(&permission)).await?;
    Ok(Response::new(wire::ListOrgsWithPermissionResponse {
        memberships: listed.memberships,
        next_page_token: listed.next_page_token,
        revision: listed.revision,
    }))
}
