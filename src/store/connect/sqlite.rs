//! Opens a SQLite file, and locks it, so that one server uses it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, DatabaseConnection};

use super::{ACQUIRE_TIMEOUT, Purpose, cause, shown};
use crate::store::StoreError;

/// How long SQLite waits for a lock; there is one writer a file, so that only checkpoints are waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// An open SQLite file.
pub struct Sqlite {
    url: String,
    /// Held while the store is open.
    _lock: File,
}

impl Sqlite {
    pub fn new(url: &str) -> Result<Self, StoreError> {
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(StoreError::InMemory);
        }
        let options: SqliteConnectOptions = url.parse().map_err(|_| StoreError::Url(shown(url)))?;
        let file = options.get_filename();
        if file.as_os_str().is_empty() {
            return Err(StoreError::Url(shown(url)));
        }
        Ok(Self { url: url.into(), _lock: lock(file)? })
    }

    pub async fn pool(&self, purpose: Purpose, connections: u32) -> Result<DatabaseConnection, StoreError> {
        let mut options = ConnectOptions::new(&self.url);
        options.max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT).sqlx_logging(false);
        options.map_sqlx_sqlite_opts(move |options| match purpose {
            Purpose::Reads => settings(options).pragma("query_only", "ON"),
            Purpose::Writes => settings(options).create_if_missing(true),
        });
        let opened = sea_orm::Database::connect(options).await;
        opened.map_err(|error| StoreError::Open { database: shown(&self.url), cause: cause(&error) })
    }
}

fn settings(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL may lose the last commits when the power fails; an answered write must not be lost.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
}

/// Two servers on one file would each trust a state of their own. The lock lies beside the file itself, under whatever
/// name it was reached.
fn lock(database: &Path) -> Result<File, StoreError> {
    let failed = |path: &Path, cause: std::io::Error| StoreError::Open {
        database: path.display().to_string(),
        cause: cause.to_string(),
    };
    let mut name = OsString::from(real(database).map_err(|cause| failed(database, cause))?);
    name.push(".lock");
    let path = PathBuf::from(name);
    let open = |cause| failed(&path, cause);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(open)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(database.into())),
        Err(TryLockError::Error(error)) => Err(open(error)),
    }
}

/// Resolves the links in a path. If the file does not exist, resolves its folder and appends its name.
fn real(file: &Path) -> std::io::Result<PathBuf> {
    match file.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        done => return done,
    }
    // A link to a file that does not exist yet.
    if let Ok(target) = file.read_link() {
        return real(&file.with_file_name(target));
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(folder.canonicalize()?.join(file.file_name().unwrap_or_default()))
}
