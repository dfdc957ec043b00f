//! Reads permissions.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::alias::Renamed;
use super::entity::permission;
use super::ids::{id, number, unreadable};
use super::read::Snapshot;
use super::{At, Page, ReadError, Store, StoreError};
use crate::domain::model::id::PermissionId;
use crate::domain::model::permission::Permission;
use crate::domain::{PermissionName, ProjectKey, Time};

/// A permission and its number, by which the list goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct PermissionRow {
    pub id: PermissionId,
    pub permission: Permission,
}

impl Store {
    pub async fn get_permission(
        &self,
        project: &ProjectKey,
        name: &PermissionName,
    ) -> Result<At<Permission>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let found = snapshot.permission(project.id, name).await?;
        let row = rows(&snapshot, project.id, vec![found]).await?.pop();
        Ok(snapshot.at(row.ok_or_else(|| unreadable("a permission without a row"))?.permission).await)
    }

    /// In the order in which they were created, the built-in ones first.
    pub async fn list_permissions(
        &self,
        project: &ProjectKey,
        after: Option<PermissionId>,
        limit: u32,
    ) -> Result<Page<PermissionRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let mut find = permission::Entity::find().filter(permission::Column::Project.eq(project.id));
        if let Some(after) = after {
            find = find.filter(permission::Column::Id.gt(number(after)));
        }
        let find = find.order_by_asc(permission::Column::Id).limit(u64::from(limit) + 1);
        let found = find.all(&snapshot.tx).await?;
        let rows = rows(&snapshot, project.id, found).await?;
        Ok(snapshot.page(rows, limit).await)
    }
}

/// Adds the old names.
async fn rows(
    snapshot: &Snapshot,
    project: i64,
    found: Vec<permission::Model>,
) -> Result<Vec<PermissionRow>, StoreError> {
    let ids = found.iter().map(|permission| permission.id);
    let mut aliases = snapshot.aliases(project, Renamed::Permission, ids).await?;
    let row = |found: permission::Model| {
        let aliases = aliases.remove(&found.id).unwrap_or_default();
        Ok(PermissionRow {
            id: id(found.id)?,
            permission: Permission {
                name: PermissionName::stored(found.name),
                description: found.description.into(),
                built_in: found.built_in,
                create_time: Time(found.create_time),
                aliases: aliases.into_iter().map(PermissionName::stored).collect(),
            },
        })
    };
    found.into_iter().map(row).collect()
}
