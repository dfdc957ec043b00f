//! The other protocols in which a server or a sidecar answers checks: AuthZEN over HTTP, and Envoy's ext_authz.

use std::sync::Arc;

use tonic::service::Routes;

use super::Listen;
use crate::authzen::Authzen;
use crate::grpc::app::{App, Checks};
use crate::grpc::services::envoy::{self, Mapping};

/// See the module. By default there are none.
#[derive(Clone, Debug, Default)]
pub struct Gateways {
    /// Where to answer AuthZEN. Empty for nowhere.
    pub http_listen: Vec<Listen>,
    pub authzen: Authzen,
    /// How to read the requests of Envoy. `None` answers none.
    pub envoy: Option<Arc<Mapping>>,
}

impl Gateways {
    /// Returns the services of gRPC sockets, and those of HTTP sockets. `app` is `None` on a sidecar.
    pub(super) fn routes(
        &self,
        services: Routes,
        checks: &Arc<Checks>,
        app: Option<&Arc<App>>,
        tls: bool,
    ) -> (Routes, Routes) {
        let http = crate::authzen::routes(checks.clone(), app.cloned(), self.authzen.clone(), tls);
        let services = match &self.envoy {
            Some(mapping) => services.add_service(envoy::service(checks.clone(), mapping.clone())),
            None => services,
        };
        (services, http)
    }
}
