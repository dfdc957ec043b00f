//! `rolecall serve`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::database::DatabaseArgs;
use super::demo;
use super::gateway::GatewayArgs;
use super::operators::matrix::OperatorRoles;
use super::traces::TraceArgs;
use crate::grpc::authn::jwt::Issuer;
use crate::grpc::caller_limits::CallerLimits;
use crate::limits::{HISTORY_DAYS, Limits};
use crate::server::telemetry::{self, Telemetry};
use crate::server::{
    Bootstrap, Config, ConnectionLimits, Listen, MetricsListen, OperatorConfig, Running, TlsFiles, systemd,
};

/// How often to look whether the files of TLS have changed.
const TLS_POLL: Duration = Duration::from_secs(2);

/// Every flag has an environment variable.
#[derive(Parser)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Where to listen: `HOST:PORT` or `unix:PATH`; can be given several times, or separated by commas.
    #[arg(long, env = "ROLECALL_LISTEN", default_value = "127.0.0.1:50051", value_delimiter = ',', action = ArgAction::Append)]
    listen: Vec<Listen>,

    /// Where metrics are served, for Prometheus: `HOST:PORT` or `unix:PATH`, without TLS; `off` for nowhere. If not given,
    /// 127.0.0.1:9464 if that is free.
    #[arg(long, env = "ROLECALL_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<MetricsListen>,

    /// Fills an empty store with sample data and prints calls to paste; changes nothing in a store that holds data.
    #[arg(long, env = "ROLECALL_DEMO", conflicts_with = "tls_cert")]
    demo: bool,

    #[command(flatten)]
    log: LogArgs,

    /// Days for which the history of changes is kept; 0 keeps all.
    #[arg(long, env = "ROLECALL_HISTORY_DAYS", default_value_t = HISTORY_DAYS, value_name = "DAYS")]
    history_days: u32,

    /// Seconds that calls in flight have to finish when the server stops.
    #[arg(long, env = "ROLECALL_DRAIN_SECONDS", default_value_t = 10, value_name = "SECONDS")]
    drain_seconds: u64,

    #[command(flatten)]
    operators: OperatorArgs,

    #[command(flatten)]
    tls: TlsArgs,

    #[command(flatten)]
    gateways: GatewayArgs,

    #[command(flatten)]
    connections: ConnectionArgs,

    #[command(flatten)]
    limits: LimitArgs,
}

/// What is logged and traced.
#[derive(Parser)]
pub struct LogArgs {
    /// The format of log lines on stderr.
    #[arg(long, env = "ROLECALL_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,

    /// Which log lines: `error`, `warn`, `info`, `debug`, or per module, as in `info,rolecall::writer=debug`.
    #[arg(long, env = "ROLECALL_LOG", default_value = "info", value_name = "FILTER")]
    log: String,

    #[command(flatten)]
    traces: TraceArgs,
}

impl LogArgs {
    /// Starts logging and traces. Stop the result last.
    pub fn start(&self) -> Result<Telemetry, String> {
        telemetry::start(&self.log, matches!(self.log_format, LogFormat::Json), self.traces.traces()?)
    }
}

