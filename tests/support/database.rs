//! What the test binaries share: new databases, and tests that run on both kinds of them.
#![allow(dead_code)] // No binary uses all of it.

pub mod certificates;
pub mod cluster;
pub mod postgres;
pub mod process;
pub mod proxy;

use tempfile::TempDir;

/// A database of one test. Dropping this deletes a SQLite database. The PostgreSQL ones go with their server.
pub struct TestDatabase {
    pub url: String,
    folder: Option<TempDir>,
}

/// Runs a test on a new SQLite database, then on a new PostgreSQL one if there is a PostgreSQL.
pub fn on_both(test: impl AsyncFn(TestDatabase)) {
    block_on(async {
        println!("on SQLite");
        test(sqlite()).await;
        if let Some(database) = postgres().await {
            println!("on PostgreSQL");
            test(database).await;
        }
    });
}

/// Runs a test that needs two servers on one database: on PostgreSQL only.
pub fn on_postgres(test: impl AsyncFn(TestDatabase)) {
    block_on(async {
        if let Some(database) = postgres().await {
            test(database).await;
        }
    });
}

pub fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built").block_on(test);
}

pub fn sqlite() -> TestDatabase {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let url = format!("sqlite://{}", folder.path().join("rolecall.db").display());
    TestDatabase { url, folder: Some(folder) }
}

/// Creates a PostgreSQL database. `None` if there is no PostgreSQL.
pub async fn postgres() -> Option<TestDatabase> {
    postgres::database().await.map(|url| TestDatabase { url, folder: None })
}

impl TestDatabase {
    /// Returns the file of a SQLite database.
    pub fn file(&self) -> Option<std::path::PathBuf> {
        self.folder.as_ref().map(|folder| folder.path().join("rolecall.db"))
    }
}

/// Makes a test of each `async fn name(database: TestDatabase)` that runs it on both databases.
#[macro_export]
macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_both {$(
            #[test]
            fn $name() {
                $crate::support::on_both(super::$name);
            }
        )*}
    };
}
