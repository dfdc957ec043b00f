//! Restores a backup into an empty database, in one transaction.

use std::io::Read;

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait, Value,
};
use tokio::sync::mpsc::{self, Receiver};

use super::check::read;
use super::tables::{Table, tables};
use super::{BackupError, Contents};
use crate::store::migrate::has_store;
use crate::store::sql::Sql;
use crate::store::write::batch::Batch;
use crate::store::write::rows::insert_rows;
use crate::store::{Database, Store, StoreError};

/// Blocks that are read ahead.
const BLOCKS_AHEAD: usize = 2;

impl Store {
    /// Restores a backup that `check` has found whole. Creates the tables. Reads the file again, and refuses it if it has changed.
    /// Calls `progress` with the bytes read so far. After any error the database holds no rows.
    pub async fn restore(
        &self,
        checked: &Contents,
        file: impl Read + Send + 'static,
        progress: impl FnMut(u64) + Send + 'static,
    ) -> Result<(), BackupError> {
        // Looked at first: migrating alters the tables of a store.
        if has_store(&self.writes()).await? {
            refuse_rows(&self.writes(), &tables()?).await?;
        }
        self.migrate().await?;
        let sqlite_transaction_mode = (self.database() == Database::Sqlite).then_some(SqliteTransactionMode::Immediate);
        let options = TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
        let tx = self.writes().begin_with_options(options).await.map_err(StoreError::from)?;
        match insert(&tx, checked, file, progress).await {
            Ok(()) => Ok(tx.commit().await.map_err(StoreError::from)?),
            Err(error) => {
                // Dropping the transaction would end it too.
                let _ = tx.rollback().await;
                Err(error)
            }
        }
    }
}

async fn insert(
    tx: &DatabaseTransaction,
    checked: &Contents,
    file: impl Read + Send + 'static,
    progress: impl FnMut(u64) + Send + 'static,
) -> Result<(), BackupError> {
    let tables = tables()?;
    if tx.get_database_backend() == DbBackend::Postgres {
        // A server that starts now must not make a new store of the database.
        let lock = Statement::from_string(DbBackend::Postgres, "LOCK TABLE head IN ACCESS EXCLUSIVE MODE");
        tx.execute_raw(lock).await.map_err(StoreError::from)?;
    }
    refuse_rows(tx, &tables).await?;
    let (blocks, unwritten) = mpsc::channel(BLOCKS_AHEAD);
    let reading = tokio::task::spawn_blocking(move || {
        read(file, progress, |table, values| blocks.blocking_send((table, values)).is_ok())
    });
    // The end of this function ends the channel, and that ends reading.
    insert_blocks(tx, &tables, unwritten).await?;
    let read = reading.await.map_err(|error| BackupError::Read(std::io::Error::other(error)))??;
    if read == *checked { Ok(()) } else { Err(BackupError::Changed) }
}

async fn insert_blocks(
    tx: &DatabaseTransaction,
    tables: &[Table],
    mut blocks: Receiver<(usize, Vec<Value>)>,
) -> Result<(), StoreError> {
    let mut batch = Batch::new(tx);
    while let Some((at, values)) = blocks.recv().await {
        let table = &tables[at];
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let rows: Vec<&[Value]> = values.chunks(names.len()).collect();
        insert_rows(&mut batch, table.name, &names, &rows, |row, column| row[column].clone(), "").await?;
    }
    Ok(batch.send().await?)
}

/// Refuses a database that holds anything.
async fn refuse_rows(db: &impl ConnectionTrait, tables: &[Table]) -> Result<(), BackupError> {
    // `head` is the last table, and its name tells most.
    for table in tables.iter().rev() {
        let mut sql = Sql::default();
        sql.push(&format!("SELECT 1 FROM \"{}\" LIMIT 1", table.name));
        let row = db.query_one_raw(sql.statement(db.get_database_backend())).await.map_err(StoreError::from)?;
        if row.is_some() {
            return Err(BackupError::NotEmpty(table.name));
        }
    }
    Ok(())
}