/// How operators are let in.
#[derive(Parser)]
#[command(next_help_heading = "Operators")]
struct OperatorArgs {
    /// Whether every call needs credentials. If not given, it does if another machine can connect, or with --jwt-issuer or
    /// --tls-client-ca. Otherwise, and with `off`, a caller without credentials is `local` and may do everything.
    #[arg(long, env = "ROLECALL_AUTH", value_name = "MODE")]
    auth: Option<Auth>,
    /// Accepts the JWTs of an issuer: `name=NAME,issuer=URL,audience=TEXT,jwks=PATH[,provisions=true][,skew=SECONDS]`. Can be
    /// given several times; separated by blanks in the variable.
    #[arg(long = "jwt-issuer", env = "ROLECALL_JWT_ISSUERS", value_name = "ISSUER", value_delimiter = ' ')]
    jwt_issuers: Vec<Issuer>,
    /// The roles of operators, chosen at the first start of a store.
    #[arg(long, env = "ROLECALL_OPERATOR_ROLES", default_value = "propelauth", value_name = "SET")]
    operator_roles: OperatorRoles,
    /// A new file for the key of the first operator, if every call needs credentials and the store has no operators. It lasts
    /// 24 hours. If not given, the key is printed to the terminal.
    #[arg(long, env = "ROLECALL_BOOTSTRAP_KEY_FILE", value_name = "FILE")]
    bootstrap_key_file: Option<PathBuf>,
    /// Calls that each key, or operator without one, may make in a second; 0 does not limit them.
    #[arg(long, env = "ROLECALL_CALLER_CALLS_PER_SECOND", default_value_t = 0, value_name = "N")]
    caller_calls_per_second: u32,
    /// Calls that may come at once after a pause; 0 allows as many as in a second.
    #[arg(long, env = "ROLECALL_CALLER_BURST", default_value_t = 0, value_name = "N")]
    caller_burst: u32,
    /// Calls that each key, or operator without one, may have in flight; 0 does not limit them.
    #[arg(long, env = "ROLECALL_CALLER_CALLS_IN_FLIGHT", default_value_t = 0, value_name = "N")]
    caller_calls_in_flight: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Auth {
    Required,
    Off,
}

impl OperatorArgs {
    fn limits(&self) -> CallerLimits {
        let burst = if self.caller_burst == 0 { self.caller_calls_per_second } else { self.caller_burst };
        CallerLimits {
            calls_per_second: self.caller_calls_per_second,
            burst,
            calls_in_flight: self.caller_calls_in_flight,
        }
    }
}

impl From<OperatorArgs> for OperatorConfig {
    fn from(args: OperatorArgs) -> Self {
        Self {
            jwt_issuers: args.jwt_issuers,
            authentication: args.auth.map(|auth| matches!(auth, Auth::Required)),
            roles: args.operator_roles.template(),
            bootstrap: match args.bootstrap_key_file {
                Some(file) => Bootstrap::File(file),
                None if std::io::stdout().is_terminal() => Bootstrap::Terminal,
                None => Bootstrap::None,
            },
        }
    }
}

/// TLS of TCP connections. Unix sockets have none.
#[derive(Parser)]
#[command(next_help_heading = "TLS")]
struct TlsArgs {
    /// A PEM file with the certificate of the server, then those that lead to its CA. Read again when it changes.
    #[arg(long, env = "ROLECALL_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// A PEM file with the key of the certificate, not encrypted.
    #[arg(long, env = "ROLECALL_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A PEM file with the CAs of client certificates. A client may then give one. Without it, no client is asked for one.
    #[arg(long, env = "ROLECALL_TLS_CLIENT_CA", value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// Whether a client must give a certificate.
    #[arg(long, env = "ROLECALL_TLS_CLIENT_CERT", default_value = "optional")]
    tls_client_cert: ClientCertificate,
    /// Listens where other machines can connect, even without TLS. Every start warns.
    #[arg(long, env = "ROLECALL_INSECURE")]
    insecure: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum ClientCertificate {
    Optional,
    Required,
}

impl TlsArgs {
    fn files(self) -> Result<Option<TlsFiles>, String> {
        let client_certificate_required = self.tls_client_cert == ClientCertificate::Required;
        if client_certificate_required && self.tls_client_ca.is_none() {
            return Err(
                "`--tls-client-cert required` needs the CAs of client certificates; give --tls-client-ca".into()
            );
        }
        let files = self.tls_cert.zip(self.tls_key);
        Ok(files.map(|(certificate, key)| TlsFiles {
            certificate,
            key,
            client_ca: self.tls_client_ca,
            client_certificate_required,
            poll: TLS_POLL,
        }))
    }
}

/// The limits of what clients use of a server.
#[derive(Parser)]
#[command(next_help_heading = "Connections")]
pub struct ConnectionArgs {
    /// Connections of all clients.
    #[arg(long, env = "ROLECALL_CONNECTIONS_MAX", default_value_t = 10_000, value_name = "N")]
    connections_max: usize,
    /// Connections from one IP address.
    #[arg(long, env = "ROLECALL_CONNECTIONS_PER_PEER_MAX", default_value_t = 1_000, value_name = "N")]
    connections_per_peer_max: usize,
    /// Seconds in which a new connection must begin HTTP/2, the TLS handshake included.
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
    /// Seconds after which a connection is closed, give or take a tenth; calls in flight finish. 0 keeps it.
    #[arg(long, env = "ROLECALL_CONNECTION_AGE_SECONDS", default_value_t = 3_600, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(..=u64::from(u32::MAX)))]
    connection_age_seconds: u64,
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
            age: Some(args.connection_age_seconds).filter(|age| *age > 0).map(Duration::from_secs),
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
    let telemetry = args.log.start()?;
    // Before anything starts: a signal during a long load must not be lost.
    let stop = stop_signal()?;
    systemd::loading();
    let database = args.database.url()?;
    if let Some(warning) = database.warning {
        tracing::warn!("{warning}");
    }
    let config = Config {
        database: database.url,
        listen: args.listen,
        metrics: args.metrics_listen.unwrap_or(MetricsListen::Default),
        gateways: args.gateways.gateways()?,
        insecure: args.tls.insecure,
        tls: args.tls.files()?,
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
        callers: args.operators.limits(),
        operators: args.operators.into(),
        connections: args.connections.into(),
        history_days: Some(args.history_days).filter(|days| *days > 0),
        drain: Duration::from_secs(args.drain_seconds),
    };
    let server = Running::start(config).await.map_err(|error| error.to_string())?;
    if let Some(key) = &server.bootstrap_key {
        anstream::println!(
            "The key of the first operator, `bootstrap`, for 24 hours. It is not shown again:\n\n  {key}\n"
        );
    }
    if !server.authentication {
        tracing::info!("callers without credentials may do everything; --auth required turns them away");
    }
    systemd::ready(&server.addresses);
    let done = if args.demo { demo::run(&server).await } else { Ok(()) };
    if done.is_ok() {
        stop.await;
    }
    systemd::stopping();
    server.stop().await;
    telemetry.stop().await;
    done
}

pub fn stop_signal() -> Result<impl Future<Output = ()>, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    if systemd::wants_reports() {
        // Reloading a unit sends it. Without TLS nobody else catches it, and it would end the process.
        drop(listen(SignalKind::hangup())?);
    }
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
