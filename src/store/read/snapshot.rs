//! The database at one revision: a read transaction that reads the newest revision first.

use std::time::Instant;

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel, TransactionOptions,
    TransactionTrait,
};
use tokio::task::JoinError;
use tracing::Span;

use crate::domain::Revision;
use crate::domain::model::id::{ProjectId, RoleMappingId};
use crate::metrics::store::Operation;
use crate::store::connect::SHORT_MAX;
use crate::store::head::Head;
use crate::store::ids::{id, u32_of};
use crate::store::{Database, ReadError, Store, StoreError};
use crate::trace;

/// A page of a list, and what it was read in.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub revision: Revision,
    /// One row more than the page has, if rows follow.
    pub rows: Vec<T>,
    pub project: ProjectId,
    /// The role mapping that the request names.
    pub role_mapping: Option<RoleMappingId>,
}

/// The database at one revision.
pub struct Snapshot {
    pub tx: DatabaseTransaction,
    pub revision: Revision,
    /// The oldest commit that is kept.
    pub floor: i64,
    pub store_id: u32,
    _reading: Reading,
}

/// A read that is measured until it is dropped.
struct Reading {
    store: Store,
    operation: Operation,
    began: Instant,
    _span: Span,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.store.metrics().add(self.operation, self.began.elapsed(), false);
    }
}

impl Store {
    /// Begins to read. The snapshot sees nothing that is committed from now on.
    pub(in crate::store) async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.snapshot_on(self.reads().clone(), Operation::List).await
    }

    /// Begins to read on a connection that lists cannot take.
    pub(in crate::store) async fn reserved_snapshot(&self) -> Result<Snapshot, StoreError> {
        self.snapshot_on(self.reserved().clone(), Operation::Follow).await
    }

    /// Begins to read everything.
    pub(in crate::store) async fn whole_snapshot(&self) -> Result<Snapshot, StoreError> {
        let snapshot = self.snapshot_on(self.reads().clone(), Operation::Load).await?;
        if self.database() == Database::Postgres {
            // A large table takes longer than a statement of a list may.
            snapshot.tx.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
        }
        Ok(snapshot)
    }

    async fn snapshot_on(&self, connections: DatabaseConnection, operation: Operation) -> Result<Snapshot, StoreError> {
        let (began, span) = (Instant::now(), trace::part(operation.name()));
        let options = match self.database() {
            // A transaction of SQLite reads one snapshot from its first statement on. It takes no options.
            Database::Sqlite => TransactionOptions::default(),
            Database::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..TransactionOptions::default()
            },
        };
        let store = self.clone();
        // In a task of its own, which goes on when the caller is cancelled (by a deadline or a client that left). The
        // driver rolls back a transaction only once it knows that BEGIN succeeded. A caller cancelled during BEGIN would
        // return the connection inside a transaction, and the next read on it would fail. A snapshot that no caller takes
        // is dropped whole, and that rolls back.
        let begin = async move {
            let tx = connections.begin_with_options(options).await?;
            let Head { revision, floor, store_id } = store.read_head(&tx, "").await?;
            let store_id = u32_of(store_id)?;
            let reading = Reading { store, operation, began, _span: span };
            Ok(Snapshot { tx, revision, floor, store_id, _reading: reading })
        };
        let store = self.clone();
        let beginning = tokio::spawn(async move { store.answered(SHORT_MAX, begin).await });
        match joined(beginning.await)? {
            Err(error) => {
                self.metrics().add(operation, began.elapsed(), true);
                Err(self.failed(error).await)
            }
            begun => begun,
        }
    }
}

impl Snapshot {
    /// Ends the read with a page of these rows.
    pub async fn page<T>(self, rows: Vec<T>, project: i64, role_mapping: Option<i64>) -> Result<Page<T>, ReadError> {
        let (project, role_mapping) = (id(project)?, role_mapping.map(id).transpose()?);
        let revision = self.revision;
        self.end().await;
        Ok(Page { revision, rows, project, role_mapping })
    }

    /// Gives the connection back.
    pub async fn end(self) {
        // Nothing was written, so an error does not affect what was read.
        let _ = self.tx.rollback().await;
    }
}

/// Returns what a task returned, and panics if it panicked.
pub fn joined<T>(task: Result<T, JoinError>) -> Result<T, StoreError> {
    match task.map_err(JoinError::try_into_panic) {
        Ok(value) => Ok(value),
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_)) => Err(DbErr::Custom("the process is stopping".into()).into()),
    }
}
