//! What changes of plans and delegation need.
//!
//! - Which roles a role manages in a MULTI_ROLE project: `managed_roles`.
//! - Which role the holders of a suspended one hold meanwhile, for each org: `stand_ins`. Most orgs have none.
//! - On whose behalf a command was given: `acting_user`. The release before leaves it out, and it is null.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::columns::{index, number, optional, text};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0003_plans"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let database = manager.get_database_backend();
        let acting_user = optional(text(database, "acting_user"));
        manager.alter_table(Table::alter().table("commits").add_column(acting_user).to_owned()).await?;
        let mut managed_roles = Table::create()
            .table("managed_roles")
            .col(number("project"))
            .col(number("role"))
            .col(number("managed"))
            .primary_key(&mut index(&["project", "role", "managed"]))
            .to_owned();
        let mut stand_ins = Table::create()
            .table("stand_ins")
            .col(number("project"))
            .col(number("org"))
            .col(number("role"))
            .col(number("stand_in"))
            .primary_key(&mut index(&["project", "org", "role"]))
            .to_owned();
        if database == DbBackend::Sqlite {
            managed_roles.extra("WITHOUT ROWID");
            stand_ins.extra("WITHOUT ROWID");
        }
        manager.create_table(managed_roles).await?;
        manager.create_table(stand_ins).await
    }

    /// Loses who manages whom, who stands in for whom, and on whose behalf commands were given.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("stand_ins").to_owned()).await?;
        manager.drop_table(Table::drop().table("managed_roles").to_owned()).await?;
        manager.alter_table(Table::alter().table("commits").drop_column("acting_user").to_owned()).await
    }
}
