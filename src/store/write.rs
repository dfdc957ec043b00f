//! The write transaction: lock the head row, catch up, look up request ids, store a group, commit, and settle a commit with an
//! unknown outcome.

mod activity;
pub(super) mod batch;
mod denials;
mod old_history;
mod old_invitations;
mod persist;
pub(super) mod rows;

pub use activity::ACTIVE_ORGS_MAX;
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, DatabaseTransaction, EntityTrait, ExprTrait, IsolationLevel,
    QueryFilter, SqliteTransactionMode, TransactionOptions, TransactionTrait, sqlx,
};

use super::connect::{LONG_MAX, SHORT_MAX};
use super::head::{Head, committed};
use super::ids::{revision, u32_of, unreadable};
use super::read::changes::commits_since;
use super::read::snapshot::joined;
use super::{Database, ErrorClass, SinceError, Store, StoreError};
use crate::domain::commands::group::{Commit, Known, KnownRequest};
use crate::domain::{ProjectKey, RequestKey, Revision, State, Time};
use crate::limits::REQUEST_ID_SECONDS;
use crate::metrics::store::Operation;
use crate::store::schema::request;

/// Commits read at a time while catching up.
const CATCH_UP_COMMITS: u32 = 256;

/// A write transaction that locks the head row. Until it ends, no other transaction writes to this store.
pub struct WriteTx {
    tx: DatabaseTransaction,
    head: Revision,
    floor: i64,
    database: Database,
    /// The id of the store if the commit sends a notice to other servers.
    announces: Option<u32>,
}

/// A group that is stored but not committed yet.
pub struct Ready {
    tx: DatabaseTransaction,
    database: Database,
}

/// The outcome of a commit.
#[derive(Debug)]
pub enum Committed {
    Yes,
    /// Nothing of the group is stored.
    No(StoreError),
    /// The database did not answer. [`Store::settle`] finds out whether it committed. On SQLite this means that the disk
    /// failed. What it reports later may not survive a power failure, so the writer must stay closed until a restart.
    Unknown(StoreError),
}

impl Store {
    /// Begins a write after every earlier one has ended.
    pub async fn begin_write(&self) -> Result<WriteTx, StoreError> {
        self.metrics().measure(Operation::Begin, self.try_begin_write()).await
    }

    async fn try_begin_write(&self) -> Result<WriteTx, StoreError> {
        let begun = match begin(self, &self.writes()).await {
            // Nothing was begun, so it is safe to try again.
            Err(error) if self.writes_hang(&error) => {
                tracing::warn!(%error, "connecting to the database again");
                self.replace_lost_writes().await?;
                begin(self, &self.writes()).await
            }
            Err(error) if error.lost_connection() || error.class() == ErrorClass::WrongServer => {
                tracing::warn!(%error, "connecting to the database again");
                self.failed(error).await;
                begin(self, &self.writes()).await
            }
            begun => begun,
        };
        match begun {
            Err(error) => Err(self.failed(error).await),
            begun => begun,
        }
    }

    /// Returns true if the store has lost `mine`, a revision that it had: its newest revision is an earlier one. Locks the head
    /// row to be sure. A copy that lags cannot be locked.
    pub async fn has_lost(&self, mine: Revision) -> Result<bool, StoreError> {
        let store = self.clone();
        // In a task of its own, because the caller may be cancelled, see `snapshot`.
        let asked = tokio::spawn(async move {
            let tx = store.begin_write().await?;
            let lost = tx.head.number < mine.number;
            tx.rollback().await;
            Ok(lost)
        });
        joined(asked.await)?
    }

    /// Finds out whether a commit with an unknown outcome took place.
    ///
    /// A new connection locks the head row first. It gets the lock only after the old connection's transaction has ended.
    pub async fn settle(&self, last: Revision) -> Result<bool, StoreError> {
        let connection = self.connect_again().await?;
        let settled = begin(self, &connection).await?;
        let found = committed(&settled.tx, last.number).await?;
        settled.rollback().await;
        // The old connection may hang as long as the machine of its server does not answer.
        self.replace_writes(connection);
        Ok(found.is_some_and(|found| found.tag == last.tag))
    }
}

impl WriteTx {
    /// Returns the newest revision. No commit follows it until this transaction ends.
    pub fn head(&self) -> Revision {
        self.head
    }

    /// Applies the commits of other servers to a State until it is at the head. Returns it with those commits.
    pub async fn catch_up(&mut self, mut state: State) -> Result<(State, Vec<Commit>), SinceError> {
        let mut passed = Vec::new();
        if self.head.number < state.revision().number {
            return Err(SinceError::Diverged);
        }
        while (state.revision().number, state.revision().tag) != (self.head.number, self.head.tag) {
            let commits = commits_since(&self.tx, state.revision(), CATCH_UP_COMMITS).await?;
            if commits.is_empty() {
                return Err(SinceError::Diverged);
            }
            for commit in &commits {
                state.apply_commit(commit.revision, &commit.changes);
            }
            passed.extend(commits);
        }
        Ok((state, passed))
    }

