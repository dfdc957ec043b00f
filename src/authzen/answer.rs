//! Answers of HTTP: errors with their status codes, and the id of the request.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::grpc::layers::bounded::AnswerBody;
use crate::wire::ErrorReason;

pub const JSON: &str = "application/json";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Marks a status that is about the type of a body.
const UNSUPPORTED: &str = "UNSUPPORTED_MEDIA_TYPE";

/// How the fields of a request are named in JSON.
const FIELDS: [(&str, &str); 6] = [
    ("org_id", "resource.id"),
    ("user_id", "subject.id"),
    ("permission", "action.name"),
    ("consistency.at_least", "options.at_least"),
    ("page_size", "page.limit"),
    ("page_token", "page.token"),
];

/// What is wrong.
#[derive(Serialize)]
pub struct ErrorBody {
    status: u16,
    /// For programs: a reason of `docs/errors.md`.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// The part of the request that is wrong.
    #[serde(skip_serializing_if = "String::is_empty")]
    field: String,
    message: String,
}

#[derive(Serialize)]
struct Failed {
    error: ErrorBody,
}

/// What an answer needs of its request.
pub struct Asked {
    request_id: Option<HeaderValue>,
}

impl Asked {
    pub fn of<B>(request: &Request<B>) -> Self {
        Self { request_id: request.headers().get(REQUEST_ID).cloned() }
    }

    /// Makes the answer of HTTP: a status of gRPC becomes a status code and a body.
    pub fn answer(self, answer: http::Response<AnswerBody>) -> http::Response<AnswerBody> {
        let status = Status::from_header_map(answer.headers()).filter(|status| status.code() != Code::Ok);
        let mut answer = match status {
            Some(status) => failed(&status, answer.into_body()),
            None => answer,
        };
        if let Some(id) = self.request_id {
            answer.headers_mut().insert(REQUEST_ID, id);
        }
        answer
    }
}

fn failed(status: &Status, body: AnswerBody) -> http::Response<AnswerBody> {
    let error = error_body(status);
    let code = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = error.reason.clone();
    let json = serde_json::to_vec(&Failed { error }).unwrap_or_default();
    let length = json.len();
    let mut answer = http::Response::new(body.replaced(Bytes::from(json)));
    *answer.status_mut() = code;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if code == StatusCode::UNAUTHORIZED {
        // Without credentials the challenge names no error (RFC 6750).
        let challenge = match reason == ErrorReason::CredentialsMissing.as_str_name() {
            true => "Bearer realm=\"rolecall\"",
            false => "Bearer realm=\"rolecall\", error=\"invalid_token\"",
        };
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Some(delay) = status.get_details_retry_info().and_then(|info| info.retry_delay) {
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// Describes an error, with the names of the JSON request.
pub fn error_body(status: &Status) -> ErrorBody {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let (field, message) = match violation(&details) {
        Some((field, why)) => (field.to_string(), format!("`{field}` {why}")),
        None => (String::new(), status.message().to_string()),
    };
    ErrorBody { status: code(status.code(), &reason).as_u16(), reason, field, message }
}

/// Returns the field that is wrong, and why. `None` if the error names none.
fn violation(details: &ErrorDetails) -> Option<(&str, &str)> {
    let violation = details.bad_request()?.field_violations.first()?;
    let field = violation.field.as_str();
    let named = FIELDS.iter().find(|(grpc, _)| *grpc == field).map_or(field, |(_, json)| json);
    (!field.is_empty()).then_some((named, &violation.description))
}

/// Returns the status code of an error.
fn code(code: Code, reason: &str) -> StatusCode {
    let is = |other: ErrorReason| reason == other.as_str_name();
    match code {
        _ if reason == UNSUPPORTED => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::ResourceExhausted if is(ErrorReason::RequestTooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
        Code::ResourceExhausted if is(ErrorReason::Overloaded) => StatusCode::SERVICE_UNAVAILABLE,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::FailedPrecondition if is(ErrorReason::SidecarReadOnly) => StatusCode::NOT_IMPLEMENTED,
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => StatusCode::BAD_REQUEST,
        // The request did not arrive whole.
        Code::Cancelled => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound | Code::Unimplemented => StatusCode::NOT_FOUND,
        Code::Aborted | Code::AlreadyExists => StatusCode::CONFLICT,
        // The body of the request did not arrive in time.
        Code::DeadlineExceeded => StatusCode::REQUEST_TIMEOUT,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Returns the status of a body that is not JSON.
pub fn unsupported(why: &str) -> Status {
    Status::with_error_details(
        Code::InvalidArgument,
        why,
        ErrorDetails::with_error_info(UNSUPPORTED, crate::grpc::status::DOMAIN, []),
    )
}

/// Answers with an error of HTTP itself.
pub fn simple(code: StatusCode, why: &str) -> Response {
    let error = ErrorBody { status: code.as_u16(), reason: String::new(), field: String::new(), message: why.into() };
    let json = serde_json::to_vec(&Failed { error }).unwrap_or_default();
    (code, [(CONTENT_TYPE, HeaderValue::from_static(JSON))], json).into_response()
}
