//! TODO doc

use std::sync::Arc;

use crate::domain::commands::call::Call;
use crate::domain::model::name::{ProjectKey, UserId};
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::model::time::Time;
use crate::domain::state::State;
use crate::domain::state::change::Change;
use crate::domain::state::project::Project;
use crate::limits::Limits;

/// What a command is decided under.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    pub call: &'a Call,
    /// The instant of the commit, if it comes to one.
    pub now: Time,
    pub limits: &'a Limits,
}

/// The state a command is being decided on, and what it has changed so far.
pub struct Draft<'a> {
    state: State,
    changes: Vec<Change>,
    terms: &'a Terms<'a>,
}

impl<'a> Draft<'a> {
    pub fn new(state: &State, terms: &'a Terms<'a>) -> Self {
        Self { state: state.clone(), changes: Vec::new(), terms }
    }

    pub fn into_parts(self) -> (State, Vec<Change>) {
        (self.state, self.changes)
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn now(&self) -> Time {
        self.terms.now
    }

    /// The end user on whose behalf it is written, if it is (G1).
    pub fn acting_user(&self) -> Option<UserId> {
        self.terms.call.acting_user.clone()
    }

    pub fn limits(&self) -> &Limits {
        self.terms.limits
    }

    /// The project as the draft has it now.
    pub fn project(&self, key: &ProjectKey) -> Result<Arc<Project>, Refusal> {
        let project = self.state.project(key).cloned();
        project.ok_or_else(|| Refusal::NotFound(Noun::Project, key.to_string()))
    }

    /// The project as the draft has it now, given as it was.
    pub fn again(&self, project: &Project) -> Result<Arc<Project>, Refusal> {
        let now = self.state.project_numbered(project.id).cloned();
        now.ok_or_else(|| Refusal::NotFound(Noun::Project, project.record.key.to_string()))
    }

    /// Refuses what would be more than a limit of P7.
    pub fn within(&self, limit: &'static str, max: u64, asked: usize) -> Result<(), Refusal> {
        let asked = asked as u64;
        if asked > max { Err(Refusal::LimitExceeded { limit, max, asked }) } else { Ok(()) }
    }

    /// What was changed so far.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// How many changes were made so far.
    pub fn changes_len(&self) -> usize {
        self.changes.len()
    }

    /// Makes a change, here and in what is returned.
    pub fn edit(&mut self, change: Change) {
        self.state.apply(&change);
        self.changes.push(change);
    }
}
