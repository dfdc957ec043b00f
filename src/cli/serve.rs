//! `rolecall serve`.

use std::time::Duration;

use clap::{ArgAction, Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::database::DatabaseArgs;
use super::demo;
use crate::limits::{HISTORY_DAYS, Limits};
use crate::server::{Config, ConnectionLimits, Listen, Running, telemetry};

/// Every flag has an environment variable.
#[derive(Parser)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Where to listen: `HOST:PORT` or `unix:PATH`; can be given several times, or separated by commas.
    #[arg(long, env = "ROLECALL_LISTEN", default_value = "127.0.0.1:50051", value_delimiter = ',', action = ArgAction::Append)]
    listen: Vec<Listen>,

    /// Fills an empty store with sample data and prints calls to paste; changes nothing in a store that holds data.
    #[arg(long, env = "ROLECALL_DEMO")]
    demo: bool,

    /// The format of log lines on stderr.
    #[arg(long, env = "ROLECALL_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,

    /// Which log lines: `error`, `warn`, `info`, `debug`, or per module, as in `info,rolecall::writer=debug`.
    #[arg(long, env = "ROLECALL_LOG", default_value = "info", value_name = "FILTER")]
    log: String,

    /// Days for which the history of changes is kept; 0 keeps all.
    #[arg(long, env = "ROLECALL_HISTORY_DAYS", default_value_t = HISTORY_DAYS, value_name = "DAYS")]
    history_days: u32,

    /// Seconds that calls in flight have to finish when the server stops.
    #[arg(long, env = "ROLECALL_DRAIN_SECONDS", default_value_t = 10, value_name = "SECONDS")]
    drain_seconds: u64,

    #[command(flatten)]
    connections: ConnectionArgs,

    #[command(flatten)]
    limits: LimitArgs,
}

/// The limits of what clients use of a server.
#[derive(Parser)]
#[command(next_help_heading = "Connections")]
struct ConnectionArgs {
    /// Connections of all clients.
    #[arg(long, env = "ROLECALL_CONNECTIONS_MAX", default_value_t = 10_000, value_name = "N")]
    connections_max: usize,
    /// Connections from one IP address.
    #[arg(long, env = "ROLECALL_CONNECTIONS_PER_PEER_MAX", default_value_t = 1_000, value_name = "N")]
    connections_per_peer_max: usize,
    /// Seconds in which a new connection must begin HTTP/2.
    #[arg(long, env = "ROLECALL_HANDSHAKE_SECONDS", default_value_t = 10, value_name = "SECONDS", value_parser = at_least_1())]
    handshake_seconds: u64,
    /// Seconds in which the body of a request must arrive.
    #[arg(long, env = "ROLECALL_BODY_SECONDS", default_value_t = 30, value_name = "SECONDS", value_parser = at_least_1())]
    body_seconds: u64,
    /// Seconds that an answer may wait to be read, before its connection is closed.
    #[arg(long, env = "ROLECALL_ANSWER_SECONDS", default_value_t = 30, value_name = "SECONDS", value_parser = at_least_1())]
    answer_seconds: u64,
    /// Seconds without a call after which a connection is closed.
    #[arg(long, env = "ROLECALL_IDLE_SECONDS", default_value_t = 900, value_name = "SECONDS", value_parser = at_least_1())]
    idle_seconds: u64,
    /// MiB that all calls in flight may take: requests that are read and decoded, and answers that are not sent yet.
    #[arg(long, env = "ROLECALL_CALLS_MIB_MAX", default_value_t = 256, value_name = "N", value_parser = at_least_1())]
    calls_mib_max: u64,
}

fn at_least_1() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=u64::from(u32::MAX))
}

