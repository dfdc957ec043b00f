//! Adds reason and details to errors that tonic makes itself.

use tonic::body::Body;
use tonic::{Code, Status};

use crate::grpc::status;
use crate::wire::ErrorReason;

/// Replaces an error that tonic made itself by one with the code and details of the contract.
pub fn with_details(path: &str, response: http::Response<Body>) -> http::Response<Body> {
    let headers = response.headers();
    if !headers.contains_key("grpc-status") {
        return response;
    }
    let Some(status) = Status::from_header_map(headers) else { return response };
    if status.code() == Code::Ok {
        return response;
    }
    tracing::debug!(path, code = ?status.code(), message = status.message(), "call failed");
    if !status.details().is_empty() {
        return response;
    }
    detailed(path, status).into_http()
}

/// Replaces an error that tonic made itself, without details, by one of the contract.
pub fn detailed(path: &str, status: Status) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    let message = status.message();
    match status.code() {
        Code::OutOfRange => status::too_large(message),
        // Without a message it is the router's. With one it is about an encoding that is not served.
        Code::Unimplemented if message.is_empty() => {
            status::plain(ErrorReason::UnknownMethod, format!("this server has no method `{path}`"))
        }
        // tonic's internal errors are about the frames of a request, except those about writing an answer.
        Code::Internal if !message.starts_with("Error ") => status::malformed(message),
        Code::Internal => {
            tracing::error!(path, message, "internal error");
            status::plain(ErrorReason::Internal, message)
        }
        code => status::call_failed(code, message),
    }
}
