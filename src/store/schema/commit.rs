//! Accepted commands.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "commits")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    pub tag: i64,
    pub at: i64,
    pub kind: String,
    pub actor: String,
    pub key_id: Option<String>,
    pub reason: String,
    pub request_id: Option<String>,
    pub acting_user: Option<String>,
    /// Of its changes, so that a commit is never applied in part.
    pub digest: i64,
    /// The project of all its changes.
    pub project: i64,
    /// How many of its changes an event shows.
    pub shown_changes: i64,
}

super::without_relations!();
