//! The API keys of operators.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub project: i64,
    /// The bits of the id as a signed number.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub hash: Vec<u8>,
    pub display_name: String,
    pub operator: String,
    pub environment: i16,
    pub checks_only: bool,
    pub sidecar_only: bool,
    pub acting_user_required: bool,
    pub no_activity: bool,
    pub scope_project: Option<i64>,
    pub scope_org: Option<i64>,
    pub creator: String,
    pub create_time: i64,
    pub expire_time: Option<i64>,
    pub archive_time: Option<i64>,
}

super::without_relations!();
