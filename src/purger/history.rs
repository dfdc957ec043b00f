//! Deletes history, refused calls, and accepted and revoked invitations that are older than the configured time.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::store::Store;
use crate::writer::Writer;

/// How often to look for old history.
const PAUSE: Duration = Duration::from_secs(60 * 60);
/// Between two chunks, for other writes.
const CHUNK_DELAY: Duration = Duration::from_millis(50);
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Deletes changes, commits, refused calls, and accepted and revoked invitations that are older than `days`, until dropped or until
/// nothing may be written any more.
pub async fn run(store: Store, writer: Arc<Writer>, days: u32) {
    // A file that failed once must not be written to again.
    while !writer.is_closed_for_good() {
        let before = clock::now().plus_seconds(-i64::from(days) * DAY_SECONDS);
        let deleted = match store.delete_old_history(before).await {
            Ok(false) => store.delete_old_invitations(before).await,
            deleted => deleted,
        };
        let deleted = match deleted {
            Ok(false) => store.delete_old_denials(before).await,
            deleted => deleted,
        };
        let pause = match deleted {
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
