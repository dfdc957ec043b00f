//! A process without free file descriptors.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::run::{PATIENCE, Server, both, output, rolecall};
use crate::support::process::processor_seconds;

#[test]
fn a_server_without_file_descriptors_waits_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &["--handshake-seconds", "600"]);
    let limited = Command::new("prlimit").args(["--nofile=120", "--pid", &server.pid().to_string()]).status();
    if !limited.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "prlimit not found, and CI=true");
        return;
    }
    let connections: Vec<_> = (0..160).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    server.wait_for("it has no file descriptors", |server| server.logs().contains("no connection can be accepted"));
    let used_before = processor_seconds(server.pid());
    std::thread::sleep(Duration::from_secs(2));
    let used = processor_seconds(server.pid()) - used_before;
    assert!(used < 1.0, "it used {used} s of 2 s");
    drop(connections);
    let health = || output(rolecall(folder.path()).args(["health", "--address", &server.address]));
    let began = std::time::Instant::now();
    while !health().status.success() {
        assert!(began.elapsed() < PATIENCE, "{}", both(&health()));
    }
    let logs = server.logs();
    assert_eq!(logs.matches("no connection can be accepted").count(), 1, "{logs}");
    server.stop();
}
