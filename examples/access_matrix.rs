//! Loads a real access matrix (who may do what) over gRPC, checks every pair of user and permission, and compares the answers.
//!
//! `cargo run --release --example access_matrix -- FILE`; see `-- --help`.

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

use ask::Answers;
use cpu::Cpu;
use matrix::Matrix;
use target::{ServerArgs, Target};

/// The largest number of mismatches that are printed.
const MISMATCHES_SHOWN: usize = 20;

/// Loads an access matrix into a server, checks every pair of user and permission with BatchCheck, and compares the
/// answers with the file. Exits with 1 if one differs.
///
/// Without --address it starts a server in this process and calls it over TCP.
#[derive(Parser)]
#[command(name = "access_matrix", max_term_width = 100)]
struct Args {
    /// Lines of `user TAB permission`. Lines that begin with `#` are skipped. May be gzipped.
    file: PathBuf,

    #[command(flatten)]
    server: ServerArgs,

    /// The process id of the server at --address, if it runs on this machine. Its CPU time is measured.
    #[arg(long, requires = "address")]
    pid: Option<u32>,

    /// Connections, each with one batch in flight.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,

    /// Checks per batch.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
}

fn main() -> ExitCode {
    target::exit_code(run(Args::parse()))
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
    Target::new(&args.server, args.pid)?.work(async |target| load_and_check(&args, &matrix, target).await)
}

async fn load_and_check(args: &Args, matrix: &Arc<Matrix>, target: &Target) -> Result<bool, String> {
    let channel = target::connect(&target.address).await?;
    let start = Instant::now();
    let loaded = Arc::new(load::load(matrix, channel).await?);
    println!("loaded into project `{}` in {:.1} s", loaded.project, start.elapsed().as_secs_f64());

    let mut channels = Vec::new();
    for _ in 0..args.connections {
        channels.push(target::connect(&target.address).await?);
    }
    let cpu = Cpu::now(target.cpu)?;
    let start = Instant::now();
    let answers = ask::ask(matrix, &loaded, channels, u64::from(args.batch)).await?;
    let elapsed = start.elapsed();
    let cpu = Cpu::now(target.cpu)?.zip(cpu).map(|(after, before)| after.since(before));
    report(matrix, &answers, elapsed, cpu);
    Ok(answers.mismatches_total == 0 && answers.checks == matrix.pairs())
}

fn report(matrix: &Matrix, answers: &Answers, elapsed: Duration, cpu: Option<Duration>) {
    for mismatch in answers.mismatches.iter().take(MISMATCHES_SHOWN) {
        let (user, permission) = matrix.pair(mismatch.pair);
        let expected = if mismatch.expected { "allowed" } else { "denied" };
        println!("mismatch: user {user}, permission {permission}: expected {expected}, got {}", mismatch.decision);
    }
    println!(
        "{} of {} pairs checked: {} allowed, {} mismatches",
        HumanCount(answers.checks),
        HumanCount(matrix.pairs()),
        HumanCount(answers.allowed),
        HumanCount(answers.mismatches_total),
    );
    let rate = |time: Duration| HumanCount((answers.checks as f64 / time.as_secs_f64()) as u64);
    println!("{:.2} s: {} checks/s, client on the same machine", elapsed.as_secs_f64(), rate(elapsed));
    if let Some(cpu) = cpu.filter(|cpu| !cpu.is_zero()) {
        println!("server: {:.2} CPU s, {} checks per CPU second", cpu.as_secs_f64(), rate(cpu));
    }
    let mut latencies = answers.latencies.clone();
    latencies.sort_unstable();
    let quantile = |q: f64| latencies.get(((latencies.len() as f64 * q) as usize).min(latencies.len().max(1) - 1));
    let ms = |q| quantile(q).map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0);
    println!("per batch: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", ms(0.5), ms(0.99), ms(1.0));
}

/// Returns a progress bar on standard error. It is hidden if that is not a terminal.
fn bar(total: u64, message: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:10} {bar:40} {human_pos}/{human_len} {per_sec} {eta}");
    let bar = ProgressBar::new(total).with_message(message);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
