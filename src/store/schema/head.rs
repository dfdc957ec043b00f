//! The newest revision: one row.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "head")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub store_id: i64,
    pub revision: i64,
    pub tag: i64,
    pub at: i64,
    pub floor: i64,
}

super::without_relations!();
