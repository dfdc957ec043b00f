//! Compares two role mappings (M8).

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, QuerySelect};

use super::super::entity::role;
use super::super::ids::id;
use super::super::read::Snapshot;
use super::super::sql::Sql;
use super::super::{At, Page, ReadError, Store, StoreError};
use super::page::{Filling, disabled_in, in_order};
use crate::domain::model::id::RoleId;
use crate::domain::{PermissionName, ProjectKey, RoleMappingName, RoleName};
use crate::limits::PAGE_SIZE_MAX;

/// Which mappings to compare.
#[derive(Clone, Debug)]
pub struct DiffRoleMappings {
    pub project: ProjectKey,
    pub left: RoleMappingName,
    pub right: RoleMappingName,
    /// Leaves out the roles that do not differ, and of the others what they have in common.
    pub only_different: bool,
    pub after: Option<(u64, RoleId)>,
    pub limit: u32,
}

/// How one role differs between two mappings.
#[derive(Clone, Debug, PartialEq)]
pub struct DiffRow {
    pub role: RoleName,
    /// With `role_id` the place of the row, to go on from.
    pub rank: u64,
    pub role_id: RoleId,
    pub enabled_left: bool,
    pub enabled_right: bool,
    /// In the order of their bytes, as the other two.
    pub only_left: Vec<PermissionName>,
    pub only_right: Vec<PermissionName>,
    pub both: Vec<PermissionName>,
}

/// The sides on which a permission is granted: their sum tells them apart, also where both are the same mapping.
const LEFT: i64 = 1;
const RIGHT: i64 = 2;

/// Two mappings, and where roles are disabled.
struct Sides {
    project: i64,
    left: i64,
    right: i64,
    only_different: bool,
    disabled_left: HashSet<i64>,
    disabled_right: HashSet<i64>,
}

impl Store {
    /// A page of rows, one for each role, in the order of the roles.
    pub async fn diff_role_mappings(&self, ask: DiffRoleMappings) -> Result<Page<DiffRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(&ask.project).await?;
        let left = snapshot.role_mapping(project.id, &ask.left).await?.id;
        let right = snapshot.role_mapping(project.id, &ask.right).await?.id;
        let sides = Sides {
            project: project.id,
            left,
            right,
            only_different: ask.only_different,
            disabled_left: disabled_in(&snapshot, project.id, left).await?,
            disabled_right: disabled_in(&snapshot, project.id, right).await?,
        };
        let filling = sides.fill(&snapshot, ask.after, ask.limit).await?;
        let more = filling.more;
        let rows = sides.rows(&snapshot, filling.roles).await?;
        let At { revision, value: rows, scope } = snapshot.at(rows).await;
        Ok(Page { revision, rows, more, scope })
    }
}

impl Sides {
    /// Finds the roles of a page. Where most do not differ, many are looked at for each that is taken.
    async fn fill(
        &self,
        snapshot: &Snapshot,
        mut after: Option<(u64, RoleId)>,
        limit: u32,
    ) -> Result<Filling, StoreError> {
        let step = u64::from(if self.only_different { PAGE_SIZE_MAX } else { limit + 1 });
        let mut filling = Filling::new(limit);
        loop {
            let roles = in_order(self.project, after).limit(step).all(&snapshot.tx).await?;
            let Some(last) = roles.last() else { return Ok(filling) };
            after = Some((last.rank.unsigned_abs(), id(last.id)?));
            let names = self.counts(snapshot, &roles).await?;
            for role in roles {
                let names = names.get(&role.id).copied().unwrap_or_default();
                let differs = names > 0 || self.enabled_left(role.id) != self.enabled_right(role.id);
                if self.only_different && !differs {
                    continue;
                }
                if !filling.take(role, names) {
                    return Ok(filling);
                }
            }
        }
    }

    fn enabled_left(&self, role: i64) -> bool {
        !self.disabled_left.contains(&role)
    }

    fn enabled_right(&self, role: i64) -> bool {
        !self.disabled_right.contains(&role)
    }

    /// How many permissions are to be named for each of these roles; a role without any is missing.
    async fn counts(&self, snapshot: &Snapshot, roles: &[role::Model]) -> Result<HashMap<i64, usize>, StoreError> {
        let mut sql = Sql::default();
        let granted = self.granted(&mut sql, roles);
        sql.push(&format!("SELECT g.role, count(*) FROM ({granted}) g GROUP BY g.role"));
        let mut counts = HashMap::new();
        for row in snapshot.tx.query_all_raw(sql.statement(snapshot.tx.get_database_backend())).await? {
            counts.insert(row.try_get_by_index(0)?, row.try_get_by_index::<i64>(1)? as usize);
        }
        Ok(counts)
    }

    async fn rows(&self, snapshot: &Snapshot, roles: Vec<role::Model>) -> Result<Vec<DiffRow>, StoreError> {
        let mut sql = Sql::default();
        let granted = self.granted(&mut sql, &roles);
        let project = sql.bind(self.project);
        sql.push(&format!(
            "SELECT g.role, g.sides, p.name FROM ({granted}) g
             JOIN permissions p ON p.project = {project} AND p.id = g.permission ORDER BY g.role, p.name"
        ));
        let mut names: HashMap<(i64, i64), Vec<PermissionName>> = HashMap::new();
        for row in snapshot.tx.query_all_raw(sql.statement(snapshot.tx.get_database_backend())).await? {
            let key = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            names.entry(key).or_default().push(PermissionName::stored(row.try_get_by_index::<String>(2)?));
        }
        let mut named = |role, sides| names.remove(&(role, sides)).unwrap_or_default();
        let row = |role: role::Model| {
            Ok(DiffRow {
                enabled_left: self.enabled_left(role.id),
                enabled_right: self.enabled_right(role.id),
                only_left: named(role.id, LEFT),
                only_right: named(role.id, RIGHT),
                both: named(role.id, LEFT + RIGHT),
                rank: role.rank.unsigned_abs(),
                role_id: id(role.id)?,
                role: RoleName::stored(role.name),
            })
        };
        roles.into_iter().map(row).collect()
    }

    /// The statement of what these roles grant, and on which sides; without what both have, if that is left out.
    fn granted(&self, sql: &mut Sql, roles: &[role::Model]) -> String {
        let (project, left, right) = (sql.bind(self.project), sql.bind(self.left), sql.bind(self.right));
        let roles = sql.list(roles.iter().map(|role| role.id));
        let side = |mapping, side: i64| {
            format!(
                "SELECT role, permission, {side} AS side FROM grants
                 WHERE project = {project} AND role_mapping = {mapping} AND role IN ({roles})"
            )
        };
        let (left, right) = (side(left, LEFT), side(right, RIGHT));
        let having = if self.only_different { format!("HAVING sum(side) < {}", LEFT + RIGHT) } else { String::new() };
        format!(
            "SELECT role, permission, sum(side) AS sides FROM ({left} UNION ALL {right}) u
             GROUP BY role, permission {having}"
        )
    }
}
