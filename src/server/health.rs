//! The health service: the health of the whole server (`""`) and of every service by name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthReporter;

use crate::grpc::SERVICES;
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
    /// Set once NOT_SERVING is reported for good. A database that comes back then changes nothing.
    stopped_for_good: Arc<AtomicBool>,
}

impl Health {
    /// Creates the health of a server that has loaded its State: everything serves.
    pub async fn new() -> (Self, HealthServer<impl tonic_health::pb::health_server::Health>) {
        let (reporter, service) = tonic_health::server::health_reporter();
        let health = Self { reporter, stopped_for_good: Arc::default() };
        health.set(|_| true).await;
        (health, service)
    }

    /// Reports NOT_SERVING for good.
    pub async fn stopped(&self) {
        self.stopped_for_good.store(true, Ordering::SeqCst);
        self.set(|_| false).await;
    }

    /// Reports whether the database answers. Checks work without it.
    async fn database(&self, there: bool) {
        self.set(|needs_database| there || !needs_database).await;
        // `stopped` may have run in between. Its report must be the last.
        if self.stopped_for_good.load(Ordering::SeqCst) {
            self.set(|_| false).await;
        }
    }

    async fn set(&self, serves: impl Fn(bool) -> bool) {
        let whole = ("", false);
        for (service, needs_database) in SERVICES.into_iter().chain([whole]) {
            let status = if serves(needs_database) { ServingStatus::Serving } else { ServingStatus::NotServing };
            self.reporter.set_service_status(service, status).await;
        }
    }
}

/// Reports the health of the services that need the database, until aborted.
pub async fn pulse(store: Store, writer: Arc<Writer>, health: Health) {
    let mut there = true;
    loop {
        tokio::time::sleep(PULSE).await;
        let answered = tokio::time::timeout(ANSWER_MAX, store.head()).await;
        let now = matches!(answered, Ok(Ok(_))) && !writer.is_failing();
        if now != there {
            tracing::warn!(there = now, "the database {}", if now { "is back" } else { "does not answer" });
            health.database(now).await;
            there = now;
        }
    }
}
