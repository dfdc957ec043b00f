//! Orgs. A deleted one is marked as deleted.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "orgs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub project: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub no: i64,
    pub org_id: String,
    pub display_name: String,
    pub metadata: String,
    pub role_mapping: i64,
    pub create_time: i64,
    pub deleted_at: Option<i64>,
    pub purged: bool,
}

super::without_relations!();
