//! Takes a backup: reads all tables in one transaction, and writes the file meanwhile.

use std::io::{self, Write};

use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::blocks::{BlockKind, BlockWriter};
use super::check::Described;
use super::row::encode;
use super::tables::{Table, tables};
use super::{BackupError, Contents, Header, TableRows, migrations};
use crate::domain::Time;
use crate::store::migrate::{has_store, is_pending};
use crate::store::rows::{Columns, Rows};
use crate::store::{Database, Store, StoreError};

/// The size of a block before compression.
const BLOCK_BYTES: usize = 1 << 20;
/// Blocks that wait to be written.
const BLOCKS_AHEAD: usize = 4;

/// A block to be written.
type Unwritten = (BlockKind, Vec<u8>);

impl Store {
    /// Writes all rows at the newest revision to `out`. Writes of servers go on meanwhile. Calls `progress` with the table that
    /// is read and the number of rows so far.
    pub async fn back_up<W: Write + Send + 'static>(
        &self,
        out: W,
        now: Time,
        progress: impl FnMut(&str, u64),
    ) -> Result<Contents, BackupError> {
        if !has_store(self.reads()).await? {
            return Err(StoreError::Empty.into());
        }
        if is_pending(self.reads()).await? {
            return Err(BackupError::OlderTables);
        }
        let snapshot = self.whole_snapshot().await?;
        if self.database() == Database::Postgres {
            // Writing the file may wait for a slow disk.
            let settings = "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL tcp_user_timeout = 0";
            snapshot.tx.execute_unprepared(settings).await.map_err(StoreError::from)?;
        }
        let header = Header {
            release: env!("CARGO_PKG_VERSION").into(),
            database: match self.database() {
                Database::Sqlite => "sqlite".into(),
                Database::Postgres => "postgres".into(),
            },
            migrations: migrations(),
            store_id: snapshot.store_id,
            revision: snapshot.revision.number,
            tag: snapshot.revision.tag,
            at: snapshot.revision.at.0,
            taken_at: now.0,
        };
        let (blocks, unwritten) = mpsc::channel(BLOCKS_AHEAD);
        let writing = tokio::task::spawn_blocking(move || write(out, unwritten));
        let read = read(&snapshot.tx, &header, blocks, progress).await;
        snapshot.end().await;
        let written = writing.await.map_err(|error| BackupError::Write(io::Error::other(error)))?;
        // If writing failed, reading stopped for that reason.
        let (bytes, checksum) = written.map_err(BackupError::Write)?.unwrap_or_default();
        Ok(Contents { header, tables: read?, bytes, checksum })
    }
}

/// Writes blocks until the last one. Returns the size of the file and its checksum. `None` if there was no last block.
fn write(out: impl Write, mut blocks: Receiver<Unwritten>) -> io::Result<Option<(u64, [u8; 32])>> {
    let mut writer = BlockWriter::new(out)?;
    while let Some((kind, content)) = blocks.blocking_recv() {
        if kind == BlockKind::End {
            return writer.end(&content).map(Some);
        }
        writer.block(kind, &content)?;
    }
    Ok(None)
}

/// Reads all tables. Returns their numbers of rows.
async fn read(
    tx: &DatabaseTransaction,
    header: &Header,
    blocks: Sender<Unwritten>,
    mut progress: impl FnMut(&str, u64),
) -> Result<Vec<TableRows>, BackupError> {
    send(&blocks, BlockKind::Header, json(header)?).await?;
    let (mut counts, mut before) = (Vec::new(), 0);
    for table in tables()? {
        let described = Described { table: table.name.into(), columns: table.columns.clone() };
        send(&blocks, BlockKind::Table, json(&described)?).await?;
        let count = read_table(tx, &table, &blocks, |count| progress(table.name, before + count)).await?;
        before += count;
        counts.push(TableRows { table: table.name.into(), rows: count });
    }
    send(&blocks, BlockKind::End, json(&counts)?).await?;
    Ok(counts)
}

async fn read_table(
    tx: &DatabaseTransaction,
    table: &Table,
    blocks: &Sender<Unwritten>,
    mut progress: impl FnMut(u64),
) -> Result<u64, BackupError> {
    let quoted = |names: &mut dyn Iterator<Item = &str>| names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>();
    let columns = quoted(&mut table.columns.iter().map(|column| column.name.as_str())).join(", ");
    let key = quoted(&mut table.key.iter().copied()).join(", ");
    let mut rows = Rows::of(tx, &format!("SELECT {columns} FROM \"{}\" ORDER BY {key}", table.name)).await?;
    let (mut chunk, mut block, mut count): (Vec<QueryResult>, Vec<u8>, u64) = (Vec::new(), Vec::new(), 0);
    while rows.next(&mut chunk).await? {
        for row in chunk.drain(..) {
            encode(&table.columns, Columns::of(&row), &mut block)?;
            count += 1;
            if block.len() >= BLOCK_BYTES {
                send(blocks, BlockKind::Rows, std::mem::take(&mut block)).await?;
                progress(count);
            }
        }
    }
    if !block.is_empty() {
        send(blocks, BlockKind::Rows, block).await?;
    }
    progress(count);
    Ok(count)
}

async fn send(blocks: &Sender<Unwritten>, kind: BlockKind, content: Vec<u8>) -> Result<(), BackupError> {
    let stopped = |_| BackupError::Write(io::Error::other("writing has stopped"));
    blocks.send((kind, content)).await.map_err(stopped)
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, BackupError> {
    serde_json::to_vec(value).map_err(|error| BackupError::Write(error.into()))
}
