//! Reads what callers write: a text becomes a checked name here, and is not checked again below.

use prost_types::Timestamp;
use tonic::Status;

use super::status;
use crate::domain::model::name::{BadName, own_id, permission_name};
use crate::domain::{OrgId, PermissionName, ProjectKey, RoleMappingName, RoleName, Time, UserId};
use crate::limits::{Limits, NAMES_MAX};

/// The project that a request names; an empty one means `default` (P2).
pub fn project(text: &str) -> Result<ProjectKey, Status> {
    if text.is_empty() { Ok(ProjectKey::default_project()) } else { named("project", text, ProjectKey::parse) }
}

/// The key of a project that must be named.
pub fn key(field: &str, text: &str) -> Result<ProjectKey, Status> {
    named(field, text, ProjectKey::parse)
}

pub fn org_id(text: &str) -> Result<OrgId, Status> {
    named("org_id", text, OrgId::parse)
}

pub fn user_id(text: &str) -> Result<UserId, Status> {
    user("user_id", text)
}

/// A user who is not the one that the request is about.
pub fn user(field: &str, text: &str) -> Result<UserId, Status> {
    named(field, text, UserId::parse)
}

/// The end user for whom a read is made (I2); none: all is seen.
pub fn viewer(text: &str) -> Result<Option<UserId>, Status> {
    optional(text, |text| user("viewer_user_id", text))
}

/// Whether a write may leave an org without an owner (B3); end users may not say so.
pub fn allow_ownerless(allowed: bool, acting_user_id: &str) -> Result<bool, Status> {
    if allowed && !acting_user_id.is_empty() {
        return Err(status::invalid("allow_ownerless", "must not be set together with `acting_user_id`"));
    }
    Ok(allowed)
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

/// The etag that a write names; empty means whatever it is now (M9).
pub fn etag(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// A name that may be left out.
pub fn optional<T>(text: &str, read: impl FnOnce(&str) -> Result<T, Status>) -> Result<Option<T>, Status> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

/// A list of names; what is wrong is named by its place, as in `disabled_in[3]`.
pub fn names<T>(field: &str, texts: &[String], parse: fn(&str) -> Result<T, BadName>) -> Result<Vec<T>, Status> {
    let name = |(at, text): (usize, &String)| parse(text).map_err(|why| status::invalid(format!("{field}[{at}]"), why));
    texts.iter().enumerate().map(name).collect()
}

/// The old names that an update keeps (R3).
pub fn aliases<T>(field: &str, texts: &[String], parse: fn(&str) -> Result<T, BadName>) -> Result<Vec<T>, Status> {
    at_most(field, texts.len(), NAMES_MAX)?;
    names(field, texts, parse)
}

/// A text that is only shown. PostgreSQL stores no NUL, so none is taken anywhere.
pub fn text(field: &str, text: &str, bytes_max: usize) -> Result<String, Status> {
    if text.len() > bytes_max {
        return Err(status::invalid(field, format!("must be at most {bytes_max} bytes of UTF-8")));
    }
    if text.contains('\0') {
        return Err(status::invalid(field, "must not contain NUL"));
    }
    Ok(text.to_owned())
}

/// An instant of a request.
pub fn time(field: &str, timestamp: &Timestamp) -> Result<Time, Status> {
    let valid = (-62_135_596_800..=253_402_300_799).contains(&timestamp.seconds)
        && (0..1_000_000_000).contains(&timestamp.nanos);
    if !valid {
        return Err(status::invalid(field, "must lie between the years 1 and 9999"));
    }
    Ok(Time(timestamp.seconds * 1_000_000 + i64::from(timestamp.nanos) / 1_000))
}

/// Refuses more rows than one call may have (P7).
pub fn at_most(field: &str, rows: usize, max: usize) -> Result<(), Status> {
    if rows > max { Err(status::too_many_rows(field, max, rows)) } else { Ok(()) }
}

/// As many roles as a list of them may name: a project has no more.
pub fn roles_max(limits: &Limits) -> usize {
    usize::try_from(limits.roles).unwrap_or(usize::MAX)
}

/// Refuses a bulk write without rows, and one with more than one call may have (P7).
pub fn bulk(field: &str, rows: usize, max: usize) -> Result<(), Status> {
    if rows == 0 { Err(status::invalid(field, "must not be empty")) } else { at_most(field, rows, max) }
}

/// What is wrong with a check, if anything: the field and why. Nothing is copied.
pub fn checked<'a>(org_id: &str, user_id: &str, permission: &str) -> Result<(), (&'a str, BadName)> {
    own_ids(org_id, user_id)?;
    permission_name(permission).map_err(|why| ("permission", why))
}

/// What is wrong with the ids of a check, if anything.
pub fn own_ids<'a>(org_id: &str, user_id: &str) -> Result<(), (&'a str, BadName)> {
    own_id(org_id).map_err(|why| ("org_id", why))?;
    own_id(user_id).map_err(|why| ("user_id", why))
}

fn named<T>(field: &str, text: &str, parse: fn(&str) -> Result<T, BadName>) -> Result<T, Status> {
    parse(text).map_err(|why| status::invalid(field, why))
}
