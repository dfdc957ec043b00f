//! Reads orgs.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::{org, role_mapping};
use super::ids::unreadable;
use super::read::Snapshot;
use super::{At, Page, ReadError, Store, StoreError};
use crate::domain::org::OrgProfile;
use crate::domain::{OrgId, ProjectKey, RoleMappingName, Time};

/// An org and the name of the role mapping that it is subscribed to.
#[derive(Clone, Debug, PartialEq)]
pub struct OrgRow {
    pub profile: OrgProfile,
    pub role_mapping: RoleMappingName,
}

impl Store {
    pub async fn get_org(&self, project: &ProjectKey, org_id: &OrgId) -> Result<At<OrgRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let found = snapshot.org(project.id, org_id).await?;
        let row = rows(&snapshot, project.id, vec![found]).await?.pop();
        Ok(snapshot.at(row.ok_or_else(|| unreadable("an org without a row"))?).await)
    }

    /// By id, ascending; only those of a role mapping, where one is named.
    pub async fn list_orgs(
        &self,
        project: &ProjectKey,
        role_mapping: Option<&RoleMappingName>,
        after: Option<OrgId>,
        limit: u32,
    ) -> Result<Page<OrgRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let living = org::Column::Project.eq(project.id).and(org::Column::DeadAt.is_null());
        let mut find = org::Entity::find().filter(living);
        if let Some(name) = role_mapping {
            let mapping = snapshot.role_mapping(project.id, name).await?;
            find = find.filter(org::Column::RoleMapping.eq(mapping.id));
        }
        if let Some(after) = after {
            find = find.filter(org::Column::OrgId.gt(after.as_str()));
        }
        let find = find.order_by_asc(org::Column::OrgId).limit(u64::from(limit) + 1);
        let found = find.all(&snapshot.tx).await?;
        let rows = rows(&snapshot, project.id, found).await?;
        Ok(snapshot.page(rows, limit).await)
    }
}

async fn rows(snapshot: &Snapshot, project: i64, found: Vec<org::Model>) -> Result<Vec<OrgRow>, StoreError> {
    let wanted = found.iter().map(|org| org.role_mapping).collect::<std::collections::BTreeSet<_>>();
    let of_orgs = role_mapping::Column::Project.eq(project).and(role_mapping::Column::Id.is_in(wanted));
    let mappings = role_mapping::Entity::find().filter(of_orgs).all(&snapshot.tx).await?;
    let names: HashMap<i64, RoleMappingName> =
        mappings.into_iter().map(|mapping| (mapping.id, RoleMappingName::stored(mapping.name))).collect();
    let row = |org: org::Model| {
        let role_mapping = names.get(&org.role_mapping).cloned();
        Ok(OrgRow {
            role_mapping: role_mapping.ok_or_else(|| unreadable("an org whose role mapping is missing"))?,
            profile: OrgProfile {
                org_id: OrgId::stored(org.org_id),
                display_name: org.display_name.into(),
                metadata: org.metadata.into(),
                create_time: Time(org.create_time),
            },
        })
    };
    found.into_iter().map(row).collect()
}
