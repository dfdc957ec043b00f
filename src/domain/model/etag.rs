//! Etags refuse a write whose caller read an older version (M9).

use crate::domain::model::refusal::Refusal;

/// Returns the etag of a version. Ids are never reused, so neither are etags.
pub fn etag(id: u32, version: u32) -> String {
    format!("{id:x}.{version:x}")
}

/// Refuses a write whose caller read another version. `None` accepts every version.
pub fn check(expected: Option<&str>, id: u32, version: u32) -> Result<(), Refusal> {
    match expected {
        Some(expected) if expected != etag(id, version) => Err(Refusal::EtagMismatch { now: etag(id, version) }),
        _ => Ok(()),
    }
}
