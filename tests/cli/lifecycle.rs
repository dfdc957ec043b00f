//! Starting, serving, stopping.

use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::wire::CreateOrgRequest;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection};
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use crate::run::{Server, both, output, rolecall, serve};

pub async fn channel(server: &Server) -> Channel {
    Endpoint::from_shared(format!("http://{}", server.address)).unwrap().connect().await.unwrap()
}

/// Starts a write that is in flight as long as the returned connection holds the lock of the database file.
pub async fn write_in_flight(channel: Channel, folder: &Path) -> (JoinHandle<Result<(), Status>>, DatabaseConnection) {
    let mut options = ConnectOptions::new(format!("sqlite://{}", folder.join("rolecall.db").display()));
    let lock = sea_orm::Database::connect(options.max_connections(1).to_owned()).await.unwrap();
    lock.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let request = CreateOrgRequest { org_id: "late".into(), ..Default::default() };
    let call = tokio::spawn(async move { OrgServiceClient::new(channel).create_org(request).await.map(|_| ()) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!call.is_finished());
    (call, lock)
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_calls_in_flight_finish_and_exits_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &["--listen", "unix:r.sock"]);
    let (call, lock) = write_in_flight(channel(&server).await, folder.path()).await;
    server.signal("-TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    lock.execute_unprepared("ROLLBACK").await.unwrap();
    lock.close().await.unwrap();
    call.await.unwrap().expect("an answer");
    assert_eq!(server.wait().code(), Some(0), "{}", server.logs());
    assert!(TcpStream::connect(&server.address).is_err());
    assert!(!folder.path().join("r.sock").exists());
    assert!(!folder.path().join("rolecall.db-wal").exists(), "the database was closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_has_a_deadline_even_if_the_database_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &["--drain-seconds", "1"]);
    let (call, lock) = write_in_flight(channel(&server).await, folder.path()).await;
    let began = Instant::now();
    server.signal("-INT");
    assert_eq!(server.wait().code(), Some(0), "{}", server.logs());
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert!(server.logs().contains("still in flight"), "{}", server.logs());
    assert!(call.await.unwrap().is_err());
    lock.close().await.unwrap();
}

#[test]
fn health_exits_with_0_only_if_it_is_serving() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--listen", "unix:r.sock"]);
    let health = |args: &[&str]| {
        let finished = output(rolecall(folder.path()).arg("health").args(args));
        (finished.status.code(), both(&finished))
    };
    let address = server.address.clone();
    let serving = (Some(0), String::from("SERVING\n"));
    assert_eq!(health(&["--address", &address]), serving);
    assert_eq!(health(&["--address", "unix:r.sock"]), serving);
    assert_eq!(health(&["--address", &address, "--service", "rolecall.v1.CheckService"]), serving);
    let (code, says) = health(&["--address", &address, "--service", "rolecall.v1.NoService"]);
    assert_eq!((code, says.lines().count()), (Some(1), 1), "{says}");
    let (code, says) = health(&["--address", &address, "--verbose"]);
    let parts: Vec<&str> = says.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!((code, parts), (Some(0), vec!["SERVING", "server", "database", "schema", "state", "lag"]), "{says}");
    assert!(says.contains("sqlite, answers"), "{says}");
    server.stop();
    for gone in [address.as_str(), "unix:r.sock"] {
        let (code, says) = health(&["--address", gone]);
        assert_eq!((code, says.lines().count()), (Some(1), 1), "{says}");
        assert!(says.starts_with("error: ") && says.contains(gone), "{says}");
    }
}

#[test]
fn migrate_creates_a_database_that_can_be_served() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let finished = output(rolecall(folder.path()).args(["migrate", "--database", "sqlite://made.db"]));
        assert_eq!(finished.status.code(), Some(0), "{}", both(&finished));
    }
    assert!(folder.path().join("made.db").exists());
    let server = Server::start(folder.path(), &["--database", "sqlite://made.db"]);
    assert!(!server.logs().contains("igration"), "libraries log nothing: {}", server.logs());
    server.stop();
    assert!(!folder.path().join("rolecall.db").exists());
}

#[test]
fn every_flag_is_a_variable_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::listening(
        serve(folder.path())
            .env("ROLECALL_DATABASE", "sqlite://of-the-environment.db")
            .env("ROLECALL_LISTEN", "127.0.0.1:0,unix:r.sock")
            .env("ROLECALL_LOG_FORMAT", "json")
            .env("ROLECALL_LOG", "info")
            .env("ROLECALL_DRAIN_SECONDS", "1")
            .env("ROLECALL_DEMO", "true"),
    );
    server.demo();
    assert!(folder.path().join("of-the-environment.db").exists());
    // The probe accepts the list of the server and calls the first address.
    for listen in ["unix:r.sock", "unix:r.sock,127.0.0.1:1"] {
        let finished = output(rolecall(folder.path()).arg("health").env("ROLECALL_LISTEN", listen));
        assert_eq!(finished.status.code(), Some(0), "{}", both(&finished));
    }
    let logs = server.logs();
    server.stop();
    for line in logs.lines() {
        assert!(line.starts_with(r#"{"timestamp":""#) && line.ends_with('}'), "no JSON: {line}");
    }
    let help = both(&output(serve(folder.path()).arg("--help")));
    for flag in help.lines().filter(|line| line.trim_start().starts_with("--") && !line.contains("--help")) {
        let name = flag.trim_start().trim_start_matches("--").split_whitespace().next().unwrap();
        let variable = format!("[env: ROLECALL_{}", name.to_uppercase().replace('-', "_"));
        assert!(help.contains(&variable), "{name} has no {variable}: {help}");
    }
}
