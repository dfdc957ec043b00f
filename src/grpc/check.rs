//! CheckService: answered from memory, without waiting unless asked to.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status};

use super::door::Deadline;
use super::services::check_service_server::CheckService;
use super::{App, convert, status};
use crate::clock;
use crate::domain::name::{BadName, permission_name, role_name};
use crate::domain::refusal::Noun;
use crate::domain::{Ask, Decision, Project, Question};
use crate::engine::{Behind, Published, Token};
use crate::limits::CHECK_LIST_MAX;
use crate::wire::{
    BatchCheckRequest, BatchCheckResponse, CheckItem, CheckRequest, CheckResponse, Consistency, ItemError,
    PermissionList, check_request, consistency::Requirement, timestamp,
};

/// How long a call without a deadline waits for a revision.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How long before the caller gives up the answer must be on its way.
const WAIT_MARGIN: Duration = Duration::from_millis(10);
/// Items between two moments at which other calls on the thread get their turn.
const ITEMS_A_TURN: usize = 4_096;

pub struct CheckApi(pub Arc<App>);

#[tonic::async_trait]
impl CheckService for CheckApi {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let deadline = request.extensions().get::<Deadline>().copied();
        let request = request.get_ref();
        convert::own_ids(&request.org_id, &request.user_id).map_err(|(field, why)| status::invalid(field, why))?;
        let question = question(request)?;
        let published = self.0.at(request.consistency.as_ref(), deadline).await?;
        let project = project(&published, &request.project)?;
        let now = clock::now();
        let decision = project.check(&Ask { org_id: &request.org_id, user_id: &request.user_id, question }, now);
        Ok(Response::new(CheckResponse {
            allowed: decision == Decision::Allowed,
            decision: decision as i32,
            revision: published.token.to_string(),
            evaluated_at: Some(timestamp(now)),
        }))
    }

    async fn batch_check(&self, request: Request<BatchCheckRequest>) -> Result<Response<BatchCheckResponse>, Status> {
        let deadline = request.extensions().get::<Deadline>().copied();
        let request = request.get_ref();
        convert::at_most("items", request.items.len(), self.0.limits.batch_check_items)?;
        let published = self.0.at(request.consistency.as_ref(), deadline).await?;
        let project = project(&published, &request.project)?;
        let now = clock::now();
        let defaults = request.defaults.clone().unwrap_or_default();
        let mut answers = Answers { decisions: Vec::with_capacity(request.items.len()), errors: Vec::new() };
        let mut scratch = Vec::with_capacity(ITEMS_A_TURN.min(request.items.len()));
        for items in request.items.chunks(ITEMS_A_TURN) {
            if !answers.decisions.is_empty() {
                tokio::task::yield_now().await;
            }
            answers.answer(project, items, &defaults, now, &mut scratch);
        }
        Ok(Response::new(BatchCheckResponse {
            decisions: answers.decisions,
            errors: answers.errors,
            revision: published.token.to_string(),
            evaluated_at: Some(timestamp(now)),
        }))
    }
}

struct Answers {
    decisions: Vec<i32>,
    errors: Vec<ItemError>,
}

impl Answers {
    /// Answers some items in their order. A malformed one is an error of its own and no decision (K3).
    fn answer(
        &mut self,
        project: &Project,
        items: &[CheckItem],
        defaults: &CheckItem,
        now: crate::domain::Time,
        scratch: &mut Vec<Decision>,
    ) {
        let first = self.decisions.len();
        let errors_before = self.errors.len();
        for (at, item) in items.iter().enumerate() {
            let [org_id, user_id, permission] = filled(item, defaults);
            if let Err((field, why)) = convert::checked(org_id, user_id, permission) {
                self.errors.push(ItemError {
                    index: (first + at) as u32,
                    reason: status::INVALID_FIELD.reason.into(),
                    field: field.into(),
                    description: why.to_string(),
                });
            }
        }
        scratch.clear();
        let asks = items.iter().map(|item| filled(item, defaults)).map(|[org_id, user_id, permission]| Ask {
            org_id,
            user_id,
            question: Question::Permission(permission),
        });
        project.check_batch(asks, now, scratch);
        self.decisions.extend(scratch.iter().map(|&decision| decision as i32));
        for error in &self.errors[errors_before..] {
            self.decisions[error.index as usize] = crate::wire::Decision::Unspecified as i32;
        }
    }
}

