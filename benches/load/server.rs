//! Starts a server on a database, then a sidecar of it, and reads their memory.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
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

/// Returns what the server took, what the sidecar took, and what the server took after it had fed the sidecar.
pub async fn started(url: &str) -> [Started; 3] {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (server, sidecar) = (format!("unix:{}", path("server")), format!("unix:{}", path("sidecar")));
    let (mut server_process, listens_after) = start(&["serve", "--database", url, "--listen", &server]);
    let before = settled(&server_process, listens_after).await;
    let file = path("copy");
    let arguments = ["sidecar", "--upstream", &server, "--listen", &sidecar, "--snapshot-file", &file];
    let (mut sidecar_process, listens_after) = start(&arguments);
    let sidecar = settled(&sidecar_process, listens_after).await;
    let after = settled(&server_process, before.listens_after).await;
    for process in [&mut sidecar_process, &mut server_process] {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    [before, sidecar, after]
}

fn start(arguments: &[&str]) -> (Child, Duration) {
    let began = Instant::now();
    let mut server =
        Command::new(env!("CARGO_BIN_EXE_rolecall")).args(arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let listens = lines.any(|line| line.unwrap().contains("listening"));
    assert!(listens, "the server did not start");
    let listens_after = began.elapsed();
    // The server must not wait for a reader of its log.
    std::thread::spawn(move || lines.for_each(drop));
    (server, listens_after)
}

async fn settled(server: &Child, listens_after: Duration) -> Started {
    tokio::time::sleep(SETTLES).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() * 1_024
    };
    let (resident, peak) = (bytes("VmRSS"), bytes("VmHWM"));
    Started { listens_after, resident, peak }
}
