//! Reads subscriptions.

use sea_orm::QuerySelect;

use super::org::{existing, mapping_names};
use super::snapshot::Page;
use crate::domain::{OrgId, ProjectKey, RoleMappingName};
use crate::store::connect::LONG_MAX;
use crate::store::ids::unreadable;
use crate::store::schema::org;
use crate::store::{ReadError, Store, StoreError};

#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionRow {
    pub org_id: OrgId,
    pub role_mapping: RoleMappingName,
}

impl Store {
    /// Returns subscriptions by ascending org id; if a role mapping is named, only those to it.
    pub async fn list_subscriptions(
        &self,
        project: &ProjectKey,
        role_mapping: Option<&RoleMappingName>,
        after: Option<OrgId>,
        limit: u32,
    ) -> Result<Page<SubscriptionRow>, ReadError> {
        let read = async {
            let snapshot = self.snapshot().await?;
            let project = snapshot.project(project).await?;
            let role_mapping = snapshot.named_mapping(project.id, role_mapping).await?;
            let find = existing(project.id, role_mapping, after.as_ref()).limit(u64::from(limit) + 1);
            let find = find.select_only().column(org::Column::OrgId).column(org::Column::RoleMapping);
            let found: Vec<(String, i64)> = find.into_tuple().all(&snapshot.tx).await?;
            let names = mapping_names(&snapshot, project.id, found.iter().map(|(_, mapping)| *mapping)).await?;
            let row = |(org_id, mapping)| {
                let role_mapping = names.get(&mapping).cloned();
                let role_mapping = role_mapping.ok_or_else(|| unreadable("an org whose role mapping is missing"))?;
                Ok(SubscriptionRow { org_id: OrgId::stored(org_id), role_mapping })
            };
            let rows = found.into_iter().map(row).collect::<Result<_, StoreError>>()?;
            snapshot.page(rows, project.id, role_mapping).await
        };
        self.answered(LONG_MAX, read).await
    }
}
