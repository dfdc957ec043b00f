//! Turns errors into statuses with code, reason and details (AIP-193). `error_reason.proto` has the table of reasons, and
//! `status/details.rs` the details of each.

mod details;
mod names;

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::domain::model::project::Environment;
use crate::domain::model::refusal::Noun;
use crate::domain::{Decision, Refusal, UserId};
use crate::engine::Behind;
use crate::limits::VIOLATIONS_BYTES_MAX;
use crate::store::{ErrorClass, ReadError, StoreError};
use crate::wire::ErrorReason;
use crate::writer::Failure;

pub use names::{NAMELESS, Names, RowPath, no_rows};

/// The domain of every `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "rolecall";

/// Returns the known name nearest to an unknown one.
pub type Suggest<'a> = &'a mut dyn FnMut(Noun, &str) -> Option<String>;

/// Returns the status of a failed write.
pub fn failed(failure: Failure, names: &Names<'_>, suggest: Suggest<'_>) -> Status {
    match failure {
        Failure::Refused(refusal) => of_refusal(&refusal, names, suggest),
        Failure::Overloaded => overloaded(failure.to_string()),
        Failure::Internal => plain(ErrorReason::Internal, failure.to_string()),
        Failure::Unavailable | Failure::NoSpace | Failure::Stopping => {
            plain(ErrorReason::DatabaseUnavailable, failure.to_string())
        }
        Failure::OutcomeUnknown => plain(ErrorReason::OutcomeUnknown, failure.to_string()),
    }
}

/// Returns OVERLOADED.
pub fn overloaded(message: String) -> Status {
    let mut details = info(ErrorReason::Overloaded, []);
    details.set_retry_info(Some(Duration::from_millis(500)));
    Status::with_error_details(code(ErrorReason::Overloaded), message, details)
}

/// Returns CALLER_TOO_FAST, with how long to wait.
pub fn caller_too_fast(why: &str, wait: Duration) -> Status {
    let mut details = info(ErrorReason::CallerTooFast, []);
    details.set_retry_info(Some(wait));
    Status::with_error_details(code(ErrorReason::CallerTooFast), why, details)
}

/// Returns OVERLOADED for a call that needs memory while `holders` have as much as they may have.
pub fn out_of_memory(holders: &str, max: usize) -> Status {
    overloaded(format!("{holders} may take {} KiB of memory and leave too little; try again in a moment", max >> 10))
}

/// Returns the status of a refused read.
pub fn refused(refusal: &Refusal, suggest: Suggest<'_>) -> Status {
    of_refusal(refusal, &NAMELESS, suggest)
}

/// Returns NOT_FOUND without a suggestion.
pub fn not_found(noun: Noun, name: &str) -> Status {
    of_refusal(&Refusal::NotFound(noun, name.into()), &NAMELESS, &mut |_, _| None)
}

/// Returns the status of a refusal, with suggestions for unknown names.
fn of_refusal(refusal: &Refusal, names: &Names<'_>, suggest: Suggest<'_>) -> Status {
    let reason = ErrorReason::from(refusal.reason());
    let mut metadata = HashMap::from([("rule".to_string(), refusal.rule().to_string())]);
    metadata.extend(details::metadata(refusal).into_iter().map(|(key, value)| (key.to_string(), value)));
    let mut details = ErrorDetails::new();
    let mut suggestion_for = |refusal: &Refusal| match refusal {
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
                let suggestion = suggestion_for(refusal);
                let description = with_suggestion(refusal.to_string(), suggestion.as_deref());
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
            let suggestion = suggestion_for(refusal);
            let description = with_suggestion(refusal.to_string(), suggestion.as_deref());
            details::add(&mut details, refusal, names, "", description);
            suggestion
        }
    };
    let message = with_suggestion(refusal.to_string(), suggestion.as_deref());
    metadata.extend(suggestion.map(|suggestion| ("suggestion".to_string(), suggestion)));
    details.set_error_info(reason.as_str_name(), DOMAIN, metadata);
    Status::with_error_details(code(reason), message, details)
}

/// Returns the message with the suggestion.
fn with_suggestion(message: String, suggestion: Option<&str>) -> String {
    match suggestion {
        Some(name) => format!("{message}; did you mean `{name}`?"),
        None => message,
    }
}

pub fn read(error: ReadError, suggest: Suggest<'_>) -> Status {
    match error {
        ReadError::NotFound(noun, name) => of_refusal(&Refusal::NotFound(noun, name), &NAMELESS, suggest),
        ReadError::Store(error) => unread(&error),
    }
}

