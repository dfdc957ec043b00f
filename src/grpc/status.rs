//! From what went wrong to a status with its code, reason and details (AIP-193). The one table of errors is in
//! `error_reason.proto`, what goes with each in `status/details.rs`.

mod details;
mod names;

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::domain::model::refusal::Noun;
use crate::domain::{Refusal, UserId};
use crate::engine::Behind;
use crate::limits::VIOLATIONS_BYTES_MAX;
use crate::store::{ReadError, StoreError};
use crate::wire::ErrorReason;
use crate::writer::Failure;

use names::NAMELESS;
pub use names::{Names, RowPath, no_rows};

/// The domain of every `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "rolecall";

/// Says which known name an unknown one was perhaps meant to be.
pub type Suggest<'a> = &'a mut dyn FnMut(Noun, &str) -> Option<String>;

/// A write that was not done.
pub fn failed(failure: Failure, names: &Names<'_>, suggest: Suggest<'_>) -> Status {
    match failure {
        Failure::Refused(refusal) => explained(&refusal, names, suggest),
        Failure::Overloaded => {
            let mut details = info(ErrorReason::Overloaded, []);
            details.set_retry_info(Some(Duration::from_millis(500)));
            Status::with_error_details(code(ErrorReason::Overloaded), failure.to_string(), details)
        }
        Failure::Unavailable | Failure::Stopping => plain(ErrorReason::DatabaseUnavailable, failure.to_string()),
        Failure::OutcomeUnknown => plain(ErrorReason::OutcomeUnknown, failure.to_string()),
    }
}

/// A question about end users that was refused.
pub fn refused(refusal: &Refusal, suggest: Suggest<'_>) -> Status {
    explained(refusal, &NAMELESS, suggest)
}

/// What is not there, where nobody can have meant another.
pub fn not_found(noun: Noun, name: &str) -> Status {
    explained(&Refusal::NotFound(noun, name.into()), &NAMELESS, &mut |_, _| None)
}

/// A command that was refused, with what the caller perhaps meant.
fn explained(refusal: &Refusal, names: &Names<'_>, suggest: Suggest<'_>) -> Status {
    let reason = ErrorReason::from(refusal.reason());
    let mut metadata = HashMap::from([("rule".to_string(), refusal.rule().to_string())]);
    metadata.extend(details::metadata(refusal).into_iter().map(|(key, value)| (key.to_string(), value)));
    let mut details = ErrorDetails::new();
    let mut meant = |refusal: &Refusal| match refusal {
        Refusal::NotFound(noun, name) => suggest(*noun, name),
        _ => None,
    };
    // The message names the first row, and so does the suggestion.
    let suggestion = match refusal {
        Refusal::Rows { rows, total } => {
            let numbers: Vec<String> = rows.iter().map(|(number, _)| number.to_string()).collect();
            metadata.extend([("rows".into(), numbers.join(",")), ("rows_total".into(), total.to_string())]);
            let mut first = None;
            let mut bytes = 0;
            for (at, (number, refusal)) in rows.iter().enumerate() {
                let suggestion = meant(refusal);
                let description = asking(refusal.to_string(), suggestion.as_deref());
                let path = (names.row)(*number);
                bytes += path.len() + description.len();
                if at > 0 && bytes > VIOLATIONS_BYTES_MAX {
                    break;
                }
                details::add(&mut details, refusal, names, &path, description);
                if at == 0 {
                    first = suggestion;
                }
            }
            first
        }
        refusal => {
            let suggestion = meant(refusal);
            let description = asking(refusal.to_string(), suggestion.as_deref());
            details::add(&mut details, refusal, names, "", description);
            suggestion
        }
    };
    let message = asking(refusal.to_string(), suggestion.as_deref());
    metadata.extend(suggestion.map(|suggestion| ("suggestion".to_string(), suggestion)));
    details.set_error_info(reason.as_str_name(), DOMAIN, metadata);
    Status::with_error_details(code(reason), message, details)
}

/// The message that asks for what was perhaps meant.
fn asking(message: String, suggestion: Option<&str>) -> String {
    match suggestion {
        Some(name) => format!("{message}; did you mean `{name}`?"),
        None => message,
    }
}

