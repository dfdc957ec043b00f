//! The one table of errors: from what went wrong to a status with its code, reason and details (AIP-193).

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::domain::refusal::{Noun, Reason, Refusal};
use crate::engine::Behind;
use crate::limits::VIOLATIONS_BYTES_MAX;
use crate::store::{ReadError, StoreError};
use crate::writer::Failure;

/// The domain of every `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "rolecall";

/// A row of the table of errors.
pub struct Row {
    pub reason: &'static str,
    pub code: Code,
    /// What it means and what to do, as the README says it.
    pub meaning: &'static str,
}

macro_rules! table {
    ($($name:ident $text:literal $code:ident $meaning:literal;)*) => {
        $(pub const $name: Row = Row { reason: $text, code: Code::$code, meaning: $meaning };)*

        /// Every reason there is.
        pub const TABLE: &[&Row] = &[$(&$name),*];
    };
}

table! {
    PROJECT_NOT_FOUND "PROJECT_NOT_FOUND" NotFound "No such project.";
    PERMISSION_NOT_FOUND "PERMISSION_NOT_FOUND" NotFound "The project has no such permission.";
    ROLE_NOT_FOUND "ROLE_NOT_FOUND" NotFound "The project has no such role.";
    ROLE_MAPPING_NOT_FOUND "ROLE_MAPPING_NOT_FOUND" NotFound "The project has no such role mapping.";
    ORG_NOT_FOUND "ORG_NOT_FOUND" NotFound "The project has no such org.";
    MEMBER_NOT_FOUND "MEMBER_NOT_FOUND" NotFound "The user holds no role in the org.";
    PROJECT_ALREADY_EXISTS "PROJECT_ALREADY_EXISTS" AlreadyExists "A project with this key exists.";
    PERMISSION_ALREADY_EXISTS "PERMISSION_ALREADY_EXISTS" AlreadyExists "The project has this permission.";
    ROLE_ALREADY_EXISTS "ROLE_ALREADY_EXISTS" AlreadyExists "The project has a role whose name differs at most in case.";
    ROLE_MAPPING_ALREADY_EXISTS "ROLE_MAPPING_ALREADY_EXISTS" AlreadyExists "The project has a role mapping whose name differs at most in case.";
    ORG_ALREADY_EXISTS "ORG_ALREADY_EXISTS" AlreadyExists "The project has an org with this id.";
    MEMBER_ALREADY_EXISTS "MEMBER_ALREADY_EXISTS" AlreadyExists "The user is a member of the org; set the roles instead.";
    ORG_ID_RETIRED "ORG_ID_RETIRED" AlreadyExists "A deleted org had this id; choose another, or say `reuse_deleted_id`.";
    PROJECT_KEY_RETIRED "PROJECT_KEY_RETIRED" AlreadyExists "A deleted project had this key; choose another, or say `reuse_deleted_key`.";
    INVALID_FIELD "INVALID_FIELD" InvalidArgument "A field is missing or malformed; BadRequest names it.";
    RESERVED_NAME "RESERVED_NAME" InvalidArgument "The key `workspace` and names that begin with `rolecall::` are reserved.";
    CONTRADICTION "CONTRADICTION" InvalidArgument "The request asks for a thing and its opposite.";
    REPEATED_ROLE "REPEATED_ROLE" InvalidArgument "A role is given twice.";
    REPEATED_ROW "REPEATED_ROW" InvalidArgument "An org and user stand in two rows of one bulk write.";
    END_IN_THE_PAST "END_IN_THE_PAST" InvalidArgument "A role cannot be given until a time that has passed.";
    TOO_MANY_ROLES "TOO_MANY_ROLES" InvalidArgument "A member of a SINGLE_ROLE project holds one role and at most one more that ends.";
    UNKNOWN_ALIAS "UNKNOWN_ALIAS" InvalidArgument "A list of aliases can only leave some of the present ones out.";
    INCOMPLETE_ORDER "INCOMPLETE_ORDER" InvalidArgument "An order of roles must name every role of the project.";
    NOT_CONFIRMED "NOT_CONFIRMED" InvalidArgument "To delete a project, `confirm` must repeat its key.";
    TOO_MANY_ROWS "TOO_MANY_ROWS" InvalidArgument "A bulk write or batch check has more rows than one call may have; send several.";
    PAGE_TOKEN_INVALID "PAGE_TOKEN_INVALID" InvalidArgument "The page token is none of ours, or was given for other arguments; begin with the first page.";
    REQUEST_ID_REUSED "REQUEST_ID_REUSED" InvalidArgument "The request id was used with another request in the last 24 hours.";
    MALFORMED_REQUEST "MALFORMED_REQUEST" InvalidArgument "The body is not the protobuf message that the method takes.";
    ROLE_DISABLED "ROLE_DISABLED" FailedPrecondition "The role is disabled in the org's role mapping and cannot be given there.";
    DEFAULT_ROLE_DISABLED "DEFAULT_ROLE_DISABLED" FailedPrecondition "The default role and the default owner role stay enabled in every role mapping.";
    DEFAULT_ROLE_UNSUITABLE "DEFAULT_ROLE_UNSUITABLE" FailedPrecondition "A default role is visible, enabled in every role mapping, and not deleted; name another first.";
    ROLE_IN_USE "ROLE_IN_USE" FailedPrecondition "Whether a role is internal changes only while nobody holds it.";
    REPLACEMENT_DISABLED "REPLACEMENT_DISABLED" FailedPrecondition "The replacement of a deleted role is disabled where members would get it.";
    REPLACEMENT_UNSUITABLE "REPLACEMENT_UNSUITABLE" FailedPrecondition "An internal role is replaced by an internal one, a visible by a visible.";
    ROLES_WOULD_BE_DISABLED "ROLES_WOULD_BE_DISABLED" FailedPrecondition "Members hold roles that would be disabled for them; say in `on_disabled` what becomes of them.";
    DEFAULT_ROLE_MAPPING "DEFAULT_ROLE_MAPPING" FailedPrecondition "The default role mapping cannot be deleted; promote another first.";
    ROLE_MAPPING_IN_USE "ROLE_MAPPING_IN_USE" FailedPrecondition "Orgs are subscribed to the role mapping; say where to move them.";
    LAST_OWNER "LAST_OWNER" FailedPrecondition "An org that keeps other members would lose its last owner; give the role to somebody else, or say `allow_ownerless`.";
    BUILT_IN "BUILT_IN" FailedPrecondition "A built-in permission can be neither renamed nor deleted.";
    PROJECT_HAS_ORGS "PROJECT_HAS_ORGS" FailedPrecondition "The project has orgs; delete them first, or say `force`.";
    PROJECT_PERMANENT "PROJECT_PERMANENT" FailedPrecondition "The projects `default` and `workspace` cannot be deleted.";
    ETAG_MISMATCH "ETAG_MISMATCH" Aborted "It has changed since it was read; read it again.";
    REVISION_OF_ANOTHER_HISTORY "REVISION_OF_ANOTHER_HISTORY" FailedPrecondition "The revision is of another store, or the store was restored since; read again without it.";
    LIMIT_EXCEEDED "LIMIT_EXCEEDED" ResourceExhausted "The project would hold more than its limit; QuotaFailure names it.";
    REQUEST_TOO_LARGE "REQUEST_TOO_LARGE" ResourceExhausted "The request has more bytes than the method takes.";
    OVERLOADED "OVERLOADED" ResourceExhausted "Too many writes are waiting; RetryInfo says when to come back.";
    REVISION_NOT_REACHED "REVISION_NOT_REACHED" Unavailable "This server did not reach the revision in time; ask again.";
    DATABASE_UNAVAILABLE "DATABASE_UNAVAILABLE" Unavailable "The database does not answer; checks without `latest` go on.";
    OUTCOME_UNKNOWN "OUTCOME_UNKNOWN" Unavailable "The database did not say whether the write was stored; repeat it with the same request id.";
    DEADLINE_PASSED "DEADLINE_PASSED" DeadlineExceeded "The call's deadline passed. A write may have been stored: repeat it with the same request id.";
    UNKNOWN_METHOD "UNKNOWN_METHOD" Unimplemented "There is no such method; `grpcurl list` names those there are.";
    CALL_FAILED "CALL_FAILED" Unknown "The call was refused before it reached a method; the code and the message say why.";
    INTERNAL "INTERNAL" Internal "A bug. Please report it with the message and what the server logged.";
}

