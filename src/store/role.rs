//! Reads roles, in their order.

use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::SimpleExpr,
};

use super::entity::role;
use super::ids::{id, number};
use super::read::Snapshot;
use super::{At, Page, ReadError, Store, StoreError};
use crate::domain::id::RoleId;
use crate::domain::role::Role;
use crate::domain::{ProjectKey, RoleName, Time};

/// A role and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleRow {
    pub id: RoleId,
    pub role: Role,
    /// From 1, the highest.
    pub position: u32,
}

impl Store {
    pub async fn get_role(&self, project: &ProjectKey, name: &RoleName) -> Result<At<RoleRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let found = snapshot.role(project.id, name).await?;
        let above = above(&snapshot, &found).await?;
        let row = row(found, above + 1)?;
        Ok(snapshot.at(row).await)
    }

    /// From the highest role to the lowest, after the role of this rank and id.
    pub async fn list_roles(
        &self,
        project: &ProjectKey,
        after: Option<(u64, RoleId)>,
        limit: u32,
    ) -> Result<Page<RoleRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let mut find = role::Entity::find().filter(role::Column::Project.eq(project.id));
        if let Some((rank, id)) = after {
            find = find.filter(below(rank as i64, number(id)));
        }
        let find = find.order_by_asc(role::Column::Rank).order_by_asc(role::Column::Id).limit(u64::from(limit) + 1);
        let found = find.all(&snapshot.tx).await?;
        let mut position = match found.first() {
            Some(first) => above(&snapshot, first).await?,
            None => 0,
        };
        let mut rows = Vec::with_capacity(found.len());
        for found in found {
            position += 1;
            rows.push(row(found, position)?);
        }
        Ok(snapshot.page(rows, limit).await)
    }
}

/// Whether a role stands below one of this rank and id. The first term is what an index can be asked.
pub fn below(rank: i64, id: i64) -> SimpleExpr {
    let tied_or_lower = role::Column::Rank.gt(rank).or(role::Column::Id.gt(id));
    role::Column::Rank.gte(rank).and(tied_or_lower)
}

/// How many roles stand above this one.
async fn above(snapshot: &Snapshot, role: &role::Model) -> Result<u32, StoreError> {
    let tied = role::Column::Rank.eq(role.rank).and(role::Column::Id.lt(role.id));
    let higher = role::Column::Rank.lt(role.rank).or(tied);
    let find = role::Entity::find().filter(role::Column::Project.eq(role.project)).filter(higher);
    Ok(u32::try_from(find.count(&snapshot.tx).await?).unwrap_or(u32::MAX))
}

fn row(found: role::Model, position: u32) -> Result<RoleRow, StoreError> {
    Ok(RoleRow {
        id: id(found.id)?,
        role: Role {
            name: RoleName::stored(found.name),
            description: found.description.into(),
            internal: found.internal,
            rank: found.rank.unsigned_abs(),
            create_time: Time(found.create_time),
            aliases: [].into(),
            version: 0,
        },
        position,
    })
}
