//! `rolecall bench`: how many checks does a server answer, and at what cost?

mod child;
mod drive;
pub mod echo;
mod files;
mod load;
pub mod replay;
mod report;
mod requests;
mod sides;
mod stream;
mod workload;
mod writes;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::answer;
use super::connect::Remote;
use super::connect::tls::TlsArgs;
use super::key::KeyArgs;
use super::trouble::{Failed, Trouble};
use crate::server::{Listen, process};
use child::Server;
use drive::Target;
use load::{Loaded, Place, load};
use report::{Report, WorkloadReport};
use requests::Mode;
use sides::measure_mode;
use workload::Workload;

const AFTER_HELP: &str = "\
Exit codes: 0 measured; 1 the server gave wrong answers; 2 not measured, with the reason on stderr.";

const AFTER_LONG_HELP: &str = "\
Starts a server on an empty database in a temporary directory, loads a workload, compares every decision with the one that
the workload implies, measures in rounds, and compares again. The client and the server share the machine. So compare checks
per CPU second of the server rather than checks per second.

Exit codes:
  0  measured
  1  the server gave wrong answers; the first ones are on stderr
  2  not measured: wrong usage, no server, a project that `rolecall bench` did not create; the reason is on stderr

Files of --workload, separated by tabs:
  mapping.tsv   role mapping, role, disabled (0 or 1), permissions separated by commas
  orgs.tsv      org, role mapping
  members.tsv   org, user, role
  checks.tsv    org, user, role, role mapping, permission, allowed (0 or 1)

JSON (--json), one object: the settings, and `workloads` with one entry for each size. `calls` of an entry has one entry for
each mode: `rolecall`, `echo`, `without_metrics` and `with_writes` with medians over the rounds, latencies in microseconds, and the medians of
the ratios between them. A figure that was not measured is null.

Examples:
  rolecall bench --against-echo
  rolecall bench --memberships 10000,1000000,10000000 --mode batch
  rolecall bench --unix --mode check --writes 5000
  rolecall bench --server 127.0.0.1:50051 --memberships 100000";

/// The place of the number of memberships in `--database`.
const SIZE: &str = "{N}";

#[derive(Parser)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// The memberships of the generated workload, 100 in an org; several sizes are measured one after the other.
    #[arg(long, visible_alias = "sizes", default_value = "1000000", value_name = "N", value_delimiter = ',',
        value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    memberships: Vec<u64>,

    /// Takes the workload from the files in a directory.
    #[arg(long, value_name = "DIR", conflicts_with = "memberships")]
    workload: Option<PathBuf>,

    /// What to call.
    #[arg(long, default_value = "batch,check,columns", value_name = "MODE", value_delimiter = ',')]
    mode: Vec<Mode>,

    /// The checks of one BatchCheck.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    batch: u64,

    /// Different checks: more than the caches of the machine hold.
    #[arg(long, default_value_t = 500_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    checks: u64,

    /// The rounds of each side; the sides alternate.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,

    /// The seconds of each round, after it has warmed up.
    #[arg(long, default_value_t = 3.0, value_name = "SECONDS", value_parser = seconds)]
    seconds: f64,

    /// The connections of the client.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    connections: u16,

    /// Calls in flight, over all connections; checks in flight for streams. [default: 4 for batches, 16 for single checks, 64
    /// for streams]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    in_flight: Option<u16>,

    /// Also measures a server that drops each request and answers zeros: the cost of gRPC itself.
    #[arg(long)]
    against_echo: bool,

    /// Also measures while this many memberships a second are changed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    writes: Option<u64>,

    /// Whether the started server measures its calls. `both` also measures a second server without metrics, for single checks and
    /// batches.
    #[arg(long, default_value = "on", value_name = "SIDES", conflicts_with = "server")]
    metrics: Metrics,

    /// Connects over unix sockets and not over TCP.
    #[arg(long, conflicts_with = "server")]
    unix: bool,

    /// The database of the started server, kept afterwards: `sqlite://FILE` or `postgres://USER@HOST/NAME`. `{N}` in it becomes
    /// the number of memberships: each size needs a database of its own. A workload that it holds already is not loaded
    /// again. [default: a SQLite file in a temporary directory]
    #[arg(long, value_name = "URL", conflicts_with = "server")]
    database: Option<String>,

    /// A running server to measure: `HOST:PORT` or `unix:PATH`.
    #[arg(long, visible_alias = "address", value_name = "ADDRESS")]
    server: Option<Listen>,

    #[command(flatten)]
    tls: TlsArgs,

    #[command(flatten)]
    key: KeyArgs,

    /// The process of the running server on this machine, whose CPU time then counts.
    #[arg(long, requires = "server")]
    pid: Option<u32>,

    /// The key of the project to create. [default: bench- and the number of memberships]
    #[arg(long, value_name = "KEY")]
    project: Option<String>,

    /// Prints JSON and nothing else.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Metrics {
    On,
    Off,
    Both,
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|seconds| (0.01..=3_600.0).contains(seconds)).ok_or("give 0.01 to 3600 seconds".into())
}

pub async fn run(args: Args) -> Result<(), Failed> {
    let interrupted = interrupted()?;
    tokio::select! {
        done = bench(args) => done,
        // Stops the servers and removes the temporary directory.
        () = interrupted => Err(Trouble::new("interrupted", "start it again").into()),
    }
}

