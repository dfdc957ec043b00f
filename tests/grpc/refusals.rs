//! Assertions on errors: the code, the reason, and the details that belong to the code.

use std::fmt::Debug;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The code of every reason. It is written by hand, because clients rely on them and none may change unnoticed.
pub const REASONS: &[(&str, Code)] = &[
    ("PROJECT_NOT_FOUND", Code::NotFound),
    ("PERMISSION_NOT_FOUND", Code::NotFound),
    ("ROLE_NOT_FOUND", Code::NotFound),
    ("ROLE_MAPPING_NOT_FOUND", Code::NotFound),
    ("ORG_NOT_FOUND", Code::NotFound),
    ("MEMBER_NOT_FOUND", Code::NotFound),
    ("PROJECT_ALREADY_EXISTS", Code::AlreadyExists),
    ("PERMISSION_ALREADY_EXISTS", Code::AlreadyExists),
    ("ROLE_ALREADY_EXISTS", Code::AlreadyExists),
    ("ROLE_MAPPING_ALREADY_EXISTS", Code::AlreadyExists),
    ("ORG_ALREADY_EXISTS", Code::AlreadyExists),
    ("MEMBER_ALREADY_EXISTS", Code::AlreadyExists),
    ("ORG_ID_RETIRED", Code::AlreadyExists),
    ("PROJECT_KEY_RETIRED", Code::AlreadyExists),
    ("INVALID_FIELD", Code::InvalidArgument),
    ("RESERVED_NAME", Code::InvalidArgument),
    ("CONTRADICTION", Code::InvalidArgument),
    ("REPEATED_ROLE", Code::InvalidArgument),
    ("REPEATED_ROW", Code::InvalidArgument),
    ("END_IN_THE_PAST", Code::InvalidArgument),
    ("TOO_MANY_ROLES", Code::InvalidArgument),
    ("UNKNOWN_ALIAS", Code::InvalidArgument),
    ("INCOMPLETE_ORDER", Code::InvalidArgument),
    ("NOT_CONFIRMED", Code::InvalidArgument),
    ("TOO_MANY_ROWS", Code::InvalidArgument),
    ("PAGE_TOKEN_INVALID", Code::InvalidArgument),
    ("REQUEST_ID_REUSED", Code::InvalidArgument),
    ("MALFORMED_REQUEST", Code::InvalidArgument),
    ("ROLE_DISABLED", Code::FailedPrecondition),
    ("DEFAULT_ROLE_DISABLED", Code::FailedPrecondition),
    ("DEFAULT_ROLE_UNSUITABLE", Code::FailedPrecondition),
    ("WRONG_ROLE_STRUCTURE", Code::FailedPrecondition),
    ("ROLE_IN_USE", Code::FailedPrecondition),
    ("REPLACEMENT_DISABLED", Code::FailedPrecondition),
    ("REPLACEMENT_UNSUITABLE", Code::FailedPrecondition),
    ("ROLES_WOULD_BE_DISABLED", Code::FailedPrecondition),
    ("DEFAULT_ROLE_MAPPING", Code::FailedPrecondition),
    ("ROLE_MAPPING_IN_USE", Code::FailedPrecondition),
    ("LAST_OWNER", Code::FailedPrecondition),
    ("USER_NOT_AVAILABLE", Code::FailedPrecondition),
    ("BUILT_IN", Code::FailedPrecondition),
    ("PROJECT_HAS_ORGS", Code::FailedPrecondition),
    ("PROJECT_PERMANENT", Code::FailedPrecondition),
    ("ETAG_MISMATCH", Code::Aborted),
    ("IMPACT_CHANGED", Code::Aborted),
    ("ACTING_USER_NOT_A_MEMBER", Code::PermissionDenied),
    ("ACTING_USER_MISSING_PERMISSION", Code::PermissionDenied),
    ("ROLE_OUT_OF_SCOPE", Code::PermissionDenied),
    ("OUTLASTS_GRANTER", Code::PermissionDenied),
    ("VIEWER_NOT_A_MEMBER", Code::PermissionDenied),
    ("VIEWER_MISSING_PERMISSION", Code::PermissionDenied),
    ("REVISION_OF_ANOTHER_HISTORY", Code::FailedPrecondition),
    ("LIMIT_EXCEEDED", Code::ResourceExhausted),
    ("REQUEST_TOO_LARGE", Code::ResourceExhausted),
    ("OVERLOADED", Code::ResourceExhausted),
    ("REVISION_NOT_REACHED", Code::Unavailable),
    ("DATABASE_UNAVAILABLE", Code::Unavailable),
    ("OUTCOME_UNKNOWN", Code::Unavailable),
    ("DEADLINE_PASSED", Code::DeadlineExceeded),
    ("UNKNOWN_METHOD", Code::Unimplemented),
    ("CALL_FAILED", Code::Unknown),
    ("INTERNAL", Code::Internal),
    ("ACTING_USER_BLOCKED", Code::PermissionDenied),
    ("VIEWER_BLOCKED", Code::PermissionDenied),
    ("INVITATION_NOT_FOUND", Code::NotFound),
    ("INVITATION_ALREADY_EXISTS", Code::AlreadyExists),
    ("INVITATION_NOT_PENDING", Code::FailedPrecondition),
    ("INVITATION_EXPIRED", Code::FailedPrecondition),
    ("INVITER_MAY_NOT", Code::FailedPrecondition),
    ("EMAIL_MISMATCH", Code::FailedPrecondition),
    ("INVITATION_EXPIRY_TOO_LATE", Code::InvalidArgument),
    ("EMAIL_NOT_VERIFIED", Code::FailedPrecondition),
    ("DOMAIN_NOT_LISTED", Code::FailedPrecondition),
    ("DOMAIN_NOT_VERIFIED", Code::FailedPrecondition),
    ("NO_ENABLED_ROLE", Code::FailedPrecondition),
    ("REMOVED_BEFORE", Code::FailedPrecondition),
    ("PUBLIC_DOMAIN", Code::InvalidArgument),
    ("ROLE_INTERNAL", Code::FailedPrecondition),
    ("ORG_DOMAIN_NOT_FOUND", Code::NotFound),
    ("REPEATED_DOMAIN", Code::InvalidArgument),
    ("API_KEY_NOT_FOUND", Code::NotFound),
    ("API_KEY_ENVIRONMENT", Code::PermissionDenied),
    ("WORKSPACE_FIXED", Code::FailedPrecondition),
    ("EXCEEDS_CALLER", Code::PermissionDenied),
    ("CREDENTIALS_MISSING", Code::Unauthenticated),
    ("CREDENTIALS_MALFORMED", Code::Unauthenticated),
    ("API_KEY_UNKNOWN", Code::Unauthenticated),
    ("API_KEY_ARCHIVED", Code::Unauthenticated),
    ("API_KEY_EXPIRED", Code::Unauthenticated),
    ("TOKEN_INVALID", Code::Unauthenticated),
    ("OPERATOR_UNKNOWN", Code::Unauthenticated),
    ("OPERATOR_PERMISSION_MISSING", Code::PermissionDenied),
    ("API_KEY_SCOPE", Code::PermissionDenied),
    ("CALLER_TOO_FAST", Code::ResourceExhausted),
    ("REVISION_TOO_OLD", Code::FailedPrecondition),
    ("SIDECAR_READ_ONLY", Code::FailedPrecondition),
    ("STATE_TOO_OLD", Code::Unavailable),
    ("UPSTREAM_UNAVAILABLE", Code::Unavailable),
    ("UID_NOT_ALLOWED", Code::PermissionDenied),
];

