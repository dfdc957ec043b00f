//! Starts and stops a sidecar.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tonic::Status;

use super::listeners::{Listeners, Sockets};
use super::{Bound, ConnectionLimits, Gateways, Listen, MetricsListen, StartError, health, listen, metrics};
use crate::clock;
use crate::domain::Revision;
use crate::grpc::app::Checks;
use crate::grpc::authn::Authentication;
use crate::grpc::caller_limits::{CallerLimits, Callers};
use crate::grpc::sidecar_routes;
use crate::grpc::source::{Source, Upstream};
use crate::grpc::status;
use crate::grpc::turns::Turns;
use crate::limits::Limits;
use crate::metrics::checks::CheckMetrics;
use crate::replication::{VERSION, read_revision};
use crate::sidecar::{self, Sidecar};
use crate::wire::ErrorReason;
use crate::wire::replication::{ReadRevisionRequest, Revision as WireRevision};

/// How often to look whether the State is too old.
const AGE_PAUSE: Duration = Duration::from_millis(100);
/// How long an upstream may take to answer a question.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The configuration of a sidecar.
pub struct SidecarConfig {
    pub follows: sidecar::Config,
    pub listen: Vec<Listen>,
    pub metrics: MetricsListen,
    pub gateways: Gateways,
    /// The permissions of unix sockets.
    pub socket_mode: u32,
    /// The only users whose processes are let in. `None` lets in all that can connect.
    pub uids: Option<Vec<u32>>,
    /// From this age on, health is NOT_SERVING.
    pub staleness_max: Option<Duration>,
    /// From this age on, checks are not answered either.
    pub refuses_stale: bool,
    pub connections: ConnectionLimits,
    pub batch_check_items: usize,
    pub drain: Duration,
}

/// A running sidecar.
pub struct RunningSidecar {
    pub addresses: Vec<Listen>,
    /// Where it listens for HTTP.
    pub http_addresses: Vec<Listen>,
    /// Where metrics are served. `None` if they are not.
    pub metrics: Option<metrics::Serving>,
    pub sidecar: Arc<Sidecar>,
    health: health::Health,
    listeners: Listeners,
    tasks: Vec<JoinHandle<()>>,
    drain: Duration,
}

impl RunningSidecar {
    /// Loads the State, from the file or from an upstream, and listens. Returns once checks are answered.
    pub async fn start(config: SidecarConfig) -> Result<Self, StartError> {
        let (sockets, metrics) = {
            // From the start: who connects before a later change of the mode would stay connected.
            let _umask = Umask::for_mode(config.socket_mode);
            (Sockets::bind(&config.listen, &config.gateways).await?, config.metrics.bind().await?)
        };
        if let Some((address, _)) = listen::unprotected(sockets.all(), false, false) {
            return Err(StartError::SidecarBeyondThisMachine(address));
        }
        if config.uids.is_some() && sockets.all().any(|bound| matches!(bound, Bound::Tcp(..))) {
            return Err(StartError::UidsOverTcp);
        }
        let sidecar = Sidecar::load(config.follows).await.map_err(StartError::Copy)?;
        let follows = Arc::new(Follows {
            addresses: sidecar.addresses(),
            sidecar: sidecar.clone(),
            staleness_max: config.staleness_max.filter(|_| config.refuses_stale),
        });
        let checks = Arc::new(Checks {
            engine: sidecar.engine.clone(),
            source: Source::Upstream(follows.clone()),
            authentication: Authentication::Processes(config.uids),
            callers: Callers::new(CallerLimits::default()),
            limits: Limits { batch_check_items: config.batch_check_items, ..Limits::default() },
            start_time: clock::now(),
            list_turns: Turns::of_lists(),
            metrics: CheckMetrics::new(metrics.is_some()),
        });
        let (health, health_service) = health::Health::new(config.gateways.envoy.is_some()).await;
        let age = sidecar.engine.freshness.age();
        health.sidecar(config.staleness_max.is_none_or(|max| age <= max)).await;
        let listeners = Listeners::start(
            sockets,
            (checks.clone(), None),
            config.gateways.routes(sidecar_routes(&checks), &checks, None, false),
            health_service,
            None,
            config.connections,
        )?;
        let metrics = metrics.map(|bound| {
            let (checks, served) = (checks.clone(), listeners.served.clone());
            let part = metrics::Part::Sidecar(sidecar.clone());
            metrics::Serving::start(bound, metrics::Sources { checks, served, part })
        });
        let mut tasks = vec![tokio::spawn(sidecar.clone().report_activity())];
        if let Some(max) = config.staleness_max {
            tasks.push(tokio::spawn(watch_age(sidecar.clone(), health.clone(), max)));
        }
        tasks.push(tokio::spawn({
            let (sidecar, health) = (sidecar.clone(), health.clone());
            async move {
                let why = sidecar.follow().await;
                tracing::error!(why, "NOT_SERVING for good: checks use the last state; upgrade this sidecar");
                health.stopped().await;
            }
        }));
        Ok(Self {
            addresses: listeners.addresses.clone(),
            http_addresses: listeners.http_addresses.clone(),
            metrics,
            sidecar,
            health,
            listeners,
            tasks,
            drain: config.drain,
        })
    }

