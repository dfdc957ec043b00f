//! Converts fields of requests to domain types. The modules below do not check them again.

use prost_types::Timestamp;
use tonic::Status;

use super::status;
use crate::domain::model::email::{EmailAddress, EmailDomain};
use crate::domain::model::name::{BadName, own_id};
use crate::domain::model::project::Environment;
use crate::domain::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, Time, UserId};
use crate::limits::{Limits, NAMES_MAX};
use crate::wire;

/// Returns the project of a request, not checked. Empty means `default` (P2).
pub fn project_or_default(text: &str) -> &str {
    if text.is_empty() { ProjectKey::DEFAULT } else { text }
}

/// Reads the project of a request. Empty means `default` (P2).
pub fn project(text: &str) -> Result<ProjectKey, Status> {
    named("project", project_or_default(text), ProjectKey::parse)
}

/// Reads a project key that may not be empty.
pub fn key(field: &str, text: &str) -> Result<ProjectKey, Status> {
    named(field, text, ProjectKey::parse)
}

pub fn org_id(text: &str) -> Result<OrgId, Status> {
    named("org_id", text, OrgId::parse)
}

pub fn user_id(text: &str) -> Result<UserId, Status> {
    user("user_id", text)
}

/// Reads an org id other than the field `org_id`.
pub fn org(field: &str, text: &str) -> Result<OrgId, Status> {
    named(field, text, OrgId::parse)
}

/// Reads a user id other than the field `user_id`.
pub fn user(field: &str, text: &str) -> Result<UserId, Status> {
    named(field, text, UserId::parse)
}

/// Reads the viewer of a read (I2). `None` sees everything.
pub fn viewer(text: &str) -> Result<Option<UserId>, Status> {
    optional(text, |text| user("viewer_user_id", text))
}

/// Reads whether a write may leave an org without an owner (B3). A call with an acting user may not.
pub fn allow_ownerless(allowed: bool, acting_user_id: &str) -> Result<bool, Status> {
    if allowed && !acting_user_id.is_empty() {
        return Err(status::invalid("allow_ownerless", "must not be set together with `acting_user_id`"));
    }
    Ok(allowed)
}

/// Reads an e-mail address (V1).
pub fn email(text: &str) -> Result<EmailAddress, Status> {
    EmailAddress::parse(text).map_err(|why| status::invalid("email", why))
}

/// Reads an e-mail domain (J1).
pub fn email_domain(field: &str, text: &str) -> Result<EmailDomain, Status> {
    EmailDomain::parse(text).map_err(|why| status::invalid(field, why))
}

pub fn role(field: &str, text: &str) -> Result<RoleName, Status> {
    named(field, text, RoleName::parse)
}

pub fn role_mapping(field: &str, text: &str) -> Result<RoleMappingName, Status> {
    named(field, text, RoleMappingName::parse)
}

pub fn permission(field: &str, text: &str) -> Result<PermissionName, Status> {
    named(field, text, PermissionName::parse)
}

/// Reads the environment of a new project or API key.
pub fn environment(number: i32) -> Result<Environment, Status> {
    let why = "must be ENVIRONMENT_TEST or ENVIRONMENT_LIVE";
    named_environment(number).ok_or_else(|| status::invalid("environment", why))
}

/// `None` if a request names none.
pub fn named_environment(number: i32) -> Option<Environment> {
    match wire::Environment::try_from(number) {
        Ok(wire::Environment::Test) => Some(Environment::Test),
        Ok(wire::Environment::Live) => Some(Environment::Live),
        _ => None,
    }
}

/// Reads the etag of a write. `None` matches every etag (M9).
pub fn etag(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// Reads a field that may be empty.
pub fn optional<T>(text: &str, read: impl FnOnce(&str) -> Result<T, Status>) -> Result<Option<T>, Status> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

/// Reads a list of names. Errors name the element, as in `disabled_in[3]`.
pub fn names<T>(field: &str, texts: &[String], parse: fn(&str) -> Result<T, BadName>) -> Result<Vec<T>, Status> {
    let name = |(at, text): (usize, &String)| parse(text).map_err(|why| status::invalid(format!("{field}[{at}]"), why));
    texts.iter().enumerate().map(name).collect()
}

/// Reads the aliases that an update keeps (R3).
pub fn aliases<T>(field: &str, texts: &[String], parse: fn(&str) -> Result<T, BadName>) -> Result<Vec<T>, Status> {
    at_most(field, texts.len(), NAMES_MAX)?;
    names(field, texts, parse)
}

/// Reads free text. Refuses NUL, which PostgreSQL cannot store.
pub fn text(field: &str, text: &str, bytes_max: usize) -> Result<String, Status> {
    if text.len() > bytes_max {
        return Err(status::invalid(field, format!("must be at most {bytes_max} bytes of UTF-8")));
    }
    if text.contains('\0') {
        return Err(status::invalid(field, "must not contain NUL"));
    }
    Ok(text.to_owned())
}

/// Reads a timestamp.
pub fn time(field: &str, timestamp: &Timestamp) -> Result<Time, Status> {
    let valid = (-62_135_596_800..=253_402_300_799).contains(&timestamp.seconds)
        && (0..1_000_000_000).contains(&timestamp.nanos);
    if !valid {
        return Err(status::invalid(field, "must be between the years 1 and 9999"));
    }
    Ok(Time(timestamp.seconds * 1_000_000 + i64::from(timestamp.nanos) / 1_000))
}

/// Refuses more rows than one call may have (P7).
pub fn at_most(field: &str, rows: usize, max: usize) -> Result<(), Status> {
    if rows > max { Err(status::too_many_rows(field, max, rows)) } else { Ok(()) }
}

/// Returns the largest number of roles in a list: a project has no more.
pub fn roles_max(limits: &Limits) -> usize {
    usize::try_from(limits.roles).unwrap_or(usize::MAX)
}

/// Refuses no rows, and more than one call may have (P7).
pub fn bulk(field: &str, rows: usize, max: usize) -> Result<(), Status> {
    if rows == 0 { Err(status::invalid(field, "must not be empty")) } else { at_most(field, rows, max) }
}

/// Refuses malformed ids of a check.
pub fn own_ids<'a>(org_id: &str, user_id: &str) -> Result<(), (&'a str, BadName)> {
    own_id(org_id).map_err(|why| ("org_id", why))?;
    own_id(user_id).map_err(|why| ("user_id", why))
}

fn named<T>(field: &str, text: &str, parse: fn(&str) -> Result<T, BadName>) -> Result<T, Status> {
    parse(text).map_err(|why| status::invalid(field, why))
}
