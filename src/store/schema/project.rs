//! Projects, with the next number of every noun in them.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "projects")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub key: String,
    pub display_name: String,
    pub environment: i16,
    pub role_structure: i16,
    pub default_role: i64,
    pub default_owner_role: i64,
    pub default_role_mapping: i64,
    pub create_time: i64,
    pub next_permission: i64,
    pub next_role: i64,
    pub next_role_set: i64,
    pub next_role_mapping: i64,
    pub next_org: i64,
    pub version: i64,
    pub role_order_version: i64,
    pub deleted_at: Option<i64>,
    pub purged: bool,
}

super::without_relations!();
