//! Opening, migrating and initializing a store, and when they are refused.

use rolecall::domain::Revision;
use rolecall::store::{Database, Store, StoreError};
use sea_orm::ConnectionTrait;

use crate::desk::{Desk, create_project, open};
use crate::on_both;
use crate::support::{TestDatabase, sqlite};
use rolecall::domain::model::project::RoleStructure;

on_both! {
    a_new_store_has_a_permanent_id
    a_database_without_tables_is_refused
    a_newer_migration_is_refused_and_named
    a_closed_store_opens_again_as_it_was
    revisions_are_found_by_number
    the_newest_revisions_are_listed_in_order
}

async fn a_new_store_has_a_permanent_id(database: TestDatabase) {
    let store = open(&database).await;
    let id = store.store_id().await.unwrap();
    assert_ne!(id, 0);
    assert_eq!(store.head().await.unwrap(), Revision::default());
    store.migrate().await.unwrap();
    store.initialize().await.unwrap();
    assert_eq!(store.store_id().await.unwrap(), id);
    let kind = if database.url.starts_with("sqlite") { Database::Sqlite } else { Database::Postgres };
    assert_eq!(store.database(), kind);
}

async fn a_database_without_tables_is_refused(database: TestDatabase) {
    let store = Store::open(&database.url).await.unwrap();
    assert!(store.head().await.is_err());
    store.migrate().await.unwrap();
    let error = store.head().await.unwrap_err();
    assert!(matches!(error, StoreError::Empty), "{error}");
    assert!(matches!(store.begin_write().await.err(), Some(StoreError::Empty)));
}

async fn a_newer_migration_is_refused_and_named(database: TestDatabase) {
    open(&database).await.close().await;
    let direct = sea_orm::Database::connect(&database.url).await.unwrap();
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_from_the_future', 0)";
    direct.execute_unprepared(newer).await.unwrap();
    direct.close().await.unwrap();
    let store = Store::open(&database.url).await.unwrap();
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(&error, StoreError::Newer(name) if name == "m9999_from_the_future"), "{error}");
    assert!(error.to_string().contains("upgrade this binary"));
}

async fn a_closed_store_opens_again_as_it_was(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    desk.write(vec![create_project("shop", RoleStructure::SingleRole)]).await;
    let Desk { store, state, database, .. } = desk;
    store.close().await;
    if let Some(file) = database.file() {
        assert!(!file.with_extension("db-wal").exists(), "the log of SQLite is merged");
    }
    let again = Desk::new(database).await;
    assert!(again.state == state);
}

async fn revisions_are_found_by_number(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let commits = desk.write(vec![create_project("shop", RoleStructure::SingleRole)]).await;
    assert_eq!(desk.store.revision_at(1).await.unwrap(), Some(commits[0].revision));
    assert_eq!(desk.store.revision_at(2).await.unwrap(), None);
    assert_eq!(desk.store.head().await.unwrap(), desk.revision());
}

async fn the_newest_revisions_are_listed_in_order(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    assert_eq!(desk.store.newest_revisions(2).await.unwrap(), []);
    let mut all = Vec::new();
    for key in ["shop", "forum", "wiki"] {
        let commits = desk.write(vec![create_project(key, RoleStructure::SingleRole)]).await;
        all.extend(commits.iter().map(|commit| commit.revision));
    }
    assert_eq!(desk.store.newest_revisions(2).await.unwrap(), all[all.len() - 2..]);
    assert_eq!(desk.store.newest_revisions(100).await.unwrap(), all);
}

#[tokio::test]
async fn one_server_a_sqlite_file() {
    let database = sqlite();
    let first = Store::open(&database.url).await.unwrap();
    let error = Store::open(&database.url).await.err().unwrap();
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    assert!(error.to_string().contains("in use by another server"));
    first.close().await;
    Store::open(&database.url).await.unwrap();
}

#[tokio::test]
async fn one_server_a_sqlite_file_also_through_links() {
    let database = sqlite();
    let file = database.file().unwrap();
    let link = file.with_file_name("link.db");
    std::os::unix::fs::symlink("rolecall.db", &link).unwrap();
    let link = format!("sqlite://{}", link.display());
    // First before the file exists, then after.
    for urls in [[&link, &database.url], [&database.url, &link]] {
        let first = Store::open(urls[0]).await.unwrap();
        let error = Store::open(urls[1]).await.err().unwrap();
        assert!(matches!(error, StoreError::InUse(_)), "{error}");
        first.close().await;
    }
}

#[tokio::test]
async fn what_is_no_database_is_refused_with_what_to_do() {
    for url in ["", "rolecall.db", "mysql://localhost/db", "sqlite:"] {
        let error = Store::open(url).await.err().unwrap();
        assert!(matches!(error, StoreError::Url(_)), "{url}: {error}");
    }
    for url in ["sqlite::memory:", "sqlite://file?mode=memory"] {
        assert!(matches!(Store::open(url).await.err(), Some(StoreError::InMemory)), "{url}");
    }
    for url in ["sqlite:///no/such/folder/rolecall.db", "postgres://ann:secret@localhost/db?host=/no/such/folder"] {
        let error = Store::open(url).await.err().unwrap();
        assert!(matches!(error, StoreError::Open { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
