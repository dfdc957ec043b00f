//! The e-mail domains of orgs.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "org_domains")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub project: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub org: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub domain: String,
    pub role_set: Option<i64>,
    pub verified: bool,
    pub apply_to_existing: bool,
}

super::without_relations!();
