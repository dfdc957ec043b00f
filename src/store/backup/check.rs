//! Reads a whole backup and refuses one that is cut, damaged, or of other tables.

use std::io::{BufReader, Read};

use sea_orm::Value;
use serde::{Deserialize, Serialize};

use super::blocks::{BlockKind, BlockReader};
use super::row::decode;
use super::tables::{Column, tables};
use super::{BackupError, Contents, Header, TableRows, migrations};
use crate::store::head::HEAD;

/// What a block of a table holds.
#[derive(Serialize, Deserialize)]
pub struct Described {
    pub table: String,
    pub columns: Vec<Column>,
}

/// Returns what a backup holds. Calls `progress` with the bytes read so far.
pub fn check(input: impl Read, progress: impl FnMut(u64)) -> Result<Contents, BackupError> {
    read(input, progress, |_, _| true)
}

/// Checks a backup, and gives `take` the values of its rows with the number of their table, block by block. Stops if it returns
/// false.
pub fn read(
    input: impl Read,
    mut progress: impl FnMut(u64),
    mut take: impl FnMut(usize, Vec<Value>) -> bool,
) -> Result<Contents, BackupError> {
    let mut blocks = BlockReader::new(BufReader::new(input))?;
    let header = header(&mut blocks)?;
    let tables = tables()?;
    let mut counts: Vec<TableRows> = Vec::new();
    loop {
        let damaged = BackupError::Damaged(blocks.bytes());
        let block = blocks.block()?;
        progress(blocks.bytes());
        let begun = counts.len();
        match (block.kind, counts.last_mut()) {
            (BlockKind::Table, _) => {
                let described: Option<Described> = serde_json::from_slice(&block.content).ok();
                let expected = tables.get(begun);
                let matching = described.zip(expected).filter(|(described, expected)| {
                    described.table == expected.name && described.columns == expected.columns
                });
                let Some((described, _)) = matching else { return Err(damaged) };
                counts.push(TableRows { table: described.table, rows: 0 });
            }
            (BlockKind::Rows, Some(count)) => {
                let at = begun - 1;
                let (mut bytes, mut values) = (&block.content[..], Vec::new());
                while !bytes.is_empty() {
                    if decode(&tables[at].columns, &mut bytes, &mut values).is_none() {
                        return Err(damaged);
                    }
                    count.rows += 1;
                }
                if begun == tables.len() && values != head(&header, &values) {
                    return Err(damaged);
                }
                if !take(at, values) {
                    return Err(BackupError::Changed);
                }
            }
            (BlockKind::End, Some(head)) if head.rows == 1 && begun == tables.len() => {
                let (checksum, end) = block.content.split_at(block.checksum.len().min(block.content.len()));
                let ended = serde_json::from_slice::<Vec<TableRows>>(end).is_ok_and(|end| end == counts);
                if !ended || checksum != block.checksum {
                    return Err(damaged);
                }
                let bytes = blocks.end()?;
                return Ok(Contents { header, tables: counts, bytes, checksum: block.checksum });
            }
            _ => return Err(damaged),
        }
    }
}

fn header(blocks: &mut BlockReader<impl Read>) -> Result<Header, BackupError> {
    let damaged = BackupError::Damaged(blocks.bytes());
    let block = blocks.block()?;
    if block.kind != BlockKind::Header {
        return Err(damaged);
    }
    let header: Header = serde_json::from_slice(&block.content).map_err(|_| damaged)?;
    if header.migrations != migrations() {
        return Err(BackupError::OtherTables { release: header.release, migrations: header.migrations.join(", ") });
    }
    Ok(header)
}

/// Returns the head row of a store with this header, and the floor of `values`.
fn head(header: &Header, values: &[Value]) -> Vec<Value> {
    let number = |number: i64| Value::BigInt(Some(number));
    let revision = number(header.revision.try_into().unwrap_or(i64::MAX));
    let head = [number(HEAD), number(header.store_id.into()), revision, number(header.tag.into()), number(header.at)];
    head.into_iter().chain(values.get(5).cloned()).collect()
}
