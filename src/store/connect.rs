//! Opens the database of a URL with its settings.

pub mod postgres;
pub mod sqlite;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};
use url::Url;

use self::postgres::{Postgres, ServerId};
use self::sqlite::Sqlite;
use super::pulse::Pulse;
use super::{ErrorClass, Inner, Store, StoreError};
use crate::metrics::store::StoreMetrics;

/// Connections for lists and loading.
const READ_CONNECTIONS: u32 = 8;
/// Connections for the newest revision, following and health.
const RESERVED_CONNECTIONS: u32 = 3;
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for a connection and the answer to one short statement.
pub(super) const SHORT_MAX: Duration = Duration::from_secs(15);
/// How long to wait for a statement that may be long. PostgreSQL itself ends it after 60 s.
pub(super) const LONG_MAX: Duration = Duration::from_secs(75);

/// The database of a store.
pub enum Address {
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Reads,
    /// For short reads.
    Reserved,
    Writes,
}

impl Address {
    fn new(url: &str, sqlite: fn(&str) -> Result<Sqlite, StoreError>) -> Result<Self, StoreError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => sqlite(url).map(Self::Sqlite),
            Some("postgres" | "postgresql") => Postgres::new(url).map(Box::new).map(Self::Postgres),
            _ => Err(StoreError::Url(shown(url))),
        }
    }

    /// Opens a pool. The first connection for writes creates a SQLite file and sets WAL, so open it first.
    async fn pool(&self, purpose: Purpose, connections: u32) -> Result<DatabaseConnection, StoreError> {
        match self {
            Self::Sqlite(file) => file.pool(purpose, connections).await,
            Self::Postgres(server) => server.pool(purpose, connections).await,
        }
    }
}

impl Store {
    /// Connects as `open` does. Refuses a SQLite file that does not exist.
    pub async fn open_existing(url: &str) -> Result<Self, StoreError> {
        if sqlite::is_missing(url) {
            return Err(no_such_file(url));
        }
        Self::open(url).await
    }

    /// Connects for reading only, also to a SQLite file that a server uses. Refuses one that does not exist.
    pub async fn open_to_read(url: &str) -> Result<Self, StoreError> {
        if sqlite::is_missing(url) {
            return Err(no_such_file(url));
        }
        let address = Address::new(url, Sqlite::unlocked)?;
        let server = match &address {
            Address::Sqlite(_) => None,
            Address::Postgres(server) => server.look().await?,
        };
        let reads = address.pool(Purpose::Reads, RESERVED_CONNECTIONS).await?;
        let (reserved, writes) = (reads.clone(), reads.clone());
        Ok(Self::connected(address, server, reads, reserved, writes))
    }

    /// Connects to `sqlite://<path>` (made if missing) or `postgres://…`. Does not look at what it holds.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let address = Address::new(url, Sqlite::new)?;
        let server = match &address {
            Address::Sqlite(_) => None,
            Address::Postgres(server) => server.look().await?,
        };
        let writes = address.pool(Purpose::Writes, 1).await?;
        let reads = address.pool(Purpose::Reads, READ_CONNECTIONS).await?;
        let reserved = address.pool(Purpose::Reserved, RESERVED_CONNECTIONS).await?;
        if let Address::Sqlite(file) = &address {
            // Reading opens the log.
            let read = Statement::from_string(DbBackend::Sqlite, "SELECT count(*) FROM sqlite_master");
            writes.query_one_raw(read).await?;
            file.check()?;
        }
        Ok(Self::connected(address, server, reads, reserved, writes))
    }

    fn connected(
        address: Address,
        server: Option<ServerId>,
        reads: DatabaseConnection,
        reserved: DatabaseConnection,
        writes: DatabaseConnection,
    ) -> Self {
        Self(Arc::new(Inner {
            reads,
            reserved,
            writes: Mutex::new(writes),
            server: server.map(Mutex::new),
            announces: AtomicBool::default(),
            metrics: StoreMetrics::default(),
            pulse: Pulse::default(),
            address,
        }))
    }

    /// Opens another writing connection beside the one in use.
    pub(super) async fn connect_again(&self) -> Result<DatabaseConnection, StoreError> {
        self.0.address.pool(Purpose::Writes, 1).await
    }

    /// Returns true if PostgreSQL did not answer on the connection for writes. The pool pings a connection after each
    /// transaction, waits without a limit, and lets nobody have it meanwhile.
    pub(super) fn writes_hang(&self, error: &StoreError) -> bool {
        match (&self.0.address, error) {
            (Address::Postgres(_), StoreError::NoAnswer(_)) => true,
            // An empty pool could not connect.
            (Address::Postgres(_), StoreError::Database(DbErr::ConnectionAcquire(_))) => {
                self.writes().get_postgres_connection_pool().size() > 0
            }
            _ => false,
        }
    }

    /// Replaces the connection for writes, which does not answer. Its pool would wait for it as long as TCP does.
    pub(super) async fn replace_lost_writes(&self) -> Result<(), StoreError> {
        self.replace_writes(self.connect_again().await?);
        Ok(())
    }

    /// Gives up waiting for PostgreSQL after a time: a machine that has vanished never answers. The connection in use is then
    /// closed, and older ones before their next use. SQLite ends its waits itself.
    pub(super) async fn answered<T, E: From<StoreError>>(
        &self,
        max: Duration,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if matches!(self.0.address, Address::Sqlite(_)) {
            return read.await;
        }
        match tokio::time::timeout(max, read).await {
            Ok(answer) => answer,
            Err(_) => {
                self.reconnect();
                Err(StoreError::NoAnswer(max).into())
            }
        }
    }

    /// Returns true if connections of this age are closed before their next use.
    pub(super) fn connects_again(&self, since: Instant) -> bool {
        matches!(&self.0.address, Address::Postgres(server) if server.is_older(since))
    }

    /// Closes the open connections before their next use: they may lead to the wrong server.
    fn reconnect(&self) {
        if let Address::Postgres(server) = &self.0.address {
            server.reconnect();
        }
    }

    /// Refuses a SQLite file that is no longer the one that was opened.
    pub(super) fn check_file(&self) -> Result<(), StoreError> {
        match &self.0.address {
            Address::Sqlite(file) => file.check(),
            Address::Postgres(_) => Ok(()),
        }
    }

    /// Returns a warning if other users of the machine can read or write a SQLite file.
    pub fn file_warning(&self) -> Option<String> {
        match &self.0.address {
            Address::Sqlite(file) => file.mode_warning(),
            Address::Postgres(_) => None,
        }
    }

    /// Closes connections to the wrong server. Replaces the error of a pool that waited too long by the reason.
    pub(super) async fn failed(&self, error: StoreError) -> StoreError {
        if error.class() == ErrorClass::WrongServer {
            self.reconnect();
        }
        match (&self.0.address, &error) {
            (Address::Postgres(server), StoreError::Database(DbErr::ConnectionAcquire(_))) => {
                StoreError::NoConnection(server.cause().await)
            }
            _ => error,
        }
    }
}

fn no_such_file(url: &str) -> StoreError {
    StoreError::Open { database: shown(url), cause: "there is no such file".into() }
}

/// Returns the message of the driver.
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
