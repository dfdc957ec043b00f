//! CheckService. Answers from memory, without waiting unless the caller asks for a revision.

use std::sync::Arc;

use tonic::{Request, Response, Status, Streaming};

use crate::clock;
use crate::domain::model::name::{BadName, permission_name, role_name};
use crate::domain::model::refusal::Noun;
use crate::domain::model::time::Day;
use crate::domain::rules::activity::AllowedMember;
use crate::domain::{Ask, Decision, Project, Question, State, Time};
use crate::grpc::app::{App, Checks};
use crate::grpc::caller::Caller;
use crate::grpc::generated::check_service_server::CheckService;
use crate::grpc::layers::calls;
use crate::grpc::layers::deadline::Deadline;
use crate::grpc::services::{Reply, access, batch_check, past, stream_check};
use crate::grpc::{convert, status};
use crate::limits::CHECK_LIST_MAX;
use crate::wire::batch_check::{BatchCheckAnswer, BatchCheckBody};
use crate::wire::{self, CheckRequest, CheckResponse, PermissionList, StreamCheckRequest, check_request, timestamp};

pub struct CheckApi {
    pub checks: Arc<Checks>,
    /// `None` on a sidecar.
    pub app: Option<Arc<App>>,
}

impl CheckApi {
    /// Returns what lists need. A sidecar refuses them before.
    fn app(&self) -> Result<&Arc<App>, Status> {
        self.app.as_ref().ok_or_else(|| status::only_upstream("a server"))
    }
}

#[tonic::async_trait]
impl CheckService for CheckApi {
    async fn check(&self, request: Request<CheckRequest>) -> Reply<CheckResponse> {
        check(&self.checks, request).await
    }

    async fn batch_check(&self, request: Request<BatchCheckBody>) -> Reply<BatchCheckAnswer> {
        batch_check::batch_check(&self.checks, request).await
    }

    type StreamCheckStream = stream_check::Answers;

    async fn stream_check(&self, request: Request<Streaming<StreamCheckRequest>>) -> Reply<stream_check::Answers> {
        stream_check::stream_check(self.checks.clone(), request)
    }

    async fn explain(&self, request: Request<wire::ExplainRequest>) -> Reply<wire::ExplainResponse> {
        access::explain(&self.checks, request).await
    }

    async fn get_access(&self, request: Request<wire::GetAccessRequest>) -> Reply<wire::GetAccessResponse> {
        access::get(&self.checks, request).await
    }

    async fn list_members_with_permission(
        &self,
        request: Request<wire::ListMembersWithPermissionRequest>,
    ) -> Reply<wire::ListMembersWithPermissionResponse> {
        access::list_members(self.app()?, request).await
    }

    async fn list_orgs_with_permission(
        &self,
        request: Request<wire::ListOrgsWithPermissionRequest>,
    ) -> Reply<wire::ListOrgsWithPermissionResponse> {
        access::list_orgs(self.app()?, request).await
    }
}

pub async fn check(app: &Checks, request: Request<CheckRequest>) -> Reply<CheckResponse> {
    let deadline = request.extensions().get::<Deadline>().copied();
    let request = request.get_ref();
    convert::own_ids(&request.org_id, &request.user_id).map_err(|(field, why)| status::invalid(field, why))?;
    let question = question(request)?;
    if past::is_past(request) {
        // Boxed, because every call would move the kilobytes of this future.
        return Box::pin(check_past(app, request, question, deadline)).await;
    }
    let published = app.at(request.consistency.as_ref(), deadline).await?;
    let now = clock::now();
    let of_key = calls::with_access(|access| makes_no_activity(&access.caller)).unwrap_or_default();
    let decision = decide(app, &published.state, request, question, of_key, now)?;
    app.metrics.checked(decision as u8);
    Ok(Response::new(CheckResponse {
        allowed: decision == Decision::Allowed,
        decision: decision as i32,
        revision: published.token.to_string(),
        evaluated_at: Some(timestamp(now)),
    }))
}

