//! Loads projects, permissions, roles, role sets and role mappings.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend};

use super::{Sink, created};
use crate::domain::collections::numbered::Numbered;
use crate::domain::model::id::{PermissionId, ProjectId, RoleId, RoleMappingId, RoleSetId};
use crate::domain::model::permission::Permission;
use crate::domain::model::project::ProjectRecord;
use crate::domain::model::role::Role;
use crate::domain::model::role_mapping::RoleMappingRecord;
use crate::domain::model::role_set::RoleSet;
use crate::domain::state::Counters;
use crate::domain::state::change::GrantsKey;
use crate::domain::{Change, PermissionName, ProjectKey, RoleMappingName, RoleName, Scoped};
use crate::store::StoreError;
use crate::store::ids::{environment, id, number, role_structure, u32_of, unreadable};
use crate::store::rows::each;
use crate::store::schema::alias::Renamed;

/// The old names of permissions, roles and role mappings, oldest first.
pub struct Aliases(HashMap<(i16, ProjectId, i64), Vec<String>>);

impl Aliases {
    pub async fn read(tx: &DatabaseTransaction) -> Result<Self, StoreError> {
        let mut all: HashMap<_, Vec<String>> = HashMap::new();
        each(tx, "SELECT noun, project, id, alias FROM aliases ORDER BY noun, project, id, place", |mut row| {
            all.entry((row.next()?, row.id()?, row.next()?)).or_default().push(row.text()?);
            Ok(())
        })
        .await?;
        Ok(Self(all))
    }

    fn of<I: Numbered, N>(&mut self, noun: Renamed, key: Scoped<I>, name: fn(String) -> N) -> Arc<[N]> {
        let names = self.0.remove(&(noun as i16, key.project, number(key.id)));
        names.unwrap_or_default().into_iter().map(name).collect()
    }
}

pub async fn projects(
    tx: &DatabaseTransaction,
    sink: &mut impl Sink,
) -> Result<Vec<(ProjectId, Counters)>, StoreError> {
    let mut all = Vec::new();
    let sql = r#"SELECT id, "key", display_name, environment, role_structure, default_role, default_owner_role,
            default_role_mapping, create_time, version, role_order_version, deleted_at, purged,
            next_permission, next_role, next_role_set, next_role_mapping, next_org
        FROM projects ORDER BY id"#;
    each(tx, sql, |mut row| {
        let project = row.id()?;
        let record = ProjectRecord {
            key: ProjectKey::stored(row.text()?),
            display_name: row.text()?.into(),
            environment: environment(row.next()?)?,
            role_structure: role_structure(row.next()?)?,
            default_role: row.id()?,
            default_owner_role: row.id()?,
            default_role_mapping: row.id()?,
            create_time: row.time()?,
            version: u32_of(row.next()?)?,
            role_order_version: u32_of(row.next()?)?,
            lifecycle: row.lifecycle()?,
        };
        sink.take(Change::Project(created(project, record)))?;
        let counters = Counters {
            permission: u32_of(row.next()?)?,
            role: u32_of(row.next()?)?,
            role_set: u32_of(row.next()?)?,
            role_mapping: u32_of(row.next()?)?,
            org: u32_of(row.next()?)?,
        };
        all.push((project, counters));
        Ok(())
    })
    .await?;
    Ok(all)
}

pub async fn permissions(
    tx: &DatabaseTransaction,
    sink: &mut impl Sink,
    aliases: &mut Aliases,
) -> Result<(), StoreError> {
    let sql = "SELECT project, id, name, description, built_in, create_time FROM permissions ORDER BY project, id";
    each(tx, sql, |mut row| {
        let key = row.scoped()?;
        let permission = Permission {
            name: PermissionName::stored(row.text()?),
            description: row.text()?.into(),
            built_in: row.next()?,
            create_time: row.time()?,
            aliases: aliases.of(Renamed::Permission, key, PermissionName::stored),
        };
        sink.take(Change::Permission(created(key, permission)))
    })
    .await
}

