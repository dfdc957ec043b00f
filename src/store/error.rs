//! What can go wrong between the service and its database.

use std::path::PathBuf;

use sea_orm::{DbErr, RuntimeErr, sqlx};

use crate::domain::model::refusal::Noun;
use crate::wire::change::UnknownChange;

/// A store that cannot be used, or a statement that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("`{0}` is no database url; write `sqlite://<path>` or `postgres://<user>@<host>/<database>`")]
    Url(String),
    #[error("a database in memory would be lost with the process; write `sqlite://<path>`")]
    InMemory,
    #[error("cannot open `{database}`: {cause}; check that it exists, can be reached, and may be written")]
    Open { database: String, cause: String },
    #[error("`{0}` is in use by another server; stop that one, or name another database")]
    InUse(PathBuf),
    #[error("the database was migrated by a newer release (migration `{0}`); upgrade this binary")]
    Newer(String),
    #[error("the database has no tables of a store yet; run `rolecall migrate` or `rolecall serve` on it")]
    Empty,
    #[error("the database holds {0}, which this release cannot read; restore a backup or upgrade this binary")]
    Unreadable(String),
    #[error("revision {found} was to be written after revision {head}; this is a bug, please report it")]
    OutOfOrder { head: u64, found: u64 },
    #[error("the database is at revision {head} and this server at {state}; the database lags or was restored")]
    Behind { head: u64, state: u64 },
    #[error("the database has another revision {state} than this server, which loads it again")]
    AnotherHistory { state: u64 },
    #[error("the database server is a standby; lead the connections of this server to the primary")]
    Standby,
    #[error("the database server has timeline {timeline}, a former primary; the newest one seen is {newest}")]
    OldTimeline { timeline: u32, newest: u32 },
    #[error("the changes of revision {0} are not complete in the database; restore them from a backup")]
    Incomplete(i64),
    #[error("the database failed: {0}; see its log and try again")]
    Database(#[from] DbErr),
}

/// Why the commits after a revision cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SinceError {
    #[error("the database holds another history than this server; reload the state")]
    Diverged,
    #[error("{0}")]
    UnknownChange(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{} `{}` does not exist", .0.word(), .1)]
    NotFound(Noun, String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbErr> for SinceError {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}

impl From<DbErr> for ReadError {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}

impl From<UnknownChange> for SinceError {
    fn from(error: UnknownChange) -> Self {
        Self::UnknownChange(error.to_string())
    }
}

impl StoreError {
    /// Returns true if the connection failed, not the statement. Another connection may succeed.
    pub(super) fn lost_connection(&self) -> bool {
        let Self::Database(error) = self else { return false };
        match driver_error(error) {
            Some(sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)) => true,
            Some(sqlx::Error::Database(error)) => error.code().is_some_and(|code| code.starts_with("57P")),
            _ => false,
        }
    }
}

/// Returns the error of the driver. `None` if the error is not the driver's.
pub(super) fn driver_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}
