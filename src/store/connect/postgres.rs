//! Connects to PostgreSQL. A connection is checked and gets its settings when it is opened.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sea_orm::DatabaseConnection;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgRow, PgSslMode};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};
use tokio::sync::watch;
use url::Url;

use super::{ACQUIRE_TIMEOUT, LONG_MAX, Purpose, shown};
use crate::store::StoreError;
use crate::store::error::{ErrorClass, class_of};

/// How long to look for the reason why there is no connection, and how long to keep it.
const PROBE_MAX: Duration = Duration::from_secs(2);
/// How long a connection may take to answer when nothing else runs on it.
const PING_MAX: Duration = Duration::from_secs(5);
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// The settings of every connection. They override those of the role and the database. They are set by SQL, because
/// pgbouncer drops startup parameters. A setting that the server does not have is skipped.
const SETTINGS: [(&str, &str); 9] = [
    // The future of a write is never cancelled, so the server must end a statement that hangs.
    ("statement_timeout", "60s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("transaction_timeout", "0"),
    ("idle_session_timeout", "0"),
    // A write waits for the head row as long as another server's write takes.
    ("lock_timeout", "0"),
    // The driver sets no keepalive. Without it the locks of a client whose machine is gone are held for hours.
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
];

/// The parameters of a URL that the driver knows.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Why a server that answers cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unsuitable {
    #[error("it is a standby (`pg_is_in_recovery()` is true); name the primary")]
    Standby,
    #[error("it takes no writes (`default_transaction_read_only` is on); turn that off, or name another server")]
    ReadOnly,
    #[error("its encoding is {0}, which cannot hold every name; create the database with ENCODING 'UTF8'")]
    Encoding(String),
    #[error(
        "a pooler leads to it that keeps no sessions (such as pgbouncer with `pool_mode = transaction`); set `pool_mode = session` \
         for this database, or connect to PostgreSQL directly"
    )]
    TransactionPooler,
}

/// Which PostgreSQL server answers. A promoted standby has a higher timeline than the primary before it.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerId {
    /// Eight hexadecimal digits.
    pub timeline: String,
    /// The same for a primary and its standbys.
    pub system: String,
}

impl ServerId {
    /// The name of a file of the log begins with its timeline. A standby has no current position in the log.
    pub const TIMELINE: &str =
        "CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END";
    pub const SYSTEM: &str = "SELECT system_identifier::text FROM pg_control_system()";
}

/// The address of a PostgreSQL database.
pub struct Postgres {
    url: String,
    options: PgConnectOptions,
    /// Connections that are older are closed instead of used.
    oldest: watch::Sender<Instant>,
    /// Why the last probe got no connection.
    cause: tokio::sync::Mutex<Option<(Instant, String)>>,
}

impl Postgres {
    pub fn new(url: &str) -> Result<Self, StoreError> {
        let options: PgConnectOptions = known(url)?.parse().map_err(|_| StoreError::Url(shown(url)))?;
        // pgbouncer refuses startup parameters that it does not know.
        let options = options.extra_float_digits(None).disable_statement_logging();
        let oldest = watch::Sender::new(Instant::now());
        Ok(Self { url: url.into(), options, oldest, cause: tokio::sync::Mutex::default() })
    }

    /// Refuses a server that cannot be used, and warns of settings that lose or show data.
    pub async fn look(&self) -> Result<Option<ServerId>, StoreError> {
        self.try_look().await.map_err(|error| match &error {
            sqlx::Error::Configuration(why) if why.is::<Unsuitable>() => {
                StoreError::Unsuitable { database: shown(&self.url), cause: why.to_string() }
            }
            error => StoreError::Open { database: shown(&self.url), cause: text(error) },
        })
    }