/// Returns the status of a read for a viewer who is not a member of the org (I2).
pub fn viewer_not_a_member(viewer: &UserId) -> Status {
    let metadata = [("rule", "I2".into()), ("user_id", viewer.to_string())];
    let message = format!("the viewer `{viewer}` is not a member of the org");
    Status::with_error_details(
        code(ErrorReason::ViewerNotAMember),
        message,
        info(ErrorReason::ViewerNotAMember, metadata),
    )
}

/// Returns the status of a read for a blocked viewer (I2).
pub fn viewer_blocked(viewer: &UserId) -> Status {
    let metadata = [("rule", "I2".into()), ("user_id", viewer.to_string())];
    let message = format!("the viewer `{viewer}` is blocked in the project");
    let reason = ErrorReason::ViewerBlocked;
    Status::with_error_details(code(reason), message, info(reason, metadata))
}

/// Returns the status of a read that the database failed. The cause is logged, not sent.
pub fn unread(error: &StoreError) -> Status {
    if error.class() == ErrorClass::Statement {
        tracing::error!(%error, "a read failed");
        return plain(ErrorReason::Internal, "the read failed; this is a bug, please report it with the server's log");
    }
    tracing::warn!(%error, "a read failed");
    if error.class() == ErrorClass::NoSpace {
        return plain(ErrorReason::DatabaseUnavailable, Failure::NoSpace.to_string());
    }
    plain(ErrorReason::DatabaseUnavailable, "the database does not answer; try again in a moment")
}

/// Returns the status of a read at a revision of another history.
pub fn behind(behind: Behind) -> Status {
    let mut details = info(ErrorReason::RevisionOfAnotherHistory, []);
    details.add_precondition_failure_violation(
        ErrorReason::RevisionOfAnotherHistory.as_str_name(),
        "revision",
        behind.to_string(),
    );
    Status::with_error_details(code(ErrorReason::RevisionOfAnotherHistory), behind.to_string(), details)
}

/// Refuses a call that only a server answers, and names those of this sidecar.
pub fn only_upstream(addresses: &str) -> Status {
    let why = format!("this is a sidecar, which only answers checks; call {addresses}");
    let mut details = info(ErrorReason::SidecarReadOnly, [("upstream", addresses.to_owned())]);
    details.add_precondition_failure_violation(ErrorReason::SidecarReadOnly.as_str_name(), "sidecar", &*why);
    Status::with_error_details(code(ErrorReason::SidecarReadOnly), why, details)
}

/// Refuses to answer from a State of this age.
pub fn too_old(age: Duration) -> Status {
    let why = format!("this sidecar heard {} s ago for the last time that its state was the newest", age.as_secs());
    let mut details = info(ErrorReason::StateTooOld, [("age_seconds", age.as_secs().to_string())]);
    details.set_retry_info(Some(Duration::from_millis(500)));
    Status::with_error_details(code(ErrorReason::StateTooOld), why, details)
}

/// Refuses a question about a past whose history is no longer kept.
pub fn revision_too_old(oldest: String) -> Status {
    let why = format!("the history of that time is no longer kept; the oldest revision is `{oldest}`");
    let mut details = info(ErrorReason::RevisionTooOld, [("oldest_revision", oldest)]);
    details.add_precondition_failure_violation(ErrorReason::RevisionTooOld.as_str_name(), "revision", &*why);
    Status::with_error_details(code(ErrorReason::RevisionTooOld), why, details)
}

/// Returns INVALID_FIELD.
pub fn invalid(field: impl Into<String>, why: impl std::fmt::Display) -> Status {
    violated(ErrorReason::InvalidField, field.into(), why.to_string())
}

/// Returns TOO_MANY_ROWS (P7).
pub fn too_many_rows(field: &str, max: usize, asked: usize) -> Status {
    violated(ErrorReason::TooManyRows, field.into(), format!("must have at most {max} rows; the call has {asked}"))
}

/// Returns TOO_MANY_ROWS for the edits of a role mapping.
pub fn too_many_edits(max: usize, asked: usize) -> Status {
    let why = format!(
        "must have at most {max} edits, permissions in `add` and `remove`, and roles to enable or disable together; the \
         call has {asked}"
    );
    violated(ErrorReason::TooManyRows, "edits".into(), why)
}

/// Returns TOO_MANY_ROWS for a request that is not decoded yet, so it names no field.
pub fn too_many_fields(max: usize) -> Status {
    let why = format!("the request has more than {max} fields, such as rows, items or names; send several calls");
    violated(ErrorReason::TooManyRows, String::new(), why)
}

/// Returns PAGE_TOKEN_INVALID.
pub fn page_token() -> Status {
    let why =
        "is malformed, belongs to other arguments, or continues a list that has changed; begin with the first page";
    violated(ErrorReason::PageTokenInvalid, "page_token".into(), why.into())
}

