//! The roles that are disabled in role mappings.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "disabled_roles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub project: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub role_mapping: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub role: i64,
}

super::without_relations!();
