//! `rolecall sidecar`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Parser};
use tonic::metadata::{Ascii, MetadataValue};

use super::connect::Remote;
use super::connect::tls::TlsArgs;
use super::duration;
use super::gateway::GatewayArgs;
use super::key::KeyArgs;
use super::serve::{ConnectionArgs, LogArgs, stop_signal};
use crate::limits::Limits;
use crate::server::sidecar::{RunningSidecar, SidecarConfig};
use crate::server::{Listen, MetricsListen, systemd};
use crate::sidecar::Config;
use crate::sidecar::upstream::{Client, Connect, Credentials, client};

/// Every flag has an environment variable.
#[derive(Parser)]
pub struct Args {
    /// The servers to follow: `HOST:PORT` or `unix:PATH`; the first that answers is followed, the others take over.
    #[arg(long, env = "ROLECALL_UPSTREAM", required = true, value_delimiter = ',', action = ArgAction::Append, value_name = "ADDRESS")]
    upstream: Vec<Listen>,

    /// Where to listen, on this machine only: `unix:PATH` or `127.0.0.1:PORT`; can be given several times.
    #[arg(long, env = "ROLECALL_SIDECAR_LISTEN", default_value = "127.0.0.1:50052", value_delimiter = ',', action = ArgAction::Append, value_name = "ADDRESS")]
    listen: Vec<Listen>,

    /// Where metrics are served, for Prometheus: `HOST:PORT` or `unix:PATH`, without TLS. If not given, nowhere.
    #[arg(long, env = "ROLECALL_METRICS_LISTEN", default_value = "off", value_name = "ADDRESS")]
    metrics_listen: MetricsListen,

    /// The permissions of the unix sockets, in octal: 0600 lets in this user, 0660 also its group, 0666 all users.
    #[arg(long, env = "ROLECALL_SOCKET_MODE", default_value = "0660", value_name = "MODE", value_parser = mode)]
    socket_mode: u32,

    /// Lets in only processes of these user ids, over unix sockets.
    #[arg(long, env = "ROLECALL_ALLOW_UID", value_delimiter = ',', value_name = "UID")]
    allow_uid: Vec<u32>,

    /// The keys of the projects to follow. If not given, all that the API key is for.
    #[arg(long, env = "ROLECALL_PROJECTS", value_delimiter = ',', value_name = "KEY")]
    projects: Vec<String>,

    /// The file with the copy of the data, so that a restart needs no upstream.
    #[arg(long, env = "ROLECALL_SNAPSHOT_FILE", default_value = "rolecall-sidecar.snapshot", value_name = "FILE")]
    snapshot_file: PathBuf,

    /// Keeps no copy: a restart waits for an upstream.
    #[arg(long, env = "ROLECALL_NO_SNAPSHOT_FILE", conflicts_with = "snapshot_file")]
    no_snapshot_file: bool,

    /// Reports NOT_SERVING while the data is older than this, as in `30s` or `5m`. If not given, it serves data of any age.
    #[arg(long, env = "ROLECALL_MAX_STALENESS", value_name = "AGE", value_parser = age)]
    max_staleness: Option<Duration>,

    /// Refuses checks too while the data is older than --max-staleness.
    #[arg(long, env = "ROLECALL_REFUSE_STALE", requires = "max_staleness")]
    refuse_stale: bool,

    /// Items of one batch check.
    #[arg(long, env = "ROLECALL_BATCH_CHECK_ITEMS_MAX", default_value_t = Limits::default().batch_check_items, value_name = "N")]
    batch_check_items_max: usize,

    /// Seconds that calls in flight have to finish when the sidecar stops.
    #[arg(long, env = "ROLECALL_DRAIN_SECONDS", default_value_t = 10, value_name = "SECONDS")]
    drain_seconds: u64,

    #[command(flatten)]
    log: LogArgs,

    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    tls: TlsArgs,

    #[command(flatten)]
    gateways: GatewayArgs,

    #[command(flatten)]
    connections: ConnectionArgs,
}

/// Reads a mode in octal.
fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "give a mode in octal, as in 0660".into())
}

/// Reads an age.
fn age(text: &str) -> Result<Duration, String> {
    Ok(Duration::from_secs(duration::seconds(text)?.unsigned_abs()))
}

pub async fn run(args: Args) -> Result<(), String> {
    let telemetry = args.log.start()?;
    let stop = stop_signal()?;
    let mut upstreams: Vec<Arc<dyn Connect>> = Vec::new();
    for address in args.upstream {
        let remote = Remote::new(address.clone(), &args.tls).and_then(|remote| remote.with_key(&args.key));
        let remote = remote.map_err(|trouble| trouble.line())?;
        let key: Option<MetadataValue<Ascii>> = remote.key.header().and_then(|value| value.parse().ok());
        let credentials = Credentials(key.map(|mut key| {
            key.set_sensitive(true);
            key
        }));
        upstreams.push(Arc::new(Upstream { name: address.to_string(), remote, credentials }));
    }
    let mut projects = args.projects;
    projects.sort();
    projects.dedup();
    let config = SidecarConfig {
        follows: Config { upstreams, projects, file: (!args.no_snapshot_file).then_some(args.snapshot_file) },
        listen: args.listen,
        metrics: args.metrics_listen,
        gateways: args.gateways.gateways()?,
        socket_mode: args.socket_mode,
        uids: Some(args.allow_uid).filter(|uids| !uids.is_empty()),
        staleness_max: args.max_staleness,
        refuses_stale: args.refuse_stale,
        connections: args.connections.into(),
        batch_check_items: args.batch_check_items_max,
        drain: Duration::from_secs(args.drain_seconds),
    };
    systemd::loading();
    let mut stop = std::pin::pin!(stop);
    let sidecar = tokio::select! {
        started = RunningSidecar::start(config) => started.map_err(|error| error.to_string())?,
        // While it waits for an upstream.
        () = &mut stop => return Ok(()),
    };
    systemd::ready(&sidecar.addresses);
    stop.await;
    systemd::stopping();
    sidecar.stop().await;
    telemetry.stop().await;
    Ok(())
}

/// A server to follow.
struct Upstream {
    name: String,
    remote: Remote,
    credentials: Credentials,
}

#[tonic::async_trait]
impl Connect for Upstream {
    fn address(&self) -> &str {
        &self.name
    }

    async fn connect(&self) -> Result<Client, String> {
        let channel = self.remote.channel().await.map_err(|trouble| trouble.line())?;
        Ok(client(channel, self.credentials.clone()))
    }
}
