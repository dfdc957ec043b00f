//! The changes of the commits.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "changes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub project: i64,
    pub org: Option<i64>,
    pub user_id: Option<String>,
    pub noun: i16,
    /// The number of the permission, role, role set, role mapping or org. `None` for changes of other nouns.
    pub object: Option<i64>,
    pub payload: Vec<u8>,
}

super::without_relations!();
