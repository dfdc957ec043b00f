//! The state of all projects at one revision, as a value: cloning is cheap, and an edit copies only what it touches.

pub mod api_key;
pub mod apply;
pub mod change;
pub mod decision_rows;
pub mod invitation;
pub mod membership;
pub mod name_index;
pub mod org;
pub mod project;
pub mod role_mapping;
pub mod user;

use std::sync::Arc;

use crate::domain::collections::hash::HashKey;
use crate::domain::collections::pages::Pages;
use crate::domain::collections::trie::Trie;
use crate::domain::model::id::ProjectId;
use crate::domain::model::name::ProjectKey;
use crate::domain::model::revision::Revision;
use crate::domain::state::name_index::Named;
use crate::domain::state::project::Project;

#[derive(Clone)]
pub struct State {
    revision: Revision,
    hash_key: HashKey,
    projects: Pages<Arc<Project>>,
    keys: Trie<Named>,
    /// The keys of deleted projects.
    retired: Trie<Named>,
    next_project: u32,
}

impl State {
    /// Returns the state of an empty store. The key must be drawn at random once per process.
    pub fn new(hash_key: HashKey) -> Self {
        Self {
            revision: Revision::default(),
            hash_key,
            projects: Pages::default(),
            keys: Trie::default(),
            retired: Trie::default(),
            next_project: 1,
        }
    }

    pub fn revision(&self) -> Revision {
        self.revision
    }

    pub fn set_revision(&mut self, revision: Revision) {
        self.revision = revision;
    }

    pub fn hash_key(&self) -> &HashKey {
        &self.hash_key
    }

    pub fn project(&self, key: &ProjectKey) -> Option<&Arc<Project>> {
        self.project_keyed(key.as_str())
    }

    /// Returns the project with this key, which need not be well-formed.
    #[inline]
    pub fn project_keyed(&self, key: &str) -> Option<&Arc<Project>> {
        let named = self.keys.get(self.hash_key.text(key))?;
        self.projects.get(ProjectId(named.number))
    }

    pub fn project_numbered(&self, id: ProjectId) -> Option<&Arc<Project>> {
        self.projects.get(id)
    }

    /// Returns the existing projects in the order of creation.
    pub fn projects(&self) -> impl Iterator<Item = &Arc<Project>> {
        self.projects.iter().filter(|project| project.record.lifecycle.exists())
    }

    /// Returns all projects, including those being purged or purged.
    pub fn all_projects(&self) -> impl Iterator<Item = &Arc<Project>> {
        self.projects.iter()
    }

    /// Returns true if a project with this key was deleted (S5).
    pub fn was_deleted(&self, key: &ProjectKey) -> bool {
        self.retired.get(self.hash_key.text(key.as_str())).is_some()
    }

    pub(in crate::domain) fn next_project(&self) -> ProjectId {
        ProjectId::new(self.next_project).unwrap_or(ProjectId(std::num::NonZeroU32::MAX))
    }

    /// Restores the counters of a project, which its rows do not determine.
    pub fn restore_counters(&mut self, project: ProjectId, counters: &Counters) {
        let Some(project) = self.projects.get_mut(project) else { return };
        let project = Arc::make_mut(project);
        project.permissions.set_next_number(counters.permission);
        project.roles.set_next_number(counters.role);
        project.role_sets.set_next_number(counters.role_set);
        project.role_mappings.set_next_number(counters.role_mapping);
        project.next_org = project.next_org.max(counters.org);
    }

    /// Stores equal rows of role mappings once, as deciding a duplicate does.
    pub fn share_rows(&mut self) {
        let ids: Vec<ProjectId> = self.projects.iter().map(|project| project.id).collect();
        for id in ids {
            if let Some(project) = self.projects.get_mut(id) {
                Arc::make_mut(project).share_rows();
            }
        }
    }
}

/// The next number of each noun in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    pub permission: u32,
    pub role: u32,
    pub role_set: u32,
    pub role_mapping: u32,
    pub org: u32,
}

/// Compares contents and revision number only: undoing a change does not restore a counter.
impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.revision.number == other.revision.number
            && self.projects == other.projects
            && self.keys == other.keys
            && self.retired == other.retired
    }
}
