//! Notices of new commits, by LISTEN and NOTIFY of PostgreSQL. They only save waiting: a follower reads the database also
//! without one, since a notice can be lost with its connection.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sea_orm::sqlx::Executor;
use sea_orm::sqlx::postgres::PgListener;

use super::connect::{Address, SHORT_MAX};
use super::{Store, StoreError};

/// Other software may use the same database, and other stores may be in its schemas. Their notices cost one read.
const CHANNEL: &str = "rolecall_commits";

/// How long a connection may be silent before it is tried.
const SILENT_MAX: Duration = Duration::from_secs(30);

/// How long to wait before the database is asked again for a connection on which it sends notices.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// The end of a statement of PostgreSQL: sends a notice when its transaction commits.
pub fn announcing(revision: u64) -> String {
    format!(" RETURNING pg_notify('{CHANNEL}', '{revision}')")
}

/// The notices of one follower.
pub struct Notices {
    store: Store,
    listener: Option<PgListener>,
    /// True if the last attempt failed. That is logged once.
    failing: bool,
}

impl Store {
    /// Returns the notices of commits. Nothing is connected before the first is waited for.
    pub fn notices(&self) -> Notices {
        Notices { store: self.clone(), listener: None, failing: false }
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
            match self.listener.take() {
                Some(mut listener) => match tokio::time::timeout(SILENT_MAX, listener.try_recv()).await {
                    Ok(Ok(Some(notice))) => {
                        self.listener = Some(listener);
                        return (self, notice.payload().parse().unwrap_or(u64::MAX));
                    }
                    // Without this, nobody would notice that the machine of the server is gone.
                    Err(_) if answers(&mut listener).await => self.listener = Some(listener),
                    Ok(Ok(None) | Err(_)) | Err(_) => {}
                },
                None => match self.listen().await {
                    Ok(listener) => {
                        self.listener = Some(listener);
                        self.store.0.announces.store(true, Ordering::Relaxed);
                        if std::mem::take(&mut self.failing) {
                            tracing::info!("the database announces commits again");
                        }
                        return (self, u64::MAX);
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut self.failing, true) {
                            tracing::warn!(%error, "the database announces no commits, so they are seen later");
                        }
                        tokio::time::sleep(RETRY_DELAY).await;
                    }
                },
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

async fn answers(listener: &mut PgListener) -> bool {
    matches!(tokio::time::timeout(SHORT_MAX, listener.execute("SELECT 1")).await, Ok(Ok(_)))
}