/// An error with its details.
#[derive(Debug)]
pub struct Refused {
    pub message: String,
    pub details: ErrorDetails,
}

/// Reads the details of an error, and asserts that they belong to its reason.
pub trait Details {
    fn reason(&self) -> String;
    /// Returns an entry of the metadata of ErrorInfo. An absent one is empty.
    fn detail(&self, key: &str) -> String;
    /// Returns the request fields that BadRequest names.
    fn fields(&self) -> Vec<String>;
}

impl Details for Status {
    fn reason(&self) -> String {
        let reason = self.get_details_error_info().expect("ErrorInfo").reason;
        explained(self, &reason);
        reason
    }

    fn detail(&self, key: &str) -> String {
        explained(self, &self.reason()).metadata(key).into()
    }

    fn fields(&self) -> Vec<String> {
        explained(self, &self.reason()).fields().into_iter().map(String::from).collect()
    }
}

/// Asserts that a response is an error with this reason.
#[track_caller]
pub fn refused<T: Debug>(answer: Result<T, Status>, reason: &str) -> Refused {
    match answer {
        Ok(answer) => panic!("not {reason} but {answer:?}"),
        Err(status) => explained(&status, reason),
    }
}

/// Asserts that an error has this reason and the details that belong to its code.
#[track_caller]
pub fn explained(status: &Status, reason: &str) -> Refused {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("{status:?} has no ErrorInfo"));
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "rolecall"), "{status:?}");
    assert!(!status.message().is_empty(), "{reason} has no message");
    let &(_, code) = REASONS.iter().find(|(other, _)| *other == reason).expect("every reason is in REASONS");
    // An error of tonic itself keeps tonic's code.
    if reason != "CALL_FAILED" {
        assert_eq!(status.code(), code, "{status:?}");
        has_the_details_of(code, &details, reason);
    }
    Refused { message: status.message().into(), details }
}

