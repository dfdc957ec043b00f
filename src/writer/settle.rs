//! Asks the store, until it answers, whether a commit that was not acknowledged is there.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::domain::Revision;
use crate::store::Store;

/// How long callers are kept waiting for the truth.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Returns whether `last` is stored; calls `give_up` once if that takes longer than callers are kept waiting.
pub(super) async fn settle(store: &Store, last: Revision, mut give_up: impl FnMut()) -> bool {
    let start = Instant::now();
    let mut pause = Duration::from_millis(50);
    let mut waiting = true;
    loop {
        match store.settle(last).await {
            Ok(stored) => return stored,
            Err(error) => tracing::warn!(%error, "cannot settle yet"),
        }
        if waiting && start.elapsed() > PATIENCE {
            give_up();
            waiting = false;
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
