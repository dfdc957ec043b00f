//! Measures how long after a commit another server and a sidecar have it: `cargo bench --bench lag`.
//!
//! Two servers share one PostgreSQL, whose commits reach the disk. One writes, at a rate. A sidecar follows the other. The lag
//! is the time from the answer of a write to the moment at which the other server, or its sidecar, has published the revision.
//! It is negative if they are first.

#![allow(clippy::expect_used)]

#[path = "../tests/support/database.rs"]
mod support;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rolecall::domain::commands::command::BlockUser;
use rolecall::domain::{Call, Command, ProjectKey, UserId};
use rolecall::engine::Engine;
use rolecall::server::sidecar::{RunningSidecar, SidecarConfig};
use rolecall::server::{Config, ConnectionLimits, Gateways, MetricsListen, Running};
use rolecall::sidecar;
use rolecall::sidecar::upstream::{Client, Connect, Credentials, client};
use support::cluster::Cluster;
use tonic::transport::Endpoint;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const MEASURED: Duration = Duration::from_secs(10);
const RATES: [u32; 4] = [10, 100, 500, 1_000];

fn main() {
    support::block_on(async {
        let Some(cluster) = Cluster::start(&["fsync = on"]) else { return };
        let listen = || vec!["127.0.0.1:0".parse().expect("an address")];
        let start = async || Running::start(Config::new(cluster.url(), listen())).await.expect("a server");
        let (writer, reader) = (start().await, start().await);
        let sidecar = RunningSidecar::start(following(&reader)).await.expect("a sidecar");
        println!(
            "{:>8} {:>8} {:>9} {:>9} {:>9} {:>9}   milliseconds",
            "writes/s", "reached", "at", "p50", "p99", "max"
        );
        for rate in RATES {
            let engines = [reader.app.engine.clone(), sidecar.sidecar.engine.clone()];
            let lags = measure(&writer, engines, rate).await;
            for (place, mut lags) in ["server", "sidecar"].into_iter().zip(lags) {
                lags.sort_unstable();
                let at = |part: usize| lags[(lags.len() - 1) * part / 1_000] as f64 / 1_000.0;
                let reached = lags.len() as f64 / MEASURED.as_secs_f64();
                println!("{rate:>8} {reached:>8.0} {place:>9} {:>9.2} {:>9.2} {:>9.2}", at(500), at(990), at(1_000));
            }
        }
        sidecar.stop().await;
        writer.stop().await;
        reader.stop().await;
    });
}

/// A server to follow.
struct Upstream(String);

#[tonic::async_trait]
impl Connect for Upstream {
    fn address(&self) -> &str {
        &self.0
    }

    async fn connect(&self) -> Result<Client, String> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.0)).map_err(|error| error.to_string())?;
        let channel = endpoint.connect().await.map_err(|error| error.to_string())?;
        Ok(client(channel, Credentials(None)))
    }
}

fn following(server: &Running) -> SidecarConfig {
    let upstream = Arc::new(Upstream(server.addresses[0].to_string()));
    SidecarConfig {
        follows: sidecar::Config { upstreams: vec![upstream], projects: Vec::new(), file: None },
        listen: vec!["127.0.0.1:0".parse().expect("an address")],
        metrics: MetricsListen::Off,
        gateways: Gateways::default(),
        socket_mode: 0o600,
        uids: None,
        staleness_max: None,
        refuses_stale: false,
        connections: ConnectionLimits::default(),
        batch_check_items: 1_000,
        drain: Duration::from_secs(5),
    }
}

/// Returns the lags of each write in microseconds, for each engine.
async fn measure(writer: &Running, engines: [Arc<Engine>; 2], rate: u32) -> [Vec<i64>; 2] {
    let over = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let micros = move || began.elapsed().as_micros() as i64;
    let watching = engines.map(|engine| {
        let over = over.clone();
        std::thread::spawn(move || {
            // The revisions that were published, and when they were seen.
            let mut seen: Vec<(u64, i64)> = Vec::new();
            while !over.load(Relaxed) {
                let number = engine.load().state.revision().number;
                if seen.last().is_none_or(|(last, _)| *last < number) {
                    seen.push((number, micros()));
                }
                std::thread::sleep(Duration::from_micros(50));
            }
            seen
        })
    });
    let answered = Arc::new(Mutex::new(Vec::new()));
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut writes = tokio::task::JoinSet::new();
    for number in 0.. {
        ticks.tick().await;
        if began.elapsed() > MEASURED {
            break;
        }
        let (writer, answered) = (writer.app.writer.clone(), answered.clone());
        writes.spawn(async move {
            let (project, user_id) = (ProjectKey::default_project(), UserId::stored(format!("{rate}-{number}")));
            let command = Command::BlockUser(BlockUser { project, user_id });
            let written = writer.submit(command, Call::plain("bench", "")).await.expect("a write");
            answered.lock().expect("nobody panics").push((written.revision.number, micros()));
        });
    }
    while writes.join_next().await.is_some() {}
    tokio::time::sleep(Duration::from_secs(1)).await;
    over.store(true, Relaxed);
    let answered = answered.lock().expect("nobody panics");
    watching.map(|watching| {
        let seen = watching.join().expect("it does not panic");
        let lag = |(revision, at): &(u64, i64)| {
            let place = seen.partition_point(|(number, _)| number < revision);
            seen.get(place).map(|(_, published)| published - at)
        };
        answered.iter().filter_map(lag).collect()
    })
}
