//! Converts between the numbers of tables, signed with 64 bits, and those of the domain.

use std::num::NonZeroU32;

use sha2::{Digest, Sha256};

use super::StoreError;
use crate::domain::collections::numbered::Numbered;
use crate::domain::model::id::RoleId;
use crate::domain::model::membership::Origin;
use crate::domain::model::project::{Environment, RoleStructure};
use crate::domain::{Revision, Time};

pub fn id<I: Numbered>(number: i64) -> Result<I, StoreError> {
    let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
    number.map(I::from_number).ok_or_else(|| unreadable("a number that is no id"))
}

pub fn number(id: impl Numbered) -> i64 {
    id.index() as i64
}

pub fn u32_of(number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| unreadable("a number that is too large"))
}

pub fn revision(number: i64, tag: i64, at: i64) -> Result<Revision, StoreError> {
    let number = u64::try_from(number).map_err(|_| unreadable("a negative revision"))?;
    Ok(Revision { number, tag: u32_of(tag)?, at: Time(at) })
}

/// Returns the digest of a commit's changes: the first 8 bytes of the SHA-256 of their number and their payloads, each after
/// its length.
pub fn changes_digest<'a>(payloads: impl ExactSizeIterator<Item = &'a [u8]>) -> i64 {
    let mut hash = Sha256::new_with_prefix((payloads.len() as u64).to_be_bytes());
    for payload in payloads {
        hash.update((payload.len() as u64).to_be_bytes());
        hash.update(payload);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// No store reaches 2^63 commits.
pub fn revision_number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub fn environment(number: i16) -> Result<Environment, StoreError> {
    match number {
        1 => Ok(Environment::Test),
        2 => Ok(Environment::Live),
        _ => Err(unreadable("an unknown environment")),
    }
}

pub fn environment_number(environment: Environment) -> i16 {
    match environment {
        Environment::Test => 1,
        Environment::Live => 2,
    }
}

pub fn role_structure(number: i16) -> Result<RoleStructure, StoreError> {
    match number {
        1 => Ok(RoleStructure::SingleRole),
        2 => Ok(RoleStructure::MultiRole),
        _ => Err(unreadable("an unknown role structure")),
    }
}

pub fn role_structure_number(structure: RoleStructure) -> i16 {
    match structure {
        RoleStructure::SingleRole => 1,
        RoleStructure::MultiRole => 2,
    }
}

pub fn origin(number: i16) -> Result<Origin, StoreError> {
    let origin = u8::try_from(number).ok().and_then(Origin::from_number);
    origin.ok_or_else(|| unreadable("an unknown origin of a membership"))
}

/// Returns the numbers of roles as a text, as in `1,7`.
pub fn roles_text(roles: &[RoleId]) -> String {
    roles.iter().map(|role| role.number().to_string()).collect::<Vec<_>>().join(",")
}

/// Reads what [`roles_text`] returns.
pub fn roles(text: &str) -> Result<Vec<RoleId>, StoreError> {
    let number = |text: &str| text.parse().map_err(|_| unreadable("a role that is no number")).and_then(id);
    text.split(',').filter(|text| !text.is_empty()).map(number).collect()
}

pub fn unreadable(what: &str) -> StoreError {
    StoreError::Unreadable(what.into())
}