    async fn try_look(&self) -> Result<Option<ServerId>, sqlx::Error> {
        let began = Instant::now();
        let mut first = loop {
            match self.connect().await {
                // The database may start at the same time.
                Err(error) if is_starting(&error) && began.elapsed() < ACQUIRE_TIMEOUT => {
                    tokio::time::sleep(RETRY_DELAY).await;
                }
                connected => break connected?,
            }
        };
        self.refuse_transaction_pooler(&mut first).await?;
        let row = ask(&mut first, "SELECT current_setting('synchronous_commit')").await?;
        if row.try_get::<String, _>(0)? == "off" {
            tracing::warn!(
                "PostgreSQL's synchronous_commit is off: answered writes are lost when it crashes; turn it on"
            );
        }
        if self.may_be_plain_text() {
            let sql = "SELECT coalesce(bool_or(ssl), false)::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            if ask(&mut first, sql).await?.try_get::<String, _>(0)? != "true" {
                tracing::warn!(
                    "the connection to the database on another machine is not encrypted; set `sslmode=verify-full` in its URL"
                );
            }
        }
        // Some managed servers do not allow it.
        let id = self.id(&mut first).await.ok();
        let _ = first.close().await;
        Ok(id)
    }

    async fn id(&self, connection: &mut PgConnection) -> Result<ServerId, sqlx::Error> {
        let timeline = sqlx::raw_sql(AssertSqlSafe(format!("SELECT {}", ServerId::TIMELINE)));
        let timeline = timeline.fetch_one(&mut *connection).await?.try_get(0)?;
        Ok(ServerId { timeline, system: ask(connection, ServerId::SYSTEM).await?.try_get(0)? })
    }

    /// Two connections of a transaction pooler share a session, and a connection has several.
    async fn refuse_transaction_pooler(&self, first: &mut PgConnection) -> Result<(), sqlx::Error> {
        const PID: &str = "SELECT pg_backend_pid()::text";
        let before: String = ask(first, PID).await?.try_get(0)?;
        // A pool of one session never answers the second connection of a client.
        let connected = tokio::time::timeout(ACQUIRE_TIMEOUT, self.connect()).await;
        let mut second = connected.map_err(|_| sqlx::Error::PoolTimedOut)??;
        if let Err(error) = sqlx::raw_sql("BEGIN").execute(&mut second).await {
            // A statement pooler has no transactions.
            return Err(if is_protocol_violation(&error) { unsuitable(Unsuitable::TransactionPooler) } else { error });
        }
        let other: String = ask(&mut second, PID).await?.try_get(0)?;
        let mut shared = before == other;
        for _ in 0..4 {
            shared = shared || ask(first, PID).await?.try_get::<String, _>(0)? != before;
        }
        let _ = second.close().await;
        if shared { Err(unsuitable(Unsuitable::TransactionPooler)) } else { Ok(()) }
    }

    pub async fn pool(&self, purpose: Purpose, connections: u32) -> Result<DatabaseConnection, StoreError> {
        let (oldest, lost) = (self.oldest.subscribe(), self.oldest.clone());
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // `before_acquire` does it with a time limit.
            .test_before_acquire(false)
            // The pool tries again until its timeout, and each attempt resolves the name of the host.
            .after_connect(move |connection, _| Box::pin(check(connection, purpose)))
            .before_acquire(move |connection, metadata| {
                let young = metadata.age < oldest.borrow().elapsed();
                Box::pin(async move {
                    // Saves a round trip on every write. `begin_write` tries a second connection if the first is lost.
                    Ok(young && (purpose == Purpose::Writes || answers(connection, PING_MAX).await))
                })
            })
            .after_release(move |connection, _| {
                // A caller that gave up may have left a statement. The pool then waits for its end without a limit.
                let max = match purpose {
                    Purpose::Writes => return Box::pin(async { Ok(true) }),
                    Purpose::Reserved => PING_MAX,
                    // A connection more for each slow list that was given up would be too many for the server.
                    Purpose::Reads => LONG_MAX,
                };
                let mut lost = lost.subscribe();
                Box::pin(async move {
                    tokio::select! {
                        answers = answers(connection, max) => Ok(answers),
                        _ = lost.changed() => Ok(false),
                    }
                })
            });
        match pool.connect_with(self.options.clone()).await {
            Ok(pool) => Ok(pool.into()),
            Err(sqlx::Error::PoolTimedOut) => Err(StoreError::NoConnection(self.cause().await)),
            Err(error) => Err(StoreError::NoConnection(text(&error))),
        }
    }

    /// Opens a connection on which the server sends the notices of a channel.
    pub async fn listener(&self, channel: &str) -> Result<PgListener, StoreError> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(|connection, _| Box::pin(check(connection, Purpose::Reserved)))
            .connect_lazy_with(self.options.clone());
        let listen = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            // A notice may be lost with the connection, and the caller wants to know.
            listener.eager_reconnect(false);
            listener.listen(channel).await?;
            Ok(listener)
        };
        listen.await.map_err(|error: sqlx::Error| StoreError::NoConnection(text(&error)))
    }

    /// Closes every connection before its next use. New ones resolve the name of the host again.
    pub fn reconnect(&self) {
        self.oldest.send_replace(Instant::now());
    }

    /// Returns true if a connection from that time is closed before its next use.
    pub fn is_older(&self, since: Instant) -> bool {
        since < *self.oldest.borrow()
    }

    /// Returns why a pool has no free connection. The pool itself reports only that it waited too long.
    pub async fn cause(&self) -> String {
        let mut last = self.cause.lock().await;
        if let Some((at, cause)) = &*last
            && at.elapsed() < PROBE_MAX
        {
            return cause.clone();
        }
        let cause = match tokio::time::timeout(PROBE_MAX, self.connect()).await {
            Ok(Ok(connection)) => {
                let _ = connection.close().await;
                "all connections are in use".into()
            }
            Ok(Err(error)) => text(&error),
            Err(_) => "it does not answer".into(),
        };
        *last = Some((Instant::now(), cause.clone()));
        cause
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        check(&mut connection, Purpose::Writes).await?;
        Ok(connection)
    }

    /// Returns true if the URL names another machine and does not demand TLS.
    fn may_be_plain_text(&self) -> bool {
        let host = self.options.get_host();
        let is_here = self.options.get_socket().is_some()
            || host.eq_ignore_ascii_case("localhost")
            || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let demands_tls =
            matches!(self.options.get_ssl_mode(), PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull);
        !is_here && !demands_tls
    }
}

