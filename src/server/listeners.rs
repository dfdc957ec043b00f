//! The sockets of a server or a sidecar, with health and reflection beside its services.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::service::Routes;
use tonic_health::pb::health_server::{Health as HealthApi, HealthServer};

use super::tls::Tls;
use super::{Bound, ConnectionLimits, Gateways, Listen, StartError, accept, bind, connection, descriptors, systemd};
use crate::authzen;
use crate::grpc::DESCRIPTORS;
use crate::grpc::app::Checks;
use crate::grpc::layers::calls::Budget;
use crate::grpc::methods::{Methods, paths};
use crate::limits::PROBE_BYTES_MAX;
use crate::metrics::calls::CallMetrics;
use crate::writer::Writer;

/// Bound sockets, by what they speak.
pub struct Sockets {
    pub grpc: Vec<Bound>,
    pub http: Vec<Bound>,
}

impl Sockets {
    /// Binds all. In the place of the gRPC sockets it takes those that systemd has bound.
    pub(super) async fn bind(listen: &[Listen], gateways: &Gateways) -> Result<Self, StartError> {
        let grpc = systemd::inherited_or_bound(listen).await?;
        Ok(Self { grpc, http: bind(&gateways.http_listen, "--http-listen").await? })
    }

    pub fn all(&self) -> impl Iterator<Item = &Bound> {
        self.grpc.iter().chain(&self.http)
    }
}

/// See the module. They accept connections until stopped.
pub struct Listeners {
    /// Where they listen, with the actual ports in the place of 0.
    pub addresses: Vec<Listen>,
    /// Where they listen for HTTP.
    pub http_addresses: Vec<Listen>,
    pub served: Served,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// What metrics read of the listeners.
#[derive(Clone)]
pub struct Served {
    pub calls: Arc<CallMetrics>,
    pub connections: Arc<accept::Connections>,
    pub budget: Arc<Budget>,
    pub limits: ConnectionLimits,
}

impl Listeners {
    /// Starts to accept connections on the sockets.
    pub fn start(
        sockets: Sockets,
        (checks, writer): (Arc<Checks>, Option<Arc<Writer>>),
        (services, http_services): (Routes, Routes),
        health: HealthServer<impl HealthApi>,
        tls: Option<Arc<Tls>>,
        mut limits: ConnectionLimits,
    ) -> Result<Self, StartError> {
        let reflect = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        };
        let routes = services
            .add_service(health)
            .add_service(
                reflect().build_v1().map_err(StartError::Reflection)?.max_decoding_message_size(PROBE_BYTES_MAX),
            )
            .add_service(
                reflect().build_v1alpha().map_err(StartError::Reflection)?.max_decoding_message_size(PROBE_BYTES_MAX),
            );
        let possible = descriptors::connections_max();
        if possible < limits.total {
            let wanted = limits.total;
            tracing::warn!(
                wanted,
                possible,
                "the limit of open files leaves room for fewer connections; raise `ulimit -n`"
            );
            limits.total = possible;
        }
        let stop = watch::Sender::new(false);
        let addresses = |bound: &[Bound]| bound.iter().map(Bound::address).collect();
        let (addresses, http_addresses): (Vec<Listen>, Vec<Listen>) =
            (addresses(&sockets.grpc), addresses(&sockets.http));
        let calls = CallMetrics::new(checks.metrics.is_on(), paths()).with_http(authzen::paths());
        let methods = Methods::new(checks.clone(), writer.clone(), routes);
        let shared = connection::Shared::new(methods, calls, tls, limits, stop.subscribe());
        let http_shared = shared.http(Methods::http(checks, writer, http_services));
        let connections = Arc::new(accept::Connections::default());
        let served = Served {
            calls: shared.calls.clone(),
            connections: connections.clone(),
            budget: shared.budget.clone(),
            limits,
        };
        let mut tasks = JoinSet::new();
        for (bound, shared) in [(sockets.grpc, shared), (sockets.http, http_shared)] {
            for bound in bound {
                tasks.spawn(accept::accept(bound, connections.clone(), shared.clone()));
            }
        }
        for address in &addresses {
            tracing::info!(%address, "listening");
        }
        for address in &http_addresses {
            tracing::info!(%address, "listening for HTTP");
        }
        Ok(Self { addresses, http_addresses, served, stop, tasks })
    }

    /// Takes no more calls, and lets those in flight finish until the drain deadline.
    pub async fn stop(&mut self, drain: Duration) {
        self.stop.send_replace(true);
        let drained = tokio::time::timeout(drain, async { while self.tasks.join_next().await.is_some() {} });
        if drained.await.is_err() {
            tracing::warn!(deadline = ?drain, "calls were still in flight at the deadline");
            self.tasks.shutdown().await;
        }
    }
}
