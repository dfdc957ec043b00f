//! Invitations: pending ones with a role set, accepted and revoked ones with the numbers of their roles.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "invitations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub project: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub org: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub email: String,
    pub inviter: Option<String>,
    pub create_time: i64,
    pub expire_time: i64,
    pub role_set: Option<i64>,
    pub settled_at: Option<i64>,
    pub accepted_by: Option<String>,
    pub roles: String,
    pub revision: i64,
}

super::without_relations!();