/// Returns MALFORMED_REQUEST.
pub fn malformed(why: &str) -> Status {
    violated(ErrorReason::MalformedRequest, String::new(), format!("the request is malformed: {why}"))
}

/// Returns REQUEST_TOO_LARGE. `why` names the number of bytes and the limit.
pub fn too_large(why: &str) -> Status {
    let mut details = info(ErrorReason::RequestTooLarge, []);
    details.add_quota_failure_violation("request_bytes", why);
    Status::with_error_details(code(ErrorReason::RequestTooLarge), why, details)
}

/// Returns CALL_FAILED with the code of a call that did not reach a method.
pub fn call_failed(code: Code, message: &str) -> Status {
    Status::with_error_details(code, message, info(ErrorReason::CallFailed, []))
}

/// Returns the status of a call of an operator who lacks a permission (W3).
pub fn operator_permission_missing(operator: &UserId, permission: &str, method: &str, decision: Decision) -> Status {
    let (why, what_to_do) = match decision {
        Decision::NotAMember | Decision::OrgNotFound => {
            ("is no longer an operator", "`rolecall operators add` adds it again")
        }
        Decision::UserBlocked => ("is blocked", "UserService/UnblockUser in the project `workspace` unblocks it"),
        _ => ("has no live role that grants it", "`rolecall operators matrix` shows which roles do"),
    };
    let message = format!("{method} needs permission `{permission}`, and operator `{operator}` {why}; {what_to_do}");
    let metadata = [
        ("rule", "W2".into()),
        ("permission", permission.into()),
        ("operator", operator.to_string()),
        ("method", method.into()),
    ];
    let reason = ErrorReason::OperatorPermissionMissing;
    Status::with_error_details(code(reason), message, info(reason, metadata))
}

/// Returns the status of a call with a key of the other environment (W6.d). An unknown project gets it as well.
pub fn api_key_environment(environment: Environment) -> Status {
    let (own, other) = match environment {
        Environment::Test => ("TEST", "LIVE"),
        Environment::Live => ("LIVE", "TEST"),
    };
    let message = format!(
        "the API key is for {own} projects, and there is no such {own} project; for a {other} project use a {other} key"
    );
    let reason = ErrorReason::ApiKeyEnvironment;
    Status::with_error_details(code(reason), message, info(reason, [("rule", "W6".into())]))
}

/// Returns DATABASE_UNAVAILABLE for a write that needs randomness. The cause is logged, not sent.
pub fn no_randomness(error: &getrandom::Error) -> Status {
    tracing::error!(%error, "no randomness");
    plain(ErrorReason::DatabaseUnavailable, "the server has no randomness now; try again in a moment")
}

/// Returns a status with a reason and no other details.
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
        "UNAUTHENTICATED" => Code::Unauthenticated,
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
    fn only_an_absent_database_asks_to_try_again() {
        assert_eq!(unread(&StoreError::NoConnection("refused".into())).code(), Code::Unavailable);
        let status = unread(&StoreError::Unreadable("a bad row".into()));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("try again") && !status.message().contains("a bad row"));
    }

    #[test]
    fn a_refused_row_is_named_by_its_path() {
        let role = crate::domain::RoleName::stored("Ghost");
        let rows = vec![(3, Refusal::RepeatedRole { at: 1, role })];
        let names = Names { row: &|row| format!("rows[{row}].add."), ..NAMELESS };
        let status = of_refusal(&Refusal::Rows { rows, total: 1 }, &names, &mut |_, _| None);
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "rows[3].add.roles[1].role");
        assert_eq!(details.error_info().unwrap().reason, "REPEATED_ROLE");
        assert_eq!(details.error_info().unwrap().metadata["rows"], "3");
    }

    #[test]
    fn the_details_of_a_bulk_refusal_fit_into_headers_and_name_the_first_row() {
        // The longest names: permissions of 256 bytes that a header escapes.
        let name = |row: usize| format!("{row:02}{}", "é".repeat(127));
        let rows = (0..20).map(|row| (row, Refusal::NotFound(Noun::Permission, name(row)))).collect();
        let refusal = Refusal::Rows { rows, total: 500 };
        let names = Names { row: &|row| format!("rows[{row}].add."), ..NAMELESS };
        let status = of_refusal(&refusal, &names, &mut |_, _| Some(name(99)));
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
            Refusal::RolesWouldBeDisabled { held, members: 2_700, invitations: 0, domains: 0, orgs: 5 },
            Refusal::ReplacementDisabled { replacement, disabled_in },
        ] {
            let status = of_refusal(&refusal, &NAMELESS, &mut |_, _| None);
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
