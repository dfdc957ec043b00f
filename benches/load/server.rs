//! Starts a server on a database and reads its memory.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// jemalloc gives freed memory back within ten seconds.
const SETTLES: Duration = Duration::from_secs(15);

pub struct Started {
    pub listens_after: Duration,
    /// Bytes, once freed memory was given back.
    pub resident: u64,
    /// The most bytes until then.
    pub peak: u64,
}

pub async fn started(url: &str) -> Started {
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", folder.path().join("socket").display());
    let began = Instant::now();
    let mut server = Command::new(env!("CARGO_BIN_EXE_rolecall"))
        .args(["serve", "--database", url, "--listen", &listen])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let listens = lines.any(|line| line.unwrap().contains("listening"));
    assert!(listens, "the server did not start");
    let listens_after = began.elapsed();
    // The server must not wait for a reader of its log.
    std::thread::spawn(move || lines.for_each(drop));
    tokio::time::sleep(SETTLES).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() * 1_024
    };
    let (resident, peak) = (bytes("VmRSS"), bytes("VmHWM"));
    server.kill().unwrap();
    server.wait().unwrap();
    Started { listens_after, resident, peak }
}
