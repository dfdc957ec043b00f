//! The commands of orgs (S1, S4, S5).

use crate::domain::model::name::{OrgId, ProjectKey, RoleMappingName, UserId};

#[derive(Clone, Debug)]
pub struct CreateOrg {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub display_name: String,
    pub metadata: String,
    pub role_mapping: Option<RoleMappingName>,
    /// Gets `default_owner_role` (S4).
    pub creator: Option<UserId>,
    /// Allows the id of a deleted org (S5).
    pub reuse_deleted_id: bool,
}

#[derive(Clone, Debug)]
pub struct UpdateOrg {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub display_name: Option<String>,
    pub metadata: Option<String>,
}

#[derive(Clone, Debug)]
pub struct DeleteOrg {
    pub project: ProjectKey,
    pub org_id: OrgId,
}
