//! What an error says: whether to try again, to connect again, or to report a bug.

use rolecall::store::{ErrorClass, Store, StoreError};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};

use crate::support::postgres::with_database;
use crate::support::{on_postgres, sqlite};

async fn class(db: &DatabaseConnection, sql: &str) -> ErrorClass {
    StoreError::from(db.execute_unprepared(sql).await.unwrap_err()).class()
}

async fn one_connection(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(format!("{url}{}", if url.starts_with("sqlite") { "?mode=rwc" } else { "" }));
    options.max_connections(1);
    Database::connect(options).await.unwrap()
}

#[test]
fn errors_of_postgresql_are_sorted() {
    on_postgres(async |database| {
        let db = one_connection(&database.url).await;
        let raised = async |code: &str| {
            let sql = format!("DO $$ BEGIN RAISE EXCEPTION 'a test' USING ERRCODE = '{code}'; END $$");
            class(&db, &sql).await
        };
        for code in ["22P05", "23505", "42501", "42P01", "XX000", "26000"] {
            assert_eq!(raised(code).await, ErrorClass::Statement, "{code}");
        }
        for code in ["08006", "28000", "3D000", "40001", "53300", "55P03", "57014", "58030"] {
            assert_eq!(raised(code).await, ErrorClass::Away, "{code}");
        }
        for code in ["25006", "57P01", "57P02", "57P03"] {
            assert_eq!(raised(code).await, ErrorClass::WrongServer, "{code}");
        }
        assert_eq!(raised("53100").await, ErrorClass::NoSpace);
        db.execute_unprepared("SET default_transaction_read_only = on").await.unwrap();
        assert_eq!(class(&db, "CREATE TABLE forbidden (id int)").await, ErrorClass::WrongServer);
        assert_eq!(class(&db, "SELECT * FROM missing").await, ErrorClass::Statement);
        assert_eq!(class(&db, "SELECT pg_terminate_backend(pg_backend_pid())").await, ErrorClass::WrongServer);
        db.close().await.unwrap();
    });
}

#[tokio::test]
async fn errors_of_sqlite_are_sorted() {
    let database = sqlite();
    let db = one_connection(&database.url).await;
    db.execute_unprepared("CREATE TABLE filled (text TEXT UNIQUE); PRAGMA max_page_count = 10").await.unwrap();
    assert_eq!(class(&db, "SELECT * FROM missing").await, ErrorClass::Statement);
    assert_eq!(class(&db, "INSERT INTO filled VALUES ('a'), ('a')").await, ErrorClass::Statement);
    assert_eq!(class(&db, "INSERT INTO filled VALUES (zeroblob(1000000))").await, ErrorClass::NoSpace);
    let other = one_connection(&database.url).await;
    other.execute_unprepared("BEGIN IMMEDIATE; PRAGMA busy_timeout = 0").await.unwrap();
    db.execute_unprepared("PRAGMA busy_timeout = 0").await.unwrap();
    assert_eq!(class(&db, "BEGIN IMMEDIATE").await, ErrorClass::Away);
    other.close().await.unwrap();
    db.execute_unprepared("PRAGMA query_only = ON").await.unwrap();
    assert_eq!(class(&db, "DELETE FROM filled").await, ErrorClass::WrongServer);
    db.close().await.unwrap();
}

#[test]
fn a_database_with_another_encoding_is_refused() {
    on_postgres(async |database| {
        let direct = one_connection(&database.url).await;
        let name = format!("latin1_{}", std::process::id());
        direct
            .execute_unprepared(&format!(
                "CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0"
            ))
            .await
            .unwrap();
        let error = Store::open(&with_database(&database.url, &name)).await.err().unwrap();
        assert!(matches!(error, StoreError::Unsuitable { .. }), "{error}");
        assert!(error.to_string().contains("LATIN1") && error.to_string().contains("ENCODING 'UTF8'"), "{error}");
        direct.close().await.unwrap();
    });
}
