//! Reads subscriptions.

use super::{At, ReadError, Store};
use crate::domain::{OrgId, ProjectKey, RoleMappingName};

/// An org and the role mapping that it uses.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionRow {
    pub org_id: OrgId,
    pub role_mapping: RoleMappingName,
}

impl Store {
    pub async fn get_subscription(
        &self,
        project: &ProjectKey,
        org_id: &OrgId,
    ) -> Result<At<SubscriptionRow>, ReadError> {
        let At { revision, value, scope } = self.get_org(project, org_id).await?;
        let row = SubscriptionRow { org_id: value.profile.org_id, role_mapping: value.role_mapping };
        Ok(At { revision, value: row, scope })
    }
}
