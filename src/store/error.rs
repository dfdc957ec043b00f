//! What can go wrong between the service and its database.

use std::path::PathBuf;
use std::time::Duration;

use sea_orm::sqlx::sqlite::SqliteError;
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
    #[error("`{database}` cannot be used: {cause}")]
    Unsuitable { database: String, cause: String },
    #[error("no connection to the database: {0}")]
    NoConnection(String),
    #[error("the database did not answer within {0:?}")]
    NoAnswer(Duration),
    #[error("`{0}` is in use by another server; stop that one, or name another database")]
    InUse(PathBuf),
    #[error("`{0}` has several names (hard links), and each may have its own `-wal` file; keep one name")]
    HardLinks(PathBuf),
    #[error("`{0}` is a mount point, and its `-wal` file beside it would not be part of the mount; mount the folder")]
    MountPoint(PathBuf),
    #[error("`{0}` was removed or replaced while it was in use; put it back, or restart the server")]
    Replaced(PathBuf),
    #[error("the database was migrated by a newer release (migration `{0}`); upgrade this binary")]
    Newer(String),
    #[error("the tables must be created or altered, which this role may not do; run `rolecall migrate` as their owner")]
    MayNotMigrate,
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
    #[error("the database server is a standby; connect this server to the primary")]
    Standby,
    #[error("the database server has timeline {timeline}, a former primary; the newest one seen is {newest}")]
    FormerPrimary { timeline: String, newest: String },
    #[error("a snapshot for sidecars cannot be written: {0}; it goes to the folder for temporary files, see TMPDIR")]
    Snapshot(std::io::Error),
    #[error("the changes of revision {0} are not complete in the database; restore them from a backup")]
    Incomplete(i64),
    #[error("the database failed: {0}; correct the cause and try again")]
    Database(#[from] DbErr),
}

/// Why the commits after a revision cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SinceError {
    #[error("the database holds another history than this server, which loads it again; try again in a moment")]
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

/// What an error says about the database, and so what helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The database does not answer, or cannot answer now. Trying again may help.
    Away,
    /// A server that takes no writes, or goes away. Another connection may lead to another server.
    WrongServer,
    /// The statement itself failed. It fails again.
    Statement,
    /// The database has no space left.
    NoSpace,
}

impl StoreError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Database(error) => match (driver_error(error), error) {
                (Some(error), _) => class_of(error),
                (None, DbErr::Conn(_) | DbErr::ConnectionAcquire(_) | DbErr::Custom(_)) => ErrorClass::Away,
                (None, _) => ErrorClass::Statement,
            },
            Self::Newer(_) | Self::Unreadable(_) | Self::Incomplete(_) | Self::OutOfOrder { .. } => {
                ErrorClass::Statement
            }
            Self::Standby | Self::FormerPrimary { .. } | Self::NoAnswer(_) => ErrorClass::WrongServer,
            _ => ErrorClass::Away,
        }
    }

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

/// Sorts an error of the driver.
pub(super) fn class_of(error: &sqlx::Error) -> ErrorClass {
    let error = match error {
        sqlx::Error::Database(error) => error,
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::Configuration(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => return ErrorClass::Away,
        _ => return ErrorClass::Statement,
    };
    let code = error.code().unwrap_or_default();
    match code.parse::<i32>() {
        Ok(code) if error.try_downcast_ref::<SqliteError>().is_some() => class_of_sqlite(code),
        _ => class_of_sqlstate(&code),
    }
}

/// Sorts a result code of SQLite. Its low byte is the primary code.
fn class_of_sqlite(code: i32) -> ErrorClass {
    match code & 0xff {
        13 => ErrorClass::NoSpace,
        // BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, CANTOPEN.
        5 | 6 | 7 | 9 | 10 | 14 => ErrorClass::Away,
        // PERM, READONLY: the file was replaced, or its permissions were changed.
        3 | 8 => ErrorClass::WrongServer,
        _ => ErrorClass::Statement,
    }
}

/// Sorts an error code of PostgreSQL, see its appendix "PostgreSQL Error Codes".
fn class_of_sqlstate(code: &str) -> ErrorClass {
    match code {
        "53100" => ErrorClass::NoSpace,
        // A read-only transaction; the server stops, crashed, or starts.
        "25006" | "57P01" | "57P02" | "57P03" => ErrorClass::WrongServer,
        // The database does not exist (yet).
        "3D000" => ErrorClass::Away,
        // Timeouts of a transaction or a lock.
        "25P03" | "25P04" | "55P03" => ErrorClass::Away,
        // Connection, credentials, rollback by the server, resources, intervention, system error.
        _ if ["08", "28", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => ErrorClass::Away,
        _ => ErrorClass::Statement,
    }
}

/// Returns true if the role lacks a privilege.
pub(super) fn is_forbidden(error: &DbErr) -> bool {
    matches!(driver_error(error), Some(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501"))
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
