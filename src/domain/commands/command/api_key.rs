//! The commands of API keys (W6).

use crate::domain::model::api_key::{ApiKeyId, TokenHash};
use crate::domain::model::name::{OrgId, ProjectKey, UserId};
use crate::domain::model::project::Environment;
use crate::domain::model::time::Time;

#[derive(Clone, Debug)]
pub struct CreateApiKey {
    /// The workspace.
    pub project: ProjectKey,
    pub hash: TokenHash,
    pub display_name: String,
    /// `None` is the acting user.
    pub operator: Option<UserId>,
    pub environment: Environment,
    pub checks_only: bool,
    pub sidecar_only: bool,
    pub acting_user_required: bool,
    pub no_activity: bool,
    pub scope_project: Option<ProjectKey>,
    /// Needs `scope_project`.
    pub scope_org: Option<OrgId>,
    pub expire_time: Option<Time>,
    /// When the key expires with which the call is made. The new key may not last longer.
    pub expire_time_max: Option<Time>,
}

#[derive(Clone, Debug)]
pub struct ArchiveApiKey {
    /// The workspace.
    pub project: ProjectKey,
    pub id: ApiKeyId,
}
