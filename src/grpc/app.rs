//! The parts of the server that handlers use.

use std::ops::Deref;
use std::sync::Arc;

use tonic::Status;

use super::authn::Authentication;
use super::caller_limits::Callers;
use super::source::Source;
use super::status;
use super::turns::{Turn, Turns};
use crate::domain::model::id::ProjectId;
use crate::domain::rules::suggestions::Suggester;
use crate::domain::rules::visibility::Visibility;
use crate::domain::{ProjectKey, Revision, Time};
use crate::engine::{Engine, Token};
use crate::limits::Limits;
use crate::metrics::checks::CheckMetrics;
use crate::metrics::feeds::FeedMetrics;
use crate::replication::feed::Feed;
use crate::replication::snapshot::Snapshots;
use crate::store::{ReadError, Store};
use crate::writer::Writer;

/// What answers checks: all that a sidecar has.
pub struct Checks {
    pub engine: Arc<Engine>,
    pub source: Source,
    pub authentication: Authentication,
    pub callers: Callers,
    pub limits: Limits,
    pub start_time: Time,
    pub list_turns: Turns,
    pub metrics: CheckMetrics,
}

/// What a server has. See the module.
pub struct App {
    pub checks: Arc<Checks>,
    pub writer: Arc<Writer>,
    pub store: Store,
    pub feed: Feed,
    pub snapshots: Snapshots,
    pub feeds: FeedMetrics,
    pub preview_turns: Turns,
    pub trial_turns: Turns,
    pub insight_turns: Turns,
}

impl Deref for App {
    type Target = Checks;

    fn deref(&self) -> &Checks {
        &self.checks
    }
}

impl Checks {
    /// Returns the token of a revision.
    pub fn token(&self, revision: Revision) -> String {
        Token::new(self.engine.store_id(), revision).encode()
    }
}

impl App {
    /// Waits until a list of the project may read the database.
    pub async fn list_turn(&self, project: &ProjectKey) -> Result<Turn, Status> {
        self.list_turns.next(self.project_id(project)).await
    }

    /// `None` if the project does not exist.
    pub fn project_id(&self, project: &ProjectKey) -> Option<ProjectId> {
        self.engine.load().state.project(project).map(|project| project.id)
    }

    /// Makes the status of a failed read. Suggests a name for an unknown one.
    pub fn read_failed(&self, project: &ProjectKey) -> impl FnOnce(ReadError) -> Status {
        self.read_failed_for(project, Visibility::All)
    }

    /// Makes the status of a failed read. Suggests only names that the reader can see.
    pub fn read_failed_for(&self, project: &ProjectKey, known: Visibility) -> impl FnOnce(ReadError) -> Status {
        move |error| self.suggesting(Some(project), known, |suggest| status::read(error, suggest))
    }

    /// Calls `explain` with a function that returns the project's name nearest to an unknown one (R1).
    pub fn suggesting(
        &self,
        project: Option<&ProjectKey>,
        known: Visibility,
        explain: impl FnOnce(status::Suggest<'_>) -> Status,
    ) -> Status {
        let published = self.engine.pin();
        match project.and_then(|key| published.state.project(key)) {
            Some(project) => {
                let mut suggester = Suggester::new(project, known);
                explain(&mut |noun, name| suggester.suggest(noun, name).map(str::to_owned))
            }
            None => explain(&mut |_, _| None),
        }
    }
}
