//! What the test binaries share: databases, each made anew for one test.
#![allow(dead_code)] // No binary uses all of it.

pub mod postgres;

use tempfile::TempDir;

/// A database that nobody else uses. SQLite's goes with this value, PostgreSQL's with the server.
pub struct TestDatabase {
    pub url: String,
    folder: Option<TempDir>,
}

/// A new SQLite database.
pub fn sqlite() -> TestDatabase {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let url = format!("sqlite://{}", folder.path().join("rolecall.db").display());
    TestDatabase { url, folder: Some(folder) }
}

/// A new PostgreSQL database; none where PostgreSQL is missing.
pub async fn postgres() -> Option<TestDatabase> {
    postgres::database().await.map(|url| TestDatabase { url, folder: None })
}

impl TestDatabase {
    /// The file of a SQLite database.
    pub fn file(&self) -> Option<std::path::PathBuf> {
        self.folder.as_ref().map(|folder| folder.path().join("rolecall.db"))
    }
}

/// Makes a test on SQLite and one on PostgreSQL of each `async fn name(database: TestDatabase)`.
#[macro_export]
macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::sqlite()).await;
            }
        )*}
        mod on_postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(database) = $crate::support::postgres().await else { return };
                super::$name(database).await;
            }
        )*}
    };
}