/// A read that found nothing, or no database.
pub fn read(error: ReadError, suggest: Suggest<'_>) -> Status {
    match error {
        ReadError::NotFound(noun, name) => explained(&Refusal::NotFound(noun, name), &NAMELESS, suggest),
        ReadError::Store(error) => unavailable(&error),
    }
}

/// A read for an end user who is no member of the org (I2).
pub fn viewer_not_a_member(viewer: &UserId) -> Status {
    let metadata = [("rule", "I2".into()), ("user_id", viewer.to_string())];
    let message = format!("the viewer `{viewer}` is not a member of the org");
    Status::with_error_details(
        code(ErrorReason::ViewerNotAMember),
        message,
        info(ErrorReason::ViewerNotAMember, metadata),
    )
}

/// The database did not answer a read. The cause is logged, not sent.
pub fn unavailable(error: &StoreError) -> Status {
    tracing::warn!(%error, "a read failed");
    plain(ErrorReason::DatabaseUnavailable, "the database does not answer; try again in a moment")
}

/// A revision that this store cannot answer at.
pub fn behind(behind: Behind) -> Status {
    let mut details = info(ErrorReason::RevisionOfAnotherHistory, []);
    details.add_precondition_failure_violation(
        ErrorReason::RevisionOfAnotherHistory.as_str_name(),
        "revision",
        behind.to_string(),
    );
    Status::with_error_details(code(ErrorReason::RevisionOfAnotherHistory), behind.to_string(), details)
}

/// A field that was refused at the door.
pub fn invalid(field: impl Into<String>, why: impl std::fmt::Display) -> Status {
    violated(ErrorReason::InvalidField, field.into(), why.to_string())
}

/// More rows than one call may have (P7).
pub fn too_many_rows(field: &str, max: usize, asked: usize) -> Status {
    violated(ErrorReason::TooManyRows, field.into(), format!("at most {max} rows a call; {asked} were sent"))
}

/// More fields than a request may have; found before the request is read, so that none is named.
pub fn too_many_fields(max: usize) -> Status {
    let why = format!("the request has more than {max} fields, such as rows, items or names; send several");
    violated(ErrorReason::TooManyRows, String::new(), why)
}

/// A page token that is none of ours or was given for other arguments.
pub fn page_token() -> Status {
    let why = "is none of ours, was given for other arguments, or what it was given for is gone or in another order; begin with the first page";
    violated(ErrorReason::PageTokenInvalid, "page_token".into(), why.into())
}

/// A body that is not the message that the method takes.
pub fn malformed(why: &str) -> Status {
    violated(ErrorReason::MalformedRequest, String::new(), format!("the request is malformed: {why}"))
}

/// A request with more bytes than the method takes; `why` names both numbers.
pub fn too_large(why: &str) -> Status {
    let mut details = info(ErrorReason::RequestTooLarge, []);
    details.add_quota_failure_violation("request_bytes", why);
    Status::with_error_details(code(ErrorReason::RequestTooLarge), why, details)
}

/// A call that failed before it reached a method. It keeps its code.
pub fn call_failed(code: Code, message: &str) -> Status {
    Status::with_error_details(code, message, info(ErrorReason::CallFailed, []))
}

/// A status that needs no details but its reason.
pub fn plain(reason: ErrorReason, message: impl Into<String>) -> Status {
    Status::with_error_details(code(reason), message, info(reason, []))
}

/// Returns the canonical code of a reason.
pub fn code(reason: ErrorReason) -> Code {
    match reason.code() {
        "NOT_FOUND" => Code::NotFound,
        "ALREADY_EXISTS" => Code::AlreadyExists,
        "INVALID_ARGUMENT" => Code::InvalidArgument,
        "FAILED_PRECONDITION" => Code::FailedPrecondition,
        "ABORTED" => Code::Aborted,
        "PERMISSION_DENIED" => Code::PermissionDenied,
        "RESOURCE_EXHAUSTED" => Code::ResourceExhausted,
        "UNAVAILABLE" => Code::Unavailable,
        "DEADLINE_EXCEEDED" => Code::DeadlineExceeded,
        "UNIMPLEMENTED" => Code::Unimplemented,
        "INTERNAL" => Code::Internal,
        _ => Code::Unknown,
    }
}

