//! What updates, deletes and renamings need.
//!
//! - What was renamed is found by its old names too: `aliases`. The numbers of nouns are those of the table `changes`.
//! - A deleted project is marked dead like a deleted org, and its key can be given anew; `erased` says that nothing is left
//!   of it but its row.
//! - A role set that a deletion altered says so, and by which commit: whoever has it was changed by that one. A set without
//!   roles is dying: whoever has it is no member and is being erased.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::columns::{flag, index, number, optional, small, text};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0002_whole_core"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All or nothing, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in columns() {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        let database = manager.get_database_backend();
        let mut aliases = Table::create()
            .table("aliases")
            .col(number("project"))
            .col(small("noun"))
            .col(text(database, "alias"))
            .col(number("id"))
            .col(small("place"))
            .primary_key(&mut index(&["project", "noun", "alias"]))
            .to_owned();
        let mut origins = Table::create()
            .table("role_origins")
            .col(number("project"))
            .col(number("org"))
            .col(text(database, "user_id"))
            .col(number("role"))
            .col(small("origin"))
            .primary_key(&mut index(&["project", "org", "user_id", "role"]))
            .to_owned();
        if database == DbBackend::Sqlite {
            aliases.extra("WITHOUT ROWID");
            origins.extra("WITHOUT ROWID");
        }
        manager.create_table(aliases).await?;
        manager.create_table(origins).await?;
        manager
            .create_index(index(&["project", "noun", "id"]).name("aliases_by_thing").table("aliases").to_owned())
            .await?;
        // There is hardly ever one, and every page of members asks for them.
        let mut dying = index(&["project", "id"]).name("role_sets_dying").table("role_sets").to_owned();
        manager.create_index(dying.and_where(Expr::col("dying")).to_owned()).await?;
        // The key of a project is unique among the living, like the id of an org.
        manager.drop_index(Index::drop().name("projects_by_key").table("projects").to_owned()).await?;
        let mut living = index(&["key"]).name("projects_by_key").table("projects").unique().to_owned();
        manager.create_index(living.and_where(Expr::col("dead_at").is_null()).to_owned()).await?;
        // Lists of a mapping's orgs would read all that were ever deleted.
        manager.drop_index(Index::drop().name("orgs_by_role_mapping").table("orgs").to_owned()).await?;
        let mut living = index(ORGS_BY_ROLE_MAPPING).name("orgs_by_role_mapping").table("orgs").to_owned();
        manager.create_index(living.and_where(Expr::col("dead_at").is_null()).to_owned()).await
    }

    /// Loses old names, and who is deleted; two projects with one key cannot be told apart afterwards.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("projects_by_key").table("projects").to_owned()).await?;
        manager.create_index(index(&["key"]).name("projects_by_key").table("projects").unique().to_owned()).await?;
        manager.drop_index(Index::drop().name("orgs_by_role_mapping").table("orgs").to_owned()).await?;
        let all = index(ORGS_BY_ROLE_MAPPING).name("orgs_by_role_mapping").table("orgs").to_owned();
        manager.create_index(all).await?;
        manager.drop_index(Index::drop().name("role_sets_dying").table("role_sets").to_owned()).await?;
        manager.drop_table(Table::drop().table("role_origins").to_owned()).await?;
        manager.drop_table(Table::drop().table("aliases").to_owned()).await?;
        for (table, column) in columns() {
            let column = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

const ORGS_BY_ROLE_MAPPING: &[&str] = &["project", "role_mapping", "org_id"];

/// The new columns; both databases add one a statement.
fn columns() -> [(&'static str, ColumnDef); 12] {
    let zero = |name| number(name).default(0).to_owned();
    let no = |name| flag(name).default(false).to_owned();
    [
        ("projects", zero("version")),
        ("projects", zero("role_order_version")),
        ("projects", optional(number("dead_at"))),
        ("projects", no("erased")),
        ("roles", zero("version")),
        ("role_mappings", zero("version")),
        ("role_sets", no("migrated")),
        ("role_sets", no("dying")),
        // The commit that altered it; 0 while none has.
        ("role_sets", zero("revision")),
        ("role_set_roles", no("replacement")),
        ("orgs", no("erased")),
        // Whether `role_origins` has rows of the member.
        ("memberships", no("other_origins")),
    ]
}
