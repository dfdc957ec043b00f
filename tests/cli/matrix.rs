//! The example `access_matrix`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::run::{Server, both, output};
use crate::support::postgres;

const USERS: u64 = 300;
const PERMISSIONS: u64 = 90;

/// `cargo test` builds the examples. A run of this test file alone may not.
fn example() -> Command {
    let example = Path::new(env!("CARGO_BIN_EXE_rolecall")).with_file_name("examples").join("access_matrix");
    assert!(example.exists(), "{} is not built; `cargo build --example access_matrix` does it", example.display());
    let mut command = Command::new(example);
    command.env_remove("ROLECALL_ADDRESS");
    command
}

/// Returns grants that are the same in every run. Every third user has those of the user before.
fn grants() -> (String, u64) {
    let mut text = String::from("# user\tpermission\n");
    let mut count = 0;
    for user in 0..USERS {
        let like = if user % 3 == 2 { user - 1 } else { user };
        for permission in
            (0..PERMISSIONS).filter(|permission| (like * 31 + permission * 17) % 97 < 20 || *permission == 0)
        {
            writeln!(text, "user{user}\tdo.{permission}").unwrap();
            count += 1;
        }
    }
    (text, count)
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    gz.finish().unwrap()
}

fn assert_checked(finished: &Output, grants: u64) {
    let printed = both(finished);
    assert_eq!(finished.status.code(), Some(0), "{printed}");
    let pairs = thousands(USERS * PERMISSIONS);
    let expected = format!("{pairs} of {pairs} pairs checked: {} allowed, 0 mismatches", thousands(grants));
    assert!(printed.contains(&expected), "`{expected}` is not in: {printed}");
    assert!(printed.contains("checks/s") && printed.contains("p99"), "{printed}");
}

fn thousands(number: u64) -> String {
    format!("{},{:03}", number / 1_000, number % 1_000)
}

#[test]
fn every_pair_of_a_matrix_agrees_on_an_own_and_on_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let (text, grants) = grants();
    let (plain, gz) = (folder.path().join("matrix.tsv"), folder.path().join("matrix.tsv.gz"));
    std::fs::write(&plain, &text).unwrap();
    std::fs::write(&gz, gzipped(&text)).unwrap();
    assert_checked(&output(example().arg(&plain)), grants);

    let server = Server::start::<&str>(folder.path(), &[]);
    let address = format!("http://{}", server.address);
    // Twice: every run creates its own project.
    for _ in 0..2 {
        let mut command = example();
        command.arg(&gz).args(["--address", &address, "--pid", &server.pid().to_string()]);
        assert_checked(&output(command.args(["--batch", "700", "--connections", "3"])), grants);
    }
    server.stop();
}

#[tokio::test]
async fn every_pair_of_a_matrix_agrees_on_postgres() {
    let Some(database) = postgres::database().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let (text, grants) = grants();
    let file = folder.path().join("matrix.tsv");
    std::fs::write(&file, &text).unwrap();
    assert_checked(&output(example().arg(&file).args(["--database", &database])), grants);
}

#[test]
fn an_error_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("matrix.tsv");
    let refused = |text: &str, args: &[&str], says: &str| {
        std::fs::write(&file, text).unwrap();
        let finished = output(example().arg(&file).args(args));
        let printed = String::from_utf8_lossy(&finished.stderr).into_owned();
        assert_eq!(finished.status.code(), Some(1), "{printed}");
        assert!(printed.starts_with("error: ") && printed.lines().count() == 1, "{printed}");
        assert!(printed.contains(says), "`{says}` is not in: {printed}");
    };
    refused("ann\tread\n", &["--address", "http://127.0.0.1:1"], "cargo run --release -- serve");
    refused("ann read\n", &[], "line 1");
    refused("# user\tpermission\n", &[], "no grant");
    refused("ann\tread\n", &["--database", "mysql://x"], "sqlite://");
}