fn violated(reason: ErrorReason, field: String, why: String) -> Status {
    let mut details = info(reason, []);
    details.add_bad_request_violation(field.clone(), why.clone());
    let message = if field.is_empty() { why } else { format!("`{field}` {why}") };
    Status::with_error_details(code(reason), message, details)
}

fn info<const N: usize>(reason: ErrorReason, metadata: [(&str, String); N]) -> ErrorDetails {
    let metadata: HashMap<String, String> = metadata.into_iter().map(|(key, value)| (key.into(), value)).collect();
    ErrorDetails::with_error_info(reason.as_str_name(), DOMAIN, metadata)
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::domain::{RoleMappingName, RoleName};

    fn bytes_of_headers(status: &Status) -> usize {
        let headers = status.clone().into_http::<()>().headers().clone();
        headers.iter().map(|(key, value)| key.as_str().len() + value.len() + 32).sum()
    }

    #[test]
    fn a_refused_row_is_named_by_its_path() {
        let role = crate::domain::RoleName::stored("Ghost");
        let rows = vec![(3, Refusal::RepeatedRole { at: 1, role })];
        let names = Names { row: &|row| format!("rows[{row}].add."), ..NAMELESS };
        let status = explained(&Refusal::Rows { rows, total: 1 }, &names, &mut |_, _| None);
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "rows[3].add.roles[1].role");
        assert_eq!(details.error_info().unwrap().reason, "REPEATED_ROLE");
        assert_eq!(details.error_info().unwrap().metadata["rows"], "3");
    }

    #[test]
    fn the_details_of_a_bulk_refusal_fit_into_headers_and_name_the_first_row() {
        // The longest there are: a permission of 256 bytes, each of which a header escapes, and one near to it.
        let name = |row: usize| format!("{row:02}{}", "é".repeat(127));
        let rows = (0..20).map(|row| (row, Refusal::NotFound(Noun::Permission, name(row)))).collect();
        let refusal = Refusal::Rows { rows, total: 500 };
        let names = Names { row: &|row| format!("rows[{row}].add."), ..NAMELESS };
        let status = explained(&refusal, &names, &mut |_, _| Some(name(99)));
        let bytes = bytes_of_headers(&status);
        assert!(bytes < 8 * 1_024, "{bytes} bytes of headers");
        let details = status.get_error_details();
        assert_eq!(details.resource_info().unwrap().resource_name, name(0));
        let violations = &details.bad_request().unwrap().field_violations;
        assert!((2..20).contains(&violations.len()), "{}", violations.len());
        assert_eq!(details.error_info().unwrap().metadata["rows_total"], "500");
    }

    #[test]
    fn the_details_of_a_refusal_that_counts_by_role_or_mapping_fit_into_headers() {
        let name = |at: usize| format!("{at:03}{}", "é".repeat(62));
        let held = (0..900).map(|at| (RoleName::stored(name(at)), 3)).collect();
        let disabled_in = (0..900).map(|at| (RoleMappingName::stored(name(at)), 3)).collect();
        let replacement = RoleName::stored(name(0));
        for refusal in [
            Refusal::RolesWouldBeDisabled { held, members: 2_700, orgs: 5 },
            Refusal::ReplacementDisabled { replacement, disabled_in },
        ] {
            let status = explained(&refusal, &NAMELESS, &mut |_, _| None);
            assert!(status.message().contains("and 897 more"), "{}", status.message());
            let bytes = bytes_of_headers(&status);
            assert!(bytes < 8 * 1_024, "{bytes} bytes of headers");
            let details = status.get_error_details();
            assert_eq!(details.error_info().unwrap().metadata["members"], "2700");
            let violations = &details.precondition_failure().unwrap().violations;
            assert!((2..=20).contains(&violations.len()), "{}", violations.len());
        }
    }
}
