//! AuthZEN Authorization API 1.0: checks and searches as JSON over HTTP. Its requests become requests of CheckService and are
//! answered by the same code. The subject is the user, the action the permission, and the resource the org.

pub mod actions;
pub mod answer;
mod entities;
mod evaluation;
mod metadata;
mod search;

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Body as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::Status;
use tonic::service::Routes;

use crate::domain::ProjectKey;
use crate::grpc::app::{App, Checks};
use crate::grpc::layers::calls::take_for_decoding;
use crate::grpc::services::check;
use crate::grpc::status;
use crate::limits::REQUEST_BYTES_MAX;
use crate::wire::Consistency;
use actions::Actions;
use answer::{JSON, unsupported};

/// What the API accepts, and where it is.
#[derive(Clone, Debug, Default)]
pub struct Authzen {
    /// The project of requests whose path names none. Empty means `default`.
    pub project: String,
    /// The types of subjects that are users. Empty means all.
    pub subject_types: Vec<String>,
    /// The types of resources that are orgs. Empty means all.
    pub resource_types: Vec<String>,
    /// The permissions of actions.
    pub actions: Arc<Actions>,
    /// The URL by which clients reach this server. Empty means that of the request.
    pub url: String,
}

/// What the handlers use.
struct Api {
    checks: Arc<Checks>,
    /// `None` on a sidecar, which does not search for subjects and resources.
    app: Option<Arc<App>>,
    settings: Authzen,
    tls: bool,
}

type Handler = State<Arc<Api>>;
/// The project in the path. `None` if the path names none.
type InPath = Option<Path<String>>;

/// Returns the paths of all endpoints.
pub fn paths() -> Vec<String> {
    let of_project = |path: &str| [path.to_owned(), format!("/projects/{{project}}{path}")];
    let endpoints = ["evaluation", "evaluations", "search/subject", "search/resource", "search/action"];
    let mut paths: Vec<String> =
        endpoints.iter().flat_map(|endpoint| of_project(&format!("/access/v1/{endpoint}"))).collect();
    paths.extend([metadata::PATH, metadata::PROJECT_PATH].map(str::to_owned));
    paths
}

/// Returns the services of HTTP sockets.
pub fn routes(checks: Arc<Checks>, app: Option<Arc<App>>, settings: Authzen, tls: bool) -> Routes {
    let endpoints = Router::new()
        .route("/evaluation", post(evaluate))
        .route("/evaluations", post(evaluate_all))
        .route("/search/subject", post(search_subject))
        .route("/search/resource", post(search_resource))
        .route("/search/action", post(search_action));
    let router = Router::new()
        .nest("/access/v1", endpoints.clone())
        .nest("/projects/{project}/access/v1", endpoints)
        .route(metadata::PATH, get(describe))
        .route(metadata::PROJECT_PATH, get(describe))
        .fallback(async || answer::simple(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            answer::simple(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path takes another method; evaluations and searches are POST",
            )
        });
    Routes::from(router.with_state(Arc::new(Api { checks, app, settings, tls })))
}

impl Api {
    /// Returns the key of the project of a request. It is not checked.
    fn project(&self, path: &InPath) -> String {
        match path {
            Some(Path(key)) => key.clone(),
            None if self.settings.project.is_empty() => ProjectKey::DEFAULT.into(),
            None => self.settings.project.clone(),
        }
    }

    /// Refuses an unknown project, and waits for the revision that a request asks for: what a check does before it decides.
    async fn reach(&self, project: &str, consistency: Option<&Consistency>) -> Result<(), Status> {
        let published = self.checks.at(consistency, None).await?;
        check::project(&published.state, project).map(|_| ())
    }
}

async fn evaluate(State(api): Handler, path: InPath, request: axum::extract::Request) -> Response {
    respond(async { evaluation::one(&api, api.project(&path), &read(request).await?).await }.await)
}

async fn evaluate_all(State(api): Handler, path: InPath, request: axum::extract::Request) -> Response {
    respond(async { evaluation::all(&api, api.project(&path), read(request).await?).await }.await)
}

async fn search_subject(State(api): Handler, path: InPath, request: axum::extract::Request) -> Response {
    respond(async { search::subjects(&api, api.project(&path), read(request).await?).await }.await)
}

async fn search_resource(State(api): Handler, path: InPath, request: axum::extract::Request) -> Response {
    respond(async { search::resources(&api, api.project(&path), read(request).await?).await }.await)
}

async fn search_action(State(api): Handler, path: InPath, request: axum::extract::Request) -> Response {
    respond(async { search::actions(&api, api.project(&path), read(request).await?).await }.await)
}

async fn describe(State(api): Handler, path: InPath, headers: HeaderMap) -> Response {
    let project = path.map(|Path(key)| key);
    respond(metadata::describe(&api, project.as_deref(), &headers))
}

/// Reads a JSON object. `Err` is the answer, or a status that becomes one.
async fn read<T: DeserializeOwned>(request: axum::extract::Request) -> Result<T, Status> {
    let (head, mut body) = request.into_parts();
    let named = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let kind = named(CONTENT_TYPE).and_then(|kind| kind.split(';').next()).map(str::trim);
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case(JSON)) {
        return Err(unsupported("the body must be JSON, with `Content-Type: application/json`"));
    }
    if named(CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(unsupported("the body must not be compressed"));
    }
    let mut read = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| Status::from_error(error.into_inner()))?;
        let Ok(data) = frame.into_data() else { continue };
        if read.len() + data.len() > REQUEST_BYTES_MAX {
            let why = format!("the request has more than {REQUEST_BYTES_MAX} bytes; send several");
            return Err(status::too_large(&why));
        }
        read.put(data);
    }
    // Decoding needs about as many bytes again.
    take_for_decoding(read.len())?;
    serde_json::from_slice(&read).map_err(|error| status::malformed(&error.to_string()))
}

/// Answers with JSON. [`answer::Asked::answer`] turns a status into an answer of HTTP.
fn respond(answer: Result<impl Serialize, Status>) -> Response {
    let answer = answer.and_then(|answer| {
        serde_json::to_vec(&answer).map_err(|error| Status::internal(format!("the answer is no JSON: {error}")))
    });
    match answer {
        Ok(json) => ([(CONTENT_TYPE, HeaderValue::from_static(JSON))], Bytes::from(json)).into_response(),
        Err(status) => status.into_http::<axum::body::Body>(),
    }
}
