//! Starting, serving, stopping.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rolecall::domain::{Revision, Time};
use rolecall::engine::Token;
use rolecall::grpc::services::check_service_client::CheckServiceClient;
use rolecall::grpc::services::server_service_client::ServerServiceClient;
use rolecall::wire::consistency::Requirement;
use rolecall::wire::{CheckRequest, Consistency, GetServerInfoRequest, check_request::Question};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::run::{Server, both, output, rolecall, serve};

async fn channel(server: &Server) -> Channel {
    Endpoint::from_shared(format!("http://{}", server.address)).unwrap().connect().await.unwrap()
}

/// A check of a revision that will not come: it is in flight until its deadline.
async fn waiting(channel: Channel, deadline: Duration) -> tokio::task::JoinHandle<Result<(), Status>> {
    let info = ServerServiceClient::new(channel.clone()).get_server_info(GetServerInfoRequest {}).await.unwrap();
    let store_id = u32::from_str_radix(&info.get_ref().store_id, 16).unwrap();
    let token = Token::new(store_id, Revision { number: 1 << 40, tag: 0, at: Time(0) }).encode();
    let mut request = Request::new(CheckRequest {
        org_id: "acme".into(),
        user_id: "ann".into(),
        question: Some(Question::Permission("reports.view".into())),
        consistency: Some(Consistency { requirement: Some(Requirement::AtLeast(token)) }),
        ..Default::default()
    });
    request.set_timeout(deadline);
    let call = tokio::spawn(async move { CheckServiceClient::new(channel).check(request).await.map(|_| ()) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!call.is_finished());
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_calls_in_flight_finish_and_exits_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &["--listen", "unix:r.sock"]);
    let call = waiting(channel(&server).await, Duration::from_secs(3)).await;
    server.signal("-TERM");
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains("has not reached the revision"), "an answer, not a cut: {status:?}");
    assert_eq!(server.ended().code(), Some(0), "{}", server.logs());
    assert!(TcpStream::connect(&server.address).is_err());
    assert!(!folder.path().join("r.sock").exists());
    assert!(!folder.path().join("rolecall.db-wal").exists(), "the database was closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_has_a_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &["--drain-seconds", "1"]);
    let call = waiting(channel(&server).await, Duration::from_secs(9)).await;
    let began = Instant::now();
    server.signal("-INT");
    assert_eq!(server.ended().code(), Some(0), "{}", server.logs());
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert!(server.logs().contains("still in flight"), "{}", server.logs());
    assert!(call.await.unwrap().is_err());
}

#[test]
fn health_exits_with_0_only_where_it_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--listen", "unix:r.sock"]);
    let health = |args: &[&str]| {
        let ended = output(rolecall(folder.path()).arg("health").args(args));
        (ended.status.code(), both(&ended))
    };
    let address = server.address.clone();
    let serving = (Some(0), String::from("SERVING\n"));
    assert_eq!(health(&["--address", &address]), serving);
    assert_eq!(health(&["--address", "unix:r.sock"]), serving);
    assert_eq!(health(&["--address", &address, "--service", "rolecall.v1.CheckService"]), serving);
    let (code, says) = health(&["--address", &address, "--service", "rolecall.v1.NoService"]);
    assert_eq!((code, says.lines().count()), (Some(1), 1), "{says}");
    server.stop();
    for gone in [address.as_str(), "unix:r.sock"] {
        let (code, says) = health(&["--address", gone]);
        assert_eq!((code, says.lines().count()), (Some(1), 1), "{says}");
        assert!(says.starts_with("error: ") && says.contains(gone), "{says}");
    }
}

#[test]
fn migrate_makes_a_database_that_serves() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let ended = output(rolecall(folder.path()).args(["migrate", "--database", "sqlite://made.db"]));
        assert_eq!(ended.status.code(), Some(0), "{}", both(&ended));
    }
    assert!(folder.path().join("made.db").exists());
    let server = Server::start(folder.path(), &["--database", "sqlite://made.db"]);
    assert!(!server.logs().contains("igration"), "a start tells nothing of libraries: {}", server.logs());
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
    // The list that the server was given serves for the probe as well: the first address is asked.
    for listen in ["unix:r.sock", "unix:r.sock,127.0.0.1:1"] {
        let ended = output(rolecall(folder.path()).arg("health").env("ROLECALL_LISTEN", listen));
        assert_eq!(ended.status.code(), Some(0), "{}", both(&ended));
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
