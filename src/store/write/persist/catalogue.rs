//! Writes permissions, roles, role sets and role mappings, and their old names.
//!
//! Lists of roles or permissions can be long, so only their differences are written.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::Value;

use super::collapse::{Final, Lasts, deleted, given_up, is_gone};
use crate::domain::collections::numbered::Numbered;
use crate::domain::model::id::RoleId;
use crate::domain::model::name::folded;
use crate::domain::{PermissionName, RoleMappingName, RoleName, Scoped};
use crate::store::StoreError;
use crate::store::ids::{number, revision_number};
use crate::store::schema::alias::Renamed;
use crate::store::schema::{
    alias, disabled_role, grant, managed_role, permission, role, role_mapping, role_set, role_set_role,
};
use crate::store::write::batch::Batch;
use crate::store::write::rows::{delete, upsert};

pub async fn permissions(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    use permission::Column::{Id, Project};
    delete::<permission::Entity>(batch, &[Project, Id], &given_up(&all.permissions, |it| &it.name)).await?;
    let written = all.permissions.iter().filter_map(|(&key, last)| Some((key, last.after?)));
    let written: Vec<permission::Model> = written
        .map(|(key, permission)| permission::Model {
            project: number(key.project),
            id: number(key.id),
            name: permission.name.to_string(),
            description: permission.description.to_string(),
            built_in: permission.built_in,
            create_time: permission.create_time.0,
        })
        .collect();
    Ok(upsert::<permission::Entity>(batch, &written, &[]).await?)
}

pub async fn roles(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    use role::Column::{Id, Project};
    delete::<role::Entity>(batch, &[Project, Id], &given_up(&all.roles, |it| &it.name)).await?;
    let written = all.roles.iter().filter_map(|(&key, last)| Some((key, last.after?)));
    let written: Vec<role::Model> = written
        .map(|(key, role)| role::Model {
            project: number(key.project),
            id: number(key.id),
            name: role.name.to_string(),
            name_key: folded(role.name.as_str()),
            description: role.description.to_string(),
            internal: role.internal,
            rank: rank_number(role.rank),
            create_time: role.create_time.0,
            version: role.version.into(),
        })
        .collect();
    Ok(upsert::<role::Entity>(batch, &written, &[]).await?)
}

/// Writes who manages whom (G2). A role may manage 10,000 roles, so only the difference is written.
pub async fn managed_roles(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    use managed_role::Column::{Managed, Project, Role};
    let (mut none, mut lost): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    let mut gained = Vec::new();
    for (key, last) in &all.roles {
        let before = last.before.map_or(&[][..], |role| &role.manages);
        let after = last.after.map_or(&[][..], |role| &role.manages);
        let (project, role) = (number(key.project), number(key.id));
        if after.is_empty() {
            if !before.is_empty() {
                none.extend([project, role].map(Value::from));
            }
            continue;
        }
        for managed in without(before, after) {
            lost.extend([project, role, managed].map(Value::from));
        }
        let rows = without(after, before).into_iter();
        gained.extend(rows.map(|managed| managed_role::Model { project, role, managed }));
    }
    delete::<managed_role::Entity>(batch, &[Project, Role], &none).await?;
    delete::<managed_role::Entity>(batch, &[Project, Role, Managed], &lost).await?;
    Ok(upsert::<managed_role::Entity>(batch, &gained, &[]).await?)
}

/// Returns the roles that are not among the others. Both are sorted.
fn without(roles: &[RoleId], others: &[RoleId]) -> Vec<i64> {
    roles.iter().copied().filter(|role| others.binary_search(role).is_err()).map(number).collect()
}

/// A set can be altered in place (R4).
pub async fn role_sets(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    use role_set_role::Column::{Project, Role, RoleSet};
    let gone = deleted(&all.role_sets);
    delete::<role_set::Entity>(batch, &[role_set::Column::Project, role_set::Column::Id], &gone).await?;
    delete::<role_set_role::Entity>(batch, &[Project, RoleSet], &gone).await?;
    let mut sets = Vec::new();
    let mut lost: Vec<Value> = Vec::new();
    let mut roles = Vec::new();
    for (key, last) in &all.role_sets {
        let Some(after) = last.after else { continue };
        let (project, id) = (number(key.project), number(key.id));
        sets.push(role_set::Model {
            project,
            id,
            migrated: after.migrated,
            revision: if after.migrated { revision_number(last.revision.number) } else { 0 },
        });
        for &role in last.before.iter().flat_map(|before| before.roles.iter()).filter(|&&role| !after.contains(role)) {
            lost.extend([project, id, number(role)].map(Value::from));
        }
        for &role in &after.roles {
            let migrated = after.migrated_roles.contains(&role);
            let stays = |before: &&crate::domain::model::role_set::RoleSet| {
                before.contains(role) && before.migrated_roles.contains(&role) == migrated
            };
            if last.before.filter(stays).is_none() {
                roles.push(role_set_role::Model { project, role_set: id, role: number(role), migrated });
            }
        }
    }
    upsert::<role_set::Entity>(batch, &sets, &[]).await?;
    delete::<role_set_role::Entity>(batch, &[Project, RoleSet, Role], &lost).await?;
    Ok(upsert::<role_set_role::Entity>(batch, &roles, &[]).await?)
}