pub async fn roles(tx: &DatabaseTransaction, sink: &mut impl Sink, aliases: &mut Aliases) -> Result<(), StoreError> {
    let mut managed: HashMap<Scoped<RoleId>, Vec<RoleId>> = HashMap::new();
    each(tx, "SELECT project, role, managed FROM managed_roles ORDER BY project, role, managed", |mut row| {
        managed.entry(row.scoped()?).or_default().push(row.id()?);
        Ok(())
    })
    .await?;
    let sql = r#"SELECT project, id, name, description, internal, "rank", create_time, version FROM roles
        ORDER BY project, "rank", id"#;
    each(tx, sql, |mut row| {
        let key = row.scoped()?;
        let role = Role {
            name: RoleName::stored(row.text()?),
            description: row.text()?.into(),
            internal: row.next()?,
            rank: row.next::<i64>()?.unsigned_abs(),
            create_time: row.time()?,
            aliases: aliases.of(Renamed::Role, key, RoleName::stored),
            version: u32_of(row.next()?)?,
            manages: managed.remove(&key).unwrap_or_default().into(),
        };
        sink.take(Change::Role(created(key, role)))
    })
    .await
}

pub async fn role_sets(tx: &DatabaseTransaction, sink: &mut impl Sink) -> Result<(), StoreError> {
    let mut roles: HashMap<Scoped<RoleSetId>, Vec<(RoleId, bool)>> = HashMap::new();
    each(tx, "SELECT project, role_set, role, migrated FROM role_set_roles", |mut row| {
        roles.entry(row.scoped()?).or_default().push((row.id()?, row.next()?));
        Ok(())
    })
    .await?;
    each(tx, "SELECT project, id, migrated FROM role_sets ORDER BY project, id", |mut row| {
        let key = row.scoped()?;
        let roles = roles.remove(&key).unwrap_or_default();
        let migrated_roles = roles.iter().filter(|(_, migrated)| *migrated).map(|&(role, _)| role);
        let RoleSet { roles: migrated_roles, .. } = RoleSet::new(migrated_roles);
        let set = RoleSet::new(roles.iter().map(|&(role, _)| role));
        let set = RoleSet { migrated: row.next()?, migrated_roles, ..set };
        sink.take(Change::RoleSet(created(key, set)))
    })
    .await
}

pub async fn role_mappings(
    tx: &DatabaseTransaction,
    sink: &mut impl Sink,
    aliases: &mut Aliases,
) -> Result<(), StoreError> {
    let mut disabled: HashMap<Scoped<RoleMappingId>, Vec<RoleId>> = HashMap::new();
    let sql = "SELECT project, role_mapping, role FROM disabled_roles ORDER BY project, role_mapping, role";
    each(tx, sql, |mut row| {
        disabled.entry(row.scoped()?).or_default().push(row.id()?);
        Ok(())
    })
    .await?;
    let sql = "SELECT project, id, name, description, create_time, version FROM role_mappings ORDER BY project, id";
    each(tx, sql, |mut row| {
        let key = row.scoped()?;
        let record = RoleMappingRecord {
            name: RoleMappingName::stored(row.text()?),
            description: row.text()?.into(),
            disabled_roles: disabled.remove(&key).unwrap_or_default().into(),
            create_time: row.time()?,
            aliases: aliases.of(Renamed::RoleMapping, key, RoleMappingName::stored),
            version: u32_of(row.next()?)?,
        };
        sink.take(Change::RoleMapping(created(key, record)))
    })
    .await
}

/// The permissions of one mapping and role are one row and one change.
pub async fn grants(tx: &DatabaseTransaction, sink: &mut impl Sink) -> Result<(), StoreError> {
    let permissions = match ConnectionTrait::get_database_backend(tx) {
        DbBackend::Postgres => "string_agg(permission::text, ',')",
        _ => "group_concat(permission)",
    };
    let sql = format!(
        "SELECT project, role_mapping, role, {permissions} FROM grants
        GROUP BY project, role_mapping, role ORDER BY project, role_mapping, role"
    );
    each(tx, &sql, |mut row| {
        let key = GrantsKey { project: row.id()?, role_mapping: row.id()?, role: row.id()? };
        let text = row.text()?;
        let number = |text: &str| text.parse().map_err(|_| unreadable("a permission that is no number")).and_then(id);
        let mut permissions = text.split(',').map(number).collect::<Result<Vec<PermissionId>, _>>()?;
        permissions.sort_unstable();
        sink.take(Change::Grants(created(key, permissions.into_iter().collect())))
    })
    .await
}