fn row(reason: Reason) -> &'static Row {
    match reason {
        Reason::ProjectNotFound => &PROJECT_NOT_FOUND,
        Reason::PermissionNotFound => &PERMISSION_NOT_FOUND,
        Reason::RoleNotFound => &ROLE_NOT_FOUND,
        Reason::RoleMappingNotFound => &ROLE_MAPPING_NOT_FOUND,
        Reason::OrgNotFound => &ORG_NOT_FOUND,
        Reason::MemberNotFound => &MEMBER_NOT_FOUND,
        Reason::ProjectAlreadyExists => &PROJECT_ALREADY_EXISTS,
        Reason::PermissionAlreadyExists => &PERMISSION_ALREADY_EXISTS,
        Reason::RoleAlreadyExists => &ROLE_ALREADY_EXISTS,
        Reason::RoleMappingAlreadyExists => &ROLE_MAPPING_ALREADY_EXISTS,
        Reason::OrgAlreadyExists => &ORG_ALREADY_EXISTS,
        Reason::MemberAlreadyExists => &MEMBER_ALREADY_EXISTS,
        Reason::OrgIdRetired => &ORG_ID_RETIRED,
        Reason::ProjectKeyRetired => &PROJECT_KEY_RETIRED,
        Reason::UnknownAlias => &UNKNOWN_ALIAS,
        Reason::EtagMismatch => &ETAG_MISMATCH,
        Reason::NotConfirmed => &NOT_CONFIRMED,
        Reason::ProjectHasOrgs => &PROJECT_HAS_ORGS,
        Reason::ProjectPermanent => &PROJECT_PERMANENT,
        Reason::BuiltIn => &BUILT_IN,
        Reason::DefaultRoleUnsuitable => &DEFAULT_ROLE_UNSUITABLE,
        Reason::RoleInUse => &ROLE_IN_USE,
        Reason::IncompleteOrder => &INCOMPLETE_ORDER,
        Reason::ReplacementDisabled => &REPLACEMENT_DISABLED,
        Reason::ReplacementUnsuitable => &REPLACEMENT_UNSUITABLE,
        Reason::DefaultRoleMapping => &DEFAULT_ROLE_MAPPING,
        Reason::RoleMappingInUse => &ROLE_MAPPING_IN_USE,
        Reason::RolesWouldBeDisabled => &ROLES_WOULD_BE_DISABLED,
        Reason::LastOwner => &LAST_OWNER,
        Reason::ReservedName => &RESERVED_NAME,
        Reason::LimitExceeded => &LIMIT_EXCEEDED,
        Reason::Contradiction => &CONTRADICTION,
        Reason::DefaultRoleDisabled => &DEFAULT_ROLE_DISABLED,
        Reason::RoleDisabled => &ROLE_DISABLED,
        Reason::RepeatedRole => &REPEATED_ROLE,
        Reason::EndInThePast => &END_IN_THE_PAST,
        Reason::TooManyRoles => &TOO_MANY_ROLES,
        Reason::RepeatedRow => &REPEATED_ROW,
        Reason::RequestIdReused => &REQUEST_ID_REUSED,
        Reason::Internal => &INTERNAL,
    }
}

