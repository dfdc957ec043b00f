//! AuditService.

mod change;
mod decision_change;
mod listing;
mod names;

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::clock;
use crate::domain::model::event::EventPlace;
use crate::domain::model::permission::TEAM_MANAGE;
use crate::domain::model::project::{Environment, ProjectRecord, WORKSPACE};
use crate::domain::{OrgId, ProjectKey, State, Time, UserId};
use crate::engine::Token;
use crate::grpc::app::App;
use crate::grpc::generated::audit_service_server::AuditService;
use crate::grpc::layers::calls;
use crate::grpc::layers::deadline::Deadline;
use crate::grpc::page::Page;
use crate::grpc::services::Reply;
use crate::grpc::services::access::as_check;
use crate::grpc::{convert, status};
use crate::limits::{ACTOR_BYTES_MAX, NAME_BYTES_MAX, NAMES_MAX};
use crate::wire::consistency::Requirement;
use crate::wire::{self, Consistency, EventOrder, EventType};

pub struct AuditApi(pub Arc<App>);

/// What a caller may see (A2).
#[derive(Clone, Copy, Debug)]
pub struct Audience {
    /// Whether it sees e-mail addresses and domains.
    pub emails: bool,
    /// Whether it sees events of the project `workspace`.
    pub workspace: bool,
    /// Only events of projects in this environment. `None`: of all.
    pub environment: Option<Environment>,
}

#[tonic::async_trait]
impl AuditService for AuditApi {
    async fn list_events(&self, request: Request<wire::ListEventsRequest>) -> Reply<wire::ListEventsResponse> {
        let (_, extensions, request) = request.into_parts();
        let ask = Ask::read(&request)?;
        let deadline = extensions.get::<Deadline>().copied();
        // A list that goes on must be of the same history.
        for token in ask.resumes.iter().chain(Some(&request.after_revision).filter(|text| !text.is_empty())) {
            let requirement = Some(Requirement::AtLeast(token.clone()));
            self.0.at(Some(&Consistency { requirement }), deadline).await?;
        }
        let published = self.0.at(request.consistency.as_ref(), deadline).await?;
        Ok(Response::new(self.list(&ask, &published, audience(&published.state)).await?))
    }

    async fn explain_change(&self, request: Request<wire::ExplainChangeRequest>) -> Reply<wire::ExplainChangeResponse> {
        let deadline = request.extensions().get::<Deadline>().copied();
        let request = as_check(request.get_ref())?;
        Ok(Response::new(self.change_of_decision(&request, deadline).await?))
    }
}

/// Returns what the caller of the current call may see (A2).
fn audience(state: &State) -> Audience {
    let Some(caller) = calls::caller() else { return Audience { emails: false, workspace: false, environment: None } };
    let Some(operator) = caller.operator() else { return Audience::ALL };
    let now = clock::now();
    Audience {
        emails: state.operator_may(operator, "orgs.view", now),
        workspace: state.operator_may(operator, TEAM_MANAGE, now),
        environment: caller.key().map(|(_, key)| key.environment),
    }
}

impl Audience {
    pub const ALL: Self = Self { emails: true, workspace: true, environment: None };

    fn sees(self, project: &ProjectRecord) -> bool {
        self.sees_key(&project.key) && self.environment.is_none_or(|environment| environment == project.environment)
    }

    /// Judges a project by its key alone.
    fn sees_key(self, key: &ProjectKey) -> bool {
        self.workspace || key.as_str() != WORKSPACE
    }
}

/// Which events to list.
struct Ask<'a> {
    /// `None`: all projects.
    project: Option<ProjectKey>,
    org_id: Option<OrgId>,
    user_id: Option<UserId>,
    actor: &'a str,
    kinds: &'a [String],
    start: Option<Time>,
    end: Option<Time>,
    maintenance: bool,
    commits: bool,
    denials: bool,
    newest_first: bool,
    after_revision: Option<u64>,
    page: Page,
    /// Makes the token with which a caller follows.
    resumed: Page,
    after: Option<EventPlace>,
    /// The revision of the answer that a follower goes on from.
    resumes: Option<String>,
}

