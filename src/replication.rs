//! What sidecars and watchers are fed with: commits as they are made, and snapshots.

pub mod feed;
pub mod frames;
pub mod projects;
pub mod snapshot;

/// The version of `rolecall.replication.v1` that this release speaks.
pub const VERSION: u32 = 1;