/// Decides on a check. `no_activity` is that of the caller.
pub(super) fn decide(
    app: &Checks,
    state: &State,
    request: &CheckRequest,
    question: Question<'_>,
    no_activity: bool,
    now: Time,
) -> Result<Decision, Status> {
    let project = project(state, &request.project)?;
    let ask = Ask { org_id: &request.org_id, user_id: &request.user_id, question };
    let (activity, day) = (&app.engine.activity, activity_day(request.no_activity || no_activity, now));
    let noted = |member: AllowedMember<'_>| activity.note(activity.load().of(project.id), day, member, now);
    Ok(project.check_noting(&ask, now, noted))
}

/// Returns true if the checks of the caller's key make no org active.
pub(super) fn makes_no_activity(caller: &Caller) -> bool {
    caller.key().is_some_and(|(_, key)| key.scope.no_activity)
}

/// Answers a check as of the past. It makes no org active (U4).
async fn check_past(
    app: &Checks,
    request: &CheckRequest,
    question: Question<'_>,
    deadline: Option<Deadline>,
) -> Reply<CheckResponse> {
    let moment = past::moment(app, request, deadline).await?;
    let project = project(&moment.state, &request.project)?;
    let decision = project.check(&Ask { org_id: &request.org_id, user_id: &request.user_id, question }, moment.time);
    app.metrics.checked(decision as u8);
    Ok(Response::new(CheckResponse {
        allowed: decision == Decision::Allowed,
        decision: decision as i32,
        revision: moment.token,
        evaluated_at: Some(timestamp(moment.time)),
    }))
}

/// Returns the day on which a check may make an org active (U4).
pub(super) fn activity_day(no_activity: bool, now: Time) -> Day {
    if no_activity { Day::NEVER } else { now.day() }
}

/// Reads the question of a check. Copies nothing.
pub(super) fn question(request: &CheckRequest) -> Result<Question<'_>, Status> {
    use check_request::Question as Wire;
    let name = |field: &str, name, check: fn(&str) -> Result<(), BadName>| {
        check(name).map_err(|why| status::invalid(field, why))
    };
    match &request.question {
        Some(Wire::Permission(permission)) => {
            name("permission", permission, permission_name)?;
            Ok(Question::Permission(permission))
        }
        Some(Wire::Role(role)) => {
            name("role", role, role_name)?;
            Ok(Question::Role(role))
        }
        Some(Wire::AtLeastRole(role)) => {
            name("at_least_role", role, role_name)?;
            Ok(Question::AtLeastRole(role))
        }
        Some(Wire::AllOf(list)) => Ok(Question::AllOf(permissions("all_of.permissions", list)?)),
        Some(Wire::AnyOf(list)) => Ok(Question::AnyOf(permissions("any_of.permissions", list)?)),
        None => {
            let why = "must be set, or `role`, `at_least_role`, `all_of` or `any_of`";
            Err(status::invalid("permission", why))
        }
    }
}

/// Reads the names of one question (P7). Refuses none: the answer would be ambiguous.
fn permissions<'a>(field: &str, list: &'a PermissionList) -> Result<&'a [String], Status> {
    convert::bulk(field, list.permissions.len(), CHECK_LIST_MAX)?;
    for (at, name) in list.permissions.iter().enumerate() {
        permission_name(name).map_err(|why| status::invalid(format!("{field}[{at}]"), why))?;
    }
    Ok(&list.permissions)
}

/// Returns the project. An unknown one is an error, not a denial (K2).
pub fn project<'a>(state: &'a State, key: &str) -> Result<&'a Project, Status> {
    let key = convert::project_or_default(key);
    match state.project_keyed(key) {
        Some(project) => Ok(project),
        None => {
            convert::project(key)?;
            Err(status::not_found(Noun::Project, key))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k2_decisions_have_the_numbers_of_the_contract() {
        use crate::wire::Decision as Wire;
        let pairs = [
            (Decision::Allowed, Wire::Allowed),
            (Decision::NotAMember, Wire::NotAMember),
            (Decision::MissingPermission, Wire::MissingPermission),
            (Decision::RoleDisabled, Wire::RoleDisabled),
            (Decision::UserBlocked, Wire::UserBlocked),
            (Decision::RoleExpired, Wire::RoleExpired),
            (Decision::OrgNotFound, Wire::OrgNotFound),
            (Decision::UnknownPermission, Wire::UnknownPermission),
            (Decision::UnknownRole, Wire::UnknownRole),
        ];
        for (ours, theirs) in pairs {
            assert_eq!(ours as i32, theirs as i32, "{ours:?}");
        }
    }
}
