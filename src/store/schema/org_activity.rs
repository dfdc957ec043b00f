//! The last day on which each org was active. An org that was never active has no row.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "org_activity")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub project: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub org: i64,
    pub last_active_day: i64,
}

super::without_relations!();
