//! Starts every part of a server in order, and stops them in reverse.

mod accept;
mod activity;
pub mod backup;
mod config;
mod connection;
mod denials;
mod descriptors;
mod first_start;
mod gateways;
mod health;
mod listen;
mod listeners;
pub mod metrics;
pub mod process;
pub mod sidecar;
pub mod systemd;
pub mod telemetry;
mod tls;
pub mod workspace;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::clock;
use crate::domain::Refusal;
use crate::domain::collections::hash::HashKey;
use crate::domain::model::project::WORKSPACE;
use crate::domain::model::refusal::Noun;
use crate::engine::Engine;
use crate::grpc::app::{App, Checks};
use crate::grpc::authn::Authentication;
use crate::grpc::authn::jwt::Verifier;
use crate::grpc::caller_limits::Callers;
use crate::grpc::routes;
use crate::grpc::source::Source;
use crate::grpc::turns::Turns;
use crate::limits::Limits;
use crate::metrics::checks::CheckMetrics;
use crate::metrics::feeds::FeedMetrics;
use crate::purger;
use crate::replica;
use crate::replication::feed::Feed;
use crate::replication::snapshot::Snapshots;
use crate::store::{Store, StoreError};
use crate::writer::{Failure, Writer};
pub use config::{Bootstrap, Config, ConnectionLimits, OperatorConfig, TlsFiles};
pub use connection::Stream;
pub use gateways::Gateways;
pub use listen::{Bound, Listen};
use listeners::{Listeners, Sockets};
pub use metrics::MetricsListen;
pub use tls::files::pem_fault;

/// Revisions from before the start whose tags are kept in memory.
const PAST_REVISIONS: u32 = 65_536;

/// How often to look whether the keys of JWT issuers have changed.
const JWKS_POLL: Duration = Duration::from_secs(2);

/// Why a server does not start, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot listen on {0}: it is in use; stop what listens there or choose another address with {1}")]
    AddressInUse(Listen, &'static str),
    #[error("cannot listen on {0}: {2}; choose another address with {1}")]
    Listen(Listen, &'static str, std::io::Error),
    #[error("cannot serve metrics on {0}: {1}; choose another address with --metrics-listen, or `off`")]
    Metrics(Listen, std::io::Error),
    #[error("a socket from systemd cannot be used: {0}")]
    Inherited(String),
    #[error(
        "other machines can reach {address}, and its connections have no {lacks}; {instead}, listen on a loopback address or a \
         unix socket, or accept the risk with --insecure"
    )]
    Unprotected { address: std::net::SocketAddr, lacks: &'static str, instead: &'static str },
    #[error(
        "other machines can reach {0}, and the description of AuthZEN would send its readers to any host that a request names; \
         give the URL of this server with --authzen-url"
    )]
    NoAuthzenUrl(Listen),
    #[error(transparent)]
    Tls(#[from] tls::files::TlsError),
    #[error("the default project cannot be created: {0}")]
    FirstWrite(Failure),
    #[error("the keys of a JWT issuer cannot be read: {0}")]
    Jwks(String),
    #[error("the workspace cannot be created: {0}")]
    Workspace(Failure),
    #[error(
        "this store has no operators yet; name a file for the first key with --bootstrap-key-file, or start in a terminal"
    )]
    NoBootstrapKey,
    #[error("no server has ever used this database; name another one, or start a server with `--auth required`")]
    NoWorkspace,
    #[error("{0}")]
    KeyFile(String),
    #[error(
        "a sidecar answers only this machine, and others can reach {0}; listen on a loopback address or a unix socket"
    )]
    SidecarBeyondThisMachine(std::net::SocketAddr),
    #[error("user ids are known only on unix sockets; listen on `unix:PATH` alone, or leave --allow-uid out")]
    UidsOverTcp,
    #[error("the copy of the sidecar cannot be used: {0}")]
    Copy(std::io::Error),
    #[error("no randomness: {0}")]
    Random(getrandom::Error),
    #[error("reflection cannot be served: {0}")]
    Reflection(tonic_reflection::server::Error),
}

/// A running server.
pub struct Running {
    pub app: Arc<App>,
    /// Where it listens, with the actual ports in the place of 0.
    pub addresses: Vec<Listen>,
    /// Where it listens for HTTP.
    pub http_addresses: Vec<Listen>,
    /// Where metrics are served. `None` if they are not.
    pub metrics: Option<metrics::Serving>,
    /// True if every call needs credentials.
    pub authentication: bool,
    /// The key that opens an empty store, if it is to be printed (W9).
    pub bootstrap_key: Option<String>,
    health: health::Health,
    listeners: Listeners,
    follower: JoinHandle<()>,
    pulse: JoinHandle<()>,
    purger: JoinHandle<()>,
    expired: JoinHandle<()>,
    activity: JoinHandle<()>,
    denials: JoinHandle<()>,
    history: Option<JoinHandle<()>>,
    tls: Option<JoinHandle<()>>,
    jwks: Option<JoinHandle<()>>,
    writing: JoinHandle<()>,
    drain: Duration,
}