    /// Reports NOT_SERVING, lets calls in flight finish until the drain deadline, and reports the latest activity.
    pub async fn stop(mut self) {
        tracing::info!("stopping");
        self.health.stopped().await;
        self.listeners.stop(self.drain).await;
        if let Some(metrics) = self.metrics {
            metrics.stop().await;
        }
        let reported = tokio::time::timeout(self.drain, self.sidecar.report_activity_now()).await;
        if reported.is_err() {
            tracing::warn!("the latest activity of orgs is lost: no upstream took it");
        }
        self.tasks.iter().for_each(JoinHandle::abort);
        tracing::info!("stopped");
    }
}

/// Sets the permissions of new files, and sets them back when dropped.
struct Umask(rustix::fs::Mode);

impl Umask {
    fn for_mode(mode: u32) -> Self {
        let hidden = rustix::fs::Mode::from_raw_mode(0o777 & !mode);
        Self(rustix::process::umask(hidden))
    }
}

impl Drop for Umask {
    fn drop(&mut self) {
        rustix::process::umask(self.0);
    }
}

/// Turns health off while the State is older than `max`.
async fn watch_age(sidecar: Arc<Sidecar>, health: health::Health, max: Duration) {
    let mut was_too_old = false;
    loop {
        let age = sidecar.engine.freshness.age();
        let is_too_old = age > max;
        if is_too_old != was_too_old {
            match is_too_old {
                true => tracing::warn!(?age, ?max, "the State is too old: NOT_SERVING"),
                false => tracing::info!(?age, "the State is fresh again"),
            }
            health.sidecar(!is_too_old).await;
            was_too_old = is_too_old;
        }
        tokio::time::sleep(AGE_PAUSE).await;
    }
}

/// The upstreams, for what a sidecar has to ask them.
struct Follows {
    sidecar: Arc<Sidecar>,
    addresses: String,
    /// From this age on checks are not answered.
    staleness_max: Option<Duration>,
}

impl Follows {
    async fn ask(&self, number: Option<u64>) -> Result<Option<WireRevision>, Status> {
        let away = || status::plain(ErrorReason::UpstreamUnavailable, "no upstream server answers this sidecar");
        let mut client = self.sidecar.current().ok_or_else(away)?;
        let request = ReadRevisionRequest { version: VERSION, number };
        let answer = tokio::time::timeout(ANSWER_MAX, client.read_revision(request)).await.map_err(|_| away())?;
        let answer = answer.map_err(|error| {
            tracing::debug!(why = error.message(), "an upstream did not answer");
            away()
        })?;
        let revision = answer.into_inner().revision;
        match revision {
            Some(revision) if revision.store_id != self.sidecar.engine.store_id() => Err(away()),
            revision => Ok(revision),
        }
    }
}

#[tonic::async_trait]
impl Upstream for Follows {
    async fn head(&self) -> Result<Revision, Status> {
        let away = || status::plain(ErrorReason::UpstreamUnavailable, "the upstream server has no revision");
        Ok(read_revision(&self.ask(None).await?.ok_or_else(away)?))
    }

    async fn revision_at(&self, number: u64) -> Result<Option<Revision>, Status> {
        Ok(self.ask(Some(number)).await?.as_ref().map(read_revision))
    }

    fn check_fresh(&self) -> Result<(), Status> {
        let Some(max) = self.staleness_max else { return Ok(()) };
        let age = self.sidecar.engine.freshness.age();
        if age > max { Err(status::too_old(age)) } else { Ok(()) }
    }

    fn addresses(&self) -> &str {
        &self.addresses
    }

    fn followed(&self) -> Option<String> {
        self.sidecar.followed()
    }
}
