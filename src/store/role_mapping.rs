//! Reads role mappings and their rows.

use std::collections::{HashMap, HashSet};

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::{disabled_role, grant, project, role, role_mapping};
use super::ids::{id, number, unreadable};
use super::read::Snapshot;
use super::role::below;
use super::sql::Sql;
use super::{At, Page, ReadError, Store, StoreError};
use crate::domain::id::{RoleId, RoleMappingId};
use crate::domain::{PermissionName, ProjectKey, RoleMappingName, RoleName, Time};

/// A role mapping, its rows aside.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleMappingRow {
    pub id: RoleMappingId,
    pub name: RoleMappingName,
    pub description: String,
    pub is_default: bool,
    /// In the order of the roles.
    pub disabled_roles: Vec<RoleName>,
    pub grant_count: u64,
    pub create_time: Time,
}

/// The row of a role in a role mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantsRow {
    pub role: RoleName,
    /// With `role_id` the place of the row, to go on from.
    pub rank: u64,
    pub role_id: RoleId,
    pub enabled: bool,
    /// In the order of their bytes.
    pub permissions: Vec<PermissionName>,
}

/// A role mapping with a page of its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleMappingRows {
    pub role_mapping: RoleMappingRow,
    pub rows: Vec<GrantsRow>,
    /// Whether rows follow.
    pub more: bool,
}

impl Store {
    /// In the order in which they were created.
    pub async fn list_role_mappings(
        &self,
        project: &ProjectKey,
        after: Option<RoleMappingId>,
        limit: u32,
    ) -> Result<Page<RoleMappingRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let mut find = role_mapping::Entity::find().filter(role_mapping::Column::Project.eq(project.id));
        if let Some(after) = after {
            find = find.filter(role_mapping::Column::Id.gt(number(after)));
        }
        let find = find.order_by_asc(role_mapping::Column::Id).limit(u64::from(limit) + 1);
        let found = find.all(&snapshot.tx).await?;
        let rows = rows(&snapshot, &project, found).await?;
        Ok(snapshot.page(rows, limit).await)
    }

    /// A mapping and a page of its rows, one for every role of the project or for those in `only`, in the order of the
    /// roles.
    pub async fn get_role_mapping(
        &self,
        project: &ProjectKey,
        name: &RoleMappingName,
        only: &[RoleName],
        after: Option<(u64, RoleId)>,
        limit: u32,
    ) -> Result<At<RoleMappingRows>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let mapping = snapshot.role_mapping(project.id, name).await?;
        let role_mapping = rows(&snapshot, &project, vec![mapping.clone()]).await?.pop();
        let role_mapping = role_mapping.ok_or_else(|| unreadable("a role mapping without a row"))?;
        let mut find = role::Entity::find().filter(role::Column::Project.eq(project.id));
        if !only.is_empty() {
            find = find.filter(role::Column::Id.is_in(ids(&snapshot, project.id, only).await?));
        }
        if let Some((rank, id)) = after {
            find = find.filter(below(rank as i64, number(id)));
        }
        let find = find.order_by_asc(role::Column::Rank).order_by_asc(role::Column::Id).limit(u64::from(limit) + 1);
        let mut roles = find.all(&snapshot.tx).await?;
        let more = roles.len() > limit as usize;
        roles.truncate(limit as usize);
        let rows = grants(&snapshot, &mapping, roles).await?;
        Ok(snapshot.at(RoleMappingRows { role_mapping, rows, more }).await)
    }
}

async fn rows(
    snapshot: &Snapshot,
    project: &project::Model,
    found: Vec<role_mapping::Model>,
) -> Result<Vec<RoleMappingRow>, StoreError> {
    let mappings: Vec<i64> = found.iter().map(|mapping| mapping.id).collect();
    let mut disabled = disabled(snapshot, project.id, &mappings).await?;
    let counts = grant::Entity::find().select_only().column(grant::Column::RoleMapping);
    let counts = counts.column_as(grant::Column::Permission.count(), "grants");
    let of_mappings = grant::Column::Project.eq(project.id).and(grant::Column::RoleMapping.is_in(mappings));
    let counts = counts.filter(of_mappings).group_by(grant::Column::RoleMapping);
    let counts: Vec<(i64, i64)> = counts.into_tuple().all(&snapshot.tx).await?;
    let counts: HashMap<i64, i64> = counts.into_iter().collect();
    let row = |found: role_mapping::Model| {
        Ok(RoleMappingRow {
            id: id(found.id)?,
            name: RoleMappingName::stored(found.name),
            description: found.description,
            is_default: project.default_role_mapping == found.id,
            disabled_roles: disabled.remove(&found.id).unwrap_or_default(),
            grant_count: counts.get(&found.id).map_or(0, |count| count.unsigned_abs()),
            create_time: Time(found.create_time),
        })
    };
    found.into_iter().map(row).collect()
}

