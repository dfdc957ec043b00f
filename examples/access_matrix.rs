//! Loads a real access matrix (who may do what) over gRPC, asks about every pair of it, and compares.
//!
//! `cargo run --release --example access_matrix -- FILE`; `-- --help` tells the rest.

#[path = "access_matrix/ask.rs"]
mod ask;
#[path = "access_matrix/cpu.rs"]
mod cpu;
#[path = "access_matrix/load.rs"]
mod load;
#[path = "access_matrix/matrix.rs"]
mod matrix;
#[path = "access_matrix/target.rs"]
mod target;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use ask::Asked;
use cpu::Cpu;
use matrix::Matrix;
use target::{ServerArgs, Target};

/// Mismatches that are printed one by one.
const MISMATCHES_SHOWN: usize = 20;

/// Loads an access matrix into a server, asks every pair of user and permission through BatchCheck, and compares the
/// answers with the file. Exits with 1 if one differs.
///
/// Without --address it starts a server of its own in this process and talks to it over TCP like anybody else.
#[derive(Parser)]
#[command(name = "access_matrix", max_term_width = 100)]
struct Args {
    /// Lines of `user TAB permission`; lines that begin with `#` are skipped; may be gzipped.
    file: PathBuf,

    #[command(flatten)]
    server: ServerArgs,

    /// The process of the server at --address, if it runs on this machine: its CPU time is measured.
    #[arg(long, requires = "address")]
    pid: Option<u32>,

    /// Connections, each with one batch in flight.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,

    /// Checks a batch.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
}

fn main() -> ExitCode {
    target::removed(run(Args::parse()))
}

fn run(args: Args) -> Result<bool, String> {
    let matrix = Arc::new(Matrix::read(&args.file)?);
    println!(
        "{}: {} users, {} permissions, {} grants, {} different permission sets",
        args.file.display(),
        HumanCount(matrix.users.len() as u64),
        HumanCount(matrix.permissions.len() as u64),
        HumanCount(matrix.grants()),
        HumanCount(matrix.sets.len() as u64),
    );
    Target::new(&args.server, args.pid)?.work(async |target| loaded_and_asked(&args, &matrix, target).await)
}

async fn loaded_and_asked(args: &Args, matrix: &Arc<Matrix>, target: &Target) -> Result<bool, String> {
    let channel = target::connect(&target.address).await?;
    let began = Instant::now();
    let loaded = Arc::new(load::load(matrix, channel).await?);
    println!("loaded into project `{}` in {:.1} s", loaded.project, began.elapsed().as_secs_f64());

    let mut channels = Vec::new();
    for _ in 0..args.connections {
        channels.push(target::connect(&target.address).await?);
    }
    let cpu = Cpu::now(target.cpu)?;
    let began = Instant::now();
    let asked = ask::ask(matrix, &loaded, channels, u64::from(args.batch)).await?;
    let elapsed = began.elapsed();
    let cpu = Cpu::now(target.cpu)?.zip(cpu).map(|(after, before)| after.since(before));
    report(matrix, &asked, elapsed, cpu);
    Ok(asked.mismatches_total == 0 && asked.checks == matrix.pairs())
}

fn report(matrix: &Matrix, asked: &Asked, elapsed: Duration, cpu: Option<Duration>) {
    for mismatch in asked.mismatches.iter().take(MISMATCHES_SHOWN) {
        let (user, permission) = matrix.pair(mismatch.pair);
        let expected = if mismatch.expected { "allowed" } else { "denied" };
        println!("mismatch: user {user}, permission {permission}: expected {expected}, got {}", mismatch.decision);
    }
    println!(
        "{} of {} pairs asked: {} allowed, {} mismatches",
        HumanCount(asked.checks),
        HumanCount(matrix.pairs()),
        HumanCount(asked.allowed),
        HumanCount(asked.mismatches_total),
    );
    let rate = |time: Duration| HumanCount((asked.checks as f64 / time.as_secs_f64()) as u64);
    println!("{:.2} s: {} checks/s, the client on the same machine", elapsed.as_secs_f64(), rate(elapsed));
    if let Some(cpu) = cpu.filter(|cpu| !cpu.is_zero()) {
        println!("{:.2} CPU s of the server: {} checks per CPU second", cpu.as_secs_f64(), rate(cpu));
    }
    let mut latencies = asked.latencies.clone();
    latencies.sort_unstable();
    let quantile = |q: f64| latencies.get(((latencies.len() as f64 * q) as usize).min(latencies.len().max(1) - 1));
    let ms = |q| quantile(q).map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0);
    println!("a batch: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", ms(0.5), ms(0.99), ms(1.0));
}

/// A bar on the standard error output; nothing where that is no terminal.
fn bar(total: u64, doing: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:10} {bar:40} {human_pos}/{human_len} {per_sec} {eta}");
    let bar = ProgressBar::new(total).with_message(doing);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
