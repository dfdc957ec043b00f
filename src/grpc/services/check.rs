//! CheckService. Answers from memory, without waiting unless the caller asks for a revision.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::clock;
use crate::domain::model::name::{BadName, permission_name, role_name};
use crate::domain::model::refusal::Noun;
use crate::domain::model::time::Day;
use crate::domain::rules::activity::AllowedMember;
use crate::domain::{Ask, Decision, Project, Question, Time};
use crate::engine::Published;
use crate::grpc::app::App;
use crate::grpc::generated::check_service_server::CheckService;
use crate::grpc::layers::deadline::Deadline;
use crate::grpc::services::{Reply, access};
use crate::grpc::{convert, status};
use crate::limits::{CHECK_LIST_MAX, ITEM_ERRORS_MAX};
use crate::wire::{
    self, BatchCheckRequest, BatchCheckResponse, CheckItem, CheckRequest, CheckResponse, ErrorReason, ItemError,
    PermissionList, check_request, timestamp,
};

/// Items after which a batch yields the thread to other calls.
const ITEMS_A_TURN: usize = 4_096;

pub struct CheckApi(pub Arc<App>);

#[tonic::async_trait]
impl CheckService for CheckApi {
    async fn check(&self, request: Request<CheckRequest>) -> Reply<CheckResponse> {
        let deadline = request.extensions().get::<Deadline>().copied();
        let request = request.get_ref();
        convert::own_ids(&request.org_id, &request.user_id).map_err(|(field, why)| status::invalid(field, why))?;
        let question = question(request)?;
        let published = self.0.at(request.consistency.as_ref(), deadline).await?;
        let project = project(&published, &request.project)?;
        let now = clock::now();
        let ask = Ask { org_id: &request.org_id, user_id: &request.user_id, question };
        let (activity, day) = (&self.0.engine.activity, activity_day(request.no_activity, now));
        let noted = |member: AllowedMember<'_>| activity.note(activity.load().of(project.id), day, member, now);
        let decision = project.check_noting(&ask, now, noted);
        Ok(Response::new(CheckResponse {
            allowed: decision == Decision::Allowed,
            decision: decision as i32,
            revision: published.token.to_string(),
            evaluated_at: Some(timestamp(now)),
        }))
    }

    async fn batch_check(&self, request: Request<BatchCheckRequest>) -> Reply<BatchCheckResponse> {
        let deadline = request.extensions().get::<Deadline>().copied();
        let request = request.get_ref();
        convert::at_most("items", request.items.len(), self.0.limits.batch_check_items)?;
        let published = self.0.at(request.consistency.as_ref(), deadline).await?;
        let project = project(&published, &request.project)?;
        let now = clock::now();
        let defaults = request.defaults.clone().unwrap_or_default();
        let decisions = Vec::with_capacity(request.items.len());
        let (activity, day) = (&self.0.engine.activity, activity_day(request.no_activity, now));
        let mut answers = Answers { decisions, errors: Vec::new(), errors_total: 0 };
        let mut scratch = Vec::with_capacity(ITEMS_A_TURN.min(request.items.len()));
        for items in request.items.chunks(ITEMS_A_TURN) {
            if !answers.decisions.is_empty() {
                tokio::task::yield_now().await;
            }
            let days = activity.load();
            let noted = days.of(project.id);
            let allowed = |member: AllowedMember<'_>| activity.note(noted, day, member, now);
            answers.answer(project, items, &defaults, now, &mut scratch, allowed);
        }
        Ok(Response::new(BatchCheckResponse {
            decisions: answers.decisions,
            errors: answers.errors,
            errors_total: answers.errors_total,
            revision: published.token.to_string(),
            evaluated_at: Some(timestamp(now)),
        }))
    }

    async fn explain(&self, request: Request<wire::ExplainRequest>) -> Reply<wire::ExplainResponse> {
        access::explain(&self.0, request).await
    }

    async fn get_access(&self, request: Request<wire::GetAccessRequest>) -> Reply<wire::GetAccessResponse> {
        access::get(&self.0, request).await
    }

    async fn list_members_with_permission(
        &self,
        request: Request<wire::ListMembersWithPermissionRequest>,
    ) -> Reply<wire::ListMembersWithPermissionResponse> {
        access::list_members(&self.0, request).await
    }

    async fn list_orgs_with_permission(
        &self,
        request: Request<wire::ListOrgsWithPermissionRequest>,
    ) -> Reply<wire::ListOrgsWithPermissionResponse> {
        access::list_orgs(&self.0, request).await
    }
}

struct Answers {
    decisions: Vec<i32>,
    errors: Vec<ItemError>,
    errors_total: i32,
}

impl Answers {
    /// Answers some items in order. A malformed item gets an error instead of a decision (K3).
    fn answer(
        &mut self,
        project: &Project,
        items: &[CheckItem],
        defaults: &CheckItem,
        now: Time,
        scratch: &mut Vec<Decision>,
        allowed: impl FnMut(AllowedMember<'_>),
    ) {
        let first = self.decisions.len();
        let mut malformed = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let [org_id, user_id, permission] = filled(item, defaults);
            if let Err((field, why)) = convert::checked(org_id, user_id, permission) {
                malformed.push(first + at);
                self.errors_total += 1;
                if self.errors.len() < ITEM_ERRORS_MAX {
                    self.errors.push(ItemError {
                        index: (first + at) as i32,
                        reason: ErrorReason::InvalidField.as_str_name().into(),
                        field: field.into(),
                        description: why.to_string(),
                    });
                }
            }
        }
        scratch.clear();
        let asks = items.iter().map(|item| filled(item, defaults)).map(|[org_id, user_id, permission]| Ask {
            org_id,
            user_id,
            question: Question::Permission(permission),
        });
        project.check_batch(asks, now, scratch, allowed);
        self.decisions.extend(scratch.iter().map(|&decision| decision as i32));
        for at in malformed {
            self.decisions[at] = crate::wire::Decision::Unspecified as i32;
        }
    }
}

/// Returns the day on which a check may make an org active (U4).
fn activity_day(no_activity: bool, now: Time) -> Day {
    if no_activity { Day::NEVER } else { now.day() }
}

/// Returns org, user and permission of an item. Takes empty fields from the defaults.
fn filled<'a>(item: &'a CheckItem, defaults: &'a CheckItem) -> [&'a str; 3] {
    let or = |own: &'a str, default: &'a str| if own.is_empty() { default } else { own };
    [
        or(&item.org_id, &defaults.org_id),
        or(&item.user_id, &defaults.user_id),
        or(&item.permission, &defaults.permission),
    ]
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
pub(super) fn project<'a>(published: &'a Published, key: &str) -> Result<&'a Project, Status> {
    let key = if key.is_empty() { "default" } else { key };
    match published.state.project_keyed(key) {
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
