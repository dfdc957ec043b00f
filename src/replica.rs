//! Follows the commits of other servers on the same database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock;
use crate::domain::{Revision, State};
use crate::engine::Engine;
use crate::store::{SinceError, Store, StoreError};

/// How often to read the database without a notice, and when nobody waits for a revision.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a read may take. A large State may have to be loaded again. Other reads have shorter limits of their own.
const READ_MAX: Duration = Duration::from_secs(120);
/// How long to wait after a notice for more, and for this process to publish its own commit.
const GATHER: Duration = Duration::from_millis(2);
/// Commits of one read.
const COMMITS_MAX: u32 = 1_000;

/// Follows the store until dropped. Returns a reason if it reads a change that this version does not know.
pub async fn follow(store: Store, engine: Arc<Engine>) -> String {
    let mut clock_warned = false;
    let mut notice = Box::pin(store.notices(engine.store_id()).next());
    loop {
        let behind = clock::behind(engine.load().state.revision().at);
        if let Some(behind) = behind.filter(|_| !clock_warned) {
            tracing::warn!(
                ?behind,
                "this clock is behind the time of the newest commit; compare the clocks of all servers"
            );
        }
        clock_warned = behind.is_some();
        tokio::select! {
            () = engine.wanted() => {}
            () = tokio::time::sleep(PAUSE) => {}
            (notices, revision) = &mut notice => {
                notice = Box::pin(notices.next());
                let is_known = || engine.load().state.revision().number >= revision;
                // A read catches up with many commits. Waiting for each of their notices would take longer than they did.
                if is_known() {
                    continue;
                }
                tokio::time::sleep(GATHER).await;
                if is_known() {
                    continue;
                }
            }
        }
        loop {
            match tokio::time::timeout(READ_MAX, catch_up(&store, &engine)).await {
                Ok(Ok(true)) => continue,
                Ok(Ok(false)) => break,
                Ok(Err(SinceError::UnknownChange(why))) => return why,
                Ok(Err(error)) => tracing::warn!(%error, "cannot follow the database"),
                // The store closes the connection unless it answers. The next attempt uses another one.
                Err(_) => tracing::warn!(after = ?READ_MAX, "cannot follow the database: it does not answer"),
            }
            tokio::time::sleep(PAUSE * 4).await;
            break;
        }
    }
}

/// Applies one page of commits. Returns true if there may be more.
async fn catch_up(store: &Store, engine: &Engine) -> Result<bool, SinceError> {
    let began = Instant::now();
    let mut state = State::clone(&engine.pin().state);
    let mine = state.revision();
    let commits = match store.commits_since(mine, COMMITS_MAX).await {
        Err(SinceError::Diverged) => return reload(store, engine, mine).await,
        Err(SinceError::Store(StoreError::Behind { .. })) if store.has_lost(mine).await? => {
            return reload(store, engine, mine).await;
        }
        commits => commits?,
    };
    for commit in &commits {
        state.apply_commit(commit.revision, &commit.changes);
    }
    let more = commits.len() == COMMITS_MAX as usize;
    engine.publish(mine, state, commits);
    if !more {
        engine.freshness.confirm(began, Duration::ZERO);
    }
    Ok(more)
}

/// Replaces a State at `mine` whose history the store no longer has.
async fn reload(store: &Store, engine: &Engine, mine: Revision) -> Result<bool, SinceError> {
    tracing::warn!(
        "the history of the store differs from the one in memory (restored? failed over?); loading it again"
    );
    let state = store.load(engine.pin().state.hash_key().clone()).await?;
    engine.replace(mine, engine.store_id(), state, &[]);
    Ok(false)
}