#[track_caller]
fn has_the_details_of(code: Code, details: &ErrorDetails, reason: &str) {
    match code {
        Code::InvalidArgument => {
            let violations = &details.bad_request().expect("BadRequest").field_violations;
            assert!(!violations.is_empty() && violations.iter().all(|violation| !violation.description.is_empty()));
        }
        Code::FailedPrecondition => {
            let violations = &details.precondition_failure().expect("PreconditionFailure").violations;
            assert!(!violations.is_empty(), "{reason}");
            for violation in violations {
                assert!(!violation.subject.is_empty() && !violation.description.is_empty(), "{violation:?}");
            }
        }
        Code::NotFound | Code::AlreadyExists => {
            let resource = details.resource_info().expect("ResourceInfo");
            assert!(resource.resource_type.starts_with("rolecall.v1.") && !resource.resource_name.is_empty());
        }
        Code::ResourceExhausted if ["OVERLOADED", "CALLER_TOO_FAST"].contains(&reason) => {
            assert!(details.retry_info().expect("RetryInfo").retry_delay.is_some());
        }
        Code::ResourceExhausted => {
            let violations = &details.quota_failure().expect("QuotaFailure").violations;
            assert!(!violations.is_empty() && violations.iter().all(|violation| !violation.subject.is_empty()));
        }
        _ => {}
    }
}

impl Refused {
    /// Returns the request fields that BadRequest names.
    pub fn fields(&self) -> Vec<&str> {
        let violations = self.details.bad_request().map(|details| &details.field_violations[..]).unwrap_or_default();
        violations.iter().map(|violation| violation.field.as_str()).collect()
    }

    /// Returns the subjects that PreconditionFailure names.
    pub fn subjects(&self) -> Vec<&str> {
        let violations = self.details.precondition_failure().map(|details| &details.violations[..]).unwrap_or_default();
        violations.iter().map(|violation| violation.subject.as_str()).collect()
    }

    /// Returns the limits that QuotaFailure names, with its descriptions.
    pub fn quotas(&self) -> Vec<(&str, &str)> {
        let violations = self.details.quota_failure().map(|details| &details.violations[..]).unwrap_or_default();
        violations.iter().map(|violation| (violation.subject.as_str(), violation.description.as_str())).collect()
    }

    /// Returns the type and the name in ResourceInfo.
    pub fn resource(&self) -> (&str, &str) {
        let resource = self.details.resource_info().expect("ResourceInfo");
        (&resource.resource_type, &resource.resource_name)
    }

    /// Returns an entry of the metadata of ErrorInfo. An absent one is empty.
    pub fn metadata(&self, key: &str) -> &str {
        self.details.error_info().and_then(|info| info.metadata.get(key)).map_or("", String::as_str)
    }
}
