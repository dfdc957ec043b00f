//! Subject, resource and action search. They agree with evaluations. What is unknown has no results.

use serde::Serialize;
use tonic::{Request, Response, Status};
use tonic_types::StatusExt;

use super::Api;
use super::actions::{FoundAction, Place};
use super::entities::{Page, Search, consistency, required};
use crate::grpc::app::App;
use crate::grpc::authz::authorize;
use crate::grpc::page::{self, Scope};
use crate::grpc::services::access;
use crate::grpc::status;
use crate::wire::{ErrorReason, GetAccessRequest, ListMembersWithPermissionRequest, ListOrgsWithPermissionRequest};

/// A page of results. The specification's examples have `page` first.
#[derive(Serialize)]
pub struct Found<T> {
    page: NextPage,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Revision>,
    results: Vec<T>,
}

#[derive(Serialize)]
struct NextPage {
    /// Empty after the last page.
    next_token: String,
    count: usize,
}

#[derive(Serialize)]
struct Revision {
    revision: String,
}

#[derive(Serialize)]
pub struct FoundEntity {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

impl<T> Found<T> {
    fn new(results: Vec<T>, next_token: String, revision: String) -> Self {
        Self { page: NextPage { next_token, count: results.len() }, context: Some(Revision { revision }), results }
    }

    fn none() -> Self {
        Self { page: NextPage { next_token: String::new(), count: 0 }, context: None, results: Vec::new() }
    }
}

impl Api {
    /// Returns what lists need. A sidecar names the servers that have it.
    fn app(&self) -> Result<&std::sync::Arc<App>, Status> {
        self.checks.source.database()?;
        self.app.as_ref().ok_or_else(|| status::only_upstream("a server"))
    }
}

/// Returns the users who have the permission in the org.
pub async fn subjects(api: &Api, project: String, asked: Search) -> Result<Found<FoundEntity>, Status> {
    let resource = required("resource", asked.resource.as_ref())?;
    let kind = required("subject", asked.subject.as_ref())?.kind("subject")?;
    let known_types = api.knows(kind, resource.kind("resource")?);
    let page = asked.page.unwrap_or_default();
    let request = ListMembersWithPermissionRequest {
        project,
        org_id: resource.id("resource")?.into(),
        permission: api.settings.actions.permission(required("action", asked.action.as_ref())?)?.into(),
        page_size: page.size(),
        page_token: page.token.unwrap_or_default(),
        consistency: consistency(asked.options.as_ref()),
        ..Default::default()
    };
    authorize(&request)?;
    let app = api.app()?;
    if !known_types {
        api.reach(&request.project, request.consistency.as_ref()).await?;
        return Ok(Found::none());
    }
    let found = found(access::list_members(app, Request::new(request)).await)?;
    Ok(found.map_or_else(Found::none, |found| {
        let entity = |id: String| FoundEntity { kind: kind.into(), id };
        let results = found.members.into_iter().map(|member| entity(member.user_id)).collect();
        Found::new(results, found.next_page_token, found.revision)
    }))
}

/// Returns the orgs in which the user has the permission.
pub async fn resources(api: &Api, project: String, asked: Search) -> Result<Found<FoundEntity>, Status> {
    let subject = required("subject", asked.subject.as_ref())?;
    let kind = required("resource", asked.resource.as_ref())?.kind("resource")?;
    let known_types = api.knows(subject.kind("subject")?, kind);
    let page = asked.page.unwrap_or_default();
    let request = ListOrgsWithPermissionRequest {
        project,
        user_id: subject.id("subject")?.into(),
        permission: api.settings.actions.permission(required("action", asked.action.as_ref())?)?.into(),
        page_size: page.size(),
        page_token: page.token.unwrap_or_default(),
        consistency: consistency(asked.options.as_ref()),
    };
    authorize(&request)?;
    let app = api.app()?;
    if !known_types {
        api.reach(&request.project, request.consistency.as_ref()).await?;
        return Ok(Found::none());
    }
    let found = found(access::list_orgs(app, Request::new(request)).await)?;
    Ok(found.map_or_else(Found::none, |found| {
        let entity = |id: String| FoundEntity { kind: kind.into(), id };
        let results = found.memberships.into_iter().map(|member| entity(member.org_id)).collect();
        Found::new(results, found.next_page_token, found.revision)
    }))
}

/// Returns the actions that the user may do in the org.
pub async fn actions(api: &Api, project: String, asked: Search) -> Result<Found<FoundAction>, Status> {
    let subject = required("subject", asked.subject.as_ref())?;
    let resource = required("resource", asked.resource.as_ref())?;
    let known_types = api.knows(subject.kind("subject")?, resource.kind("resource")?);
    let request = GetAccessRequest {
        project,
        org_id: resource.id("resource")?.into(),
        user_id: subject.id("subject")?.into(),
        consistency: consistency(asked.options.as_ref()),
        ..Default::default()
    };
    authorize(&request)?;
    let page = page_of(&request, &asked.page.unwrap_or_default())?;
    if !known_types {
        api.reach(&request.project, request.consistency.as_ref()).await?;
        return Ok(Found::none());
    }
    let Some(found) = found(access::get(&api.checks, Request::new(request)).await)? else { return Ok(Found::none()) };
    let permissions = found.access.map(|access| access.permissions).unwrap_or_default();
    // The permissions are in byte order.
    let actions = api.settings.actions.of(permissions.iter().map(String::as_str));
    let after = page.after.as_deref().map(place).transpose()?;
    let rest = || actions.iter().filter(|(place, _)| after.is_none_or(|after| *place > after));
    let (names, last) = page.fill(rest(), |(_, action)| action.name.clone());
    // A page continues after an action, whatever org and project have the ids by then.
    let last = last.map(|((permission, number), _)| format!("{number} {permission}"));
    let next = page.next_token(Scope::default(), last.as_deref())?;
    let results = rest().take(names.len()).map(|(_, action)| action.clone()).collect();
    Ok(Found::new(results, next, found.revision))
}

/// Reads after which action a page continues.
fn place(text: &str) -> Result<Place<'_>, Status> {
    let parts = text.split_once(' ').and_then(|(number, permission)| Some((permission, number.parse().ok()?)));
    parts.ok_or_else(status::page_token)
}

fn page_of(request: &GetAccessRequest, page: &Page) -> Result<page::Page, Status> {
    let arguments = ["AuthZEN action search", &request.project, &request.org_id, &request.user_id];
    page::Page::read(&arguments, page.size(), page.token.as_deref().unwrap_or_default())
}

/// Returns an answer. `None` if the org, the user or the permission is unknown.
fn found<T>(answer: Result<Response<T>, Status>) -> Result<Option<T>, Status> {
    let unknown = [ErrorReason::OrgNotFound, ErrorReason::PermissionNotFound, ErrorReason::MemberNotFound];
    match answer {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) => {
            let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
            if unknown.iter().any(|unknown| unknown.as_str_name() == reason) { Ok(None) } else { Err(status) }
        }
    }
}
