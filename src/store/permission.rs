//! Reads permissions.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::permission;
use super::ids::{id, number};
use super::{At, Page, ReadError, Store, StoreError};
use crate::domain::id::PermissionId;
use crate::domain::permission::Permission;
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
        Ok(snapshot.at(shown(found)).await)
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
        let row = |found: permission::Model| Ok(PermissionRow { id: id(found.id)?, permission: shown(found) });
        let rows: Result<Vec<_>, StoreError> = find.all(&snapshot.tx).await?.into_iter().map(row).collect();
        let rows = rows?;
        Ok(snapshot.page(rows, limit).await)
    }
}

fn shown(found: permission::Model) -> Permission {
    Permission {
        name: PermissionName::stored(found.name),
        description: found.description.into(),
        built_in: found.built_in,
        create_time: Time(found.create_time),
        aliases: [].into(),
    }
}
