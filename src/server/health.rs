//! Health: for the server as a whole (`""`) and for every service by name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthReporter;

use crate::grpc::SERVICES;
use crate::store::Store;
use crate::writer::Writer;

/// How often the database is asked whether it is there.
const PULSE: Duration = Duration::from_secs(2);

/// What this server says of itself.
#[derive(Clone)]
pub struct Health {
    reporter: HealthReporter,
    /// Set once nothing serves any more, for good: a database that comes back changes nothing then.
    over: Arc<AtomicBool>,
}

impl Health {
    /// Everything serves: made once the State is loaded.
    pub async fn new() -> (Self, HealthServer<impl tonic_health::pb::health_server::Health>) {
        let (reporter, service) = tonic_health::server::health_reporter();
        let health = Self { reporter, over: Arc::default() };
        health.set(|_| true).await;
        (health, service)
    }

    /// Nothing serves any more.
    pub async fn stopped(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.set(|_| false).await;
    }

    /// Checks go on without the database; the rest does not.
    async fn database(&self, there: bool) {
        self.set(|needs_database| there || !needs_database).await;
        // Stopped while the lines above ran: the last word is that nothing serves.
        if self.over.load(Ordering::SeqCst) {
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

/// Keeps the health of the services that need the database true, until aborted.
pub async fn pulse(store: Store, writer: Arc<Writer>, health: Health) {
    let mut there = true;
    loop {
        tokio::time::sleep(PULSE).await;
        let answered = tokio::time::timeout(PULSE, store.head()).await;
        let now = matches!(answered, Ok(Ok(_))) && !writer.is_failing();
        if now != there {
            tracing::warn!(there = now, "the database {}", if now { "is back" } else { "does not answer" });
            health.database(now).await;
            there = now;
        }
    }
}
