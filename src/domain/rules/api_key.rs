//! How API keys are shown (W6).

use std::sync::Arc;

use crate::domain::model::api_key::{ApiKey, ApiKeyId};
use crate::domain::model::name::{OrgId, ProjectKey};
use crate::domain::state::State;

/// A key, with the names of its scope.
#[derive(Clone, Debug)]
pub struct ShownApiKey {
    pub id: ApiKeyId,
    pub key: Arc<ApiKey>,
    /// `None` if the key is for all projects, or its project is purged.
    pub project: Option<ProjectKey>,
    /// `None` if the key is for all orgs, or its org is deleted.
    pub org_id: Option<OrgId>,
}

impl State {
    pub fn shown_api_key(&self, id: ApiKeyId, key: Arc<ApiKey>) -> ShownApiKey {
        let project = key.scope.project.and_then(|id| self.project_numbered(id));
        let org = project.zip(key.scope.org).and_then(|(project, no)| project.org_numbered(no));
        ShownApiKey {
            id,
            project: project.map(|project| project.record.key.clone()),
            org_id: org.map(|org| org.record.profile.org_id.clone()),
            key,
        }
    }
}