/// Creates or updates the tables of a database.
pub async fn migrate(database: &str) -> Result<(), StoreError> {
    let store = Store::open(database).await?;
    let migrated = store.migrate().await;
    store.close().await;
    migrated
}

/// Lets the operator `bootstrap` in again for 24 hours. Returns the token of its key (W9).
pub async fn recover(database: &str, reason: &str) -> Result<String, StartError> {
    let store = Store::open_existing(database).await?;
    let recovered = async {
        store.migrate().await?;
        store.initialize().await?;
        let engine = Arc::new(load(&store).await?);
        if engine.load().state.project_keyed(WORKSPACE).is_none() {
            return Err(StartError::NoWorkspace);
        }
        let (writer, writing) = Writer::start(store.clone(), engine.clone(), Limits::default());
        let opened = workspace::open(&engine, &writer, reason).await.map_err(StartError::Workspace);
        writer.stop();
        let _ = writing.await;
        opened
    };
    let recovered = recovered.await;
    store.close().await;
    recovered
}

/// Loads the State, with the tags of recent revisions.
async fn load(store: &Store) -> Result<Engine, StartError> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(StartError::Random)?;
    let began = std::time::Instant::now();
    let state = store.load(HashKey::new(key)).await?;
    let revision = state.revision().number;
    let memberships: usize = state.projects().map(|project| project.memberships_len()).sum();
    tracing::info!(revision, memberships, elapsed = ?began.elapsed(), "loaded");
    let past = store.newest_revisions(PAST_REVISIONS).await?;
    let engine = Engine::new(store.store_id().await?, state, &past);
    // Other servers may have written since the read began.
    engine.freshness.set(began.elapsed());
    Ok(engine)
}

impl Running {
    /// Opens the store, loads the State and listens. Returns once calls are answered.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        // Bind before a long load, so that a port in use is reported at once.
        let sockets = Sockets::bind(&config.listen, &config.gateways).await?;
        let metrics = config.metrics.bind().await?;
        let authentication = config.requires_credentials(&sockets);
        if let Some((address, lacks)) = listen::unprotected(sockets.all(), config.tls.is_some(), authentication) {
            if !config.insecure {
                let instead =
                    if lacks.starts_with("TLS") { "give --tls-cert and --tls-key" } else { "remove `--auth off`" };
                return Err(StartError::Unprotected { address, lacks, instead });
            }
            tracing::warn!(%address, "INSECURE: other machines can reach this server, and connections have no {lacks}");
        }
        if config.gateways.authzen.url.is_empty()
            && let Some(bound) = sockets.http.iter().find(|bound| !bound.is_local())
        {
            return Err(StartError::NoAuthzenUrl(bound.address()));
        }
        let issuers = config.operators.jwt_issuers.clone();
        let tokens = match issuers.is_empty() {
            true => None,
            false => Some(Arc::new(Verifier::load(issuers).map_err(StartError::Jwks)?)),
        };
        let tls = config.tls.as_ref().map(tls::Reloader::new).transpose()?;
        let store = Store::open(&config.database).await?;
        match Self::serve(&config, store.clone(), (sockets, metrics), tls, authentication, tokens).await {
            Ok(running) => Ok(running),
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
    }

