//! The first tables: what is, what happened, and which answers are remembered.
//!
//! - There are no foreign keys. The changes of a group are collapsed to one final row a key and written table by table, so
//!   that a row may for a moment stand before the one it names; and a check on every row would be paid on every bulk write
//!   for what deciding on the State has made sure of already.
//! - No column is numbered by the database: every number is given by the counters of the State and never given twice.
//! - Instants are microseconds since 1970, as everywhere in the service.
//! - Texts are compared by bytes on both databases: the default of SQLite, `COLLATE "C"` on PostgreSQL, whose own locale
//!   would order the pages of a list otherwise.
//! - On SQLite tables of short rows are stored in the order of their key (WITHOUT ROWID): one tree instead of two.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::columns::{bytes, flag, index, number, optional, small, text};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_first_tables"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// All tables or none, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let database = manager.get_database_backend();
        for mut table in history(database).into_iter().chain(catalogue(database)).chain(members(database)) {
            table.statement.primary_key(&mut index(table.key));
            if database == DbBackend::Sqlite && table.clustered {
                table.statement.extra("WITHOUT ROWID");
            }
            manager.create_table(table.statement).await?;
        }
        for (name, table, columns) in INDEXES {
            manager.create_index(index(columns).name(name).table(table).to_owned()).await?;
        }
        for (name, table, columns) in UNIQUE {
            manager.create_index(index(columns).name(name).table(table).unique().to_owned()).await?;
        }
        // The id of an org is unique among the living: a deleted one may be given anew.
        let mut living = index(&["project", "org_id"]).name("orgs_by_org_id").table("orgs").unique().to_owned();
        manager.create_index(living.and_where(Expr::col("dead_at").is_null()).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let database = manager.get_database_backend();
        for table in history(database).into_iter().chain(catalogue(database)).chain(members(database)) {
            let Some(name) = table.statement.get_table_name() else { continue };
            manager.drop_table(Table::drop().table(name.clone()).to_owned()).await?;
        }
        Ok(())
    }
}

const INDEXES: [(&str, &str, &[&str]); 8] = [
    ("changes_by_what", "changes", &["project", "org", "user_id", "revision"]),
    ("requests_by_age", "requests", &["at"]),
    ("role_set_roles_by_role", "role_set_roles", &["project", "role", "role_set"]),
    ("grants_by_permission", "grants", &["project", "permission", "role_mapping"]),
    ("orgs_by_role_mapping", "orgs", &["project", "role_mapping", "org_id"]),
    ("memberships_by_user", "memberships", &["project", "user_id", "org"]),
    ("memberships_by_role_set", "memberships", &["project", "org", "role_set", "user_id"]),
    ("roles_by_rank", "roles", &["project", "rank", "id"]),
];

const UNIQUE: [(&str, &str, &[&str]); 4] = [
    ("projects_by_key", "projects", &["key"]),
    ("permissions_by_name", "permissions", &["project", "name"]),
    ("roles_by_name", "roles", &["project", "name_key"]),
    ("role_mappings_by_name", "role_mappings", &["project", "name_key"]),
];

struct NewTable {
    statement: TableCreateStatement,
    key: &'static [&'static str],
    /// Rows are short: on SQLite they are stored in the order of the key.
    clustered: bool,
}

/// What happened, and what was answered.
fn history(database: DbBackend) -> [NewTable; 4] {
    let text = |name| text(database, name);
    [
        // One row: the newest revision. Whoever writes locks it first, which puts all writes of a store in one order.
        table("head", &["id"])
            .columns([number("id"), number("store_id"), number("revision"), number("tag"), number("at")])
            .columns([number("floor")]),
        table("commits", &["revision"])
            .columns([number("revision"), number("tag"), number("at"), text("kind"), text("actor"), text("reason")])
            .columns([optional(text("request_id"))])
            .clustered(),
        table("changes", &["revision", "seq"])
            .columns([number("revision"), number("seq"), number("project"), optional(number("org"))])
            .columns([optional(text("user_id")), small("noun"), bytes("payload")])
            .clustered(),
        table("requests", &["caller", "request_id"])
            .columns([text("caller"), text("request_id"), bytes("fingerprint"), number("revision"), number("tag")])
            .columns([number("at"), bytes("outcome")]),
    ]
}

/// Projects with their roles, permissions and mappings.
fn catalogue(database: DbBackend) -> [NewTable; 8] {
    let text = |name| text(database, name);
    [
        table("projects", &["id"])
            .columns([number("id"), text("key"), text("display_name"), small("environment"), small("role_structure")])
            .columns([number("default_role"), number("default_owner_role"), number("default_role_mapping")])
            .columns([number("create_time"), number("next_permission"), number("next_role")])
            .columns([number("next_role_set"), number("next_role_mapping"), number("next_org")]),
        table("permissions", &["project", "id"])
            .columns([number("project"), number("id"), text("name"), text("description"), flag("built_in")])
            .columns([number("create_time")]),
        table("roles", &["project", "id"])
            .columns([number("project"), number("id"), text("name"), text("name_key"), text("description")])
            .columns([flag("internal"), number("rank"), number("create_time")]),
        table("role_sets", &["project", "id"]).columns([number("project"), number("id")]).clustered(),
        table("role_set_roles", &["project", "role_set", "role"])
            .columns([number("project"), number("role_set"), number("role")])
            .clustered(),
        table("role_mappings", &["project", "id"])
            .columns([number("project"), number("id"), text("name"), text("name_key"), text("description")])
            .columns([number("create_time")]),
        table("disabled_roles", &["project", "role_mapping", "role"])
            .columns([number("project"), number("role_mapping"), number("role")])
            .clustered(),
        table("grants", &["project", "role_mapping", "role", "permission"])
            .columns([number("project"), number("role_mapping"), number("role"), number("permission")])
            .clustered(),
    ]
}

/// Orgs and who is in them.
fn members(database: DbBackend) -> [NewTable; 3] {
    let text = |name| text(database, name);
    [
        // A deleted org is marked dead; what belonged to it cannot be reached from then on.
        table("orgs", &["project", "no"])
            .columns([number("project"), number("no"), text("org_id"), text("display_name"), text("metadata")])
            .columns([number("role_mapping"), number("create_time"), optional(number("dead_at"))]),
        // `held_until`: the end of the role that ends last, where every role ends; from then on nobody is a member by it.
        table("memberships", &["project", "org", "user_id"])
            .columns([number("project"), number("org"), text("user_id"), number("role_set"), small("origin")])
            .columns([number("revision"), flag("timed"), optional(number("held_until"))])
            .clustered(),
        table("timed_roles", &["project", "org", "user_id", "role"])
            .columns([number("project"), number("org"), text("user_id"), number("role"), number("until")])
            .clustered(),
    ]
}

fn table(name: &'static str, key: &'static [&'static str]) -> NewTable {
    NewTable { statement: Table::create().table(name).to_owned(), key, clustered: false }
}

impl NewTable {
    fn columns<const N: usize>(mut self, columns: [ColumnDef; N]) -> Self {
        for column in columns {
            self.statement.col(column);
        }
        self
    }

    fn clustered(mut self) -> Self {
        self.clustered = true;
        self
    }
}
