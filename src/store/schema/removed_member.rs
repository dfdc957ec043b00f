//! The users whom somebody else removed from an org.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "removed_members")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub project: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub org: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: String,
}

super::without_relations!();