pub async fn role_mappings(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    use disabled_role::Column::{Project, Role, RoleMapping};
    let gone = deleted(&all.role_mappings);
    delete::<grant::Entity>(batch, &[grant::Column::Project, grant::Column::RoleMapping], &gone).await?;
    delete::<disabled_role::Entity>(batch, &[Project, RoleMapping], &gone).await?;
    let given_up = given_up(&all.role_mappings, |it| &it.name);
    delete::<role_mapping::Entity>(batch, &[role_mapping::Column::Project, role_mapping::Column::Id], &given_up)
        .await?;
    let mut mappings = Vec::new();
    let mut enabled: Vec<Value> = Vec::new();
    let mut disabled = Vec::new();
    for (key, last) in &all.role_mappings {
        let Some(after) = last.after else { continue };
        let (project, id) = (number(key.project), number(key.id));
        mappings.push(role_mapping::Model {
            project,
            id,
            name: after.name.to_string(),
            name_key: folded(after.name.as_str()),
            description: after.description.to_string(),
            create_time: after.create_time.0,
            version: after.version.into(),
        });
        // Both are sorted.
        let before = last.before.map_or(&[][..], |before| &before.disabled_roles);
        for role in without(before, &after.disabled_roles) {
            enabled.extend([project, id, role].map(Value::from));
        }
        let rows = without(&after.disabled_roles, before).into_iter();
        disabled.extend(rows.map(|role| disabled_role::Model { project, role_mapping: id, role }));
    }
    upsert::<role_mapping::Entity>(batch, &mappings, &[]).await?;
    delete::<disabled_role::Entity>(batch, &[Project, RoleMapping, Role], &enabled).await?;
    Ok(upsert::<disabled_role::Entity>(batch, &disabled, &[]).await?)
}

/// The grants of a deleted mapping are deleted with it. Those of a deleted role or permission, which may be in every mapping,
/// are deleted by a prefix of an index.
pub async fn grants(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    use grant::Column::{Permission, Project, Role, RoleMapping};
    let (mut of_roles, mut lost): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    let mut of_permissions = BTreeSet::new();
    let mut gained = Vec::new();
    for (key, edits) in &all.grants {
        let project = key.project;
        if is_gone(&all.role_mappings, &Scoped { project, id: key.role_mapping }) {
            continue;
        }
        let place = [number(project), number(key.role_mapping), number(key.role)];
        if is_gone(&all.roles, &Scoped { project, id: key.role }) {
            of_roles.extend(place.map(Value::from));
            continue;
        }
        let mut granted = BTreeMap::new();
        for edit in edits {
            let less = edit.before.iter().flat_map(|set| set.iter()).map(|permission| (permission, false));
            let more = edit.after.iter().flat_map(|set| set.iter()).map(|permission| (permission, true));
            granted.extend(less.chain(more));
        }
        for (permission, granted) in granted {
            let [project_number, role_mapping, role] = place;
            if is_gone(&all.permissions, &Scoped { project, id: permission }) {
                of_permissions.insert([project_number, number(permission)]);
            } else if granted {
                let permission = number(permission);
                gained.push(grant::Model { project: project_number, role_mapping, role, permission });
            } else {
                lost.extend([project_number, role_mapping, role, number(permission)].map(Value::from));
            }
        }
    }
    let of_permissions: Vec<Value> = of_permissions.into_iter().flatten().map(Value::from).collect();
    delete::<grant::Entity>(batch, &[Project, Permission], &of_permissions).await?;
    delete::<grant::Entity>(batch, &[Project, RoleMapping, Role], &of_roles).await?;
    delete::<grant::Entity>(batch, &[Project, RoleMapping, Role, Permission], &lost).await?;
    Ok(upsert::<grant::Entity>(batch, &gained, &[]).await?)
}

/// Writes old names. Those given up are deleted first, since another object may take them in the same group.
pub async fn aliases(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    use alias::Column::{Id, Noun, Project};
    let mut aliases = Aliases::default();
    aliases
        .collect(&all.permissions, Renamed::Permission, |it| it.aliases.iter().map(PermissionName::as_str).collect());
    aliases.collect(&all.roles, Renamed::Role, |it| it.aliases.iter().map(RoleName::as_str).collect());
    aliases.collect(&all.role_mappings, Renamed::RoleMapping, |it| {
        it.aliases.iter().map(RoleMappingName::as_str).collect()
    });
    delete::<alias::Entity>(batch, &[Project, Noun, Id], &aliases.given_up).await?;
    Ok(upsert::<alias::Entity>(batch, &aliases.written, &[]).await?)
}

/// The old names that a group alters.
#[derive(Default)]
struct Aliases {
    /// All old names of an object.
    given_up: Vec<Value>,
    written: Vec<alias::Model>,
}

impl Aliases {
    fn collect<'a, I: Numbered, V>(
        &mut self,
        lasts: &Lasts<'a, Scoped<I>, V>,
        noun: Renamed,
        names: impl Fn(&'a V) -> Vec<&'a str>,
    ) {
        for (key, last) in lasts {
            let (before, after) = (last.before.map_or_else(Vec::new, &names), last.after.map_or_else(Vec::new, &names));
            if before == after {
                continue;
            }
            let (project, noun, id) = (number(key.project), noun as i16, number(key.id));
            if !before.is_empty() {
                self.given_up.extend([Value::from(project), Value::from(noun), Value::from(id)]);
            }
            self.written.extend(after.into_iter().zip(0..).map(|(name, place)| alias::Model {
                project,
                noun,
                alias: name.into(),
                id,
                place,
            }));
        }
    }
}

/// Ranks are unsigned but compared as signed numbers. They never reach the highest bit.
fn rank_number(rank: u64) -> i64 {
    i64::try_from(rank).unwrap_or(i64::MAX)
}
