//! Memberships: users in orgs with their role sets.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "memberships")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub project: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub org: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: String,
    pub role_set: i64,
    pub origin: i16,
    pub revision: i64,
    pub temporary: bool,
    pub other_origins: bool,
}

super::without_relations!();
