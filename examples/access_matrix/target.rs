//! The server that is asked: a running one, or one of our own in this process.

use std::process::ExitCode;
use std::time::Duration;

use rolecall::limits::Limits;
use rolecall::server::{Config, Listen, Running};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use crate::cpu::{Of, SERVER_THREAD};

/// Which server is asked.
#[derive(clap::Args)]
pub struct ServerArgs {
    /// A running server, as in `http://127.0.0.1:50051`. A project of its own is made there and stays.
    #[arg(long, env = "ROLECALL_ADDRESS", value_name = "URL", conflicts_with = "database")]
    address: Option<String>,

    /// The database of the server that is started here: `sqlite://FILE` or `postgres://USER@HOST/NAME`; if not given, a
    /// SQLite file that is removed at the end.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

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
    pub fn new(server: &ServerArgs, pid: Option<u32>) -> Result<Self, String> {
        match &server.address {
            Some(address) => {
                Ok(Self { address: address.clone(), what: address.clone(), cpu: pid.map(Of::Process), own: None })
            }
            None => Self::own(server.database.as_deref()),
        }
    }

    /// Says which server it is, and works with it; one of our own is stopped afterwards.
    pub fn work<T>(self, work: impl AsyncFnOnce(&Self) -> Result<T, String>) -> Result<T, String> {
        println!("server: {}", self.what);
        let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("client").enable_all().build();
        let runtime = runtime.map_err(|error| format!("the runtime cannot start: {error}"))?;
        let done = runtime.block_on(work(&self));
        self.stop();
        done
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
    fn stop(self) {
        if let Some(own) = self.own {
            own.runtime.block_on(own.running.stop());
        }
    }
}

/// How an example ends: well, with something wrong that it told of itself, or with what kept it from its work.
pub fn removed(well: Result<bool, String>) -> ExitCode {
    match well {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
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
