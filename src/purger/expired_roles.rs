//! Removes roles that expired long ago, by recorded commands of the actor `system` (B5).

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::domain::commands::call::SYSTEM;
use crate::domain::commands::command::RemoveExpiredRoles;
use crate::domain::{Call, Command, ProjectKey};
use crate::engine::Engine;
use crate::writer::{Failure, Writer};

/// How often to look for such roles.
const PAUSE: Duration = Duration::from_secs(60 * 60);
/// Between two chunks, for other writes.
const CHUNK_DELAY: Duration = Duration::from_millis(50);

/// Removes outdated roles until the writer stops.
pub async fn run(engine: Arc<Engine>, writer: Arc<Writer>) {
    loop {
        let mut pause = PAUSE;
        for project in outdated(&engine).await {
            let command = Command::RemoveExpiredRoles(RemoveExpiredRoles { project });
            match writer.submit(command, Call::plain(SYSTEM, "removing roles that expired long ago")).await {
                // There may be more of them.
                Ok(_) => pause = CHUNK_DELAY,
                Err(Failure::Stopping) => return,
                Err(failure) => tracing::warn!(%failure, "cannot remove expired roles; trying again in an hour"),
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Returns the projects with outdated roles. That visits all orgs, so it does not run on the threads that answer checks.
async fn outdated(engine: &Engine) -> Vec<ProjectKey> {
    let published = engine.pin();
    let find = move || {
        let now = clock::now();
        let projects = published.state.projects();
        let outdated = projects.filter(|project| !project.with_outdated_roles(now, 1).is_empty());
        outdated.map(|project| project.record.key.clone()).collect()
    };
    tokio::task::spawn_blocking(find).await.unwrap_or_default()
}
