//! Reads the rows of a query as they come, so that a large table takes little memory.

use std::time::Duration;

use futures_util::{FutureExt, TryStreamExt};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, QueryResult, Statement, StreamTrait, TransactionStream,
};

use super::StoreError;
use super::connect::sqlite::ROWS_AHEAD;
use super::ids::id;
use crate::domain::collections::numbered::Numbered;
use crate::domain::model::lifecycle::Lifecycle;
use crate::domain::{Scoped, Time};

/// Rows that are worked on at once. SQLite reads the next ones meanwhile.
const CHUNK: usize = ROWS_AHEAD / 4;

/// How long SQLite reads ahead, at most [`ROWS_AHEAD`] rows.
const READ_AHEAD: Duration = Duration::from_millis(1);

/// Calls `take` with each row.
pub async fn each(
    tx: &DatabaseTransaction,
    sql: &str,
    mut take: impl FnMut(Columns<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut rows = Rows::of(tx, sql).await?;
    let mut chunk = Vec::new();
    while rows.next(&mut chunk).await? {
        for row in chunk.drain(..) {
            take(Columns::of(&row))?;
        }
    }
    Ok(())
}

pub struct Rows<'a> {
    rows: TransactionStream<'a>,
    database: DbBackend,
    ended: bool,
}

impl<'a> Rows<'a> {
    pub async fn of(tx: &'a DatabaseTransaction, sql: &str) -> Result<Self, StoreError> {
        let database = ConnectionTrait::get_database_backend(tx);
        let rows = tx.stream_raw(Statement::from_string(database, sql)).await?;
        Ok(Self { rows, database, ended: false })
    }

    /// Fills a chunk with the next rows. Returns false if there are none.
    pub async fn next(&mut self, chunk: &mut Vec<QueryResult>) -> Result<bool, StoreError> {
        while !self.ended && chunk.len() < CHUNK {
            let row = match self.rows.try_next().now_or_never() {
                Some(row) => row?,
                // Waking this task for each row costs as much as the row.
                None if self.database == DbBackend::Sqlite => {
                    tokio::time::sleep(READ_AHEAD).await;
                    continue;
                }
                None => self.rows.try_next().await?,
            };
            self.ended = row.is_none();
            chunk.extend(row);
        }
        Ok(!chunk.is_empty())
    }
}

/// The columns of a row, read in order: looking up their names costs too much for a million rows.
pub struct Columns<'a> {
    row: &'a QueryResult,
    next: usize,
}

impl<'a> Columns<'a> {
    pub fn of(row: &'a QueryResult) -> Self {
        Self { row, next: 0 }
    }

    pub fn next<T: sea_orm::TryGetable>(&mut self) -> Result<T, StoreError> {
        self.next += 1;
        Ok(self.row.try_get_by_index(self.next - 1)?)
    }

    pub fn id<I: Numbered>(&mut self) -> Result<I, StoreError> {
        id(self.next()?)
    }

    pub fn scoped<I: Numbered>(&mut self) -> Result<Scoped<I>, StoreError> {
        Ok(Scoped { project: self.id()?, id: self.id()? })
    }

    pub fn text(&mut self) -> Result<String, StoreError> {
        self.next()
    }

    pub fn time(&mut self) -> Result<Time, StoreError> {
        Ok(Time(self.next()?))
    }

    pub fn lifecycle(&mut self) -> Result<Lifecycle, StoreError> {
        let deleted_at: Option<i64> = self.next()?;
        Ok(Lifecycle::stored(deleted_at.map(Time), self.next()?))
    }
}
