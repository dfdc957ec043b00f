//! The commands of subscriptions (S2).

use crate::domain::commands::command::role_mapping::OnDisabled;
use crate::domain::model::name::{OrgId, ProjectKey, RoleMappingName};

#[derive(Clone, Debug)]
pub struct SubscribeOrg {
    pub project: ProjectKey,
    pub org_id: OrgId,
    pub to: SubscribeTo,
    pub on_disabled: OnDisabled,
}

#[derive(Clone, Debug)]
pub struct BatchSubscribeOrgs {
    pub project: ProjectKey,
    pub org_ids: Vec<OrgId>,
    pub to: SubscribeTo,
    pub on_disabled: OnDisabled,
}

#[derive(Clone, Debug)]
pub enum SubscribeTo {
    RoleMapping(RoleMappingName),
    Default,
}
