//! The draft that a command is decided on.

use std::sync::Arc;

use crate::domain::commands::call::{Actor, Call};
use crate::domain::model::name::{ProjectKey, UserId};
use crate::domain::model::refusal::{Noun, Refusal};
use crate::domain::model::time::Time;
use crate::domain::state::State;
use crate::domain::state::change::Change;
use crate::domain::state::project::Project;
use crate::limits::Limits;

#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    pub call: &'a Call,
    /// The clock of this machine. Expiries are judged by it, in writes as in checks (G5).
    pub now: Time,
    /// The time of the commit, if the command is accepted. It is later than `now` after a commit by a clock that was ahead.
    pub commit_time: Time,
    pub limits: &'a Limits,
}

impl<'a> Terms<'a> {
    /// Returns the terms of a command that is committed now.
    pub fn new(call: &'a Call, now: Time, limits: &'a Limits) -> Self {
        Self { call, now, commit_time: now, limits }
    }
}

/// The limits that `defer_limits` defers.
const DEFERRED: [&str; 5] = ["permissions", "roles", "role_mappings", "grants", "managed_roles"];

/// What a draft was before a step that may be undone.
pub struct Savepoint {
    state: State,
    changes: usize,
}

/// The state with the changes of the command so far.
pub struct Draft<'a> {
    state: State,
    changes: Vec<Change>,
    terms: &'a Terms<'a>,
    limits_deferred: bool,
}

impl<'a> Draft<'a> {
    pub fn new(state: &State, terms: &'a Terms<'a>) -> Self {
        Self { state: state.clone(), changes: Vec::new(), terms, limits_deferred: false }
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

    pub fn commit_time(&self) -> Time {
        self.terms.commit_time
    }

    pub fn acting_user(&self) -> Option<UserId> {
        self.terms.call.acting_user.clone()
    }

    pub fn actor(&self) -> &Actor {
        &self.terms.call.actor
    }

    pub fn limits(&self) -> &Limits {
        self.terms.limits
    }

    /// Returns the project with the changes so far.
    pub fn project(&self, key: &ProjectKey) -> Result<Arc<Project>, Refusal> {
        let project = self.state.project(key).cloned();
        project.ok_or_else(|| Refusal::NotFound(Noun::Project, key.to_string()))
    }

    /// Returns the project with the changes so far, given an earlier version of it.
    pub fn latest(&self, project: &Project) -> Result<Arc<Project>, Refusal> {
        let now = self.state.project_numbered(project.id).cloned();
        now.ok_or_else(|| Refusal::NotFound(Noun::Project, project.record.key.to_string()))
    }

    /// Lets the numbers of what a project has exceed their limits. The caller checks them in the end.
    pub fn defer_limits(&mut self) {
        self.limits_deferred = true;
    }

    pub fn check_limits_again(&mut self) {
        self.limits_deferred = false;
    }

    /// Refuses a number above a limit (P7).
    pub fn check_limit(&self, limit: &'static str, max: u64, asked: usize) -> Result<(), Refusal> {
        let asked = asked as u64;
        let is_deferred = self.limits_deferred && DEFERRED.contains(&limit);
        if asked > max && !is_deferred { Err(Refusal::LimitExceeded { limit, max, asked }) } else { Ok(()) }
    }

    pub fn savepoint(&self) -> Savepoint {
        Savepoint { state: self.state.clone(), changes: self.changes.len() }
    }

    /// Undoes everything since the savepoint. A refused command may have made some of its changes.
    pub fn roll_back(&mut self, to: Savepoint) {
        self.state = to.state;
        self.changes.truncate(to.changes);
    }

    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Applies and records a change.
    pub fn edit(&mut self, change: Change) {
        self.state.apply(&change);
        self.changes.push(change);
    }
}
