//! Measures a start: the time that `Store::load` takes beside plain sqlx reading the same rows, and the memory of a server and of
//! a sidecar.
//!
//! `cargo bench --bench load -- [MEMBERSHIPS] [URL…]`. Without a URL it fills a new SQLite file and, where PostgreSQL is
//! installed, a new PostgreSQL database. A database of a URL is filled if it is empty and kept. `LOAD_RUNS` is the number of
//! alternating runs (5).

// Benchmarks may panic, as tests may.
#![allow(clippy::expect_used, clippy::unwrap_used)]

#[path = "load/fill.rs"]
mod fill;
#[path = "load/plain.rs"]
mod plain;
#[path = "../tests/support/postgres.rs"]
#[allow(dead_code)] // The faults need the rest of it.
mod postgres;
#[path = "load/server.rs"]
mod server;

use std::time::{Duration, Instant};

use rolecall::domain::collections::hash::HashKey;
use rolecall::store::Store;

/// The allocator of the server.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run());
}

async fn run() {
    let (mut memberships, mut urls) = (1_000_000, Vec::new());
    // Cargo passes `--bench`.
    for argument in std::env::args().skip(1).filter(|argument| argument != "--bench") {
        match argument.parse() {
            Ok(number) => memberships = number,
            Err(_) => urls.push(argument),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    if urls.is_empty() {
        urls.push(format!("sqlite://{}", folder.path().join("rolecall.db").display()));
        urls.extend(postgres::database().await);
    }
    let runs = std::env::var("LOAD_RUNS").map_or(5, |runs| runs.parse().unwrap());
    for url in urls {
        fill::fill(&url, memberships).await;
        measure(&url, runs).await;
    }
}

/// What one run took.
struct Took {
    elapsed: Duration,
    cpu: Duration,
    memberships: usize,
}

async fn measure(url: &str, runs: u32) {
    let database = url.split(':').next().unwrap();
    println!("{database}: run, rows, plain sqlx, its CPU, Store::load, its CPU, ratio");
    let mut ratios = Vec::new();
    for run in 1..=runs {
        let plain = plain(url).await;
        let load = load(url).await;
        assert_eq!(plain.memberships, load.memberships);
        let ratio = load.elapsed.as_secs_f64() / plain.elapsed.as_secs_f64();
        ratios.push(ratio);
        println!(
            "{database}: {run}  {:>9}  {:>6.2} s {:>6.2} s  {:>6.2} s {:>6.2} s  {ratio:.2}",
            load.memberships,
            plain.elapsed.as_secs_f64(),
            plain.cpu.as_secs_f64(),
            load.elapsed.as_secs_f64(),
            load.cpu.as_secs_f64(),
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("{database}: median ratio {:.2} (target: at most 2)", ratios[ratios.len() / 2]);
    let memberships = load(url).await.memberships;
    let each = |bytes: u64| bytes as f64 / memberships as f64;
    let places = ["the server", "its sidecar", "the server after feeding the sidecar"];
    for (place, took) in places.into_iter().zip(server::started(url).await) {
        println!(
            "{database}: {place} listens after {:.2} s; resident {:.1} MiB, {:.1} bytes per membership; peak {:.1} MiB, {:.1}",
            took.listens_after.as_secs_f64(),
            took.resident as f64 / 1_048_576.0,
            each(took.resident),
            took.peak as f64 / 1_048_576.0,
            each(took.peak),
        );
    }
}

async fn plain(url: &str) -> Took {
    let (began, cpu) = (Instant::now(), cpu());
    let memberships = plain::read(url).await;
    Took { elapsed: began.elapsed(), cpu: self::cpu() - cpu, memberships }
}

/// Opens the store before the clock starts, and drops the State after it stops.
async fn load(url: &str) -> Took {
    let store = Store::open(url).await.unwrap();
    let (began, cpu) = (Instant::now(), cpu());
    let state = store.load(HashKey::new(*b"a key for bench!")).await.unwrap();
    let (elapsed, cpu) = (began.elapsed(), self::cpu() - cpu);
    let memberships = state.projects().map(|project| project.memberships_len()).sum();
    store.close().await;
    Took { elapsed, cpu, memberships }
}

/// Returns the processor time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
