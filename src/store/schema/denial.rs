//! Refused calls of known callers (A1).

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "denials")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub at: i64,
    pub kind: String,
    pub actor: String,
    pub key_id: String,
    pub project: String,
    pub org_id: String,
    pub acting_user: String,
    pub reason: String,
    pub missing_permission: String,
    pub count: i64,
}

super::without_relations!();
