//! The tables: what exists, what happened, and which answers are remembered.
//!
//! - There are no foreign keys. The changes of a group are collapsed to one final row per key and written table by table, so
//!   a row may briefly exist before the row that it refers to. A check of every row would slow down bulk writes to verify
//!   what deciding on the State has already ensured.
//! - No column uses autoincrement: the counters of the State allocate all ids, and no id is reused.
//! - Times are microseconds since 1970, as everywhere in the service.
//! - Texts are compared byte by byte on both databases. That is SQLite's default. PostgreSQL needs `COLLATE "C"`, or its
//!   locale would order the pages of a list differently.
//! - On SQLite, tables with short rows are stored in key order (WITHOUT ROWID): one tree instead of two.
//! - Deleted orgs and projects keep their rows, with `deleted_at` set, and their ids can be reused. Partial unique indexes
//!   cover existing rows only. `purged` says that only the row is left.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::columns::{bytes, flag, index, number, optional, small, text};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_tables"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Creates all tables or none, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let database = manager.get_database_backend();
        for mut table in tables(database) {
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
        let exists = || Expr::col("deleted_at").is_null();
        let mut orgs = index(&["project", "org_id"]).name("orgs_by_org_id").table("orgs").unique().to_owned();
        manager.create_index(orgs.and_where(exists()).to_owned()).await?;
        let mut projects = index(&["key"]).name("projects_by_key").table("projects").unique().to_owned();
        manager.create_index(projects.and_where(exists()).to_owned()).await?;
        // Without the condition, lists of a mapping's orgs would read every org that was ever deleted.
        let columns = &["project", "role_mapping", "org_id"];
        let mut subscribers = index(columns).name("orgs_by_role_mapping").table("orgs").to_owned();
        manager.create_index(subscribers.and_where(exists()).to_owned()).await?;
        for (name, column, columns) in OF_SOME_CHANGES {
            let mut of_some = index(columns).name(name).table("changes").to_owned();
            manager.create_index(of_some.and_where(Expr::col(column).is_not_null()).to_owned()).await?;
        }
        // Checks of one user depend on them all (A3), and most changes name a user.
        let columns = &["project", "revision", "seq"];
        let mut others = index(columns).name("changes_without_user").table("changes").to_owned();
        manager.create_index(others.and_where(Expr::col("user_id").is_null()).to_owned()).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables(manager.get_database_backend()) {
            let Some(name) = table.statement.get_table_name() else { continue };
            manager.drop_table(Table::drop().table(name.clone()).to_owned()).await?;
        }
        Ok(())
    }
}

const INDEXES: [(&str, &str, &[&str]); 11] = [
    ("commits_by_project", "commits", &["project", "revision"]),
    ("denials_by_project", "denials", &["project", "revision", "id"]),
    ("requests_by_age", "requests", &["used_at"]),
    ("role_set_roles_by_role", "role_set_roles", &["project", "role", "role_set"]),
    ("grants_by_permission", "grants", &["project", "permission", "role_mapping"]),
    ("memberships_by_user", "memberships", &["project", "user_id", "org"]),
    ("memberships_by_role_set", "memberships", &["project", "org", "role_set", "user_id"]),
    ("invitations_by_role_set", "invitations", &["project", "org", "role_set"]),
    ("invitations_by_age", "invitations", &["settled_at"]),
    ("org_domains_by_domain", "org_domains", &["project", "domain", "org"]),
    ("aliases_by_object", "aliases", &["project", "noun", "id"]),
];

/// Indexes of the changes that have this column.
const OF_SOME_CHANGES: [(&str, &str, &[&str]); 3] = [
    ("changes_by_org", "org", &["project", "org", "revision"]),
    // With `org`, so that the changes of one membership are found without reading the rows.
    ("changes_by_user", "user_id", &["project", "user_id", "revision", "org"]),
    ("changes_by_object", "object", &["project", "noun", "object", "revision"]),
];

const UNIQUE: [(&str, &str, &[&str]); 3] = [
    ("permissions_by_name", "permissions", &["project", "name"]),
    ("roles_by_name", "roles", &["project", "name_key"]),
    ("role_mappings_by_name", "role_mappings", &["project", "name_key"]),
];

struct NewTable {
    statement: TableCreateStatement,
    key: &'static [&'static str],
    /// Rows are short: SQLite stores them in key order.
    clustered: bool,
}

fn tables(database: DbBackend) -> Vec<NewTable> {
    history(database).into_iter().chain(catalogue(database)).chain(members(database)).collect()
}

/// The commits, their changes, the remembered outcomes, and the refused calls.
fn history(database: DbBackend) -> [NewTable; 5] {
    let text = |name| text(database, name);
    [
        // One row: the newest revision. Every writer locks it first, which puts all writes to a store in one order.
        table("head", &["id"])
            .columns([number("id"), number("store_id"), number("revision"), number("tag"), number("at")])
            .columns([number("floor")]),
        table("commits", &["revision"])
            .columns([number("revision"), number("tag"), number("at"), text("kind"), text("actor"), text("reason")])
            .columns([optional(text("key_id")), optional(text("request_id")), optional(text("acting_user"))])
            .columns([number("digest"), number("project"), number("shown_changes")])
            .clustered(),
        table("changes", &["revision", "seq"])
            .columns([number("revision"), number("seq"), number("project"), optional(number("org"))])
            .columns([optional(text("user_id")), small("noun"), optional(number("object")), bytes("payload")])
            .clustered(),
        // `revision` is the newest commit at the time when the row was written. With `id` it is the place among the events.
        table("denials", &["revision", "id"])
            .columns([number("revision"), number("id"), number("at"), text("kind"), text("actor"), text("key_id")])
            .columns([text("project"), text("org_id"), text("acting_user"), text("reason")])
            .columns([text("missing_permission"), number("count")])
            .clustered(),
        table("requests", &["caller", "project", "request_id"])
            .columns([text("caller"), text("project"), text("request_id"), bytes("fingerprint"), number("revision")])
            .columns([number("tag"), number("at"), number("used_at"), bytes("outcome")]),
    ]
}