/// The roles disabled in mappings, in their order.
async fn disabled(
    snapshot: &Snapshot,
    project: i64,
    mappings: &[i64],
) -> Result<HashMap<i64, Vec<RoleName>>, StoreError> {
    let mut sql = Sql::default();
    let project = sql.bind(project);
    let mappings = sql.list(mappings.iter().copied());
    sql.push(&format!(
        r#"SELECT d.role_mapping, r.name FROM disabled_roles d JOIN roles r ON r.project = d.project AND r.id = d.role
           WHERE d.project = {project} AND d.role_mapping IN ({mappings}) ORDER BY r."rank", r.id"#
    ));
    let mut disabled: HashMap<i64, Vec<RoleName>> = HashMap::new();
    for row in snapshot.tx.query_all_raw(sql.statement(snapshot.tx.get_database_backend())).await? {
        let name = RoleName::stored(row.try_get_by_index::<String>(1)?);
        disabled.entry(row.try_get_by_index(0)?).or_default().push(name);
    }
    Ok(disabled)
}

/// The ids of roles, every one of which must exist.
async fn ids(snapshot: &Snapshot, project: i64, names: &[RoleName]) -> Result<Vec<i64>, ReadError> {
    let folded = names.iter().map(|name| crate::domain::name::folded(name.as_str()));
    let named = role::Column::Project.eq(project).and(role::Column::NameKey.is_in(folded));
    let named = named.and(role::Column::Name.is_in(names.iter().map(RoleName::as_str)));
    let found = role::Entity::find().filter(named).all(&snapshot.tx).await?;
    let known: HashSet<&str> = found.iter().map(|role| role.name.as_str()).collect();
    match names.iter().find(|name| !known.contains(name.as_str())) {
        Some(unknown) => Err(ReadError::NotFound(crate::domain::refusal::Noun::Role, unknown.to_string())),
        None => Ok(found.iter().map(|role| role.id).collect()),
    }
}

async fn grants(
    snapshot: &Snapshot,
    mapping: &role_mapping::Model,
    roles: Vec<role::Model>,
) -> Result<Vec<GrantsRow>, StoreError> {
    let of_mapping =
        disabled_role::Column::Project.eq(mapping.project).and(disabled_role::Column::RoleMapping.eq(mapping.id));
    let disabled = disabled_role::Entity::find().filter(of_mapping).all(&snapshot.tx).await?;
    let disabled: HashSet<i64> = disabled.into_iter().map(|row| row.role).collect();
    let mut permissions: HashMap<i64, Vec<PermissionName>> = HashMap::new();
    let mut sql = Sql::default();
    let (project, id_of_mapping) = (sql.bind(mapping.project), sql.bind(mapping.id));
    let wanted = sql.list(roles.iter().map(|role| role.id));
    sql.push(&format!(
        "SELECT g.role, p.name FROM grants g JOIN permissions p ON p.project = g.project AND p.id = g.permission
         WHERE g.project = {project} AND g.role_mapping = {id_of_mapping} AND g.role IN ({wanted})
         ORDER BY g.role, p.name"
    ));
    for row in snapshot.tx.query_all_raw(sql.statement(snapshot.tx.get_database_backend())).await? {
        let name = PermissionName::stored(row.try_get_by_index::<String>(1)?);
        permissions.entry(row.try_get_by_index(0)?).or_default().push(name);
    }
    let row = |role: role::Model| {
        Ok(GrantsRow {
            enabled: !disabled.contains(&role.id),
            permissions: permissions.remove(&role.id).unwrap_or_default(),
            rank: role.rank.unsigned_abs(),
            role_id: id(role.id)?,
            role: RoleName::stored(role.name),
        })
    };
    roles.into_iter().map(row).collect()
}
