//! Opens a SQLite file, and locks it, so that one server uses it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sea_orm::sqlx::Connection;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, DatabaseConnection};

use super::{ACQUIRE_TIMEOUT, Purpose, cause, shown};
use crate::store::StoreError;

/// How long SQLite waits for a lock. A file has one writer, so only a checkpoint makes it wait.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The pages that the writing connection keeps, in KiB with a minus sign. SQLite's own 2 MiB are less than a large transaction
/// changes: it would write pages several times.
const WRITE_CACHE: &str = "-65536";
/// The pages of the log after which SQLite moves them into the file. Members are random keys, so 64 of them change several
/// hundred pages, and with the default of 1,000 every few commits would wait for such a move.
const LOG_PAGES: &str = "4000";

/// The rows that SQLite reads ahead of a load.
pub const ROWS_AHEAD: usize = 4_096;

/// An open SQLite file.
pub struct Sqlite {
    url: String,
    file: PathBuf,
    wal: PathBuf,
    /// The file and its log as they were opened.
    opened: Mutex<Option<[FileId; 2]>>,
    /// Held while the store is open. `None` for reading only, which may go on beside a server.
    _lock: Option<File>,
}

/// The device and inode of a file.
type FileId = (u64, u64);

impl Sqlite {
    /// Locks the file.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        Self::with(url, |file| lock(file).map(Some))
    }

    /// Takes no lock, for reading only.
    pub fn unlocked(url: &str) -> Result<Self, StoreError> {
        Self::with(url, |_| Ok(None))
    }

    fn with(url: &str, lock: impl FnOnce(&Path) -> Result<Option<File>, StoreError>) -> Result<Self, StoreError> {
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(StoreError::InMemory);
        }
        let options: SqliteConnectOptions = url.parse().map_err(|_| StoreError::Url(shown(url)))?;
        let file = options.get_filename();
        if file.as_os_str().is_empty() {
            return Err(StoreError::Url(shown(url)));
        }
        let failed = |path: &Path, cause: std::io::Error| StoreError::Open {
            database: path.display().to_string(),
            cause: cause.to_string(),
        };
        let file = real(file).map_err(|cause| failed(file, cause))?;
        let lock = lock(&file)?;
        // The lock file and the log are beside one name of the file. Another name would lead to another lock and log.
        match file.metadata() {
            Ok(metadata) if metadata.nlink() > 1 => return Err(StoreError::HardLinks(file)),
            Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(failed(&file, cause)),
            _ => {}
        }
        if is_mount_point(&file) {
            return Err(StoreError::MountPoint(file));
        }
        Ok(Self { url: url.into(), wal: beside(&file, "-wal"), file, opened: Mutex::default(), _lock: lock })
    }

    /// Refuses a file that was removed or replaced since it was opened: what is written to it now is lost. The first call
    /// remembers the file. It must follow a transaction, which creates the log.
    pub fn check(&self) -> Result<(), StoreError> {
        let id = |path: &Path| match path.metadata() {
            Ok(metadata) => Ok((metadata.dev(), metadata.ino())),
            Err(_) => Err(StoreError::Replaced(path.into())),
        };
        let now = [id(&self.file)?, id(&self.wal)?];
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let [file, wal] = *opened.get_or_insert(now);
        match now {
            [now, _] if now != file => Err(StoreError::Replaced(self.file.clone())),
            [_, now] if now != wal => Err(StoreError::Replaced(self.wal.clone())),
            _ => Ok(()),
        }
    }

    /// Returns a warning if others than the owner of the file can read or write it.
    pub fn mode_warning(&self) -> Option<String> {
        let mode = self.file.metadata().ok()?.mode() & 0o777;
        let file = self.file.display();
        (mode & 0o077 != 0).then(|| {
            format!(
                "other users of this machine can use the database: `{file}` has mode {mode:04o}; `chmod 600 {file}`"
            )
        })
    }

    /// Creates a missing file for its owner only. SQLite gives the log the same mode.
    fn create(&self) -> Result<(), StoreError> {
        match OpenOptions::new().create_new(true).write(true).mode(0o600).open(&self.file) {
            Err(cause) if cause.kind() != ErrorKind::AlreadyExists => {
                Err(StoreError::Open { database: self.file.display().to_string(), cause: cause.to_string() })
            }
            _ => Ok(()),
        }
    }

    pub async fn pool(&self, purpose: Purpose, connections: u32) -> Result<DatabaseConnection, StoreError> {
        if purpose == Purpose::Writes {
            self.create()?;
        }
        let mut options = ConnectOptions::new(&self.url);
        options.max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT).sqlx_logging(false);
        // A connection that opens the file later would find another one in its place. And SQLite deletes the log with the last
        // connection.
        options.idle_timeout(None).max_lifetime(None);
        // A ping tells nothing: the connection is a thread of this process.
        options.test_before_acquire(false);
        // If SQLite has rolled back by itself, as on a full disk, the driver's own ROLLBACK fails. It then takes the next
        // transaction for a nested one and never commits it.
        options.map_sqlx_sqlite_before_acquire(|connection, _| {
            let is_free = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_free) })
        });
        options.map_sqlx_sqlite_opts(move |options| match purpose {
            Purpose::Reads | Purpose::Reserved => {
                settings(options).pragma("query_only", "ON").row_buffer_size(ROWS_AHEAD)
            }
            Purpose::Writes => settings(options)
                .create_if_missing(true)
                .pragma("cache_size", WRITE_CACHE)
                .pragma("wal_autocheckpoint", LOG_PAGES),
        });
        let opened = sea_orm::Database::connect(options).await;
        opened.map_err(|error| StoreError::Open { database: shown(&self.url), cause: cause(&error) })
    }
}

/// Returns true if the URL names a file that does not exist.
pub fn is_missing(url: &str) -> bool {
    // The driver reads URLs of any scheme as the names of files.
    url.starts_with("sqlite:")
        && url.parse::<SqliteConnectOptions>().is_ok_and(|options| !options.get_filename().exists())
}

fn settings(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL may lose the last commits when the power fails. An answered write must not be lost.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
}

/// Locks a file for one server. Two servers on one file would each have a State of their own. The lock file is beside the
/// file itself, so all links lead to one lock.
fn lock(database: &Path) -> Result<File, StoreError> {
    let path = beside(database, ".lock");
    let open =
        |cause: std::io::Error| StoreError::Open { database: path.display().to_string(), cause: cause.to_string() };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(open)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(database.into())),
        Err(TryLockError::Error(error)) => Err(open(error)),
    }
}

/// Returns true if the file itself is mounted, as containers can do. Its lock file and its log would then be in another folder
/// than those of a server that opens the file by its other name. Other systems than Linux do not tell.
fn is_mount_point(file: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
        let found = statx(CWD, file, AtFlags::empty(), StatxFlags::BASIC_STATS);
        found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        false
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(ending);
    name.into()
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

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_new_file_is_for_its_owner_only_and_another_mode_is_warned_about() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let sqlite = Sqlite::new(&format!("sqlite://{}", path.display())).unwrap();
        sqlite.pool(Purpose::Writes, 1).await.unwrap().close().await.unwrap();
        assert_eq!(sqlite.mode_warning(), None);
        for (mode, warned) in [(0o400, false), (0o640, true), (0o602, true), (0o644, true), (0o700, false)] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let warning = sqlite.mode_warning();
            assert_eq!(warning.is_some(), warned, "{mode:o}: {warning:?}");
            if let Some(warning) = warning {
                assert!(warning.contains(&format!("mode {mode:04o}; `chmod 600 ")), "{warning}");
            }
        }
    }
}