    /// Returns those of these request ids that were used in the last 24 hours (A4).
    pub async fn known(&mut self, keys: &[RequestKey], now: Time) -> Result<Known, StoreError> {
        if keys.is_empty() {
            return Ok(Known::new());
        }
        let mut any = Condition::any();
        for key in keys {
            let caller = request::Column::Caller.eq(&*key.caller);
            let project = request::Column::Project.eq(key.project.as_str());
            any = any.add(caller.and(project).and(request::Column::RequestId.eq(&*key.request_id)));
        }
        let young = request::Column::UsedAt.gt(now.plus_seconds(-REQUEST_ID_SECONDS).0);
        let found = request::Entity::find().filter(any).filter(young).all(&self.tx).await?;
        found.into_iter().map(known_request).collect()
    }

    /// Stores a group of commits. Any error rolls back the whole group.
    pub async fn persist(self, commits: &[Commit], now: Time) -> Result<Ready, StoreError> {
        match persist::persist(&self.tx, self.head, commits, now, self.announces).await {
            Ok(()) => Ok(Ready { tx: self.tx, database: self.database }),
            Err(error) => {
                // PostgreSQL would now answer COMMIT with ROLLBACK, and the driver would report success.
                self.rollback().await;
                Err(error)
            }
        }
    }

    /// Ends the transaction without storing anything.
    pub async fn rollback(self) {
        match tokio::time::timeout(SHORT_MAX, self.tx.rollback()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the database ended a transaction by itself"),
            Err(_) => tracing::warn!(after = ?SHORT_MAX, "the database did not answer a rollback"),
        }
    }
}

impl Ready {
    pub async fn commit(self) -> Committed {
        match self.tx.commit().await {
            Ok(()) => Committed::Yes,
            Err(error) if refused(&error, self.database) => Committed::No(error.into()),
            Err(error) => Committed::Unknown(error.into()),
        }
    }
}

async fn begin(store: &Store, connection: &DatabaseConnection) -> Result<WriteTx, StoreError> {
    let database = store.database();
    let (options, locking) = match database {
        Database::Sqlite => {
            let mode = Some(SqliteTransactionMode::Immediate);
            (TransactionOptions { sqlite_transaction_mode: mode, ..TransactionOptions::default() }, "")
        }
        // Under another default of the operator, waiting for the head row would end in an error. The access mode is not
        // set: a server that is read-only by default must not be written to.
        Database::Postgres => {
            let isolation_level = Some(IsolationLevel::ReadCommitted);
            (TransactionOptions { isolation_level, ..TransactionOptions::default() }, "FOR UPDATE")
        }
    };
    let begun = async { Ok(connection.begin_with_options(options).await?) };
    let tx = store.answered::<_, StoreError>(SHORT_MAX, begun).await?;
    let Head { revision: head, floor, store_id } = store.answered(LONG_MAX, store.read_head(&tx, locking)).await?;
    store.check_file()?;
    Ok(WriteTx { tx, head, floor, database, announces: u32_of(store_id).ok().filter(|_| store.announces()) })
}

fn known_request(row: request::Model) -> Result<(RequestKey, KnownRequest), StoreError> {
    let key = RequestKey {
        caller: row.caller.into(),
        project: ProjectKey::stored(row.project),
        request_id: row.request_id.into(),
    };
    let fingerprint = row.fingerprint.try_into().map_err(|_| unreadable("a fingerprint that is not 16 bytes long"))?;
    let known = KnownRequest {
        fingerprint: u128::from_be_bytes(fingerprint),
        revision: revision(row.revision, row.tag, row.at)?,
        outcome: row.outcome,
    };
    Ok((key, known))
}

/// Returns true if the database certainly did not commit.
fn refused(error: &sea_orm::DbErr, database: Database) -> bool {
    let Some(sqlx::Error::Database(error)) = super::error::driver_error(error) else { return false };
    let code = error.code().unwrap_or_default();
    match database {
        // ERROR, BUSY, LOCKED, READONLY, FULL, CONSTRAINT: the log has no frame that ends the transaction. Any other error
        // may be an I/O error, as of the fsync that follows that frame.
        Database::Sqlite => code.parse::<i32>().is_ok_and(|code| [1, 5, 6, 8, 13, 19].contains(&(code & 0xff))),
        // Classes 57, 58 and XX: the server was stopping, or it or its disk failed. It may have committed before that.
        Database::Postgres => !["08", "57", "58", "XX"].iter().any(|class| code.starts_with(class)),
    }
}
