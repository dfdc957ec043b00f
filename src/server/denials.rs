//! Writes refused calls to the database, behind the calls (A1).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::Engine;
use crate::store::{Store, StoreError};
use crate::writer::Writer;

/// How often to write. A crash loses the refused calls of this time.
const PAUSE: Duration = Duration::from_secs(1);
/// How often to log calls of unknown callers.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// Writes until dropped.
pub async fn run(store: Store, engine: Arc<Engine>, writer: Arc<Writer>) {
    let (mut failing, mut logged) = (false, (0, None::<Instant>));
    loop {
        tokio::time::sleep(PAUSE).await;
        let written = write(&store, &engine, &writer).await;
        match &written {
            Err(error) if !failing => {
                tracing::warn!(%error, "cannot store refused calls; trying again until it succeeds");
            }
            Ok(()) if failing => tracing::info!("refused calls are stored again"),
            _ => {}
        }
        failing = written.is_err();
        let unauthenticated = engine.denials.unauthenticated();
        if unauthenticated > logged.0 && logged.1.is_none_or(|at| at.elapsed() >= LOG_PAUSE) {
            tracing::warn!(calls = unauthenticated - logged.0, "calls of unknown callers were refused");
            logged = (unauthenticated, Some(Instant::now()));
        }
    }
}

/// Writes what is not in the database yet. Keeps what could not be written.
pub async fn write(store: &Store, engine: &Engine, writer: &Writer) -> Result<(), StoreError> {
    let unwritten = engine.denials.unwritten();
    // A file that failed once must not be written to again.
    if unwritten.is_empty() || writer.is_closed_for_good() {
        return Ok(());
    }
    let rows = unwritten.iter().map(|it| (it.denial.clone(), it.place)).collect();
    let places = store.write_denials(rows).await?;
    engine.denials.written(&unwritten, &places);
    Ok(())
}
