//! Reads permissions.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::permission;
use super::{At, Page, ReadError, Store};
use crate::domain::permission::Permission;
use crate::domain::{PermissionName, ProjectKey, Time};

impl Store {
    pub async fn get_permission(
        &self,
        project: &ProjectKey,
        name: &PermissionName,
    ) -> Result<At<Permission>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let found = snapshot.permission(project.id, name).await?;
        Ok(snapshot.at(row(found)).await)
    }

    /// By name, ascending.
    pub async fn list_permissions(
        &self,
        project: &ProjectKey,
        after: Option<PermissionName>,
        limit: u32,
    ) -> Result<Page<Permission>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let mut find = permission::Entity::find().filter(permission::Column::Project.eq(project.id));
        if let Some(after) = after {
            find = find.filter(permission::Column::Name.gt(after.as_str()));
        }
        let find = find.order_by_asc(permission::Column::Name).limit(u64::from(limit) + 1);
        let rows = find.all(&snapshot.tx).await?.into_iter().map(row).collect();
        Ok(snapshot.page(rows, limit).await)
    }
}

fn row(found: permission::Model) -> Permission {
    Permission {
        name: PermissionName::stored(found.name),
        description: found.description.into(),
        built_in: found.built_in,
        create_time: Time(found.create_time),
    }
}
