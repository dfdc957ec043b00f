//! Reads roles, in their order.

use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::SimpleExpr,
};

use super::alias::Renamed;
use super::entity::role;
use super::ids::{id, number, u32_of, unreadable};
use super::read::Snapshot;
use super::{At, Page, ReadError, Store, StoreError};
use crate::domain::id::RoleId;
use crate::domain::role::{Role, order_etag_of};
use crate::domain::{ProjectKey, RoleName, Time};

/// A role and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleRow {
    pub id: RoleId,
    pub role: Role,
    /// From 1, the highest.
    pub position: u32,
}

/// Some of the roles, and the etag of the order of all (M9).
#[derive(Clone, Debug, PartialEq)]
pub struct RoleList {
    pub page: Page<RoleRow>,
    pub order_etag: String,
}

impl Store {
    pub async fn get_role(&self, project: &ProjectKey, name: &RoleName) -> Result<At<RoleRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let found = snapshot.role(project.id, name).await?;
        let above = above(&snapshot, &found).await?;
        let row = rows(&snapshot, project.id, vec![found], above).await?.pop();
        Ok(snapshot.at(row.ok_or_else(|| unreadable("a role without a row"))?).await)
    }

    /// From the highest role to the lowest, after the role of this rank and id.
    pub async fn list_roles(
        &self,
        project: &ProjectKey,
        after: Option<(u64, RoleId)>,
        limit: u32,
    ) -> Result<RoleList, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let mut find = role::Entity::find().filter(role::Column::Project.eq(project.id));
        if let Some((rank, id)) = after {
            find = find.filter(below(rank as i64, number(id)));
        }
        let find = find.order_by_asc(role::Column::Rank).order_by_asc(role::Column::Id).limit(u64::from(limit) + 1);
        let found = find.all(&snapshot.tx).await?;
        let above = match found.first() {
            Some(first) => above(&snapshot, first).await?,
            None => 0,
        };
        let count = role::Entity::find().filter(role::Column::Project.eq(project.id)).count(&snapshot.tx).await?;
        let (version, next) = (u32_of(project.role_order_version)?, u32_of(project.next_role)?);
        let order_etag = order_etag_of(id(project.id)?, version, next, count as usize);
        let rows = rows(&snapshot, project.id, found, above).await?;
        Ok(RoleList { page: snapshot.page(rows, limit).await, order_etag })
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

/// Adds the old names and the positions to roles that follow each other; so many stand above the first.
async fn rows(
    snapshot: &Snapshot,
    project: i64,
    found: Vec<role::Model>,
    above: u32,
) -> Result<Vec<RoleRow>, StoreError> {
    let mut aliases = snapshot.aliases(project, Renamed::Role, found.iter().map(|role| role.id)).await?;
    let row = |(found, position): (role::Model, u32)| {
        Ok(RoleRow {
            id: id(found.id)?,
            role: Role {
                name: RoleName::stored(found.name),
                description: found.description.into(),
                internal: found.internal,
                rank: found.rank.unsigned_abs(),
                create_time: Time(found.create_time),
                aliases: aliases.remove(&found.id).unwrap_or_default().into_iter().map(RoleName::stored).collect(),
                version: u32_of(found.version)?,
            },
            position,
        })
    };
    found.into_iter().zip(above + 1..).map(row).collect()
}
