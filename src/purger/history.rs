//! Deletes history that is older than the configured time.

use std::time::Duration;

use crate::clock;
use crate::store::Store;

/// How often to look for old history.
const PAUSE: Duration = Duration::from_secs(60 * 60);
/// Between two chunks, for other writes.
const CHUNK_DELAY: Duration = Duration::from_millis(50);
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Deletes changes and commits that are older than `days`, until dropped.
pub async fn run(store: Store, days: u32) {
    loop {
        let before = clock::now().plus_seconds(-i64::from(days) * DAY_SECONDS);
        let pause = match store.compact(before).await {
            Ok(true) => CHUNK_DELAY,
            Ok(false) => PAUSE,
            Err(error) => {
                tracing::warn!(%error, "cannot delete old history; trying again");
                PAUSE
            }
        };
        tokio::time::sleep(pause).await;
    }
}
