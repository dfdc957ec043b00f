//! Bounds the calls of one kind that run at one time, for each project, so that no project delays another for long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::status;
use crate::domain::model::id::ProjectId;
use crate::limits::{
    INSIGHTS_MAX, INSIGHTS_PER_PROJECT_MAX, LISTS_PER_PROJECT_MAX, PREVIEWS_MAX, PREVIEWS_PER_PROJECT_MAX, TRIALS_MAX,
    TRIALS_PER_PROJECT_MAX, TURNS_WAITING_MAX,
};

/// Projects after which those without a call are forgotten.
const PROJECTS_MAX: usize = 1_000;

pub struct Turns {
    /// The calls, as a refusal names them.
    calls: &'static str,
    per_project: usize,
    /// The turns of all projects. `None` if they are not bounded.
    total: Option<Arc<Semaphore>>,
    /// Calls that name no project, or one that does not exist, share the turns of `None`.
    projects: Mutex<HashMap<Option<ProjectId>, Project>>,
}

struct Project {
    turns: Arc<Semaphore>,
    /// A call holds one while it waits and while it runs.
    places: Arc<Semaphore>,
}

/// Held while a call runs.
pub struct Turn {
    _total: Option<OwnedSemaphorePermit>,
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    /// Returns the turns of lists, which read the database.
    pub fn of_lists() -> Self {
        Self::new("lists", LISTS_PER_PROJECT_MAX, None)
    }

    /// Returns the turns of previews. Each may take as much memory as the write.
    pub fn of_previews() -> Self {
        Self::new("previews (`validate_only`)", PREVIEWS_PER_PROJECT_MAX, Some(PREVIEWS_MAX))
    }

    /// Returns the turns of ListManageableRoles (G5).
    pub fn of_trials() -> Self {
        Self::new("calls of ListManageableRoles", TRIALS_PER_PROJECT_MAX, Some(TRIALS_MAX))
    }

    /// Returns the turns of GetInsights, which looks at every membership (U4).
    pub fn of_insights() -> Self {
        Self::new("calls of GetInsights", INSIGHTS_PER_PROJECT_MAX, Some(INSIGHTS_MAX))
    }

    fn new(calls: &'static str, per_project: usize, total: Option<usize>) -> Self {
        let total = total.map(|total| Arc::new(Semaphore::new(total)));
        Self { calls, per_project, total, projects: Mutex::default() }
    }

    /// Waits for a turn. Refuses a call if too many of the project wait.
    pub async fn next(&self, project: impl Into<Option<ProjectId>>) -> Result<Turn, Status> {
        let (turns, place) = {
            let mut projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
            if projects.len() >= PROJECTS_MAX {
                projects.retain(|_, project| Arc::strong_count(&project.turns) > 1);
            }
            let project = projects.entry(project.into()).or_insert_with(|| Project {
                turns: Arc::new(Semaphore::new(self.per_project)),
                places: Arc::new(Semaphore::new(self.per_project + TURNS_WAITING_MAX)),
            });
            (project.turns.clone(), project.places.clone().try_acquire_owned())
        };
        let overloaded =
            |_| status::overloaded(format!("too many {} of this project are waiting; try again", self.calls));
        let place = place.map_err(overloaded)?;
        // The semaphores are never closed.
        let closed = |error: tokio::sync::AcquireError| status::overloaded(error.to_string());
        let turn = turns.acquire_owned().await.map_err(closed)?;
        // Few calls of each project wait here, so the projects take turns.
        let total = match &self.total {
            Some(total) => Some(total.clone().acquire_owned().await.map_err(closed)?),
            None => None,
        };
        Ok(Turn { _total: total, _turn: turn, _place: place })
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Returns the turn if it is there.
    fn poll(next: Pin<&mut impl Future<Output = Result<Turn, Status>>>) -> Option<Result<Turn, Status>> {
        match next.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    fn id(number: u32) -> ProjectId {
        ProjectId(number.try_into().unwrap())
    }

    fn now(turns: &Turns, project: u32) -> Option<Result<Turn, Status>> {
        poll(pin!(turns.next(id(project))))
    }

    #[test]
    fn a_project_with_many_calls_delays_no_other() {
        let turns = Turns::new("calls", 1, Some(2));
        let first = now(&turns, 1).unwrap().unwrap();
        let mut waiting: Vec<_> = (0..TURNS_WAITING_MAX).map(|_| Box::pin(turns.next(id(1)))).collect();
        assert!(waiting.iter_mut().all(|next| poll(next.as_mut()).is_none()));
        let refused = now(&turns, 1).unwrap().err().unwrap();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        assert!(tonic_types::StatusExt::get_details_retry_info(&refused).is_some());
        let second = now(&turns, 2).unwrap().unwrap();
        assert!(now(&turns, 3).is_none(), "two turns are for all projects");
        let mut third = pin!(turns.next(id(3)));
        assert!(poll(third.as_mut()).is_none());
        drop(first);
        assert!(poll(waiting[0].as_mut()).is_none(), "the third project has waited for longer");
        let third = poll(third).unwrap().unwrap();
        drop(second);
        assert!(poll(waiting[0].as_mut()).unwrap().is_ok());
        drop((third, waiting));
        assert!(now(&turns, 1).unwrap().is_ok());
    }

    #[test]
    fn projects_without_calls_are_forgotten() {
        let turns = Turns::new("calls", 1, None);
        let _held = now(&turns, 1).unwrap().unwrap();
        for project in 2..3 * PROJECTS_MAX as u32 {
            now(&turns, project).unwrap().unwrap();
        }
        assert!(turns.projects.lock().unwrap().len() <= PROJECTS_MAX);
        assert!(now(&turns, 1).is_none());
    }
}
