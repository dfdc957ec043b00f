//! Reads projects.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::{project, role, role_mapping};
use super::ids::{environment, id, role_structure, unreadable};
use super::read::Snapshot;
use super::{At, Page, ReadError, Store, StoreError};
use crate::domain::project::ProjectRecord;
use crate::domain::{ProjectKey, RoleMappingName, RoleName, Time};

/// A project, with the names of what its record numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectRow {
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

    /// By key, ascending.
    pub async fn list_projects(&self, after: Option<ProjectKey>, limit: u32) -> Result<Page<ProjectRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let mut find = project::Entity::find().order_by_asc(project::Column::Key).limit(u64::from(limit) + 1);
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
    let mut wanted_roles = Condition::any();
    let mut wanted_mappings = Condition::any();
    for project in &found {
        let defaults = role::Column::Id.is_in([project.default_role, project.default_owner_role]);
        wanted_roles = wanted_roles.add(role::Column::Project.eq(project.id).and(defaults));
        let default = role_mapping::Column::Id.eq(project.default_role_mapping);
        wanted_mappings = wanted_mappings.add(role_mapping::Column::Project.eq(project.id).and(default));
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let roles = role::Entity::find().filter(wanted_roles).all(&snapshot.tx).await?;
    let roles: HashMap<_, _> = roles.into_iter().map(|role| ((role.project, role.id), role.name)).collect();
    let mappings = role_mapping::Entity::find().filter(wanted_mappings).all(&snapshot.tx).await?;
    let mappings: HashMap<_, _> = mappings.into_iter().map(|mapping| (mapping.project, mapping.name)).collect();
    let role_name = |project, role| {
        let name = roles.get(&(project, role)).map(|name| RoleName::stored(name.as_str()));
        name.ok_or_else(|| unreadable("a project whose default role is missing"))
    };
    let row = |project: project::Model| {
        let mapping = mappings.get(&project.id).map(|name| RoleMappingName::stored(name.as_str()));
        Ok(ProjectRow {
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
            },
        })
    };
    found.into_iter().map(row).collect()
}
