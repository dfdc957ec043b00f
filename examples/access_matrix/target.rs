//! The server that is asked: a running one, or one of our own in this process.

use std::time::Duration;

use rolecall::limits::Limits;
use rolecall::server::{Config, Listen, Running};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use crate::cpu::{Of, SERVER_THREAD};

pub struct Target {
    pub address: String,
    /// As the report names it.
    pub what: String,
    pub cpu: Option<Of>,
    own: Option<Own>,
}

/// A server of our own, on threads of its own, so that its CPU time can be told from the client's.
struct Own {
    runtime: Runtime,
    running: Running,
    _folder: Option<TempDir>,
}

impl Target {
    pub fn new(address: Option<&str>, database: Option<&str>, pid: Option<u32>) -> Result<Self, String> {
        match address {
            Some(address) => {
                Ok(Self { address: address.into(), what: address.into(), cpu: pid.map(Of::Process), own: None })
            }
            None => Self::own(database),
        }
    }

    fn own(database: Option<&str>) -> Result<Self, String> {
        let temporary = || tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"));
        let folder = if database.is_none() { Some(temporary()?) } else { None };
        let database = match (database, &folder) {
            (None, Some(folder)) => format!("sqlite://{}", folder.path().join("rolecall.db").display()),
            (given, _) => given.unwrap_or_default().to_owned(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name(SERVER_THREAD)
            .enable_all()
            .build()
            .map_err(|error| format!("the runtime cannot start: {error}"))?;
        let config = Config {
            database,
            listen: vec![Listen::Tcp("127.0.0.1:0".into())],
            limits: Limits::default(),
            drain: Duration::from_secs(5),
        };
        let running = runtime.block_on(Running::start(config)).map_err(|error| error.to_string())?;
        let kind = if folder.is_some() { "a temporary SQLite file" } else { "the database given" };
        let what = format!("in this process, on {kind}, at {}; --address asks a running one", running.addresses[0]);
        let address = format!("http://{}", running.addresses[0]);
        let own = Some(Own { runtime, running, _folder: folder });
        Ok(Self { address, what, cpu: Some(Of::ServerThreads), own })
    }

    /// Stops a server of our own.
    pub fn stop(self) {
        if let Some(own) = self.own {
            own.runtime.block_on(own.running.stop());
        }
    }
}

/// One connection.
pub async fn connect(address: &str) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(address.to_owned());
    let endpoint = endpoint.map_err(|_| format!("`{address}` is no address; give one like http://127.0.0.1:50051"))?;
    let endpoint = endpoint
        .tcp_nodelay(true)
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(8 << 20)
        .connect_timeout(Duration::from_secs(5));
    endpoint.connect().await.map_err(|_| {
        format!("no server answers at {address}; start one with `cargo run --release -- serve`, or leave out --address")
    })
}