/// Returns true if the server answers in time. If not, the connection must be closed.
async fn answers(connection: &mut PgConnection, max: Duration) -> bool {
    let ping = tokio::time::timeout(max, connection.ping()).await;
    let answers = matches!(ping, Ok(Ok(())));
    if !answers {
        tracing::info!("a connection to the database is closed: it does not answer");
    }
    answers
}

/// Sets the session up, and refuses a server that must not be used.
async fn check(connection: &mut PgConnection, purpose: Purpose) -> Result<(), sqlx::Error> {
    let settings: Vec<String> = SETTINGS.iter().map(|(name, value)| format!("('{name}', '{value}')")).collect();
    let sql = format!(
        // First by itself: the role's own timeout may be shorter than what follows.
        "SET statement_timeout = 0; SELECT pg_is_in_recovery()::text, current_setting('default_transaction_read_only'),
            current_setting('server_encoding'), (SELECT count(set_config(name, wanted.value, false))
            FROM (VALUES {}) AS wanted (name, value) JOIN pg_settings USING (name))::text",
        settings.join(", ")
    );
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(connection).await?;
    let encoding: String = row.try_get(2)?;
    if encoding != "UTF8" {
        return Err(unsuitable(Unsuitable::Encoding(encoding)));
    }
    if row.try_get::<String, _>(0)? == "true" {
        return Err(unsuitable(Unsuitable::Standby));
    }
    if purpose == Purpose::Writes && row.try_get::<String, _>(1)? == "on" {
        return Err(unsuitable(Unsuitable::ReadOnly));
    }
    Ok(())
}

fn is_protocol_violation(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some("08P01"))
}

/// Asks without a prepared statement, which a pooler may run in another session.
async fn ask(connection: &mut PgConnection, sql: &'static str) -> Result<PgRow, sqlx::Error> {
    sqlx::raw_sql(sql).fetch_one(connection).await
}

fn unsuitable(why: Unsuitable) -> sqlx::Error {
    sqlx::Error::Configuration(Box::new(why))
}

fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(_) => class_of(error) == ErrorClass::WrongServer,
        _ => false,
    }
}

fn text(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Configuration(why) if why.is::<Unsuitable>() => why.to_string(),
        // Errors about the files that the URL names quote a line as numbers in brackets. A private key may be one line.
        sqlx::Error::Configuration(why) => without_brackets(&why.to_string()),
        sqlx::Error::Tls(_) => without_brackets(&error.to_string()),
        error => error.to_string(),
    }
}

/// Returns a text up to its first bracket.
fn without_brackets(text: &str) -> String {
    text.split('[').next().unwrap_or_default().trim_end().into()
}

/// Removes the parameters that the driver does not know: it would log them with their values.
fn known(url: &str) -> Result<String, StoreError> {
    let mut parsed = Url::parse(url).map_err(|_| StoreError::Url(shown(url)))?;
    let pairs: Vec<(String, String)> = parsed.query_pairs().into_owned().collect();
    let is_known = |key: &str| PARAMETERS.contains(&key) || key.starts_with("options[");
    let (known, unknown): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, _)| is_known(key));
    if unknown.is_empty() {
        return Ok(url.into());
    }
    // Not even their names: part of a password that holds `&` looks like one.
    tracing::warn!(
        count = unknown.len(),
        "the database URL has unknown parameters, which are ignored; see docs/postgresql.md"
    );
    parsed.query_pairs_mut().clear().extend_pairs(known);
    Ok(parsed.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_warned_of_only_where_it_leaves_the_machine() {
        let is_plain = |url: &str| Postgres::new(url).unwrap().may_be_plain_text();
        for url in [
            "postgres://localhost/db",
            "postgres://127.0.0.1/db",
            "postgres://[::1]/db",
            "postgres://localhost/db?host=/run/postgresql",
            "postgres://%2Frun%2Fpostgresql/db",
            "postgres://db.example.com/db?sslmode=require",
            "postgres://db.example.com/db?sslmode=verify-full",
        ] {
            assert!(!is_plain(url), "{url}");
        }
        for url in [
            "postgres://db.example.com/db",
            "postgres://10.0.0.1/db?sslmode=prefer",
            "postgres://db/db?sslmode=disable",
        ] {
            assert!(is_plain(url), "{url}");
        }
    }

    #[test]
    fn the_driver_sees_no_unknown_parameter() {
        let url = "postgres://ann@h/db?sslpassword=s3cret&sslmode=require&options[work_mem]=1&x";
        assert_eq!(known(url).unwrap(), "postgres://ann@h/db?sslmode=require&options%5Bwork_mem%5D=1");
        let url = "postgres://ann:a%20b@h/db?sslmode=require";
        assert_eq!(known(url).unwrap(), url);
    }
}
