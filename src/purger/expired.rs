//! Removes roles and invitations that expired long ago, by recorded commands of the actor `system` (B5).

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::domain::commands::call::SYSTEM;
use crate::domain::commands::command::RemoveExpired;
use crate::domain::{Call, Command, Outcome, ProjectKey};
use crate::engine::Engine;
use crate::writer::{Answer, Failure, Writer};

/// How often to look for them.
const PAUSE: Duration = Duration::from_secs(60 * 60);
/// Between two chunks, for other writes.
const CHUNK_DELAY: Duration = Duration::from_millis(50);

/// Removes them until the writer stops.
pub async fn run(engine: Arc<Engine>, writer: Arc<Writer>) {
    loop {
        for project in long_expired(&engine).await {
            loop {
                match remove(&writer, &project).await {
                    Ok(true) => tokio::time::sleep(CHUNK_DELAY).await,
                    Ok(false) => break,
                    Err(Failure::Stopping) => return,
                    Err(failure) => {
                        tracing::warn!(%project, %failure, "cannot remove expired roles and invitations; trying again in an hour");
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Removes a chunk. Returns false if there was nothing to remove: perhaps another server did it.
async fn remove(writer: &Writer, project: &ProjectKey) -> Result<bool, Failure> {
    let command = Command::RemoveExpired(RemoveExpired { project: project.clone() });
    let written =
        writer.submit(command, Call::plain(SYSTEM, "removing roles and invitations that expired long ago")).await?;
    Ok(!matches!(written.answer, Answer::Decided { outcome: Outcome::Purged(0), .. }))
}

/// Returns the projects with roles or invitations that expired long ago. It visits all orgs, so it does not run on the
/// threads that answer checks.
async fn long_expired(engine: &Engine) -> Vec<ProjectKey> {
    let published = engine.pin();
    let find = move || {
        let now = clock::now();
        let projects = published.state.projects();
        let long_expired = projects.filter(|project| project.has_long_expired(now));
        long_expired.map(|project| project.record.key.clone()).collect()
    };
    tokio::task::spawn_blocking(find).await.unwrap_or_default()
}
