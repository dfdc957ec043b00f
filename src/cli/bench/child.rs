//! A server in a process of its own: this program again.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::cli::trouble::Trouble;
use crate::server::Listen;

/// Variables that would make it another server than the arguments say. It keeps those of limits.
const OWN_VARIABLES: [&str; 20] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "ROLECALL_AUTH",
    "ROLECALL_BOOTSTRAP_KEY_FILE",
    "ROLECALL_CALLER_CALLS_IN_FLIGHT",
    "ROLECALL_CALLER_CALLS_PER_SECOND",
    "ROLECALL_DATABASE",
    "ROLECALL_DATABASE_FILE",
    "ROLECALL_DEMO",
    "ROLECALL_INSECURE",
    "ROLECALL_JWT_ISSUERS",
    "ROLECALL_LISTEN",
    "ROLECALL_LOG",
    "ROLECALL_LOG_FORMAT",
    "ROLECALL_METRICS_LISTEN",
    "ROLECALL_OTLP_ENDPOINT",
    "ROLECALL_TLS_CERT",
    "ROLECALL_TLS_CLIENT_CA",
    "ROLECALL_TLS_CLIENT_CERT",
    "ROLECALL_TLS_KEY",
    "ROLECALL_TRACE_SAMPLE_RATIO",
];
const POLL: Duration = Duration::from_millis(2);
/// A server that does not stop by then is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Killed when dropped.
pub struct Server {
    child: Child,
    pub address: Listen,
    /// From the start of the process until it listened.
    pub start_time: Duration,
}

/// A line of its log in JSON.
#[derive(Deserialize)]
struct Line {
    fields: Fields,
}

#[derive(Deserialize)]
struct Fields {
    message: String,
    address: Option<String>,
}

impl Server {
    /// Starts `rolecall serve` on a database, with or without metrics.
    pub async fn serve(database: &str, listen: &Listen, metrics: bool) -> Result<Self, Trouble> {
        let mut command = this_program()?;
        // Other users can see the arguments, and the URL may have a password.
        command.env("ROLECALL_DATABASE", database).args(["serve", "--log-format", "json"]);
        command.args(["--metrics-listen", if metrics { "127.0.0.1:0" } else { "off" }]);
        Self::start(command.arg("--listen").arg(listen.to_string())).await
    }

    /// Starts the echo server.
    pub async fn echo(listen: &Listen, answer_bytes: usize) -> Result<Self, Trouble> {
        let mut command = this_program()?;
        command.arg("bench-echo").args(["--answer-bytes", &answer_bytes.to_string()]);
        Self::start(command.arg("--listen").arg(listen.to_string())).await
    }

    /// Returns once it listens.
    async fn start(command: &mut Command) -> Result<Self, Trouble> {
        let failed = |why: &dyn std::fmt::Display| {
            Trouble::new(format!("the server for the benchmark does not start: {why}"), "see --database and TMPDIR")
        };
        let began = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&error))?;
        let (send, listening) = oneshot::channel();
        let stderr = child.stderr.take();
        let mut server = Self { child, address: Listen::Tcp(String::new()), start_time: Duration::ZERO };
        // It reads until the end: a full pipe would block the server.
        std::thread::spawn(move || {
            let mut send = Some(send);
            let mut last = String::new();
            for line in stderr.into_iter().flat_map(|stderr| BufReader::new(stderr).lines()).map_while(Result::ok) {
                if send.is_some() {
                    if let Some(address) = listens_on(&line) {
                        drop(send.take().map(|send| send.send(Ok(address))));
                    }
                    last = line;
                }
            }
            if let Some(send) = send {
                // Nobody waits if the command was interrupted.
                let _ = send.send(Err(last));
            }
        });
        let address = listening.await.unwrap_or_else(|_| Err("its output ended".into()));
        server.address = address.map_err(|last| failed(&last.strip_prefix("error: ").unwrap_or(&last)))?;
        server.start_time = began.elapsed();
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it as a supervisor does.
    pub async fn stop(mut self) {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            // It fails if the server has exited.
            let _ = kill_process(pid, Signal::TERM);
        }
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && began.elapsed() < STOP_TIMEOUT {
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn this_program() -> Result<Command, Trouble> {
    let program = std::env::current_exe().map_err(|error| {
        Trouble::new(
            format!("the path of this program is unknown: {error}"),
            "start a server and name it with --server",
        )
    })?;
    let mut command = Command::new(program);
    for name in OWN_VARIABLES {
        command.env_remove(name);
    }
    Ok(command)
}

/// Returns the address in a line that says where the server listens.
fn listens_on(line: &str) -> Option<Listen> {
    let fields = serde_json::from_str::<Line>(line).ok()?.fields;
    fields.address.filter(|_| fields.message == "listening")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_log() {
        let line = r#"{"level":"INFO","fields":{"message":"listening","address":"127.0.0.1:7"},"target":"t"}"#;
        assert_eq!(listens_on(line), Some(Listen::Tcp("127.0.0.1:7".into())));
        assert_eq!(listens_on(r#"{"fields":{"message":"loaded","revision":1}}"#), None);
        assert_eq!(listens_on("error: the port is in use"), None);
    }
}