/// How a bulk request names its rows, so that a violation can: `rows[3].add.`.
pub type RowPath<'a> = &'a (dyn Fn(usize) -> String + Sync);

/// For requests without rows.
pub fn no_rows(_: usize) -> String {
    String::new()
}

/// Says which known name an unknown one was perhaps meant to be.
pub type Suggest<'a> = &'a mut dyn FnMut(Noun, &str) -> Option<String>;

/// A write that was not done.
pub fn failed(failure: Failure, row_path: RowPath<'_>, suggest: Suggest<'_>) -> Status {
    match failure {
        Failure::Refused(refusal) => explained(&refusal, row_path, suggest),
        Failure::Overloaded => {
            let mut details = info(&OVERLOADED, []);
            details.set_retry_info(Some(Duration::from_millis(500)));
            Status::with_error_details(OVERLOADED.code, failure.to_string(), details)
        }
        Failure::Unavailable | Failure::Stopping => plain(&DATABASE_UNAVAILABLE, failure.to_string()),
        Failure::OutcomeUnknown => plain(&OUTCOME_UNKNOWN, failure.to_string()),
    }
}

/// A command that was refused.
pub fn refused(refusal: &Refusal, row_path: RowPath<'_>) -> Status {
    explained(refusal, row_path, &mut |_, _| None)
}