impl From<ConnectionArgs> for ConnectionLimits {
    fn from(args: ConnectionArgs) -> Self {
        Self {
            total: args.connections_max,
            per_peer: args.connections_per_peer_max,
            handshake: Duration::from_secs(args.handshake_seconds),
            body: Duration::from_secs(args.body_seconds),
            answer: Duration::from_secs(args.answer_seconds),
            idle: Duration::from_secs(args.idle_seconds),
            call_bytes: (args.calls_mib_max as usize) << 20,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// The limits of rule P7.
#[derive(Parser)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Roles per project.
    #[arg(long, env = "ROLECALL_ROLES_MAX", default_value_t = Limits::default().roles, value_name = "N")]
    roles_max: u64,
    /// Permissions per project, built-in ones included.
    #[arg(long, env = "ROLECALL_PERMISSIONS_MAX", default_value_t = Limits::default().permissions, value_name = "N")]
    permissions_max: u64,
    /// Role mappings per project.
    #[arg(long, env = "ROLECALL_ROLE_MAPPINGS_MAX", default_value_t = Limits::default().role_mappings, value_name = "N")]
    role_mappings_max: u64,
    /// (mapping, role, permission) grants per project.
    #[arg(long, env = "ROLECALL_GRANTS_MAX", default_value_t = Limits::default().grants, value_name = "N")]
    grants_max: u64,
    /// Different role sets per project.
    #[arg(long, env = "ROLECALL_ROLE_SETS_MAX", default_value_t = Limits::default().role_sets, value_name = "N")]
    role_sets_max: u64,
    /// (role, managed role) pairs of a MULTI_ROLE project.
    #[arg(long, env = "ROLECALL_MANAGED_ROLES_MAX", default_value_t = Limits::default().managed_roles, value_name = "N")]
    managed_roles_max: u64,
    /// Roles per member of a MULTI_ROLE project.
    #[arg(long, env = "ROLECALL_MEMBER_ROLES_MAX", default_value_t = Limits::default().member_roles, value_name = "N")]
    member_roles_max: u64,
    /// Pending invitations per org.
    #[arg(long, env = "ROLECALL_ORG_INVITATIONS_MAX", default_value_t = Limits::default().org_invitations, value_name = "N")]
    org_invitations_max: u64,
    /// E-mail domains per org.
    #[arg(long, env = "ROLECALL_ORG_DOMAINS_MAX", default_value_t = Limits::default().org_domains, value_name = "N")]
    org_domains_max: u64,
    /// Rows of one bulk write.
    #[arg(long, env = "ROLECALL_BULK_ROWS_MAX", default_value_t = Limits::default().bulk_rows, value_name = "N")]
    bulk_rows_max: usize,
    /// Items of one batch check.
    #[arg(long, env = "ROLECALL_BATCH_CHECK_ITEMS_MAX", default_value_t = Limits::default().batch_check_items, value_name = "N")]
    batch_check_items_max: usize,
}

pub async fn run(args: Args) -> Result<(), String> {
    telemetry::start(&args.log, matches!(args.log_format, LogFormat::Json))?;
    // Before anything starts: a signal during a long load must not be lost.
    let stop = stop_signal()?;
    let database = args.database.url()?;
    if let Some(warning) = database.warning {
        tracing::warn!("{warning}");
    }
    let config = Config {
        database: database.url,
        listen: args.listen,
        limits: Limits {
            roles: args.limits.roles_max,
            permissions: args.limits.permissions_max,
            role_mappings: args.limits.role_mappings_max,
            grants: args.limits.grants_max,
            role_sets: args.limits.role_sets_max,
            managed_roles: args.limits.managed_roles_max,
            member_roles: args.limits.member_roles_max,
            org_invitations: args.limits.org_invitations_max,
            org_domains: args.limits.org_domains_max,
            bulk_rows: args.limits.bulk_rows_max,
            batch_check_items: args.limits.batch_check_items_max,
        },
        connections: args.connections.into(),
        history_days: Some(args.history_days).filter(|days| *days > 0),
        drain: Duration::from_secs(args.drain_seconds),
    };
    let server = Running::start(config).await.map_err(|error| error.to_string())?;
    let done = if args.demo { demo::run(&server).await } else { Ok(()) };
    if done.is_ok() {
        stop.await;
    }
    server.stop().await;
    done
}

fn stop_signal() -> Result<impl Future<Output = ()>, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
