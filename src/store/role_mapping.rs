//! Reads role mappings and their rows.

mod diff;
mod page;

use std::collections::HashMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};

use super::alias::Renamed;
use super::entity::{grant, org, project, role, role_mapping};
use super::ids::{id, number, u32_of, unreadable};
use super::read::Snapshot;
use super::sql::Sql;
use super::{At, Page, ReadError, Store, StoreError};
use crate::domain::model::id::{RoleId, RoleMappingId};
use crate::domain::{PermissionName, ProjectKey, RoleMappingName, RoleName, Time};
use page::{Granted, in_order};

pub use diff::{DiffRoleMappings, DiffRow};
pub use page::{Filling, disabled_in};

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
    /// Oldest first.
    pub aliases: Vec<RoleMappingName>,
    pub version: u32,
    /// Existing orgs.
    pub subscribers: u64,
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
        let mut find = in_order(project.id, after);
        if !only.is_empty() {
            find = find.filter(role::Column::Id.is_in(ids(&snapshot, project.id, only).await?));
        }
        let roles = find.limit(u64::from(limit) + 1).all(&snapshot.tx).await?;
        let granted = Granted { project: project.id, role_mapping: mapping.id };
        let counts = granted.counts(&snapshot, &roles).await?;
        let mut filling = Filling::new(limit);
        for role in roles {
            let names = counts.get(&role.id).copied().unwrap_or_default();
            if !filling.take(role, names) {
                break;
            }
        }
        let more = filling.more;
        let rows = grants(&snapshot, granted, filling.roles).await?;
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
    let mut aliases = snapshot.aliases(project.id, Renamed::RoleMapping, mappings.iter().copied()).await?;
    let subscribers = subscribers(snapshot, project.id, &mappings).await?;
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
            aliases: aliases.remove(&found.id).into_iter().flatten().map(RoleMappingName::stored).collect(),
            version: u32_of(found.version)?,
            subscribers: subscribers.get(&found.id).map_or(0, |count| count.unsigned_abs()),
        })
    };
    found.into_iter().map(row).collect()
}

/// How many living orgs are subscribed to each of these mappings.
async fn subscribers(snapshot: &Snapshot, project: i64, mappings: &[i64]) -> Result<HashMap<i64, i64>, StoreError> {
    let existing = org::Column::Project.eq(project).and(org::Column::DeletedAt.is_null());
    let subscribed = existing.and(org::Column::RoleMapping.is_in(mappings.iter().copied()));
    let counts = org::Entity::find().select_only().column(org::Column::RoleMapping);
    let counts = counts.column_as(org::Column::No.count(), "orgs").filter(subscribed);
    let counts: Vec<(i64, i64)> = counts.group_by(org::Column::RoleMapping).into_tuple().all(&snapshot.tx).await?;
    Ok(counts.into_iter().collect())
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

/// The ids of the roles that have these names or had them (R3); every one of them must exist.
async fn ids(snapshot: &Snapshot, project: i64, names: &[RoleName]) -> Result<Vec<i64>, ReadError> {
    let folded = names.iter().map(|name| crate::domain::model::name::folded(name.as_str()));
    let named = role::Column::Project.eq(project).and(role::Column::NameKey.is_in(folded));
    let named = named.and(role::Column::Name.is_in(names.iter().map(RoleName::as_str)));
    let found = role::Entity::find().filter(named).all(&snapshot.tx).await?;
    let mut known: HashMap<String, i64> = found.into_iter().map(|role| (role.name, role.id)).collect();
    if known.len() < names.len() {
        let unknown = names.iter().map(RoleName::as_str).filter(|&name| !known.contains_key(name));
        let aliased = snapshot.all_aliased(project, Renamed::Role, unknown).await?;
        known.extend(aliased);
    }
    let id = |name: &RoleName| known.get(name.as_str()).copied();
    let not_found = |name: &RoleName| ReadError::NotFound(crate::domain::model::refusal::Noun::Role, name.to_string());
    names.iter().map(|name| id(name).ok_or_else(|| not_found(name))).collect()
}

async fn grants(snapshot: &Snapshot, of: Granted, roles: Vec<role::Model>) -> Result<Vec<GrantsRow>, StoreError> {
    let disabled = disabled_in(snapshot, of.project, of.role_mapping).await?;
    let mut permissions: HashMap<i64, Vec<PermissionName>> = HashMap::new();
    let mut sql = Sql::default();
    let (project, role_mapping) = (sql.bind(of.project), sql.bind(of.role_mapping));
    let wanted = sql.list(roles.iter().map(|role| role.id));
    sql.push(&format!(
        "SELECT g.role, p.name FROM grants g JOIN permissions p ON p.project = g.project AND p.id = g.permission
         WHERE g.project = {project} AND g.role_mapping = {role_mapping} AND g.role IN ({wanted})
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
