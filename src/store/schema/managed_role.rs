//! The roles that roles manage.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "managed_roles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub project: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub role: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub managed: i64,
}

super::without_relations!();
