//! Finds what a list is asked by.

use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter};

use super::snapshot::Snapshot;
use crate::domain::model::name::folded;
use crate::domain::model::refusal::Noun;
use crate::domain::{ProjectKey, RoleMappingName};
use crate::store::ReadError;
use crate::store::schema::alias::Renamed;
use crate::store::schema::{alias, project, role_mapping};

impl Snapshot {
    pub async fn project(&self, key: &ProjectKey) -> Result<project::Model, ReadError> {
        let existing = project::Column::Key.eq(key.as_str()).and(project::Column::DeletedAt.is_null());
        let found = project::Entity::find().filter(existing).one(&self.tx).await?;
        found.ok_or_else(|| ReadError::NotFound(Noun::Project, key.to_string()))
    }

    /// Returns the id of the role mapping that a list is asked by, if any.
    pub async fn named_mapping(&self, project: i64, name: Option<&RoleMappingName>) -> Result<Option<i64>, ReadError> {
        match name {
            Some(name) => Ok(Some(self.role_mapping(project, name).await?.id)),
            None => Ok(None),
        }
    }

    /// Returns the role mapping with this name or old name (R3). The index is on the folded name; the name itself is
    /// compared exactly (R1).
    async fn role_mapping(&self, project: i64, name: &RoleMappingName) -> Result<role_mapping::Model, ReadError> {
        let named = role_mapping::Column::Project.eq(project);
        let named = named.and(role_mapping::Column::NameKey.eq(folded(name.as_str())));
        let named = named.and(role_mapping::Column::Name.eq(name.as_str()));
        let mut found = role_mapping::Entity::find().filter(named).one(&self.tx).await?;
        if found.is_none() {
            let key = (project, Renamed::RoleMapping as i16, name.to_string());
            if let Some(alias) = alias::Entity::find_by_id(key).one(&self.tx).await? {
                found = role_mapping::Entity::find_by_id((project, alias.id)).one(&self.tx).await?;
            }
        }
        found.ok_or_else(|| ReadError::NotFound(Noun::RoleMapping, name.to_string()))
    }
}
