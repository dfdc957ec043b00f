//! The names of objects at the time of an event.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::model::id::{OrgNo, PermissionId, ProjectId, RoleId, RoleMappingId, RoleSetId};
use crate::domain::rules::event::Object;
use crate::domain::{Change, State};
use crate::store::{Events, StoreError};

/// A project at a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct When {
    pub project: ProjectId,
    pub revision: u64,
}

/// Finds names. A name that it does not know yet is empty, and [`Names::look_up`] finds it for the next time.
pub struct Names<'a> {
    state: &'a State,
    /// The objects as they were, as `after` of a change. `None` if they are as in the State.
    known: HashMap<(When, Object), Option<Change>>,
    wanted: RefCell<BTreeSet<(When, Object)>>,
}

impl<'a> Names<'a> {
    pub fn new(state: &'a State) -> Self {
        Self { state, known: HashMap::new(), wanted: RefCell::default() }
    }

    /// Looks up what was not known. Returns false if everything was known.
    pub async fn look_up(&mut self, events: &Events) -> Result<bool, StoreError> {
        let mut by_project: BTreeMap<ProjectId, Vec<(Object, u64)>> = BTreeMap::new();
        for (when, object) in std::mem::take(self.wanted.get_mut()) {
            by_project.entry(when.project).or_default().push((object, when.revision));
        }
        let looked_up = !by_project.is_empty();
        for (project, wanted) in by_project {
            let mut versions = events.versions(project, &wanted).await?;
            for (object, revision) in wanted {
                let version = versions.remove(&(object, revision));
                self.known.insert((When { project, revision }, object), version);
            }
        }
        Ok(looked_up)
    }

    pub fn project(&self, id: ProjectId) -> String {
        self.state.project_numbered(id).map_or_else(|| format!("#{}", id.number()), |it| it.record.key.to_string())
    }

    pub fn role(&self, when: When, id: RoleId) -> String {
        self.named(when, Object::Role(id), id.number(), |version| match version {
            Some(Change::Role(edit)) => edit.after.as_ref().map(|role| role.name.to_string()),
            _ => Some(self.state.project_numbered(when.project)?.roles.get(id)?.name.to_string()),
        })
    }

    pub fn roles(&self, when: When, ids: &[RoleId]) -> Vec<String> {
        ids.iter().map(|&id| self.role(when, id)).collect()
    }

    pub fn permission(&self, when: When, id: PermissionId) -> String {
        self.named(when, Object::Permission(id), id.number(), |version| match version {
            Some(Change::Permission(edit)) => edit.after.as_ref().map(|permission| permission.name.to_string()),
            _ => Some(self.state.project_numbered(when.project)?.permissions.get(id)?.name.to_string()),
        })
    }

    pub fn role_mapping(&self, when: When, id: RoleMappingId) -> String {
        self.named(when, Object::RoleMapping(id), id.number(), |version| match version {
            Some(Change::RoleMapping(edit)) => edit.after.as_ref().map(|mapping| mapping.name.to_string()),
            _ => Some(self.state.project_numbered(when.project)?.role_mappings.get(id)?.record.name.to_string()),
        })
    }

    pub fn org(&self, when: When, no: OrgNo) -> String {
        // The id of an org does not change.
        let existing = self.state.project_numbered(when.project).and_then(|project| project.org_numbered(no));
        if let Some(org) = existing {
            return org.record.profile.org_id.to_string();
        }
        self.named(when, Object::Org(no), no.number(), |version| match version {
            Some(Change::Org(edit)) => edit.after.as_ref().map(|org| org.profile.org_id.to_string()),
            _ => None,
        })
    }

    /// Returns the roles of a role set. Empty if they are not known.
    pub fn role_set(&self, when: When, id: RoleSetId) -> Vec<RoleId> {
        let roles = self.version(when, Object::RoleSet(id), |version| match version {
            Some(Change::RoleSet(edit)) => edit.after.as_ref().map(|set| set.roles.to_vec()),
            _ => Some(self.state.project_numbered(when.project)?.role_sets.get(id)?.roles.to_vec()),
        });
        roles.flatten().unwrap_or_default()
    }

    fn named(
        &self,
        when: When,
        object: Object,
        number: u32,
        name: impl FnOnce(Option<&Change>) -> Option<String>,
    ) -> String {
        match self.version(when, object, name) {
            Some(name) => name.unwrap_or_else(|| format!("#{number}")),
            None => String::new(),
        }
    }

    /// `None` if the version is not known yet.
    fn version<T>(&self, when: When, object: Object, read: impl FnOnce(Option<&Change>) -> T) -> Option<T> {
        let known = self.known.get(&(when, object));
        if known.is_none() {
            self.wanted.borrow_mut().insert((when, object));
        }
        known.map(|version| read(version.as_ref()))
    }
}
