//! Servers and sidecars as processes, which can be killed and started again at the same address.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rolecall::grpc::generated::server_service_client::ServerServiceClient;
use rolecall::wire::{GetServerInfoRequest, GetServerInfoResponse};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};

use crate::support::cluster::free_port;

/// How long something may take that takes seconds on a fast machine.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// How long one call may take.
pub const CALL_MAX: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
pub enum Address {
    Tcp(u16),
    Unix(PathBuf),
}

impl Address {
    pub fn free() -> Self {
        Self::Tcp(free_port())
    }

    /// Returns a channel that connects when it is used, and again after the connection has ended.
    pub fn channel(&self) -> Channel {
        match self {
            Self::Tcp(port) => Endpoint::from_shared(format!("http://127.0.0.1:{port}")).expect("a URL").connect_lazy(),
            Self::Unix(path) => {
                let path = path.clone();
                let connector = tower::service_fn(move |_: Uri| {
                    let path = path.clone();
                    async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
                });
                Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector)
            }
        }
    }

    pub fn port(&self) -> u16 {
        match self {
            Self::Tcp(port) => *port,
            Self::Unix(path) => panic!("{} has no port", path.display()),
        }
    }

    pub fn text(&self) -> String {
        match self {
            Self::Tcp(port) => format!("127.0.0.1:{port}"),
            Self::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

/// Killed when dropped.
pub struct Process {
    pub name: String,
    pub address: Address,
    arguments: Vec<String>,
    log: PathBuf,
    child: Mutex<Option<Child>>,
    starts: AtomicU32,
}

impl Process {
    /// A server on a database. It is not started yet.
    pub fn server(name: &str, database: &str, folder: &Path) -> Self {
        Self::new(name, Address::free(), folder, &["serve", "--database", database])
    }

    /// A sidecar that follows these servers. It is not started yet.
    pub fn sidecar(name: &str, upstreams: &[String], address: Address, folder: &Path, more: &[&str]) -> Self {
        let file = folder.join(format!("{name}.snapshot"));
        let (upstreams, file) = (upstreams.join(","), file.display().to_string());
        let mut arguments = vec!["sidecar", "--upstream", &upstreams, "--snapshot-file", &file];
        arguments.extend(more);
        Self::new(name, address, folder, &arguments)
    }

    fn new(name: &str, address: Address, folder: &Path, arguments: &[&str]) -> Self {
        let mut arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        arguments.extend(["--listen".into(), address.text()]);
        let log = folder.join(format!("{name}.log"));
        Self { name: name.into(), address, arguments, log, child: Mutex::default(), starts: AtomicU32::new(0) }
    }

    pub fn start(&self) {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a log can be opened");
        let mut command = Command::new(env!("CARGO_BIN_EXE_rolecall"));
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.env("ROLECALL_METRICS_LISTEN", "off");
        let child = command.spawn().expect("a process can be started");
        self.starts.fetch_add(1, Ordering::SeqCst);
        *self.child() = Some(child);
    }

    /// Starts, and waits until calls are answered.
    pub async fn started(self) -> Self {
        self.start();
        self.wait_until_answering().await;
        self
    }

    /// Ends the process with `kill -9`.
    pub fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            child.kill().expect("a process can be killed");
            child.wait().expect("a process can be waited for");
        }
    }

    /// Returns how the process has ended by itself. `None` if it runs, or was killed.
    pub fn ended(&self) -> Option<ExitStatus> {
        let mut child = self.child();
        let status = child.as_mut()?.try_wait().expect("a process can be asked");
        if status.is_some() {
            *child = None;
        }
        status
    }

    /// Returns how often the process was started.
    pub fn starts(&self) -> u32 {
        self.starts.load(Ordering::SeqCst)
    }

    pub fn channel(&self) -> Channel {
        self.address.channel()
    }

    pub async fn info(&self) -> Result<GetServerInfoResponse, Status> {
        let mut request = Request::new(GetServerInfoRequest {});
        request.set_timeout(CALL_MAX);
        let answer = ServerServiceClient::new(self.channel()).get_server_info(request).await;
        answer.map(tonic::Response::into_inner)
    }

    pub async fn wait_until_answering(&self) {
        self.wait_until("answers", |_| true).await;
    }

    /// Waits until the process answers with what is wanted.
    pub async fn wait_until(&self, what: &str, mut condition: impl FnMut(&GetServerInfoResponse) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut last = None;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                panic!("{} ended: {status}\n{}", self.name, self.log());
            }
            let info = self.info().await;
            if info.as_ref().is_ok_and(&mut condition) {
                return;
            }
            last = Some(info);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} is not as wanted ({what}): {last:?}\n{}", self.name, self.log());
    }

    /// Sends a signal to the running process.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let child = self.child();
        let pid = rustix::process::Pid::from_child(child.as_ref().expect("the process runs"));
        rustix::process::kill_process(pid, signal).expect("a signal can be sent");
    }

    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Returns the end of what the process has logged.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().expect("no test panics here")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
