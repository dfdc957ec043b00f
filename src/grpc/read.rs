//! Reads that are answered from the State.

use std::sync::Arc;

use tonic::{Extensions, Status};

use super::app::Checks;
use super::page::Scope;
use super::status;
use crate::domain::model::refusal::Noun;
use crate::domain::rules::suggestions::Suggester;
use crate::domain::rules::viewer::View;
use crate::domain::rules::visibility::Visibility;
use crate::domain::state::org::Org;
use crate::domain::{Project, ProjectKey, Refusal, Time, UserId};
use crate::engine::Published;
use crate::grpc::layers::deadline::Deadline;
use crate::wire::Consistency;

/// The State of a read, and the project that it reads.
pub struct Reading {
    pub published: Arc<Published>,
    pub project: Arc<Project>,
}

impl Checks {
    /// Returns the State that a read asks for (K4), and the project.
    pub async fn reading(
        &self,
        extensions: &Extensions,
        consistency: Option<&Consistency>,
        key: &ProjectKey,
    ) -> Result<Reading, Status> {
        let published = self.at(consistency, extensions.get::<Deadline>().copied()).await?;
        let project = published.state.project(key).cloned();
        let project = project.ok_or_else(|| status::not_found(Noun::Project, key.as_str()))?;
        Ok(Reading { published, project })
    }
}

impl Reading {
    pub fn revision(&self) -> String {
        self.published.token.to_string()
    }

    /// Turns a refusal into a status that suggests the nearest name (R1).
    pub fn refused(&self, known: Visibility) -> impl Fn(Refusal) -> Status {
        move |refusal| {
            let mut suggester = Suggester::new(&self.project, known);
            status::refused(&refusal, &mut |noun, name| suggester.suggest(noun, name).map(str::to_owned))
        }
    }

    /// Returns which members of an org a viewer sees. Refuses a viewer who is blocked or not a member (I2.a).
    pub fn view(&self, org: &Org, viewer: &UserId, now: Time) -> Result<View, Status> {
        self.project.view_of(org, viewer, now).map_err(|refusal| match refusal {
            Refusal::ActingUserBlocked(_) => status::viewer_blocked(viewer),
            _ => status::viewer_not_a_member(viewer),
        })
    }

    /// Returns the scope of a list of the project.
    pub fn scope(&self) -> Scope {
        Scope { project: self.project.record.create_time.0, ..Scope::default() }
    }
}
