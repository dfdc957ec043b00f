//! Reads projects.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::{project, role, role_mapping};
use super::ids::{environment, id, role_structure, u32_of, unreadable};
use super::read::Snapshot;
use super::{At, Page, ReadError, Store, StoreError};
use crate::domain::model::id::ProjectId;
use crate::domain::model::lifecycle::Lifecycle;
use crate::domain::model::project::ProjectRecord;
use crate::domain::{ProjectKey, RoleMappingName, RoleName, Time};

/// A project, with the names of what its record numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectRow {
    pub id: ProjectId,
    pub record: ProjectRecord,
    pub default_role: RoleName,
    pub default_owner_role: RoleName,
    pub default_role_mapping: RoleMappingName,
}

impl Store {
    pub async fn get_project(&self, key: &ProjectKey) -> Result<At<ProjectRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let found = snapshot.project(key).await?;
        let row = rows(&snapshot, vec![found]).await?.pop();
        Ok(snapshot.at(row.ok_or_else(|| unreadable("a project without a name"))?).await)
    }

    /// By key, ascending; the living ones.
    pub async fn list_projects(&self, after: Option<ProjectKey>, limit: u32) -> Result<Page<ProjectRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let existing = project::Entity::find().filter(project::Column::DeletedAt.is_null());
        let mut find = existing.order_by_asc(project::Column::Key).limit(u64::from(limit) + 1);
        if let Some(after) = after {
            find = find.filter(project::Column::Key.gt(after.as_str()));
        }
        let found = find.all(&snapshot.tx).await?;
        let rows = rows(&snapshot, found).await?;
        Ok(snapshot.page(rows, limit).await)
    }
}

/// Adds the names of the default roles and mappings.
async fn rows(snapshot: &Snapshot, found: Vec<project::Model>) -> Result<Vec<ProjectRow>, StoreError> {
    let projects: Vec<i64> = found.iter().map(|project| project.id).collect();
    // Also some that are not asked for: to pair each project with its own would be a term for each.
    let defaults: BTreeSet<i64> =
        found.iter().flat_map(|project| [project.default_role, project.default_owner_role]).collect();
    let wanted = role::Column::Project.is_in(projects.iter().copied()).and(role::Column::Id.is_in(defaults));
    let roles = role::Entity::find().filter(wanted).all(&snapshot.tx).await?;
    let roles: HashMap<_, _> = roles.into_iter().map(|role| ((role.project, role.id), role.name)).collect();
    let defaults: BTreeSet<i64> = found.iter().map(|project| project.default_role_mapping).collect();
    let wanted = role_mapping::Column::Project.is_in(projects).and(role_mapping::Column::Id.is_in(defaults));
    let mappings = role_mapping::Entity::find().filter(wanted).all(&snapshot.tx).await?;
    let mappings: HashMap<_, _> =
        mappings.into_iter().map(|mapping| ((mapping.project, mapping.id), mapping.name)).collect();
    let role_name = |project, role| {
        let name = roles.get(&(project, role)).map(|name| RoleName::stored(name.as_str()));
        name.ok_or_else(|| unreadable("a project whose default role is missing"))
    };
    let row = |project: project::Model| {
        let mapping = mappings
            .get(&(project.id, project.default_role_mapping))
            .map(|name| RoleMappingName::stored(name.as_str()));
        Ok(ProjectRow {
            id: id(project.id)?,
            default_role: role_name(project.id, project.default_role)?,
            default_owner_role: role_name(project.id, project.default_owner_role)?,
            default_role_mapping: mapping
                .ok_or_else(|| unreadable("a project whose default role mapping is missing"))?,
            record: ProjectRecord {
                key: ProjectKey::stored(project.key),
                display_name: project.display_name.into(),
                environment: environment(project.environment)?,
                role_structure: role_structure(project.role_structure)?,
                default_role: id(project.default_role)?,
                default_owner_role: id(project.default_owner_role)?,
                default_role_mapping: id(project.default_role_mapping)?,
                create_time: Time(project.create_time),
                version: u32_of(project.version)?,
                role_order_version: u32_of(project.role_order_version)?,
                lifecycle: Lifecycle::stored(project.deleted_at.map(Time), project.purged),
            },
        })
    };
    found.into_iter().map(row).collect()
}