fn interrupted() -> Result<impl Future<Output = ()>, Trouble> {
    let listen = |kind| {
        signal(kind).map_err(|error| Trouble::new(format!("cannot listen for signals: {error}"), "try it again"))
    };
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn bench(args: Args) -> Result<(), Failed> {
    if args.memberships.len() > 1 && args.database.as_ref().is_some_and(|database| !database.contains(SIZE)) {
        let next = "name a database for each size with {N}, such as sqlite://bench-{N}.db";
        return Err(Trouble::new("one database holds one size, or the memory of a size is unknown", next).into());
    }
    if args.metrics == Metrics::Both && args.database.is_some() {
        let next = "leave --database out";
        return Err(Trouble::new("`--metrics both` starts two servers, each on a database of its own", next).into());
    }
    let transport = match (&args.server, args.unix) {
        (Some(Listen::Unix(_)), _) | (None, true) => "unix",
        _ => "tcp",
    };
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        transport,
        connections: args.connections.into(),
        rounds: args.rounds,
        seconds: args.seconds,
        workloads: Vec::new(),
    };
    match &args.workload {
        Some(folder) => report.workloads.push(measure_workload(&args, &files::read(folder)?, "bench-files").await?),
        None => {
            for &memberships in &args.memberships {
                let (workload, project) = (Workload::generated(memberships), format!("bench-{memberships}"));
                report.workloads.push(measure_workload(&args, &workload, &project).await?);
            }
        }
    }
    Ok(answer::print(&report, args.json)?)
}

/// Loads a workload and measures all modes.
async fn measure_workload(args: &Args, workload: &Workload, project: &str) -> Result<WorkloadReport, Failed> {
    let project = args.project.as_deref().unwrap_or(project);
    let folder = tempfile::tempdir().map_err(|error| {
        Trouble::new(format!("cannot create a temporary directory: {error}"), "set TMPDIR to a directory with space")
    })?;
    let mut report = WorkloadReport {
        workload: workload.name.clone(),
        memberships: workload.memberships,
        load_seconds: None,
        load_memberships_per_second: None,
        start_seconds: None,
        resident_bytes_after_load: None,
        resident_bytes_after_start: None,
        bytes_per_membership: None,
        calls: Vec::new(),
    };
    let unmeasured = match args.metrics {
        Metrics::Both => {
            let database = format!("sqlite://{}", folder.path().join("unmeasured.db").display());
            let server = Server::serve(&database, &listen(args, folder.path(), "unmeasured"), false).await?;
            load(&place(own(&server), project).await?, workload).await?;
            server.stop().await;
            Some(Server::serve(&database, &listen(args, folder.path(), "unmeasured"), false).await?)
        }
        Metrics::On | Metrics::Off => None,
    };
    let (own, place, pid) = match &args.server {
        Some(address) => {
            let place = place(Remote::new(address.clone(), &args.tls)?.with_key(&args.key)?, project).await?;
            report.loaded(load(&place, workload).await?);
            (None, place, args.pid)
        }
        None => {
            let temporary = || format!("sqlite://{}", folder.path().join("bench.db").display());
            let named = args.database.as_ref().map(|name| name.replace(SIZE, &workload.memberships.to_string()));
            let database = named.unwrap_or_else(temporary);
            let listen = listen(args, folder.path(), "rolecall");
            let server = Server::serve(&database, &listen, args.metrics != Metrics::Off).await?;
            report.loaded(load(&place(own(&server), project).await?, workload).await?);
            report.resident_bytes_after_load = process::resident_bytes(server.pid());
            server.stop().await;
            // Measures what a server is after a start, and not what loading left behind.
            let server = Server::serve(&database, &listen, args.metrics != Metrics::Off).await?;
            report.started(&server);
            let place = place(own(&server), project).await?;
            let pid = server.pid();
            (Some(server), place, Some(pid))
        }
    };
    for &mode in &args.mode {
        let requests = Arc::new(mode.requests(workload, project, args.checks, args.batch));
        let default = match mode {
            Mode::Batch | Mode::Columns => 4,
            Mode::Check => 16,
            Mode::Stream | Mode::StreamSingles => 64,
        };
        let in_flight = args.in_flight.unwrap_or(default).into();
        let target = Target { remote: place.remote.clone(), pid, connections: args.connections.into(), in_flight };
        report.calls.push(match mode {
            Mode::Stream | Mode::StreamSingles => {
                let unary = Arc::new(Mode::Check.requests(workload, project, args.checks, args.batch));
                stream::beside_check(args, &target, &requests, &unary).await?
            }
            _ => {
                let unmeasured = unmeasured.as_ref();
                measure_mode(args, workload, &place, &target, &requests, (folder.path(), unmeasured)).await?
            }
        });
    }
    for server in own.into_iter().chain(unmeasured) {
        server.stop().await;
    }
    Ok(report)
}

impl WorkloadReport {
    fn loaded(&mut self, loaded: Option<Loaded>) {
        self.load_seconds = loaded.as_ref().map(|loaded| loaded.seconds);
        self.load_memberships_per_second = loaded.map(|loaded| loaded.memberships_per_second);
    }

    fn started(&mut self, server: &Server) {
        self.start_seconds = Some(server.start_time.as_secs_f64());
        self.resident_bytes_after_start = process::resident_bytes(server.pid());
        self.bytes_per_membership = self.resident_bytes_after_start.map(|bytes| bytes as f64 / self.memberships as f64);
    }
}

async fn place(remote: Remote, project: &str) -> Result<Place, Trouble> {
    Ok(Place { channel: remote.connect().await?, remote, project: project.into() })
}

fn own(server: &Server) -> Remote {
    Remote::without_tls(server.address.clone())
}

/// Returns where a started server listens.
fn listen(args: &Args, folder: &Path, name: &str) -> Listen {
    match args.unix {
        true => Listen::Unix(folder.join(format!("{name}.sock"))),
        false => Listen::Tcp("127.0.0.1:0".into()),
    }
}