/// A command that was refused, with what the caller perhaps meant.
fn explained(refusal: &Refusal, row_path: RowPath<'_>, suggest: Suggest<'_>) -> Status {
    let row = row(refusal.reason());
    let mut metadata = HashMap::from([("rule".to_string(), refusal.rule().to_string())]);
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
                let path = row_path(*number);
                bytes += path.len() + description.len();
                if at > 0 && bytes > VIOLATIONS_BYTES_MAX {
                    break;
                }
                violation(&mut details, refusal, &path, description);
                if at == 0 {
                    first = suggestion;
                }
            }
            first
        }
        refusal => {
            let suggestion = meant(refusal);
            violation(&mut details, refusal, "", asking(refusal.to_string(), suggestion.as_deref()));
            suggestion
        }
    };
    let message = asking(refusal.to_string(), suggestion.as_deref());
    metadata.extend(suggestion.map(|suggestion| ("suggestion".to_string(), suggestion)));
    details.set_error_info(row.reason, DOMAIN, metadata);
    Status::with_error_details(row.code, message, details)
}

/// The message that asks for what was perhaps meant.
fn asking(message: String, suggestion: Option<&str>) -> String {
    match suggestion {
        Some(name) => format!("{message}; did you mean `{name}`?"),
        None => message,
    }
}

/// Adds what is wrong to the details, in the message that the code asks for.
fn violation(details: &mut ErrorDetails, refusal: &Refusal, path: &str, description: String) {
    let row = row(refusal.reason());
    let subject = if path.is_empty() { String::new() } else { path.trim_end_matches('.').to_string() };
    match refusal {
        Refusal::NotFound(noun, name)
        | Refusal::AlreadyExists(noun, name)
        | Refusal::AliasOf { noun, name, .. }
        | Refusal::Retired(noun, name) => {
            // There is one ResourceInfo: of several rows it names the first, as the message does.
            if details.resource_info().is_none() {
                details.set_resource_info(resource(*noun), name.clone(), "", description.clone());
            }
            if !path.is_empty() {
                details.add_bad_request_violation(subject, description);
            }
        }
        Refusal::LimitExceeded { limit, max, asked } => {
            let place = if subject.is_empty() { String::new() } else { format!("`{subject}`: ") };
            details.add_quota_failure_violation(*limit, format!("{place}{asked} asked for, {max} allowed"));
        }
        refusal if row.code == Code::FailedPrecondition => {
            let subject = if subject.is_empty() { precondition_subject(refusal) } else { subject };
            details.add_precondition_failure_violation(row.reason, subject, description);
        }
        refusal => {
            details.add_bad_request_violation(format!("{path}{}", field(refusal)), description);
        }
    }
}

/// The request field that a refused value stood in.
fn field(refusal: &Refusal) -> String {
    match refusal {
        Refusal::RepeatedRole { at, .. } => format!("roles[{at}].role"),
        Refusal::EndInThePast { at, .. } => format!("roles[{at}].expire_time"),
        Refusal::TooManyRoles { .. } => "roles".into(),
        Refusal::ReservedName { reserved: crate::domain::project::WORKSPACE } => "key".into(),
        Refusal::ReservedName { .. } => "name".into(),
        Refusal::EnabledAndDisabled { .. } => "disable_roles".into(),
        Refusal::AddedAndRemoved { .. } => "edits".into(),
        Refusal::RequestIdReused(_) => "request_id".into(),
        _ => String::new(),
    }
}

fn precondition_subject(refusal: &Refusal) -> String {
    match refusal {
        Refusal::RoleDisabled { role, role_mapping } => format!("role_mappings/{role_mapping}/roles/{role}"),
        Refusal::DefaultRoleDisabled { role } => format!("roles/{role}"),
        _ => String::new(),
    }
}

fn resource(noun: Noun) -> &'static str {
    match noun {
        Noun::Project => "rolecall.v1.Project",
        Noun::Permission => "rolecall.v1.Permission",
        Noun::Role => "rolecall.v1.Role",
        Noun::RoleMapping => "rolecall.v1.RoleMapping",
        Noun::Org => "rolecall.v1.Org",
        Noun::Member => "rolecall.v1.Member",
    }
}

/// A read that found nothing, or no database.
pub fn read(error: ReadError, suggest: Suggest<'_>) -> Status {
    match error {
        ReadError::NotFound(noun, name) => explained(&Refusal::NotFound(noun, name), &no_rows, suggest),
        ReadError::Store(error) => unavailable(&error),
    }
}

