//! An error is one line that says what to do. The exit code is 1, or 2 for wrong usage.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use sea_orm::{ConnectionTrait, Database};

use crate::run::{Server, both, output, rolecall, serve};
use crate::support::postgres;

/// Checks that the command fails with one line that contains all of `says`.
fn refused(command: &mut Command, says: &[&str]) {
    // Backtraces are for crashes. A refusal prints none.
    let finished = output(command.env("RUST_BACKTRACE", "1"));
    let printed = both(&finished);
    assert_eq!(finished.status.code(), Some(1), "{printed}");
    assert_eq!(String::from_utf8_lossy(&finished.stdout), "", "{printed}");
    assert_eq!(printed.lines().count(), 1, "{printed}");
    assert!(printed.starts_with("error: "), "{printed}");
    for part in says {
        assert!(printed.contains(part), "`{part}` is not in: {printed}");
    }
}

fn serve_on(folder: &Path, database: &str) -> Command {
    let mut command = serve(folder);
    command.args(["--listen", "127.0.0.1:0", "--database", database]);
    command
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(serve(folder.path()).args(["--listen", &address]), &[&address, "in use", "--listen"]);
    assert!(!folder.path().join("rolecall.db").exists(), "nothing was created");
}

#[test]
fn a_socket_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Server::start(folder.path(), &["--listen", "unix:r.sock"]);
    let second = folder.path().join("second");
    std::fs::create_dir(&second).unwrap();
    refused(serve(&second).args(["--listen", "unix:../r.sock"]), &["unix:../r.sock", "in use", "--listen"]);
}

#[test]
fn an_address_that_cannot_be_bound_is_named() {
    let folder = tempfile::tempdir().unwrap();
    refused(serve(folder.path()).args(["--listen", "192.0.2.1:50051"]), &["192.0.2.1:50051", "--listen"]);
    refused(serve(folder.path()).args(["--listen", "unix:no/such/folder.sock"]), &["no/such/folder.sock", "--listen"]);
}

#[test]
fn listening_beyond_this_machine_without_tls_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let listen = ["--listen", "127.0.0.1:0", "--listen", address];
        refused(serve(folder.path()).args(listen), &["no TLS", "--tls-cert", "--insecure"]);
    }
    assert!(!folder.path().join("rolecall.db").exists(), "nothing was created");
    let server = Server::start(folder.path(), &["--listen", "0.0.0.0:0", "--insecure", "--auth", "off"]);
    assert!(server.logs().contains("INSECURE"), "{}", server.logs());
    server.stop();
}

#[test]
fn tls_needs_a_certificate_and_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["--tls-cert", "absent.pem", "--tls-key", "absent.pem"];
    refused(serve_on(folder.path(), "sqlite://r.db").args(files), &["absent.pem", "--tls-cert"]);
    let required = ["--tls-client-cert", "required"];
    refused(serve_on(folder.path(), "sqlite://r.db").args(files).args(required), &["--tls-client-ca"]);
    for alone in [&files[..2], &files[2..], &["--tls-client-ca", "absent.pem"]] {
        let finished = output(serve_on(folder.path(), "sqlite://r.db").args(alone));
        assert_eq!(finished.status.code(), Some(2), "{alone:?}: {}", both(&finished));
    }
}

#[test]
fn a_database_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text.db"), "no database, but a text that is longer than a header ".repeat(99))
        .unwrap();
    for (database, says) in [
        ("sqlite://no/such/folder/rolecall.db", "no/such/folder/rolecall.db"),
        ("sqlite://text.db", "text.db"),
        ("postgres://nobody@127.0.0.1:1/none", "127.0.0.1:1"),
        ("mysql://127.0.0.1/none", "sqlite://"),
        ("rolecall.db", "sqlite://"),
    ] {
        refused(&mut serve_on(folder.path(), database), &[says]);
        refused(rolecall(folder.path()).args(["migrate", "--database", database]), &[says]);
    }
}

#[test]
fn a_password_is_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let finished = output(&mut serve_on(folder.path(), "postgres://nobody:hunter2@127.0.0.1:1/none"));
    assert!(!both(&finished).contains("hunter2"), "{}", both(&finished));
}

#[tokio::test]
async fn a_sqlite_database_of_a_newer_release_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rolecall.db");
    newer_is_left_alone(folder.path(), &format!("sqlite://{}", file.display())).await;
}

#[tokio::test]
async fn a_postgres_database_of_a_newer_release_is_left_alone() {
    let Some(database) = postgres::database().await else { return };
    let folder = tempfile::tempdir().unwrap();
    newer_is_left_alone(folder.path(), &database).await;
}

async fn newer_is_left_alone(folder: &Path, url: &str) {
    assert!(output(rolecall(folder).args(["migrate", "--database", url])).status.success());
    let database = Database::connect(url).await.unwrap();
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_of_tomorrow', 0)";
    database.execute_unprepared(newer).await.unwrap();
    database.execute_unprepared("DROP TABLE head").await.unwrap();
    database.close().await.unwrap();
    let says = ["m9999_of_tomorrow", "newer", "upgrade"];
    refused(&mut serve_on(folder, url), &says);
    refused(rolecall(folder).args(["migrate", "--database", url]), &says);
    let database = Database::connect(url).await.unwrap();
    assert!(database.execute_unprepared("SELECT 1 FROM head").await.is_err(), "nothing was created");
    database.close().await.unwrap();
}

#[test]
fn a_sqlite_file_serves_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::start::<&str>(folder.path(), &[]);
    refused(&mut serve_on(folder.path(), "sqlite://rolecall.db"), &["rolecall.db", "in use"]);
    refused(rolecall(folder.path()).arg("migrate"), &["rolecall.db", "in use"]);
    first.stop();
    Server::start::<&str>(folder.path(), &[]).stop();
}

#[test]
fn wrong_usage_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for (args, says) in [
        (&["serve", "--listen", "nonsense"][..], "HOST:PORT"),
        (&["serve", "--colour"], "--colour"),
        (&["serve", "--drain-seconds", "soon"], "--drain-seconds"),
        (&["rule"], "rule"),
        (&[], "Usage"),
    ] {
        let finished = output(rolecall(folder.path()).args(args));
        assert_eq!(finished.status.code(), Some(2), "{args:?}: {}", both(&finished));
        assert!(both(&finished).contains(says), "{args:?}: {}", both(&finished));
    }
    refused(serve(folder.path()).args(["--log", "[[["]), &["[[["]);
}
