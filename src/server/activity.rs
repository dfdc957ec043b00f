//! Writes the activity of orgs to the database, behind the checks (U4).

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::activity::ActiveDay;
use crate::store::{ACTIVE_ORGS_MAX, Store, StoreError};
use crate::writer::Writer;

/// How often to write. A crash loses the activity of this time, at most a minute with the time that writing takes.
const PAUSE: Duration = Duration::from_secs(30);

/// Writes until dropped.
pub async fn run(store: Store, engine: Arc<Engine>, writer: Arc<Writer>) {
    let mut failing = false;
    loop {
        tokio::time::sleep(PAUSE).await;
        let written = write(&store, &engine, &writer).await;
        match &written {
            Err(error) if !failing => {
                tracing::warn!(%error, "cannot store the activity of orgs; trying again until it succeeds");
            }
            Ok(()) if failing => tracing::info!("the activity of orgs is stored again"),
            _ => {}
        }
        failing = written.is_err();
    }
}

/// Writes what is not in the database yet. Keeps what could not be written.
pub async fn write(store: &Store, engine: &Engine, writer: &Writer) -> Result<(), StoreError> {
    let unwritten = engine.activity.unwritten();
    // Most often one day of one project.
    let same = |one: &ActiveDay, next: &ActiveDay| (one.0, one.2) == (next.0, next.2);
    for days in unwritten.chunk_by(same).flat_map(|days| days.chunks(ACTIVE_ORGS_MAX)) {
        // A file that failed once must not be written to again.
        if writer.is_closed_for_good() {
            return Ok(());
        }
        let orgs: Vec<_> = days.iter().map(|&(_, org, _)| org).collect();
        store.write_activity(days[0].0, days[0].2, &orgs).await?;
        engine.activity.written(days);
    }
    Ok(())
}
