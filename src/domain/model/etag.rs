//! Etags: what a caller read is still what is there (M9).

use crate::domain::model::refusal::Refusal;

/// The etag of a thing that was changed so often. Ids are never given twice, so neither is an etag.
pub fn etag(id: u32, version: u32) -> String {
    format!("{id:x}.{version:x}")
}

/// Refuses a write whose caller read another version. None: the caller does not mind.
pub fn fits(named: Option<&str>, id: u32, version: u32) -> Result<(), Refusal> {
    match named {
        Some(named) if named != etag(id, version) => Err(Refusal::EtagMismatch { now: etag(id, version) }),
        _ => Ok(()),
    }
}
