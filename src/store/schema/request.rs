//! Request ids of callers in projects with the outcomes of their writes.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "requests")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub caller: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub project: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub request_id: String,
    pub fingerprint: Vec<u8>,
    pub revision: i64,
    pub tag: i64,
    pub at: i64,
    /// The clock of the server, by which the outcome is forgotten. `at` is the time of the commit.
    pub used_at: i64,
    pub outcome: Vec<u8>,
}

super::without_relations!();
