//! Backups: all rows of a store at one revision, in a file that both databases can be restored from.
//!
//! A file is a sequence of compressed blocks, each with a checksum: what the backup is of, then for each table its columns and
//! its rows, then the numbers of rows and a checksum of everything before. Only a whole file has that end.

mod blocks;
mod check;
mod restore;
mod row;
mod tables;
mod take;

use std::io;

use rolecall_migrations::{Migrator, MigratorTrait};
use serde::{Deserialize, Serialize};

use super::StoreError;
pub use check::check;

/// What a backup is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The release that wrote it.
    pub release: String,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// The migrations that had created its tables.
    pub migrations: Vec<String>,
    pub store_id: u32,
    pub revision: u64,
    /// Distinguishes this revision from one with the same number in another history.
    pub tag: u32,
    /// When the revision was committed, in microseconds since 1970.
    pub at: i64,
    /// When the backup was taken, in microseconds since 1970.
    pub taken_at: i64,
}

/// What a whole and undamaged backup holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    pub header: Header,
    pub tables: Vec<TableRows>,
    /// The size of the file.
    pub bytes: u64,
    /// The SHA-256 of the file without its last block, which holds it.
    pub checksum: [u8; 32],
}

/// The number of rows of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableRows {
    pub table: String,
    pub rows: u64,
}

/// Why a backup cannot be taken, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the backup cannot be written: {0}")]
    Write(io::Error),
    #[error("the backup cannot be read: {0}")]
    Read(io::Error),
    #[error("this is no backup; name a file that `rolecall backup` has written")]
    NotABackup,
    #[error("a newer release has written the backup (format {0}); restore it with that release")]
    Format(u32),
    #[error("the backup is cut off after {0} bytes; nothing was restored; use another backup")]
    Cut(u64),
    #[error("the backup is damaged at byte {0}; nothing was restored; use another backup")]
    Damaged(u64),
    #[error(
        "the backup is of rolecall {release}, which has other tables ({migrations}); restore it with that release, then run \
         `rolecall migrate` with this one"
    )]
    OtherTables { release: String, migrations: String },
    #[error("the database has the tables of an older release; run `rolecall migrate` first")]
    OlderTables,
    #[error(
        "the database is not empty: the table `{0}` has rows; a backup is restored into an empty database only; name a new one, \
         or delete what this one holds"
    )]
    NotEmpty(&'static str),
    #[error("the file was changed while it was restored; nothing was restored; try again")]
    Changed,
}

/// Returns the names of the migrations that create the tables of this release.
fn migrations() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().into()).collect()
}