    async fn serve(
        config: &Config,
        store: Store,
        (sockets, metrics): (Sockets, Option<Bound>),
        tls: Option<tls::Reloader>,
        required: bool,
        tokens: Option<Arc<Verifier>>,
    ) -> Result<Self, StartError> {
        store.migrate().await?;
        if let Some(warning) = store.file_warning() {
            tracing::warn!("{warning}");
        }
        store.initialize().await?;
        let engine = Arc::new(load(&store).await?);
        let (writer, writing) = Writer::start(store.clone(), engine.clone(), config.limits);
        first_start::default_project(&engine, &writer).await.map_err(StartError::FirstWrite)?;
        workspace::create(&engine, &writer, config.operators.roles).await.map_err(StartError::Workspace)?;
        let bootstrap_key = match required && workspace::is_empty(&engine) {
            true => match first_start::bootstrap(&config.operators.bootstrap, &engine, &writer).await {
                Err(StartError::Workspace(Failure::Refused(Refusal::AlreadyExists(Noun::Member, _)))) => {
                    tracing::warn!("another server started at the same time and has the first key");
                    None
                }
                key => key?,
            },
            false => None,
        };
        if required {
            workspace::warn_without_manager(&engine);
        }
        let jwks = tokens.clone().map(|verifier| tokio::spawn(verifier.watch(JWKS_POLL)));
        let start_time = clock::now();
        let checks = Arc::new(Checks {
            engine: engine.clone(),
            source: Source::Database(store.clone()),
            authentication: Authentication::Operators { tokens, required },
            callers: Callers::new(config.callers),
            limits: config.limits,
            start_time,
            list_turns: Turns::of_lists(),
            metrics: CheckMetrics::new(metrics.is_some()),
        });
        let app = Arc::new(App {
            checks,
            writer,
            store: store.clone(),
            feed: Feed::new(engine.clone(), store.clone()),
            snapshots: Snapshots::new(engine.clone(), store.clone()),
            feeds: FeedMetrics::default(),
            preview_turns: Turns::of_previews(),
            trial_turns: Turns::of_trials(),
            insight_turns: Turns::of_insights(),
        });

        let (health, health_service) = health::Health::new(config.gateways.envoy.is_some()).await;
        let purger = tokio::spawn(purger::run(store.clone(), engine.clone(), app.writer.clone()));
        let expired = tokio::spawn(purger::expired::run(engine.clone(), app.writer.clone()));
        let activity = tokio::spawn(activity::run(store.clone(), engine.clone(), app.writer.clone()));
        let denials = tokio::spawn(denials::run(store.clone(), engine.clone(), app.writer.clone()));
        let history =
            config.history_days.map(|days| tokio::spawn(purger::history::run(store.clone(), app.writer.clone(), days)));
        let follower = tokio::spawn({
            let (store, health) = (store.clone(), health.clone());
            async move {
                let why = replica::follow(store, engine).await;
                tracing::error!(
                    why,
                    "NOT_SERVING for good: writes are refused, checks use the last state; take it out of service"
                );
                health.stopped().await;
            }
        });
        let pulse = tokio::spawn(health::pulse(store, app.writer.clone(), health.clone()));

        let services = config.gateways.routes(routes(&app), &app.checks, Some(&app), tls.is_some());
        let (checks, writer) = (app.checks.clone(), Some(app.writer.clone()));
        let with_tls = tls.as_ref().map(|tls| tls.tls.clone());
        let listeners =
            Listeners::start(sockets, (checks, writer), services, health_service, with_tls, config.connections)?;
        let tls = tls.map(|tls| tokio::spawn(tls.run()));
        let metrics = metrics.map(|bound| {
            let (checks, served) = (app.checks.clone(), listeners.served.clone());
            metrics::Serving::start(
                bound,
                metrics::Sources { checks, served, part: metrics::Part::Server(app.clone()) },
            )
        });
        Ok(Self {
            app,
            addresses: listeners.addresses.clone(),
            http_addresses: listeners.http_addresses.clone(),
            metrics,
            authentication: required,
            bootstrap_key,
            health,
            listeners,
            follower,
            pulse,
            purger,
            expired,
            activity,
            denials,
            history,
            tls,
            jwks,
            writing,
            drain: config.drain,
        })
    }

    /// Reports NOT_SERVING, lets calls in flight finish until the drain deadline, and closes the store.
    pub async fn stop(mut self) {
        tracing::info!("stopping");
        self.pulse.abort();
        self.health.stopped().await;
        self.listeners.stop(self.drain).await;
        if let Some(metrics) = self.metrics {
            metrics.stop().await;
        }
        self.follower.abort();
        self.purger.abort();
        self.expired.abort();
        self.activity.abort();
        self.denials.abort();
        self.history.inspect(JoinHandle::abort);
        self.tls.inspect(JoinHandle::abort);
        self.jwks.inspect(JoinHandle::abort);
        self.app.writer.stop();
        // Finish a started write: its caller may not have an answer yet. Give up if the database does not answer.
        let app = self.app;
        let closed = async {
            let _ = self.writing.await;
            if let Err(error) = activity::write(&app.store, &app.engine, &app.writer).await {
                tracing::warn!(%error, "the latest activity of orgs is lost: it cannot be stored");
            }
            if let Err(error) = denials::write(&app.store, &app.engine, &app.writer).await {
                tracing::warn!(%error, "the latest refused calls are lost: they cannot be stored");
            }
            app.store.clone().close().await;
        };
        if tokio::time::timeout(self.drain, closed).await.is_err() {
            tracing::warn!(deadline = ?self.drain, "the database did not close by the deadline");
        }
        tracing::info!("stopped");
    }
}

async fn bind(listen: &[Listen], flag: &'static str) -> Result<Vec<Bound>, StartError> {
    let mut bound = Vec::new();
    for listen in listen {
        bound.push(listen.bind().await.map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => StartError::AddressInUse(listen.clone(), flag),
            _ => StartError::Listen(listen.clone(), flag, error),
        })?);
    }
    Ok(bound)
}
