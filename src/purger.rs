//! Purges deleted data in the background, in chunks. Each chunk is a command of the actor `system`, in the history like any
//! other (S5, P6, R4). Deleted data is unreachable from its deletion on, so purging only frees space.
//!
//! The State knows what is being purged. Only the database knows the ids of users. Several servers may select the same
//! rows. The second one finds nothing to purge.

pub mod expired;
pub mod history;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::commands::call::SYSTEM;
use crate::domain::commands::command::Purge;
use crate::domain::model::id::{OrgNo, ProjectId};
use crate::domain::{Call, Command, Outcome, Project, UserId};
use crate::engine::Engine;
use crate::limits::PURGE_ROWS_MAX;
use crate::store::{Store, StoreError};
use crate::writer::{Answer, Failure, Writer, Written};

/// How often to look for deleted data.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two chunks, for other writes.
const CHUNK_DELAY: Duration = Duration::from_millis(10);
/// After an error, and after a chunk that changed nothing: another server may be purging.
const RETRY_DELAY: Duration = Duration::from_secs(2);
/// Deleted orgs of one query.
const ORGS_MAX: usize = 1_000;

/// Purges until the writer stops.
pub async fn run(store: Store, engine: Arc<Engine>, writer: Arc<Writer>) {
    let mut walk = None;
    loop {
        let published = engine.pin();
        let Some(project) = published.state.all_projects().find(|project| project.has_data_to_purge()) else {
            walk = None;
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let pause = match purge(&store, &writer, project, &mut walk).await {
            Ok(Purged::Something) => CHUNK_DELAY,
            // Another server is purging. Wait for a random time, so that the two do not go in step.
            Ok(Purged::Nothing) => RETRY_DELAY.mul_f32(1.0 + jitter()),
            Err(Stopped::Stopping) => return,
            Err(Stopped::Failed(why)) => {
                tracing::warn!(why, "cannot purge deleted data; trying again");
                RETRY_DELAY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

enum Purged {
    Something,
    Nothing,
}

enum Stopped {
    Stopping,
    Failed(String),
}

/// The last membership that was searched for role sets being purged. There is no index for them.
struct Walk {
    project: ProjectId,
    after: (OrgNo, UserId),
}

async fn purge(store: &Store, writer: &Writer, project: &Project, walk: &mut Option<Walk>) -> Result<Purged, Stopped> {
    let found = find(store, project, walk).await.map_err(|error| Stopped::Failed(error.to_string()))?;
    let last = found.len() < PURGE_ROWS_MAX;
    let looks_for_sets = !project.is_being_purged() && project.orgs_being_purged().is_empty();
    *walk = match found.last() {
        Some(after) if looks_for_sets && !last => Some(Walk { project: project.id, after: after.clone() }),
        _ => None,
    };
    if last && purge_invitations(store, project).await.map_err(|error| Stopped::Failed(error.to_string()))? {
        return Ok(Purged::Something);
    }
    let command = Command::Purge(Purge { project: project.id, members: found, last });
    let call = Call::plain(SYSTEM, "purging deleted data");
    match writer.submit(command, call).await {
        Ok(Written { answer: Answer::Decided { outcome: Outcome::Purged(0), .. }, .. }) => Ok(Purged::Nothing),
        Ok(_) => Ok(Purged::Something),
        Err(Failure::Stopping) => Err(Stopped::Stopping),
        Err(failure) => Err(Stopped::Failed(failure.to_string())),
    }
}

/// Purges a chunk of the accepted and revoked invitations of deleted orgs, which are in the database only. So no command
/// records it. Returns false if there were none.
async fn purge_invitations(store: &Store, project: &Project) -> Result<bool, StoreError> {
    if project.is_being_purged() {
        return store.delete_invitations_of(project.id, None).await;
    }
    // As many orgs as the last command may purge.
    let orgs: Vec<OrgNo> = project.orgs_being_purged().iter().copied().take(PURGE_ROWS_MAX).collect();
    if orgs.is_empty() { Ok(false) } else { store.delete_invitations_of(project.id, Some(&orgs)).await }
}

/// Returns a number between 0 and 1. Without randomness all servers wait equally long, which does no harm.
fn jitter() -> f32 {
    getrandom::u32().map_or(0.0, |random| random as f32 / u32::MAX as f32)
}

/// Returns a chunk of memberships of deleted data. A chunk that is not full is the last.
async fn find(store: &Store, project: &Project, walk: &Option<Walk>) -> Result<Vec<(OrgNo, UserId)>, StoreError> {
    let limit = PURGE_ROWS_MAX as u32;
    if project.is_being_purged() {
        return store.purgeable_of_project(project.id, limit).await;
    }
    if !project.orgs_being_purged().is_empty() {
        let orgs: Vec<OrgNo> = project.orgs_being_purged().iter().copied().take(ORGS_MAX).collect();
        return store.purgeable(project.id, &orgs, &[], None, limit).await;
    }
    let sets: Vec<_> = project.role_sets_being_purged().iter().copied().collect();
    let after = walk.as_ref().filter(|walk| walk.project == project.id).map(|walk| walk.after.clone());
    store.purgeable(project.id, &[], &sets, after, limit).await
}
