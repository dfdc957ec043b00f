//! Lets viewers in: what a member of an org may see of it (I2).

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter};

use super::super::entity::{org, permission, project};
use super::super::ids::unreadable;
use super::super::read::Snapshot;
use super::super::{ReadError, StoreError};
use super::select::Select;
use crate::domain::model::permission::CAN_VIEW_OTHER_MEMBERS;
use crate::domain::{Time, UserId};

impl Snapshot {
    /// Refuses whoever holds nothing in an org. Any role will do, an internal one too, and a suspended one.
    pub async fn admit(
        &self,
        project: &project::Model,
        org: &org::Model,
        viewer: &UserId,
        now: Time,
    ) -> Result<(), ReadError> {
        let mut own = Select::of_org(self.database(), project, org, now);
        own.user(viewer);
        match self.finds_any(own).await? {
            true => Ok(()),
            false => Err(ReadError::ViewerNotAMember(viewer.clone())),
        }
    }

    /// Narrows a statement to what a viewer may see of an org: nobody but itself, unless a live role of it, be it internal,
    /// grants more; and of those whom it sees the visible roles alone.
    pub async fn view(
        &self,
        select: &mut Select,
        project: &project::Model,
        org: &org::Model,
        viewer: &UserId,
    ) -> Result<(), ReadError> {
        let mut own = Select::of_org(self.database(), project, org, select.now());
        own.user(viewer);
        let permission = self.built_in(project.id, CAN_VIEW_OTHER_MEMBERS).await?;
        let places = self.places(org, false).await?;
        let granting = self.granting(org, &places, permission).await?;
        own.permitted(project, org, permission, &places, &granting);
        if !self.finds_any(own).await? {
            self.admit(project, org, viewer, select.now()).await?;
            select.user(viewer);
        }
        select.visible();
        Ok(())
    }

    async fn finds_any(&self, mut select: Select) -> Result<bool, StoreError> {
        select.page("m.user_id", 1);
        let sql = select.into_sql();
        Ok(self.tx.query_one_raw(sql.statement(self.tx.get_database_backend())).await?.is_some())
    }

    /// The id of a built-in permission; it is never renamed (P4).
    async fn built_in(&self, project: i64, name: &str) -> Result<i64, StoreError> {
        let named = permission::Column::Project.eq(project).and(permission::Column::Name.eq(name));
        let found = permission::Entity::find().filter(named).one(&self.tx).await?;
        Ok(found.ok_or_else(|| unreadable("a project without a built-in permission"))?.id)
    }
}
