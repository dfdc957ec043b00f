//! Reads old names: what was renamed is found by them too (R3).

use std::collections::HashMap;

use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder};

use super::StoreError;
use super::entity::alias;
use super::read::Snapshot;

/// What can be renamed. The numbers are those of the nouns in the table `changes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum Renamed {
    Permission = 2,
    Role = 3,
    RoleMapping = 5,
}

impl Snapshot {
    /// The id of what had this name.
    pub async fn aliased(&self, project: i64, noun: Renamed, name: &str) -> Result<Option<i64>, StoreError> {
        let found = alias::Entity::find_by_id((project, noun as i16, name.into())).one(&self.tx).await?;
        Ok(found.map(|alias| alias.id))
    }

    /// Of these names those that are old ones, with the ids of what had them.
    pub async fn all_aliased<'a>(
        &self,
        project: i64,
        noun: Renamed,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<HashMap<String, i64>, StoreError> {
        let old = alias::Column::Project.eq(project).and(alias::Column::Noun.eq(noun as i16));
        let old = old.and(alias::Column::Alias.is_in(names));
        let found = alias::Entity::find().filter(old).all(&self.tx).await?;
        Ok(found.into_iter().map(|alias| (alias.alias, alias.id)).collect())
    }

    /// The old names of these things, oldest first; a thing without any is missing.
    pub async fn aliases(
        &self,
        project: i64,
        noun: Renamed,
        ids: impl IntoIterator<Item = i64>,
    ) -> Result<HashMap<i64, Vec<String>>, StoreError> {
        let of_things = alias::Column::Project.eq(project).and(alias::Column::Noun.eq(noun as i16));
        let of_things = of_things.and(alias::Column::Id.is_in(ids));
        let found = alias::Entity::find().filter(of_things).order_by_asc(alias::Column::Place).all(&self.tx).await?;
        let mut aliases: HashMap<i64, Vec<String>> = HashMap::new();
        for alias in found {
            aliases.entry(alias.id).or_default().push(alias.alias);
        }
        Ok(aliases)
    }
}