/// The org, the user and the permission of an item: what it leaves empty is taken from the defaults.
fn filled<'a>(item: &'a CheckItem, defaults: &'a CheckItem) -> [&'a str; 3] {
    let or = |own: &'a str, default: &'a str| if own.is_empty() { default } else { own };
    [
        or(&item.org_id, &defaults.org_id),
        or(&item.user_id, &defaults.user_id),
        or(&item.permission, &defaults.permission),
    ]
}

/// What a check asks, if it is well-formed. Nothing is copied.
fn question(request: &CheckRequest) -> Result<Question<'_>, Status> {
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
            let why = "must be given, or one of `role`, `at_least_role`, `all_of` and `any_of`";
            Err(status::invalid("permission", why))
        }
    }
}

/// Some names, and no more than one question may have (P7): to ask about none would be answered by whoever reads it.
fn permissions<'a>(field: &str, list: &'a PermissionList) -> Result<&'a [String], Status> {
    convert::bulk(field, list.permissions.len(), CHECK_LIST_MAX)?;
    for (at, name) in list.permissions.iter().enumerate() {
        permission_name(name).map_err(|why| status::invalid(format!("{field}[{at}]"), why))?;
    }
    Ok(&list.permissions)
}

/// An unknown project is an error, not a denial (K2).
fn project<'a>(published: &'a Published, key: &str) -> Result<&'a Project, Status> {
    let key = if key.is_empty() { "default" } else { key };
    match published.state.project_keyed(key) {
        Some(project) => Ok(project),
        None => {
            convert::project(key)?;
            Err(status::not_found(Noun::Project, key))
        }
    }
}

impl App {
    /// The state that a call asks to be answered from (K4).
    pub async fn at(
        &self,
        consistency: Option<&Consistency>,
        deadline: Option<Deadline>,
    ) -> Result<Arc<Published>, Status> {
        let token = match consistency.and_then(|consistency| consistency.requirement.as_ref()) {
            None | Some(Requirement::Any(true)) => return Ok(self.engine.pin()),
            Some(Requirement::Any(false)) => {
                return Err(status::invalid("consistency.any", "must be true where it is set"));
            }
            Some(Requirement::Latest(false)) => {
                return Err(status::invalid("consistency.latest", "must be true where it is set"));
            }
            Some(Requirement::Latest(true)) => {
                let head = self.store.head().await.map_err(|error| status::unavailable(&error))?;
                Token::new(self.engine.store_id(), head)
            }
            Some(Requirement::AtLeast(text)) => Token::decode(text)
                .ok_or_else(|| status::invalid("consistency.at_least", "is no revision of an answer"))?,
        };
        let longest = Instant::now() + WAIT_MAX;
        let expire_time =
            deadline.map_or(longest, |Deadline(at)| longest.min(at.checked_sub(WAIT_MARGIN).unwrap_or(at)));
        if token.store_id == self.engine.store_id() && token.number > self.engine.load().state.revision().number {
            // A token is handed out once its commit is in the database: one that is ahead of the database was lost with it.
            // Where the database does not answer, there is still the wait.
            let head = timeout_at(expire_time, self.store.head()).await;
            if head.is_ok_and(|head| head.is_ok_and(|head| head.number < token.number)) {
                return Err(status::behind(Behind::AnotherHistory));
            }
        }
        match timeout_at(expire_time, self.engine.at_least(&token)).await {
            Ok(Ok(published)) => Ok(published),
            Ok(Err(Behind::TooOldToTell)) => self.told_by_the_store(&token).await,
            Ok(Err(Behind::AnotherHistory)) => Err(status::behind(Behind::AnotherHistory)),
            Err(_) => Err(status::plain(
                &status::REVISION_NOT_REACHED,
                "this server has not reached the revision asked for; ask again, or another server",
            )),
        }
    }

    /// The tag of a revision long past is known to the database alone.
    async fn told_by_the_store(&self, token: &Token) -> Result<Arc<Published>, Status> {
        let then = self.store.revision_at(token.number).await.map_err(|error| status::unavailable(&error))?;
        match then {
            Some(revision) if revision.tag == token.tag => Ok(self.engine.pin()),
            _ => Err(status::behind(Behind::AnotherHistory)),
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
