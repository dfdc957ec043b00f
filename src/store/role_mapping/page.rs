//! Which roles fit on a page of rows: as many as were asked for, and fewer where their rows name many permissions, or roles.

use std::collections::{HashMap, HashSet};

use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::super::StoreError;
use super::super::entity::{disabled_role, grant, role};
use super::super::ids::number;
use super::super::read::Snapshot;
use super::super::role::below;
use crate::domain::model::id::RoleId;
use crate::limits::PAGE_GRANTS_MAX;

/// The roles of a page in the making.
pub struct Filling {
    limit: usize,
    /// What the rows of the roles name.
    names: usize,
    pub roles: Vec<role::Model>,
    /// Whether a role did not fit.
    pub more: bool,
}

impl Filling {
    pub fn new(limit: u32) -> Self {
        Self { limit: limit as usize, names: 0, roles: Vec::new(), more: false }
    }

    /// Takes a role whose row names so many, if it fits; the first one always does.
    pub fn take(&mut self, role: role::Model, names: usize) -> bool {
        let fits = self.roles.is_empty() || self.roles.len() < self.limit && self.names + names <= PAGE_GRANTS_MAX;
        if fits {
            self.names += names;
            self.roles.push(role);
        } else {
            self.more = true;
        }
        fits
    }
}

/// The roles of a project from the highest to the lowest, after the one of this rank and id.
pub fn in_order(project: i64, after: Option<(u64, RoleId)>) -> Select<role::Entity> {
    let mut find = role::Entity::find().filter(role::Column::Project.eq(project));
    if let Some((rank, id)) = after {
        find = find.filter(below(rank as i64, number(id)));
    }
    find.order_by_asc(role::Column::Rank).order_by_asc(role::Column::Id)
}

/// The roles that are disabled in a mapping.
pub async fn disabled_in(snapshot: &Snapshot, project: i64, role_mapping: i64) -> Result<HashSet<i64>, StoreError> {
    let of_mapping =
        disabled_role::Column::Project.eq(project).and(disabled_role::Column::RoleMapping.eq(role_mapping));
    let disabled = disabled_role::Entity::find().filter(of_mapping).all(&snapshot.tx).await?;
    Ok(disabled.into_iter().map(|row| row.role).collect())
}

/// The grants of one mapping.
#[derive(Clone, Copy)]
pub struct Granted {
    pub project: i64,
    pub role_mapping: i64,
}

impl Granted {
    /// How many permissions the rows of these roles name; a role without any is missing.
    pub async fn counts(self, snapshot: &Snapshot, roles: &[role::Model]) -> Result<HashMap<i64, usize>, StoreError> {
        let of_mapping = grant::Column::Project.eq(self.project).and(grant::Column::RoleMapping.eq(self.role_mapping));
        let of_roles = of_mapping.and(grant::Column::Role.is_in(roles.iter().map(|role| role.id)));
        let counts = grant::Entity::find().select_only().column(grant::Column::Role);
        let counts = counts.column_as(grant::Column::Permission.count(), "names").filter(of_roles);
        let counts: Vec<(i64, i64)> = counts.group_by(grant::Column::Role).into_tuple().all(&snapshot.tx).await?;
        Ok(counts.into_iter().map(|(role, names)| (role, names as usize)).collect())
    }
}