/// Projects with their roles, permissions and role mappings.
fn catalogue(database: DbBackend) -> [NewTable; 10] {
    let text = |name| text(database, name);
    [
        table("projects", &["id"])
            .columns([number("id"), text("key"), text("display_name"), small("environment"), small("role_structure")])
            .columns([number("default_role"), number("default_owner_role"), number("default_role_mapping")])
            .columns([number("create_time"), number("version"), number("role_order_version")])
            .columns([optional(number("deleted_at")), flag("purged"), number("next_permission"), number("next_role")])
            .columns([number("next_role_set"), number("next_role_mapping"), number("next_org")]),
        table("permissions", &["project", "id"])
            .columns([number("project"), number("id"), text("name"), text("description"), flag("built_in")])
            .columns([number("create_time")]),
        table("roles", &["project", "id"])
            .columns([number("project"), number("id"), text("name"), text("name_key"), text("description")])
            .columns([flag("internal"), number("rank"), number("create_time"), number("version")]),
        // The roles that a role manages in a MULTI_ROLE project.
        table("managed_roles", &["project", "role", "managed"])
            .columns([number("project"), number("role"), number("managed")])
            .clustered(),
        // `migrated`: a deletion or conversion rewrote the set in the commit `revision` (else 0), which is then the latest
        // change of its members.
        table("role_sets", &["project", "id"])
            .columns([number("project"), number("id"), flag("migrated"), number("revision")])
            .clustered(),
        table("role_set_roles", &["project", "role_set", "role"])
            .columns([number("project"), number("role_set"), number("role"), flag("migrated")])
            .clustered(),
        table("role_mappings", &["project", "id"])
            .columns([number("project"), number("id"), text("name"), text("name_key"), text("description")])
            .columns([number("create_time"), number("version")]),
        table("disabled_roles", &["project", "role_mapping", "role"])
            .columns([number("project"), number("role_mapping"), number("role")])
            .clustered(),
        table("grants", &["project", "role_mapping", "role", "permission"])
            .columns([number("project"), number("role_mapping"), number("role"), number("permission")])
            .clustered(),
        // Old names, which requests still accept. The numbers of nouns are those of the table `changes`.
        table("aliases", &["project", "noun", "alias"])
            .columns([number("project"), small("noun"), text("alias"), number("id"), small("place")])
            .clustered(),
    ]
}

/// Orgs with their members, invitations and e-mail domains, and blocked users.
fn members(database: DbBackend) -> [NewTable; 11] {
    let text = |name| text(database, name);
    [
        table("orgs", &["project", "no"])
            .columns([number("project"), number("no"), text("org_id"), text("display_name"), text("metadata")])
            .columns([number("role_mapping"), number("create_time"), optional(number("deleted_at")), flag("purged")]),
        // `temporary` and `other_origins`: the member has rows in `temporary_roles` and in `role_origins`.
        table("memberships", &["project", "org", "user_id"])
            .columns([number("project"), number("org"), text("user_id"), number("role_set"), small("origin")])
            .columns([number("revision"), flag("temporary"), flag("other_origins")])
            .clustered(),
        table("temporary_roles", &["project", "org", "user_id", "role"])
            .columns([number("project"), number("org"), text("user_id"), number("role"), number("expire_time")])
            .clustered(),
        table("role_origins", &["project", "org", "user_id", "role"])
            .columns([number("project"), number("org"), text("user_id"), number("role"), small("origin")])
            .clustered(),
        // The roles that members hold while another is suspended. Most orgs have none.
        table("fallback_roles", &["project", "org", "role"])
            .columns([number("project"), number("org"), number("role"), number("fallback_role")])
            .clustered(),
        // A pending invitation has a `role_set`. An accepted or revoked one has the time `settled_at`, the numbers of its
        // `roles`, and perhaps the user who accepted. `revision` is that of its latest change.
        table("invitations", &["project", "org", "id"])
            .columns([number("project"), number("org"), text("id"), text("email"), optional(text("inviter"))])
            .columns([number("create_time"), number("expire_time"), optional(number("role_set"))])
            .columns([optional(number("settled_at")), optional(text("accepted_by")), text("roles"), number("revision")])
            .clustered(),
        table("blocked_users", &["project", "user_id"])
            .columns([number("project"), text("user_id"), number("block_time")])
            .clustered(),
        table("api_keys", &["project", "id"])
            .columns([number("project"), number("id"), bytes("hash"), text("display_name"), text("operator")])
            .columns([small("environment"), flag("checks_only"), flag("sidecar_only"), flag("acting_user_required")])
            .columns([flag("no_activity")])
            .columns([optional(number("scope_project")), optional(number("scope_org")), text("creator")])
            .columns([number("create_time"), optional(number("expire_time")), optional(number("archive_time"))]),
        table("org_domains", &["project", "org", "domain"])
            .columns([number("project"), number("org"), text("domain"), optional(number("role_set"))])
            .columns([flag("verified"), flag("apply_to_existing")])
            .clustered(),
        // The day as a number of days since 1970. It is no part of the State: no revision, no history.
        table("org_activity", &["project", "org"])
            .columns([number("project"), number("org"), number("last_active_day")])
            .clustered(),
        // Users whom somebody else removed: a domain does not bring them back.
        table("removed_members", &["project", "org", "user_id"])
            .columns([number("project"), number("org"), text("user_id")])
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
