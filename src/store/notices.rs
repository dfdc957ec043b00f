//! Notices of new commits, by LISTEN and NOTIFY of PostgreSQL. They only save waiting: a follower reads the database also
//! without one, since a notice can be lost with its connection.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::sqlx::{Executor, Row};

use super::connect::{Address, SHORT_MAX};
use super::{Store, StoreError};

/// All stores of a database share it: a store may be in any schema.
const CHANNEL: &str = "rolecall_commits";

/// How long a connection may be silent before it is tried.
const SILENT_MAX: Duration = Duration::from_secs(30);

/// How long to wait before the database is asked again for a connection on which it sends notices.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// The end of a statement of PostgreSQL: sends a notice when its transaction commits.
pub fn announcing(store_id: u32, revision: u64) -> String {
    format!(" RETURNING pg_notify('{CHANNEL}', '{store_id} {revision}')")
}

/// Returns the number of the announced revision. `None` if it is of another store.
fn announced(payload: &str, store_id: u32) -> Option<u64> {
    let (store, revision) = payload.split_once(' ')?;
    (store.parse() == Ok(store_id)).then(|| revision.parse().ok()).flatten()
}

/// The notices of one follower.
pub struct Notices {
    store: Store,
    store_id: u32,
    /// With the time at which it was connected.
    listener: Option<(PgListener, Instant)>,
    /// True if the last attempt failed. That is logged once.
    failing: bool,
}

impl Store {
    /// Returns the notices of commits. Nothing is connected before the first is waited for.
    pub fn notices(&self, store_id: u32) -> Notices {
        Notices { store: self.clone(), store_id, listener: None, failing: false }
    }

    /// Returns true if commits of this process announce themselves. A database that sends no notices may not know the function
    /// either.
    pub(in crate::store) fn announces(&self) -> bool {
        self.0.announces.load(Ordering::Relaxed)
    }
}

impl Notices {
    /// Waits for a notice. Returns itself and the number of the announced revision, or `u64::MAX` if notices may have been
    /// missed. Waits for ever on SQLite, which has one server.
    pub async fn next(mut self) -> (Self, u64) {
        loop {
            let error = match self.listener.take() {
                Some((mut listener, since)) => match tokio::time::timeout(SILENT_MAX, listener.try_recv()).await {
                    Ok(Ok(Some(notice))) => {
                        self.listener = Some((listener, since));
                        match announced(notice.payload(), self.store_id) {
                            Some(revision) => return (self, revision),
                            None => continue,
                        }
                    }
                    // Without this, nobody would notice that the machine of the server is gone, or is no longer the primary.
                    Err(_) if is_primary(&mut listener).await && !self.store.connects_again(since) => {
                        self.listener = Some((listener, since));
                        continue;
                    }
                    lost => {
                        // A pooler may end each connection at once.
                        if since.elapsed() < RETRY_DELAY {
                            tokio::time::sleep(RETRY_DELAY).await;
                        }
                        match lost {
                            Ok(Err(error)) => StoreError::NoConnection(error.to_string()),
                            // The next connection tells whether notices may have been missed.
                            _ => continue,
                        }
                    }
                },
                None => match self.listen().await {
                    Ok(listener) => {
                        self.listener = Some((listener, Instant::now()));
                        self.store.0.announces.store(true, Ordering::Relaxed);
                        if std::mem::take(&mut self.failing) {
                            tracing::info!("the database announces commits again");
                        }
                        return (self, u64::MAX);
                    }
                    Err(error) => {
                        tokio::time::sleep(RETRY_DELAY).await;
                        error
                    }
                },
            };
            if !std::mem::replace(&mut self.failing, true) {
                tracing::warn!(%error, "the database announces no commits, so they are seen later");
            }
        }
    }

    async fn listen(&self) -> Result<PgListener, StoreError> {
        match &self.store.0.address {
            Address::Sqlite(_) => std::future::pending().await,
            Address::Postgres(server) => server.listener(CHANNEL).await,
        }
    }
}

async fn is_primary(listener: &mut PgListener) -> bool {
    let asked = tokio::time::timeout(SHORT_MAX, listener.fetch_one("SELECT pg_is_in_recovery()::text")).await;
    asked.is_ok_and(|row| row.is_ok_and(|row| row.try_get::<String, _>(0).is_ok_and(|recovery| recovery == "false")))
}
