//! The table: every reason, its code and its meaning.

use tonic::Code;

use crate::domain::Reason;

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
    REPEATED_ROW "REPEATED_ROW" InvalidArgument "An org, or an org and user, stands in two rows of one bulk write.";
    END_IN_THE_PAST "END_IN_THE_PAST" InvalidArgument "A role cannot be given until a time that has passed.";
    TOO_MANY_ROLES "TOO_MANY_ROLES" InvalidArgument "A member of a SINGLE_ROLE project holds one role and at most one more that ends.";
    UNKNOWN_ALIAS "UNKNOWN_ALIAS" InvalidArgument "A list of aliases can only leave some of the present ones out.";
    INCOMPLETE_ORDER "INCOMPLETE_ORDER" InvalidArgument "An order of roles must name every role of the project.";
    NOT_CONFIRMED "NOT_CONFIRMED" InvalidArgument "To delete a project, `confirm` must repeat its key.";
    TOO_MANY_ROWS "TOO_MANY_ROWS" InvalidArgument "A bulk write or batch check has more rows than one call may have; send several.";
    PAGE_TOKEN_INVALID "PAGE_TOKEN_INVALID" InvalidArgument "The page token is none of ours, was given for other arguments, or what it was given for is gone or in another order; begin with the first page.";
    REQUEST_ID_REUSED "REQUEST_ID_REUSED" InvalidArgument "The request id was used with another request in the last 24 hours.";
    MALFORMED_REQUEST "MALFORMED_REQUEST" InvalidArgument "The body is not the protobuf message that the method takes.";
    ROLE_DISABLED "ROLE_DISABLED" FailedPrecondition "The role is disabled in the org's role mapping and cannot be given there.";
    DEFAULT_ROLE_DISABLED "DEFAULT_ROLE_DISABLED" FailedPrecondition "The default role and the default owner role stay enabled in every role mapping.";
    DEFAULT_ROLE_UNSUITABLE "DEFAULT_ROLE_UNSUITABLE" FailedPrecondition "A default role is visible, enabled in every role mapping, and not deleted; name another first.";
    WRONG_ROLE_STRUCTURE "WRONG_ROLE_STRUCTURE" FailedPrecondition "What is asked fits the other role structure, or the project has the one that it is to be converted to.";
    ROLE_IN_USE "ROLE_IN_USE" FailedPrecondition "Whether a role is internal changes only while nobody holds it.";
    REPLACEMENT_DISABLED "REPLACEMENT_DISABLED" FailedPrecondition "The replacement of a deleted role is disabled where members would get it.";
    REPLACEMENT_UNSUITABLE "REPLACEMENT_UNSUITABLE" FailedPrecondition "An internal role is replaced by an internal one, a visible by a visible.";
    ROLES_WOULD_BE_DISABLED "ROLES_WOULD_BE_DISABLED" FailedPrecondition "Members hold roles that would be disabled for them; say in `on_disabled` what becomes of them.";
    DEFAULT_ROLE_MAPPING "DEFAULT_ROLE_MAPPING" FailedPrecondition "The default role mapping cannot be deleted; promote another first.";
    ROLE_MAPPING_IN_USE "ROLE_MAPPING_IN_USE" FailedPrecondition "Orgs are subscribed to the role mapping; say where to move them.";
    LAST_OWNER "LAST_OWNER" FailedPrecondition "An org that keeps other members would lose its last owner; give the role to somebody else, or say `allow_ownerless`.";
    USER_NOT_AVAILABLE "USER_NOT_AVAILABLE" FailedPrecondition "This user cannot be given this now.";
    BUILT_IN "BUILT_IN" FailedPrecondition "A built-in permission can be neither renamed nor deleted.";
    PROJECT_HAS_ORGS "PROJECT_HAS_ORGS" FailedPrecondition "The project has orgs; delete them first, or say `force`.";
    PROJECT_PERMANENT "PROJECT_PERMANENT" FailedPrecondition "The project `default` cannot be deleted.";
    ETAG_MISMATCH "ETAG_MISMATCH" Aborted "It has changed since it was read; read it again.";
    IMPACT_CHANGED "IMPACT_CHANGED" Aborted "The write would do something else by now than what was shown; look at its impact again.";
    ACTING_USER_NOT_A_MEMBER "ACTING_USER_NOT_A_MEMBER" PermissionDenied "The end user on whose behalf it is written is not a member of the org.";
    ACTING_USER_MISSING_PERMISSION "ACTING_USER_MISSING_PERMISSION" PermissionDenied "No live role of the acting user grants the permission that the write needs; the metadata names it.";
    ROLE_OUT_OF_SCOPE "ROLE_OUT_OF_SCOPE" PermissionDenied "No live role of the acting user that grants the permission manages the role; the metadata names both.";
    OUTLASTS_GRANTER "OUTLASTS_GRANTER" PermissionDenied "The role would outlast the acting user's own by which it is given; the metadata says until when it can be given.";
    VIEWER_NOT_A_MEMBER "VIEWER_NOT_A_MEMBER" PermissionDenied "The end user for whom it is read is not a member of the org.";
    VIEWER_MISSING_PERMISSION "VIEWER_MISSING_PERMISSION" PermissionDenied "No live role of the end user grants the permission without which it sees only itself.";
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

/// The row of a reason that a refusal gives.
pub fn row(reason: Reason) -> &'static Row {
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
        Reason::WrongRoleStructure => &WRONG_ROLE_STRUCTURE,
        Reason::ImpactChanged => &IMPACT_CHANGED,
        Reason::ActingUserNotAMember => &ACTING_USER_NOT_A_MEMBER,
        Reason::ActingUserMissingPermission => &ACTING_USER_MISSING_PERMISSION,
        Reason::RoleOutOfScope => &ROLE_OUT_OF_SCOPE,
        Reason::OutlastsGranter => &OUTLASTS_GRANTER,
        Reason::UserNotAvailable => &USER_NOT_AVAILABLE,
        Reason::ViewerMissingPermission => &VIEWER_MISSING_PERMISSION,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_in_the_table_once_and_in_upper_snake() {
        let mut visibility = std::collections::BTreeSet::new();
        for row in TABLE {
            assert!(visibility.insert(row.reason), "{} twice", row.reason);
            assert!(row.reason.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{}", row.reason);
            assert!(row.code != Code::Ok && row.meaning.ends_with('.'), "{}", row.reason);
        }
    }
}
