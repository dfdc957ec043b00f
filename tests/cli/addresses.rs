//! Addresses as files and variables hold them, and socket files that servers take over from each other.

use std::path::Path;

use sea_orm::ConnectionTrait;

use crate::lifecycle::{channel, write_in_flight};
use crate::run::{Server, both, output, rolecall, serve};

const TCP: [&str; 2] = ["--listen", "127.0.0.1:0"];

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = entries.collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_server_leaves_the_socket_of_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Server::start(folder.path(), &["--listen", "unix:r.sock"]);
    let (call, lock) = write_in_flight(channel(&first).await, folder.path()).await;
    first.signal("-TERM");
    first.wait_for("it stops", |server| server.logs().contains("stopping"));
    let second = Server::start(folder.path(), &["--listen", "unix:r.sock", "--database", "sqlite://second.db"]);
    lock.execute_unprepared("ROLLBACK").await.unwrap();
    lock.close().await.unwrap();
    call.await.unwrap().expect("an answer");
    assert_eq!(first.wait().code(), Some(0), "{}", first.logs());
    let asked = output(rolecall(folder.path()).args(["health", "--server", "unix:r.sock"]));
    assert_eq!(asked.status.code(), Some(0), "{}", both(&asked));
    second.stop();
    assert!(!folder.path().join("r.sock").exists());
}

#[test]
fn blanks_around_addresses_name_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::listening(
        serve(folder.path())
            .env("ROLECALL_DATABASE", "sqlite://made.db \n")
            .env("ROLECALL_LISTEN", " 127.0.0.1:0, unix:r.sock\n"),
    );
    for variable in ["ROLECALL_LISTEN", "ROLECALL_SERVER"] {
        for address in ["unix:r.sock\n".into(), format!("\t{} \n", server.address)] {
            let command = if variable == "ROLECALL_LISTEN" { &["health"][..] } else { &["mappings", "list"] };
            let asked = output(rolecall(folder.path()).args(command).env(variable, &address));
            assert_eq!(asked.status.code(), Some(0), "{variable}={address:?}: {}", both(&asked));
        }
    }
    server.stop();
    let migrated = output(rolecall(folder.path()).args(["migrate", "--database", "sqlite://made.db\r\n"]));
    assert_eq!(migrated.status.code(), Some(0), "{}", both(&migrated));
    assert_eq!(files(folder.path()), ["made.db", "made.db.lock"]);
}

#[test]
fn control_characters_within_addresses_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (flag, value) in [
        ("--database", "sqlite://a.db\nsqlite://b.db"),
        ("--database", "\n"),
        ("--listen", "unix:a\nb.sock"),
        ("--listen", "unix: a.sock"),
        ("--listen", "127.0.0.1\n:0"),
    ] {
        let finished = output(serve(folder.path()).args([flag, value]));
        assert!(!finished.status.success(), "{flag} {value:?}");
    }
    assert_eq!(files(folder.path()), [] as [&str; 0]);
}

#[test]
fn the_database_is_named_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "sqlite://made.db\n").unwrap();
    let server = Server::start(folder.path(), &["--database-file", "secret"]);
    server.stop();
    let migrated = output(rolecall(folder.path()).arg("migrate").env("ROLECALL_DATABASE_FILE", "secret"));
    assert_eq!(migrated.status.code(), Some(0), "{}", both(&migrated));
    assert_eq!(files(folder.path()), ["made.db", "made.db.lock", "secret"]);

    let absent = output(serve(folder.path()).args(TCP).args(["--database-file", "absent"]));
    assert_eq!(absent.status.code(), Some(1));
    assert!(both(&absent).contains("`absent`"), "{}", both(&absent));
    let twice = ["--database-file", "secret", "--database", "sqlite://made.db"];
    assert_eq!(output(serve(folder.path()).args(twice)).status.code(), Some(2));
}

#[test]
fn a_password_on_the_command_line_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let warned = |command: &mut std::process::Command| {
        let logs = both(&output(command));
        assert!(!logs.contains("s3cret"), "{logs}");
        logs.contains("--database-file")
    };
    // No server can use these, so that each command exits at once.
    for url in ["mysql://ann:s3cret@db/x", "mysql://db/x?user=ann&password=s3cret"] {
        std::fs::write(folder.path().join("secret"), url).unwrap();
        for command in ["serve", "migrate"] {
            let command = || {
                let mut started = rolecall(folder.path());
                started.arg(command).env("ROLECALL_LISTEN", TCP[1]);
                started
            };
            assert!(warned(command().args(["--database", url])));
            assert!(!warned(command().env("ROLECALL_DATABASE", url)));
            assert!(!warned(command().args(["--database-file", "secret"])));
        }
    }
    assert!(!warned(rolecall(folder.path()).args(["migrate", "--database", "mysql://ann@db/x"])));
}

#[test]
fn a_server_that_cannot_start_leaves_no_socket_file() {
    let folder = tempfile::tempdir().unwrap();
    let failed = output(serve(folder.path()).args(["--listen", "unix:r.sock", "--database", "mysql://db"]));
    assert_eq!(failed.status.code(), Some(1), "{}", both(&failed));
    assert_eq!(files(folder.path()), [] as [&str; 0]);
}
