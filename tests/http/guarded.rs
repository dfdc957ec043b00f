//! Servers where every call needs credentials.

use rolecall::server::{Config, Gateways, Listen, OperatorConfig};

use crate::server::Server;
use crate::support;

/// A server, and the key of an owner.
pub struct Guarded {
    pub server: Server,
    /// The value of the header `authorization`.
    pub authorization: String,
}

/// Returns gateways with one HTTP socket on a free port.
pub fn http(gateways: Gateways) -> Gateways {
    Gateways { http_listen: vec![Listen::Tcp("127.0.0.1:0".into())], ..gateways }
}

impl Guarded {
    /// Fills a store, and starts a server on it.
    pub async fn start(database: &str, gateways: Gateways, fill: impl AsyncFn(&Server)) -> Self {
        let open = Server::start(database.into(), Default::default()).await;
        fill(&open).await;
        let token = open.operator("root", "Owner").await;
        open.stop().await;
        let operators = OperatorConfig { authentication: Some(true), ..OperatorConfig::default() };
        let configured = |config| Config { operators, gateways: http(gateways), ..config };
        let server = Server::start_configured(database.into(), configured).await;
        Self { server, authorization: format!("Bearer {token}") }
    }
}

impl Server {
    /// Returns where the server listens for HTTP.
    pub fn http_address(&self) -> Listen {
        self.running.lock().unwrap().as_ref().expect("the server runs").http_addresses[0].clone()
    }
}

/// Runs a test on both databases.
pub fn on_both(gateways: Gateways, fill: impl AsyncFn(&Server), test: impl AsyncFn(&Guarded)) {
    support::on_both(async |database| {
        let guarded = Guarded::start(&database.url, gateways.clone(), &fill).await;
        test(&guarded).await;
        guarded.server.stop().await;
    });
}
