//! What sidecars and watchers are fed with: commits as they are made, and snapshots.

pub mod feed;
pub mod frames;
pub mod projects;
pub mod snapshot;

use crate::domain::{Revision, Time};
use crate::wire::replication::Revision as WireRevision;

/// The version of `rolecall.replication.v1` that this release speaks.
pub const VERSION: u32 = 1;

pub fn wire_revision(store_id: u32, revision: Revision) -> WireRevision {
    WireRevision { store_id, number: revision.number, tag: revision.tag, time_micros: revision.at.0 }
}

/// Returns the revision without its store.
pub fn read_revision(revision: &WireRevision) -> Revision {
    Revision { number: revision.number, tag: revision.tag, at: Time(revision.time_micros) }
}
