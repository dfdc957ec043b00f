//! Erases what was deleted, in the background and in chunks: one command of the actor `system` each, on the record like
//! any other (S5, P6, R4). What is dead was out of reach from the moment it was deleted; only its space is at stake here.
//!
//! The State says what is dying; the ids of users are in the database alone. Several servers on one database may find
//! the same: whoever comes second finds nothing left to erase.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::command::{Call, Command, Erase, SYSTEM};
use crate::domain::decide::Outcome;
use crate::domain::id::{OrgNo, ProjectId};
use crate::domain::{Project, UserId};
use crate::engine::Engine;
use crate::limits::ERASE_ROWS_MAX;
use crate::store::{Store, StoreError};
use crate::writer::{Answer, Failure, Writer, Written};

/// How often it is looked whether anything is dying.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two chunks: other writes come first.
const BREATH: Duration = Duration::from_millis(10);
/// After an error, and where a chunk changed nothing: another server may be at it.
const REST: Duration = Duration::from_secs(2);
/// Dead orgs asked for at a time.
const ORGS_MAX: usize = 1_000;

/// Erases until the writer stops.
pub async fn run(store: Store, engine: Arc<Engine>, writer: Arc<Writer>) {
    let mut walk = None;
    loop {
        let published = engine.pin();
        let Some(project) = published.state.all_projects().find(|project| project.has_dying()) else {
            walk = None;
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let pause = match erase(&store, &writer, project, &mut walk).await {
            Ok(Erased::Something) => BREATH,
            // Another server is at it: not to go on beside it with every step, this one rests, each time differently long.
            Ok(Erased::Nothing) => REST.mul_f32(1.0 + jitter()),
            Err(Stopped::Stopping) => return,
            Err(Stopped::Failed(why)) => {
                tracing::warn!(why, "cannot erase what was deleted; trying again");
                REST
            }
        };
        tokio::time::sleep(pause).await;
    }
}

enum Erased {
    Something,
    Nothing,
}

enum Stopped {
    Stopping,
    Failed(String),
}

/// How far the memberships of a project were looked through for dying role sets, for which there is no index.
struct Walk {
    project: ProjectId,
    after: (OrgNo, UserId),
}

async fn erase(store: &Store, writer: &Writer, project: &Project, walk: &mut Option<Walk>) -> Result<Erased, Stopped> {
    let found = find(store, project, walk).await.map_err(|error| Stopped::Failed(error.to_string()))?;
    let last = found.len() < ERASE_ROWS_MAX;
    let looks_for_sets = !project.is_dying() && project.dying_orgs().is_empty();
    *walk = match found.last() {
        Some(after) if looks_for_sets && !last => Some(Walk { project: project.id, after: after.clone() }),
        _ => None,
    };
    let command = Command::Erase(Erase { project: project.id, members: found, last });
    let call = Call::plain(SYSTEM, "erasing what was deleted");
    match writer.submit(command, call).await {
        Ok(Written { answer: Answer::Decided { outcome: Outcome::Erased(0), .. }, .. }) => Ok(Erased::Nothing),
        Ok(_) => Ok(Erased::Something),
        Err(Failure::Stopping) => Err(Stopped::Stopping),
        Err(failure) => Err(Stopped::Failed(failure.to_string())),
    }
}

/// Between 0 and 1. Without randomness all servers rest alike, and that is no harm.
fn jitter() -> f32 {
    getrandom::u32().map_or(0.0, |random| random as f32 / u32::MAX as f32)
}

/// Memberships that hang on something dead, a chunk of them: fewer than a chunk are the last.
async fn find(store: &Store, project: &Project, walk: &Option<Walk>) -> Result<Vec<(OrgNo, UserId)>, StoreError> {
    let limit = ERASE_ROWS_MAX as u32;
    if project.is_dying() {
        return store.erasable_of_project(project.id, limit).await;
    }
    if !project.dying_orgs().is_empty() {
        let orgs: Vec<OrgNo> = project.dying_orgs().iter().copied().take(ORGS_MAX).collect();
        return store.erasable(project.id, &orgs, &[], None, limit).await;
    }
    let sets: Vec<_> = project.dying_sets().iter().copied().collect();
    let after = walk.as_ref().filter(|walk| walk.project == project.id).map(|walk| walk.after.clone());
    store.erasable(project.id, &[], &sets, after, limit).await
}
