//! The server to call: a running one, or one started in this process.

use std::process::ExitCode;
use std::time::Duration;

use rolecall::server::{Config, Listen, Running};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use crate::cpu::{Of, SERVER_THREAD};

/// Which server to call.
#[derive(clap::Args)]
pub struct ServerArgs {
    /// A running server, as in `http://127.0.0.1:50051`. The example creates a project there and does not delete it.
    #[arg(long, env = "ROLECALL_ADDRESS", value_name = "URL", conflicts_with = "database")]
    address: Option<String>,

    /// The database of the server that the example starts: `sqlite://FILE` or `postgres://USER@HOST/NAME`. If not given, a
    /// temporary SQLite file.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

pub struct Target {
    pub address: String,
    pub description: String,
    pub cpu: Option<Of>,
    own: Option<Own>,
}

/// A server in this process. It has its own threads, so that its CPU time can be measured apart from the client's.
struct Own {
    runtime: Runtime,
    running: Running,
    _folder: Option<TempDir>,
}

impl Target {
    pub fn new(server: &ServerArgs, pid: Option<u32>) -> Result<Self, String> {
        match &server.address {
            Some(address) => Ok(Self {
                address: address.clone(),
                description: address.clone(),
                cpu: pid.map(Of::Process),
                own: None,
            }),
            None => Self::own(server.database.as_deref()),
        }
    }

    /// Prints which server it is and runs `work`. A server in this process is stopped afterwards.
    pub fn work<T>(self, work: impl AsyncFnOnce(&Self) -> Result<T, String>) -> Result<T, String> {
        println!("server: {}", self.description);
        let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("client").enable_all().build();
        let runtime = runtime.map_err(|error| format!("the runtime cannot start: {error}"))?;
        let done = runtime.block_on(work(&self));
        self.stop();
        done
    }

    fn own(database: Option<&str>) -> Result<Self, String> {
        let temporary = || tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"));
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
        let config = Config::new(database, vec![Listen::Tcp("127.0.0.1:0".into())]);
        let running = runtime.block_on(Running::start(config)).map_err(|error| error.to_string())?;
        let kind = if folder.is_some() { "a temporary SQLite file" } else { "the given database" };
        let description =
            format!("in this process, on {kind}, at {}; --address names a running one", running.addresses[0]);
        let address = format!("http://{}", running.addresses[0]);
        let own = Some(Own { runtime, running, _folder: folder });
        Ok(Self { address, description, cpu: Some(Of::ServerThreads), own })
    }

    /// Stops a server in this process.
    fn stop(self) {
        if let Some(own) = self.own {
            own.runtime.block_on(own.running.stop());
        }
    }
}

/// Returns the exit code of an example. `false` is a failure that it has reported itself.
pub fn exit_code(result: Result<bool, String>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Opens one connection.
pub async fn connect(address: &str) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(address.to_owned());
    let endpoint =
        endpoint.map_err(|_| format!("`{address}` is not an address; write one like http://127.0.0.1:50051"))?;
    let endpoint = endpoint
        .tcp_nodelay(true)
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(8 << 20)
        .connect_timeout(Duration::from_secs(5));
    endpoint.connect().await.map_err(|_| {
        format!("no server answers at {address}; start one with `cargo run --release -- serve`, or leave out --address")
    })
}
