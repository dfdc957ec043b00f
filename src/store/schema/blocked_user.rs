//! The blocked users of projects.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "blocked_users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub project: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: String,
    pub block_time: i64,
}

super::without_relations!();
