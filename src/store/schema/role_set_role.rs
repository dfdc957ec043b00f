//! The roles in role sets.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "role_set_roles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub project: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub role_set: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub role: i64,
    pub migrated: bool,
}

super::without_relations!();
