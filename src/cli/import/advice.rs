//! Says what to do about an error in terms of an import. Texts of the server and of `rolecall apply` name fields that an import
//! does not have.

use crate::cli::trouble::{Failed, Trouble};
use crate::wire::ErrorReason;

/// The ends of messages that say which field of the request to set.
const ABOUT_FIELDS: [&str; 2] = ["; set `", ", or set `"];

/// How `rolecall apply` goes on if only the project was created.
const OF_APPLY: &str = "; the project exists now";

const OF_FIELD: &str = "the message names the field of the request";
const CORRECT: &str = "correct the roles and permissions in the files, and run the import again";

/// Returns a message without advice to set a field of the request.
pub fn without_fields(message: &str) -> &str {
    let ends = ABOUT_FIELDS.iter().filter_map(|end| message.find(end));
    &message[..ends.min().unwrap_or(message.len())]
}

/// Returns an error of roles and role mappings, with what to do in an import.
pub fn of_configuration(trouble: Trouble) -> Trouble {
    let next = match reason(&trouble) {
        Some(ErrorReason::RolesWouldBeDisabled) => {
            "disable these roles first, with `rolecall apply` or UpdateRoleMapping and what happens to their holders, and \
             run the import again"
        }
        Some(ErrorReason::LastOwner) => {
            "give these orgs an owner with the new owner role first, and run the import again"
        }
        Some(ErrorReason::EtagMismatch | ErrorReason::ImpactChanged) => {
            "somebody else has changed the project or its members since the plan was made; run the import again"
        }
        Some(
            ErrorReason::RoleAlreadyExists
            | ErrorReason::PermissionAlreadyExists
            | ErrorReason::RoleMappingAlreadyExists,
        ) => "the project has the name in another case; rename it there or in the files",
        Some(
            ErrorReason::InvalidField
            | ErrorReason::TooManyRows
            | ErrorReason::RequestTooLarge
            | ErrorReason::LimitExceeded,
        ) => CORRECT,
        Some(_) => return of_write(trouble),
        // `rolecall apply` has checked a new project without a server.
        None if trouble.next == OF_FIELD => CORRECT,
        None => return trouble,
    };
    Trouble { what: without_fields(&trouble.what).into(), next: next.into() }
}

/// Returns an error of a write. Says that the import continues when it is run again.
pub fn of_write(trouble: Trouble) -> Trouble {
    let next = match reason(&trouble) {
        Some(ErrorReason::InvalidField) => "correct the files",
        _ => trouble.next.split(OF_APPLY).next().unwrap_or_default().trim_end_matches('.'),
    };
    let next = format!("{}; run the import again to continue", without_fields(next));
    Trouble { what: without_fields(&trouble.what).into(), next }
}

/// Changes the trouble of a failure.
pub fn map(failed: Failed, change: fn(Trouble) -> Trouble) -> Failed {
    match failed {
        Failed::Refused(trouble) => Failed::Refused(change(trouble)),
        Failed::Question(trouble) => Failed::Question(change(trouble)),
        Failed::Server(what) => Failed::Server(what),
    }
}

/// Returns the reason of the server, which `what` begins with: `CODE REASON: message`. `None` if the server did not say it.
fn reason(trouble: &Trouble) -> Option<ErrorReason> {
    let (head, _) = trouble.what.split_once(": ")?;
    ErrorReason::from_str_name(head.split_once(' ')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do_in_an_import() {
        let owners = "FAILED_PRECONDITION LAST_OWNER: 1 org would be without an owner; make another member the owner there \
                      first, or set `allow_ownerless`";
        for (change, what, next, expected) in [
            (
                of_write as fn(Trouble) -> Trouble,
                "A B: c",
                "as it takes.",
                "as it takes; run the import again to continue",
            ),
            (
                of_write,
                "A INVALID_FIELD: c",
                "BadRequest names it.",
                "correct the files; run the import again to continue",
            ),
            (
                of_configuration,
                "A OPERATOR_PERMISSION_MISSING: c",
                "ask; the project exists now and is empty: apply again with --prune",
                "ask; run the import again to continue",
            ),
            (of_configuration, "`configuration.roles` must have at most 3 rows", OF_FIELD, CORRECT),
            (of_configuration, owners, "give --allow-ownerless", "with the new owner role first"),
            (of_configuration, "h:1 did not answer", "try again", "try again"),
        ] {
            let changed = change(Trouble::new(what, next));
            assert!(changed.next.contains(expected), "{changed:?}");
            assert!(!format!("{changed:?}").contains("ownerless"), "{changed:?}");
        }
    }
}