/// The database did not answer a read. The cause is logged, not sent.
pub fn unavailable(error: &StoreError) -> Status {
    tracing::warn!(%error, "a read failed");
    plain(&DATABASE_UNAVAILABLE, "the database does not answer; try again in a moment")
}

/// A revision that this store cannot answer at.
pub fn behind(behind: Behind) -> Status {
    let mut details = info(&REVISION_OF_ANOTHER_HISTORY, []);
    details.add_precondition_failure_violation(REVISION_OF_ANOTHER_HISTORY.reason, "revision", behind.to_string());
    Status::with_error_details(REVISION_OF_ANOTHER_HISTORY.code, behind.to_string(), details)
}

/// A field that was refused at the door.
pub fn invalid(field: impl Into<String>, why: impl std::fmt::Display) -> Status {
    violated(&INVALID_FIELD, field.into(), why.to_string())
}

/// More rows than one call may have (P7).
pub fn too_many_rows(field: &str, max: usize, asked: usize) -> Status {
    violated(&TOO_MANY_ROWS, field.into(), format!("at most {max} rows a call; {asked} were sent"))
}

/// More fields than a request may have; found before the request is read, so that none is named.
pub fn too_many_fields(max: usize) -> Status {
    let why = format!("the request has more than {max} fields, such as rows, items or names; send several");
    violated(&TOO_MANY_ROWS, String::new(), why)
}

/// A page token that is none of ours or was given for other arguments.
pub fn page_token() -> Status {
    let why = "the page token is none of ours, or was given for other arguments; begin with the first page";
    violated(&PAGE_TOKEN_INVALID, "page_token".into(), why.into())
}

/// A body that is not the message that the method takes.
pub fn malformed(why: &str) -> Status {
    violated(&MALFORMED_REQUEST, String::new(), format!("the request is malformed: {why}"))
}

/// A request with more bytes than the method takes; `why` names both numbers.
pub fn too_large(why: &str) -> Status {
    let mut details = info(&REQUEST_TOO_LARGE, []);
    details.add_quota_failure_violation("request_bytes", why);
    Status::with_error_details(REQUEST_TOO_LARGE.code, why, details)
}

/// A status that needs no details but its reason.
pub fn plain(row: &Row, message: impl Into<String>) -> Status {
    Status::with_error_details(row.code, message, info(row, []))
}

fn violated(row: &Row, field: String, why: String) -> Status {
    let mut details = info(row, []);
    details.add_bad_request_violation(field.clone(), why.clone());
    let message = if field.is_empty() { why } else { format!("`{field}` {why}") };
    Status::with_error_details(row.code, message, details)
}

fn info<const N: usize>(row: &Row, metadata: [(&str, String); N]) -> ErrorDetails {
    let metadata: HashMap<String, String> = metadata.into_iter().map(|(key, value)| (key.into(), value)).collect();
    ErrorDetails::with_error_info(row.reason, DOMAIN, metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_in_the_table_once_and_in_upper_snake() {
        let mut seen = std::collections::BTreeSet::new();
        for row in TABLE {
            assert!(seen.insert(row.reason), "{} twice", row.reason);
            assert!(row.reason.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{}", row.reason);
            assert!(row.code != Code::Ok && row.meaning.ends_with('.'), "{}", row.reason);
        }
    }

    #[test]
    fn a_refused_row_is_named_by_its_path() {
        let role = crate::domain::RoleName::stored("Ghost");
        let rows = vec![(3, Refusal::RepeatedRole { at: 1, role })];
        let status = refused(&Refusal::Rows { rows, total: 1 }, &|row| format!("rows[{row}].add."));
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
        let status = explained(&refusal, &|row| format!("rows[{row}].add."), &mut |_, _| Some(name(99)));
        let bytes: usize = status
            .clone()
            .into_http::<()>()
            .headers()
            .iter()
            .map(|(key, value)| key.as_str().len() + value.len() + 32)
            .sum();
        assert!(bytes < 8 * 1_024, "{bytes} bytes of headers");
        let details = status.get_error_details();
        assert_eq!(details.resource_info().unwrap().resource_name, name(0));
        let violations = &details.bad_request().unwrap().field_violations;
        assert!((2..20).contains(&violations.len()), "{}", violations.len());
        assert_eq!(details.error_info().unwrap().metadata["rows_total"], "500");
    }
}
