//! Bounds the lists of one project that read the database at one time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::status;
use crate::domain::model::id::ProjectId;
use crate::limits::{LISTS_PER_PROJECT_MAX, LISTS_WAITING_MAX};

/// Projects after which those without a list are forgotten.
const PROJECTS_MAX: usize = 1_000;

#[derive(Default)]
pub struct ListTurns(Mutex<HashMap<ProjectId, Project>>);

struct Project {
    turns: Arc<Semaphore>,
    /// A list holds one while it waits and while it is answered.
    places: Arc<Semaphore>,
}

/// Held while a list is answered.
pub struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl ListTurns {
    /// Waits for a turn. Refuses a list if too many of the project wait.
    pub async fn next(&self, project: ProjectId) -> Result<Turn, Status> {
        let (turns, place) = {
            let mut projects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if projects.len() >= PROJECTS_MAX {
                projects.retain(|_, project| Arc::strong_count(&project.turns) > 1);
            }
            let project = projects.entry(project).or_insert_with(|| Project {
                turns: Arc::new(Semaphore::new(LISTS_PER_PROJECT_MAX)),
                places: Arc::new(Semaphore::new(LISTS_PER_PROJECT_MAX + LISTS_WAITING_MAX)),
            });
            (project.turns.clone(), project.places.clone().try_acquire_owned())
        };
        let overloaded = |_| status::overloaded("too many lists of this project are waiting; try again".into());
        let place = place.map_err(overloaded)?;
        // The semaphores are never closed.
        let turn = turns.acquire_owned().await.map_err(|error| status::overloaded(error.to_string()))?;
        Ok(Turn { _turn: turn, _place: place })
    }
}
