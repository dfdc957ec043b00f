//! `rolecall backup` beside a server, and `rolecall restore`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::wire::CreateOrgRequest;

use crate::import::import;
use crate::lifecycle::channel;
use crate::run::{Server, both, output, rolecall, shell_in};
use crate::support::postgres;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_a_server_is_restored_and_served() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let done = output(rolecall(folder.path()).args(args));
        (done.status.code(), both(&done))
    };
    let mut server = Server::start(folder.path(), &["--demo"]);
    server.demo();
    // Commits go on meanwhile.
    let channel = channel(&server).await;
    let writes = tokio::spawn(async move {
        for number in 0.. {
            let request = CreateOrgRequest { org_id: format!("org-{number}"), ..Default::default() };
            OrgServiceClient::new(channel.clone()).create_org(request).await.unwrap();
        }
    });
    let (code, says) = run(&["backup", "a.backup"]);
    assert_eq!(code, Some(0), "{says}");
    assert!(says.contains("backed up") && says.contains("at revision"), "{says}");
    assert_eq!(fs::metadata(folder.path().join("a.backup")).unwrap().permissions().mode() & 0o777, 0o600);
    writes.abort();
    let _ = writes.await;
    let members = |address: &str| run(&["members", "--server", address, "globex"]);
    let before = members(&server.address);
    assert_eq!(before.0, Some(0), "{}", before.1);

    // An existing file is not overwritten.
    let (code, says) = run(&["backup", "a.backup"]);
    assert!(code == Some(1) && says.contains("`a.backup` exists"), "{says}");
    // The server's database is not overwritten either, running or not.
    let (code, says) = run(&["restore", "a.backup"]);
    assert!(code == Some(1) && says.contains("in use by another server"), "{says}");
    server.stop();
    let (code, says) = run(&["restore", "a.backup"]);
    assert!(code == Some(1) && says.contains("not empty") && says.contains("name a new one"), "{says}");

    let (code, says) = run(&["restore", "a.backup", "--check"]);
    assert_eq!(code, Some(0), "{says}");
    assert!(says.contains("the backup is whole: store ") && says.contains("memberships"), "{says}");
    let (code, says) = run(&["restore", "a.backup", "--check", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&says).unwrap();
    assert_eq!((code, &json["restored"], &json["database"]), (Some(0), &false.into(), &"sqlite".into()));
    let (code, says) = run(&["restore", "a.backup", "--database", "sqlite://b.db"]);
    assert_eq!(code, Some(0), "{says}");
    assert!(says.contains("restored store ") && says.contains("rolecall serve"), "{says}");
    let second = Server::start(folder.path(), &["--database", "sqlite://b.db"]);
    let after = members(&second.address);
    assert_eq!(after, before);
    second.stop();

    // A damaged file creates no database.
    let mut bytes = fs::read(folder.path().join("a.backup")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(folder.path().join("damaged"), &bytes).unwrap();
    for file in ["damaged", "rolecall.db"] {
        let (code, says) = run(&["restore", file, "--database", "sqlite://c.db"]);
        assert_eq!((code, says.lines().count()), (Some(1), 1), "{says}");
        assert!(says.contains("damaged at byte") || says.contains("this is no backup"), "{says}");
        assert!(!folder.path().join("c.db").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_through_a_pipe_and_a_failed_one_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let made = output(rolecall(folder.path()).args(["migrate"]));
    assert_eq!(made.status.code(), Some(0), "{}", both(&made));
    // It has tables, but no server ever ran on it.
    let none = output(rolecall(folder.path()).args(["backup", "a.backup"]));
    assert_eq!(none.status.code(), Some(1), "{}", both(&none));
    assert!(both(&none).contains("rolecall serve"), "{}", both(&none));
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = left.filter(|name| name.contains("backup")).collect();
    assert_eq!(left, [""; 0]);

    Server::start(folder.path(), &[""; 0]).stop();
    let line = "set -o pipefail; rolecall backup - | rolecall restore - --database sqlite://b.db";
    let piped = output(&mut shell_in(folder.path(), "grpcurl".as_ref(), line));
    assert_eq!(piped.status.code(), Some(0), "{}", both(&piped));
    // From one kind of database to the other and back.
    let Some(url) = postgres::database().await else { return };
    let line = format!("set -o pipefail; rolecall backup - | rolecall restore - --database '{url}'");
    let there = output(&mut shell_in(folder.path(), "grpcurl".as_ref(), &line));
    assert_eq!(there.status.code(), Some(0), "{}", both(&there));
    Server::start(folder.path(), &["--database", &url]).stop();
    let line =
        format!("set -o pipefail; rolecall backup - --database '{url}' | rolecall restore - --database sqlite://c.db");
    let back = output(&mut shell_in(folder.path(), "grpcurl".as_ref(), &line));
    assert_eq!(back.status.code(), Some(0), "{}", both(&back));
    assert!(both(&back).contains("from postgres"), "{}", both(&back));
    Server::start(folder.path(), &["--database", "sqlite://c.db"]).stop();
}

#[test]
fn a_backup_that_is_stopped_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let files = || fs::read_dir(folder.path()).unwrap().count();
    // A database that never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let url = format!("postgres://rolecall@{}/rolecall?sslmode=disable", silent.local_addr().unwrap());
    for signal in ["-TERM", "-INT", "-KILL"] {
        let mut command = rolecall(folder.path());
        command.args(["backup", "a.backup", "--database", &url]).stdin(Stdio::null());
        let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It creates its file before it asks the database.
        let asked = loop {
            match silent.accept() {
                Ok(asked) => break asked,
                Err(_) => assert_eq!(running.try_wait().unwrap(), None, "it has exited"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        // None if the file system has files without a name.
        let unfinished = files();
        assert!(unfinished <= 1);
        assert!(Command::new("kill").args([signal, &running.id().to_string()]).status().unwrap().success());
        let stopped = running.wait_with_output().unwrap();
        if signal == "-KILL" {
            assert_eq!((stopped.status.signal(), files()), (Some(9), unfinished), "{}", both(&stopped));
        } else {
            assert_eq!(stopped.status.code(), Some(1), "{}", both(&stopped));
            assert!(both(&stopped).contains("interrupted; there is no backup"), "{}", both(&stopped));
            assert_eq!(files(), 0, "after {signal}");
        }
        drop(asked);
    }
}

#[test]
fn after_a_restore_that_is_killed_the_database_is_still_empty() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[""; 0]);
    let rows: String = (0..20_000).map(|number| format!("org-{},user-{number},Member\n", number % 10)).collect();
    fs::write(folder.path().join("a.csv"), format!("org_id,user_id,role\n{rows}")).unwrap();
    let (code, says) = import(folder.path(), &server, &["csv", "a.csv", "--apply"]);
    assert_eq!(code, Some(0), "{says}");
    let made = output(rolecall(folder.path()).args(["backup", "a.backup"]));
    assert_eq!(made.status.code(), Some(0), "{}", both(&made));
    let mut killed = 0;
    // Each is killed later than the one before, from the moment when the database appears, until one is done before.
    for wait in [0, 50, 100, 200, 400, 800, 1_600, 3_200] {
        let database = format!("sqlite://{wait}.db");
        let args = ["restore", "a.backup", "--database", &database];
        let mut command = rolecall(folder.path());
        let mut running = command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !folder.path().join(format!("{wait}.db")).exists() && running.try_wait().unwrap().is_none() {}
        std::thread::sleep(Duration::from_millis(wait));
        running.kill().unwrap();
        let status = running.wait().unwrap();
        let second = output(rolecall(folder.path()).args(args));
        let says = both(&second);
        if second.status.code() == Some(1) && says.contains("not empty") {
            // It was done.
            break;
        }
        assert_eq!((status.signal(), second.status.code()), (Some(9), Some(0)), "after {wait} ms: {says}");
        killed += 1;
    }
    assert!(killed > 0, "the first one was done at once");
}
