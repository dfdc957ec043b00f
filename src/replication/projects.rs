//! Which projects a sidecar is fed with.

use std::collections::BTreeSet;

use crate::domain::State;
use crate::domain::model::id::ProjectId;
use crate::domain::model::project::{Environment, WORKSPACE};

/// See the module. The workspace is never among them.
#[derive(Clone, Debug, Default)]
pub struct Projects {
    /// Empty: all.
    pub keys: BTreeSet<String>,
    /// Only of this environment.
    pub environment: Option<Environment>,
    /// Only this project.
    pub only: Option<ProjectId>,
}

impl Projects {
    /// Returns a text that names them: equal for the same environment, project and keys.
    pub fn scope(&self) -> String {
        let only = self.only.map_or(0, ProjectId::number);
        let keys: Vec<&str> = self.keys.iter().map(String::as_str).collect();
        format!("{:?} {only} {}", self.environment, keys.join(","))
    }

    /// Returns true if the project belongs to them. It may be deleted. One that `state` does not have does not belong.
    pub fn contain(&self, state: &State, id: ProjectId) -> bool {
        let Some(project) = state.project_numbered(id) else { return false };
        let key = project.record.key.as_str();
        key != WORKSPACE
            && (self.keys.is_empty() || self.keys.contains(key))
            && self.environment.is_none_or(|environment| environment == project.record.environment)
            && self.only.is_none_or(|only| only == id)
    }
}
