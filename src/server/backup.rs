//! Backs up and restores a database, with or without a server on it.

use std::io::{Read, Write};

use crate::clock;
use crate::engine::Token;
use crate::store::Store;
pub use crate::store::backup::{BackupError, Contents, Header, check};

/// Writes a backup of a database. Calls `progress` with the number of rows so far.
pub async fn back_up(
    database: &str,
    out: impl Write + Send + 'static,
    mut progress: impl FnMut(u64),
) -> Result<Contents, BackupError> {
    let store = Store::open_to_read(database).await?;
    let contents = store.back_up(out, clock::now(), |_, rows| progress(rows)).await;
    store.close().await;
    contents
}

/// Restores a backup that `check` has found whole into an empty database. Calls `progress` with the bytes read so far.
pub async fn restore(
    database: &str,
    checked: &Contents,
    file: impl Read + Send + 'static,
    progress: impl FnMut(u64) + Send + 'static,
) -> Result<(), BackupError> {
    let store = Store::open(database).await?;
    let restored = store.restore(checked, file, progress).await;
    store.close().await;
    restored
}

/// Returns the revision of a backup as answers show it.
pub fn revision(header: &Header) -> String {
    Token { store_id: header.store_id, number: header.revision, tag: header.tag }.encode()
}
