//! Opens the database of a URL with its settings. A SQLite file is locked, so that one server uses it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};
use url::Url;

use super::{Database, Inner, Store, StoreError};

/// Connections for lists and loading.
const READ_CONNECTIONS: u32 = 8;
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long SQLite waits for a lock; there is one writer a file, so that only checkpoints are waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Ends what hangs: a writer's future is never cancelled, so the server must give up by itself.
const POSTGRES_WRITE_SETTINGS: [(&str, &str); 2] =
    [("statement_timeout", "60s"), ("idle_in_transaction_session_timeout", "60s")];
/// The driver sets no keepalive; without it the locks of a client whose machine is gone are held for hours.
const POSTGRES_SETTINGS: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
];

impl Store {
    /// Connects to `sqlite://<path>` (made if missing) or `postgres://…`; looks at nothing in it.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Self::open_sqlite(url).await,
            Some("postgres" | "postgresql") => Self::open_postgres(url).await,
            _ => Err(StoreError::Url(shown(url))),
        }
    }

    async fn open_sqlite(url: &str) -> Result<Self, StoreError> {
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(StoreError::InMemory);
        }
        let options: SqliteConnectOptions = url.parse().map_err(|_| StoreError::Url(shown(url)))?;
        let file = options.get_filename();
        if file.as_os_str().is_empty() {
            return Err(StoreError::Url(shown(url)));
        }
        let lock = lock(file)?;
        let mut writes = options_for(url, 1);
        writes.map_sqlx_sqlite_opts(sqlite_settings);
        let mut reads = options_for(url, READ_CONNECTIONS);
        reads.map_sqlx_sqlite_opts(|options| sqlite_settings(options).pragma("query_only", "ON"));
        // The writing connection comes first: it makes the file and turns it to WAL.
        let write_pool = connect(&writes).await?;
        Ok(Self(Arc::new(Inner {
            database: Database::Sqlite,
            reads: connect(&reads).await?,
            writes: Mutex::new(write_pool),
            write_options: writes,
            timeline: AtomicU32::default(),
            has_timelines: false,
            _lock: Some(lock),
        })))
    }

    async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        let mut writes = options_for(url, 1);
        // A round trip less on every write; a connection that died is found by the first statement, see `begin_write`.
        writes.test_before_acquire(false);
        writes.map_sqlx_postgres_opts(|options| options.options(POSTGRES_SETTINGS).options(POSTGRES_WRITE_SETTINGS));
        let mut reads = options_for(url, READ_CONNECTIONS);
        reads.map_sqlx_postgres_opts(|options| options.options(POSTGRES_SETTINGS));
        let write_pool = connect(&writes).await?;
        warn_of_asynchronous_commits(&write_pool).await?;
        let has_timelines = has_timelines(&write_pool).await;
        Ok(Self(Arc::new(Inner {
            database: Database::Postgres,
            reads: connect(&reads).await?,
            writes: Mutex::new(write_pool),
            write_options: writes,
            timeline: AtomicU32::default(),
            has_timelines,
            _lock: None,
        })))
    }

    /// Another writing connection beside the one in use.
    pub(super) async fn connect_again(&self) -> Result<DatabaseConnection, StoreError> {
        connect(&self.0.write_options).await
    }
}

fn options_for(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT).sqlx_logging(false);
    options
}

async fn connect(options: &ConnectOptions) -> Result<DatabaseConnection, StoreError> {
    let opened = sea_orm::Database::connect(options.clone()).await;
    opened.map_err(|error| StoreError::Open { database: shown(options.get_url()), cause: cause(&error) })
}

fn sqlite_settings(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .create_if_missing(true)
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

async fn warn_of_asynchronous_commits(pool: &DatabaseConnection) -> Result<(), StoreError> {
    let ask = Statement::from_string(DbBackend::Postgres, "SHOW synchronous_commit");
    let setting = pool.query_one_raw(ask).await?.map(|row| row.try_get_by_index::<String>(0)).transpose()?;
    if setting.as_deref() == Some("off") {
        tracing::warn!("PostgreSQL's synchronous_commit is off: answered writes are lost when it crashes; turn it on");
    }
    Ok(())
}

/// Returns true if the server tells its timeline.
async fn has_timelines(pool: &DatabaseConnection) -> bool {
    let ask = Statement::from_string(DbBackend::Postgres, "SELECT pg_walfile_name(pg_current_wal_lsn())");
    pool.query_one_raw(ask).await.is_ok()
}

/// The innermost message: the driver's own words.
fn cause(error: &DbErr) -> String {
    super::error::driver_error(error).map_or_else(|| error.to_string(), |error| error.to_string())
}

/// Returns a URL without its password, and without its query and fragment, which may hold one too.
fn shown(url: &str) -> String {
    let (before, after) = url.find(['?', '#']).map_or((url, ""), |end| url.split_at(end));
    let Some((scheme, rest)) = before.split_once(':') else { return before.into() };
    if scheme == "sqlite" {
        return before.into();
    }
    match Url::parse(before) {
        // Behind the host, an `@` may be of a password that holds a `/`, `?` or `#`.
        Ok(mut parsed) if !parsed.path().contains('@') && !after.contains('@') => {
            // Fails only for a URL without a host, which has no password.
            let _ = parsed.password().is_some() && parsed.set_password(Some("***")).is_ok();
            parsed.into()
        }
        _ => {
            let user = rest.trim_start_matches('/').split([':', '@', '/']).next().unwrap_or_default();
            format!("{scheme}://{user}:***")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("postgres://ann:s@cret@db/rolecall"), "postgres://ann:***@db/rolecall");
        assert_eq!(shown("postgres://ann@db/rolecall"), "postgres://ann@db/rolecall");
        assert_eq!(shown("sqlite://rolecall.db"), "sqlite://rolecall.db");
        assert_eq!(shown("sqlite://my files/ä@b.db?mode=rwc"), "sqlite://my files/ä@b.db");
        assert_eq!(shown("postgres://ann:s?cret@db/rolecall?host=/run"), "postgres://ann:***");
        for url in [
            "postgres://h/db?user=x&password=s3cret",
            "postgres://h/db?user=x&password=s3@cret",
            "postgres://h/db?password=s3:cr@et",
            "postgres://h?password=s3:cr@et",
            "postgres://ann@h/db?password=s3cret",
            "postgres://ann@h/db?password=a@s3cret",
            "postgres://ann@h?password=a@s3cret",
            "postgres:h/db?password=s3cret",
            "postgres://ann:12/s3cret@h/db",
            "postgres://ann:12?s3@cret",
            "mysql://ann:s3cret@h/db?x",
            "sqlite://rolecall.db?password=s3cret",
            "sqlite://rolecall.db#s3cret",
        ] {
            let shown = shown(url);
            assert!(!shown.contains("cret") && !shown.contains("s3"), "{url} is shown as {shown}");
        }
    }
}