impl<'a> Ask<'a> {
    fn read(request: &'a wire::ListEventsRequest) -> Result<Self, Status> {
        let (project, org_id, user_id) = (&request.project, &request.org_id, &request.user_id);
        if project.is_empty() && !(org_id.is_empty() && user_id.is_empty()) {
            return Err(status::invalid("project", "must be set together with `org_id` or `user_id`"));
        }
        convert::at_most("kinds", request.kinds.len(), NAMES_MAX)?;
        for (at, kind) in request.kinds.iter().enumerate() {
            convert::text(&format!("kinds[{at}]"), kind, NAME_BYTES_MAX)?;
        }
        convert::text("actor", &request.actor, ACTOR_BYTES_MAX)?;
        let types = match EventType::try_from(request.r#type) {
            Ok(EventType::Unspecified) => (true, true),
            Ok(EventType::Commit) => (true, false),
            Ok(EventType::Denial) => (false, true),
            Err(_) => return Err(status::invalid("type", "must be a type of events")),
        };
        let newest_first = match EventOrder::try_from(request.order) {
            Ok(EventOrder::Unspecified | EventOrder::NewestFirst) => true,
            Ok(EventOrder::OldestFirst) => false,
            Err(_) => return Err(status::invalid("order", "must be an order of events")),
        };
        let time = |field, time: &Option<_>| time.as_ref().map(|time| convert::time(field, time)).transpose();
        let token = |text: &str| {
            let token = Token::decode(text);
            token.ok_or_else(|| status::invalid("after_revision", "must be the `revision` of an answer"))
        };
        let page = |newest_first, after_revision: &str, token: &str| {
            Page::read(&["ListEvents", &arguments(request, newest_first, after_revision)], request.page_size, token)
        };
        let resumed = page(false, "", "")?;
        let page = page(newest_first, &request.after_revision, &request.page_token)?;
        let place = page.after.as_deref().map(|text| read_place(text).ok_or_else(status::page_token)).transpose()?;
        let (after, resumes) = place.unzip();
        Ok(Self {
            after,
            resumes: resumes.flatten(),
            project: convert::optional(project, |text| convert::key("project", text))?,
            org_id: convert::optional(org_id, convert::org_id)?,
            user_id: convert::optional(user_id, convert::user_id)?,
            actor: &request.actor,
            kinds: &request.kinds,
            start: time("start_time", &request.start_time)?,
            end: time("end_time", &request.end_time)?,
            maintenance: request.include_maintenance,
            commits: types.0,
            // A refused call has changed no user.
            denials: types.1 && user_id.is_empty(),
            newest_first,
            after_revision: convert::optional(&request.after_revision, token)?.map(|token| token.number),
            resumed,
            page,
        })
    }
}

/// Returns the arguments that a page token belongs to.
fn arguments(request: &wire::ListEventsRequest, newest_first: bool, after_revision: &str) -> String {
    let request = wire::ListEventsRequest {
        order: i32::from(newest_first),
        after_revision: after_revision.into(),
        consistency: None,
        page_size: 0,
        page_token: String::new(),
        ..request.clone()
    };
    format!("{request:?}")
}

fn place_text(place: EventPlace) -> String {
    format!("{}.{}", place.revision, place.denial)
}

/// Returns a place with the revision of the answer.
fn resumed_text(place: EventPlace, revision: &str) -> String {
    format!("{}.{revision}", place_text(place))
}

fn read_place(text: &str) -> Option<(EventPlace, Option<String>)> {
    let mut parts = text.splitn(3, '.');
    let place = EventPlace { revision: parts.next()?.parse().ok()?, denial: parts.next()?.parse().ok()? };
    Some((place, parts.next().map(String::from)))
}
