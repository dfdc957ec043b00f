//! Compares writes of the product with plain sqlx that writes the same rows: `cargo bench --bench writes`.
//!
//! Arguments choose what to run: `sqlite`, `postgres`, `bulk`, `group`, `single`. `load` adds 1,000,000 members instead,
//! and `phases` shows how bulk writes spend their time.
//! `request-ids` gives every write a request id. Product and reference alternate; a line shows the medians, and the median
//! of the ratios. Commits reach the disk. Without PostgreSQL only SQLite is measured.

#![allow(clippy::expect_used)]

#[path = "writes/phases.rs"]
mod phases;
#[path = "writes/product.rs"]
mod product;
#[path = "writes/reference.rs"]
mod reference;
#[path = "../tests/support/database.rs"]
mod support;

use std::time::{Duration, Instant};

use phases::Phases;
use product::{MEMBERS, Product};
use reference::Reference;
use support::cluster::{Cluster, psql};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Members that one bulk call adds.
const BULK: usize = 10_000;
/// Callers of the group commit. Each submits its next write when the last is answered.
const CALLERS: usize = 64;
const WRITES_A_CALLER: usize = 24;
/// Writes of the one caller in a round.
const SINGLE: usize = 200;
const ROUNDS: usize = 9;

struct Bench {
    product: Product,
    reference: Reference,
    number: u64,
}

/// The times of one round: those of the product and of the reference, for the same rows.
type Round = (Duration, Duration);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let named = |name: &str| arguments.iter().any(|argument| argument == name);
    let database = |name: &str| named(name) || !named("sqlite") && !named("postgres");
    let is_asked = |name: &str| named(name) || !["bulk", "group", "single", "load", "phases"].into_iter().any(named);
    support::block_on(async {
        println!("{:<10} {:<8} {:>14} {:>14} {:>8}", "database", "what", "product/s", "plain sqlx/s", "ratio");
        if database("sqlite") {
            let (product, own) = (support::sqlite(), support::sqlite());
            measure("sqlite", &product.url, &own.url, is_asked, &named).await;
        }
        if database("postgres")
            && let Some(cluster) = Cluster::start(&["fsync = on", "max_wal_size = '8GB'"])
        {
            for name in ["product", "own"] {
                psql(&cluster.url(), &format!("CREATE DATABASE {name}"));
            }
            let url = |name: &str| format!("{}/{name}", cluster.url().trim_end_matches("/postgres"));
            measure("postgres", &url("product"), &url("own"), is_asked, &named).await;
        }
    });
}

async fn measure(
    database: &str,
    product: &str,
    own: &str,
    is_asked: impl Fn(&str) -> bool,
    named: impl Fn(&str) -> bool,
) {
    let started = Product::start(product, named("request-ids")).await;
    let mut bench = Bench { product: started, reference: Reference::new(product, own).await, number: 1 };
    // Orgs for the other measurements, role sets, and statements that are prepared once.
    bench.bulk(ROUNDS / 3).await;
    if is_asked("bulk") {
        print(database, "bulk", BULK, &bench.bulk(ROUNDS).await);
    }
    let mut one_caller = 0.0;
    if is_asked("single") || is_asked("group") {
        bench.single().await;
        let rounds = rounds(async || bench.single().await).await;
        one_caller = print(database, "single", SINGLE, &rounds);
    }
    if is_asked("group") {
        bench.group().await;
        let rounds = rounds(async || bench.group().await).await;
        let together = print(database, "group", CALLERS * WRITES_A_CALLER, &rounds);
        println!("{:<10} {:<8} {CALLERS} callers write {:.1} times as fast as one", "", "", together / one_caller);
    }
    if named("phases") {
        bench.phases(database).await;
        return;
    }
    if named("load") {
        for part in 0..10 {
            print(database, &format!("load {part}"), BULK, &bench.bulk(10).await);
        }
    }
}

impl Bench {
    /// Adds members by bulk calls.
    async fn bulk(&mut self, calls: usize) -> Vec<Round> {
        let mut rounds = Vec::new();
        for _ in 0..calls {
            self.product.create_orgs(BULK.div_ceil(MEMBERS)).await;
            let (command, before) = (self.product.batch(BULK), self.product.revision());
            self.number += 1;
            let start = Instant::now();
            self.product.submit(command, self.number).await;
            let product = start.elapsed();
            rounds.push((product, self.repeat(before, usize::MAX).await));
        }
        rounds
    }

    /// Adds a million members by bulk calls, and prints the phases of the first and the last ten calls.
    async fn phases(&mut self, database: &str) {
        const CALLS: usize = 100;
        self.product.create_orgs(CALLS * BULK.div_ceil(MEMBERS)).await;
        self.product.take_state();
        let mut phases = Phases::default();
        for call in 1..=CALLS {
            let command = self.product.batch_at(call - 1, BULK);
            phases.write(&mut self.product, command).await;
            if call % 10 == 0 {
                if call == 10 || call == CALLS {
                    println!("{database}: phases of the calls up to {call}");
                    phases.print(10 * BULK);
                }
                phases = Phases::default();
            }
        }
    }

    /// Adds members one after the other.
    async fn single(&mut self) -> Round {
        let before = self.product.revision();
        let commands: Vec<_> = (0..SINGLE).map(|_| self.product.one()).collect();
        let start = Instant::now();
        for command in commands {
            self.number += 1;
            self.product.submit(command, self.number).await;
        }
        let product = start.elapsed();
        (product, self.repeat(before, 1).await)
    }

    /// Adds members by many callers at once.
    async fn group(&mut self) -> Round {
        let before = self.product.revision();
        let mut callers = tokio::task::JoinSet::new();
        let ready = std::sync::Arc::new(tokio::sync::Barrier::new(CALLERS + 1));
        for _ in 0..CALLERS {
            let calls: Vec<_> = (0..WRITES_A_CALLER)
                .map(|_| {
                    self.number += 1;
                    (self.product.one(), self.product.call(self.number))
                })
                .collect();
            let (writer, ready) = (self.product.writer.clone(), ready.clone());
            callers.spawn(async move {
                ready.wait().await;
                for (command, call) in calls {
                    assert!(writer.submit(command, call).await.is_ok());
                }
            });
        }
        ready.wait().await;
        let start = Instant::now();
        callers.join_all().await;
        let product = start.elapsed();
        (product, self.repeat(before, CALLERS).await)
    }

    /// Writes what the product wrote after a revision, in transactions of `commits` commits each.
    async fn repeat(&mut self, before: i64, commits: usize) -> Duration {
        let rows = self.reference.read(before, self.product.revision()).await;
        let transactions = rows.split(commits);
        let start = Instant::now();
        for rows in &transactions {
            self.reference.write(rows).await;
        }
        start.elapsed()
    }
}

async fn rounds(mut round: impl AsyncFnMut() -> Round) -> Vec<Round> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(round().await);
    }
    rounds
}

/// Prints a line and returns the rate of the product: members per second.
fn print(database: &str, what: &str, members: usize, rounds: &[Round]) -> f64 {
    let rate = |time: Duration| members as f64 / time.as_secs_f64();
    let product = median(rounds.iter().map(|round| rate(round.0)));
    let reference = median(rounds.iter().map(|round| rate(round.1)));
    let ratio = median(rounds.iter().map(|round| rate(round.0) / rate(round.1)));
    println!("{database:<10} {what:<8} {product:>14.0} {reference:>14.0} {:>6.1} %", ratio * 100.0);
    product
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
