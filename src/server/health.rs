//! The health service: the health of the whole server (`""`) and of every service by name.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use tonic::{Code, Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_check_response::ServingStatus as Wire;
use tonic_health::pb::health_server::{Health as HealthApi, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, HealthService};

use crate::clock;
use crate::grpc::SERVICES;
use crate::grpc::methods::is_for_sidecars;
use crate::grpc::services::envoy;
use crate::limits::PROBE_BYTES_MAX;
use crate::store::Store;
use crate::writer::Writer;

/// How often to ask whether the database answers.
const PULSE: Duration = Duration::from_millis(500);
/// How long the database may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// The reported health of this server.
#[derive(Clone)]
pub struct Health {
    reporter: HealthReporter,
    /// The names of all services, and whether they need the database.
    services: Arc<[(&'static str, bool)]>,
    /// Set once NOT_SERVING is reported for good. A database that comes back then changes nothing.
    stopped_for_good: Arc<AtomicBool>,
}

impl Health {
    /// Creates the health of a server that has loaded its State: everything serves. `with_envoy` if it answers Envoy.
    pub async fn new(with_envoy: bool) -> (Self, HealthServer<impl HealthApi>) {
        let services = SERVICES.into_iter().chain(with_envoy.then_some((envoy::SERVICE, false))).collect();
        let health = Self { reporter: HealthReporter::new(), services, stopped_for_good: Arc::default() };
        health.set(|_| true).await;
        let service = HealthServer::new(Protocol(HealthService::from_health_reporter(health.reporter.clone())));
        (health, service.max_decoding_message_size(PROBE_BYTES_MAX))
    }

    /// Reports NOT_SERVING for good.
    pub async fn stopped(&self) {
        self.stopped_for_good.store(true, Ordering::SeqCst);
        self.set(|_| false).await;
    }

    /// Reports what serves. Checks work without the database. The server as a whole serves unless a restart is needed.
    async fn database(&self, now: Database) {
        self.set(|needs_database| now == Database::There || !needs_database).await;
        if now == Database::ClosedForGood {
            self.reporter.set_service_status("", ServingStatus::NotServing).await;
        }
        // `stopped` may have run in between. Its report must be the last.
        if self.stopped_for_good.load(Ordering::SeqCst) {
            self.set(|_| false).await;
        }
    }

    /// Reports whether a sidecar serves what it has.
    pub async fn sidecar(&self, fresh: bool) {
        for &(service, _) in &*self.services {
            let status = match is_for_sidecars(service) && fresh {
                true => ServingStatus::Serving,
                false => ServingStatus::NotServing,
            };
            self.reporter.set_service_status(service, status).await;
        }
        let whole = if fresh { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status("", whole).await;
        if self.stopped_for_good.load(Ordering::SeqCst) {
            self.set(|_| false).await;
        }
    }

    async fn set(&self, serves: impl Fn(bool) -> bool) {
        let whole = ("", false);
        for &(service, needs_database) in self.services.iter().chain([&whole]) {
            let status = if serves(needs_database) { ServingStatus::Serving } else { ServingStatus::NotServing };
            self.reporter.set_service_status(service, status).await;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Database {
    There,
    Away,
    /// Nothing is written until a restart.
    ClosedForGood,
}

/// Reports the health of the services that need the database, until aborted.
pub async fn pulse(store: Store, writer: Arc<Writer>, health: Health) {
    let mut before = Database::There;
    loop {
        tokio::time::sleep(PULSE).await;
        let answered = tokio::time::timeout(ANSWER_MAX, store.head()).await;
        let head = answered.ok().and_then(Result::ok);
        let now = match head {
            _ if writer.is_closed_for_good() => Database::ClosedForGood,
            Some(_) if !writer.is_failing() => Database::There,
            _ => Database::Away,
        };
        store.note_pulse(now == Database::There, head, clock::now());
        if now != before {
            match now {
                Database::There => tracing::warn!("the database is back"),
                Database::Away => tracing::warn!("the database does not answer"),
                Database::ClosedForGood => tracing::error!("nothing can be written until this server is restarted"),
            }
            health.database(now).await;
            before = now;
        }
    }
}

/// The service of tonic, except that a watch of an unknown service answers as the protocol says: SERVICE_UNKNOWN, and the
/// stream stays open.
struct Protocol(HealthService);

type Statuses = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl HealthApi for Protocol {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        self.0.check(request).await
    }

    type WatchStream = Statuses;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Statuses>, Status> {
        let statuses: Statuses = match self.0.watch(request).await {
            Ok(watched) => Box::pin(watched.into_inner()),
            // No service is added while the server runs.
            Err(status) if status.code() == Code::NotFound => {
                let unknown = HealthCheckResponse { status: Wire::ServiceUnknown.into() };
                Box::pin(stream::iter([Ok(unknown)]).chain(stream::pending()))
            }
            Err(status) => return Err(status),
        };
        Ok(Response::new(statuses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_server_as_a_whole_does_not_serve_if_a_restart_is_needed() {
        let (health, _service) = Health::new(true).await;
        let protocol = Protocol(HealthService::from_health_reporter(health.reporter.clone()));
        let status = async |service: &str| {
            let request = Request::new(HealthCheckRequest { service: service.into() });
            protocol.check(request).await.unwrap().into_inner().status()
        };
        for (now, whole, orgs) in [
            (Database::Away, Wire::Serving, Wire::NotServing),
            (Database::ClosedForGood, Wire::NotServing, Wire::NotServing),
            (Database::There, Wire::Serving, Wire::Serving),
        ] {
            health.database(now).await;
            assert_eq!(status("").await, whole, "{now:?}");
            assert_eq!(status("rolecall.v1.OrgService").await, orgs, "{now:?}");
            for checks in ["rolecall.v1.CheckService", "envoy.service.auth.v3.Authorization"] {
                assert_eq!(status(checks).await, Wire::Serving, "{now:?}");
            }
        }
    }
}
