//! PostgreSQL as an operator sets it up: a role with few rights, or with settings of its own, and a server that is away.

use std::time::Duration;

use rolecall::store::{Store, StoreError};
use rolecall::writer::Failure;

use crate::database::{create_org, serve};
use crate::support::cluster::{Cluster, free_port, psql};

/// Returns the URL for another role.
fn as_role(cluster: &Cluster, role: &str) -> String {
    cluster.url().replace("postgres@", &format!("{role}@"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_only_read_and_write_rows_serves() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    psql(&cluster.url(), "CREATE ROLE worker LOGIN");
    let url = as_role(&cluster, "worker");
    let error = serve(&url).await.err().expect("there are no tables").to_string();
    assert!(error.contains("run `rolecall migrate`"), "{error}");
    rolecall::server::migrate(&cluster.url()).await.unwrap();
    psql(&cluster.url(), "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO worker");
    for org in ["acme", "initech"] {
        let server = serve(&url).await.unwrap();
        create_org(&server, org).await.unwrap();
        server.stop().await;
    }
    // A right that is missing is no absent database.
    let server = serve(&url).await.unwrap();
    psql(&cluster.url(), "REVOKE INSERT ON orgs FROM worker");
    let error = create_org(&server, "hooli").await.err();
    assert!(matches!(error, Some(Failure::Internal)), "{error:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_of_a_role_change_nothing() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    for setting in [
        "statement_timeout = '1ms'",
        "lock_timeout = '1ms'",
        "idle_in_transaction_session_timeout = '1ms'",
        "idle_session_timeout = '50ms'",
        "default_transaction_isolation = 'serializable'",
    ] {
        psql(&cluster.url(), &format!("ALTER ROLE postgres SET {setting}"));
    }
    let server = serve(&cluster.url()).await.unwrap();
    create_org(&server, "acme").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    create_org(&server, "initech").await.unwrap();
    server.app.store.head().await.unwrap();
    server.stop().await;
    serve(&cluster.url()).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_named_as_the_cause() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let store = Store::open(&cluster.url()).await.unwrap();
    store.migrate().await.unwrap();
    store.initialize().await.unwrap();
    cluster.stop();
    let (read, written) = tokio::join!(store.head(), store.begin_write());
    for error in [read.err().unwrap(), written.err().unwrap()] {
        assert!(matches!(&error, StoreError::NoConnection(_)), "{error}");
        assert!(error.to_string().contains("refused"), "{error}");
    }
}

#[tokio::test]
async fn a_start_without_a_server_names_the_cause() {
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", free_port());
    let error = Store::open(&url).await.err().unwrap().to_string();
    assert!(error.contains("refused"), "{error}");
}
