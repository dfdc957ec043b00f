//! Runs the binary, and grpcurl against it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

/// The limit of every wait. Machines that run tests are slow.
pub const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// A `rolecall serve` in a folder of its own; killed when dropped.
pub struct Server {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    /// The first TCP address, with the port that was bound.
    pub address: String,
}

impl Server {
    /// Serves in `folder` on a free port, with more arguments. Returns when all addresses are bound.
    pub fn start<S: AsRef<OsStr>>(folder: &Path, args: &[S]) -> Self {
        Self::listening(serve(folder).args(["--listen", "127.0.0.1:0"]).args(args))
    }

    /// Runs a command that serves, and waits until it has logged its addresses.
    pub fn listening(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = kept(child.stdout.take().unwrap());
        let stderr = kept(child.stderr.take().unwrap());
        let mut server = Self { child, stdout, stderr, address: String::new() };
        server.wait_for("it listens", |server| server.logs().contains("listening"));
        server.address = server.logged_address();
        server
    }

    /// Returns the first TCP address for HTTP.
    pub fn http_address(&self) -> String {
        self.logged("listening for HTTP")
    }

    fn logged_address(&self) -> String {
        self.logged("listening")
    }

    fn logged(&self, what: &str) -> String {
        let logs = self.logs();
        let line = logs.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("not {what}: {logs}"));
        let at = line.find("127.0.0.1:").unwrap_or_else(|| panic!("no TCP address: {line}"));
        line[at..].chars().take_while(|&c| c.is_ascii_digit() || ".:".contains(c)).collect()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn printed(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    pub fn logs(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Waits until a condition holds. Panics if the server exits first.
    pub fn wait_for(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            if let Some(status) = self.child.try_wait().unwrap() {
                sleep(PAUSE * 10);
                panic!("exited with {status} before {what}: {}{}", self.printed(), self.logs());
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain until {what}: {}{}", self.printed(), self.logs());
            sleep(PAUSE);
        }
    }

    /// Waits for the demo's last line.
    pub fn demo(&mut self) -> String {
        self.wait_for("the demo is printed", |server| server.printed().contains("Ctrl-C stops the server"));
        self.printed()
    }

    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until the server has exited.
    pub fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "does not exit: {}", self.logs());
            sleep(PAUSE);
        }
    }

    /// Stops it as a supervisor would.
    pub fn stop(mut self) {
        self.signal("-TERM");
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.logs());
    }

    /// Calls a method; returns what grpcurl printed, whether it failed or not.
    pub fn call(&self, grpcurl: &Path, body: &str, method: &str) -> String {
        let output = Command::new(grpcurl).args(["-plaintext", "-d", body, &self.address, method]).output().unwrap();
        both(&output)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a command of the binary, without the variables that configure it.
pub fn rolecall(folder: &Path) -> Command {
    unconfigured(Command::new(env!("CARGO_BIN_EXE_rolecall")), folder)
}

/// Returns the command in a folder, without the variables that configure the binary.
pub fn unconfigured(mut command: Command, folder: &Path) -> Command {
    for (name, _) in std::env::vars_os() {
        if ["ROLECALL_", "OTEL_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    // Tests run at the same time, and one of them would have the default address.
    command.env("ROLECALL_METRICS_LISTEN", "off");
    command.current_dir(folder).env_remove("RUST_LOG").env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

/// `rolecall serve`.
pub fn serve(folder: &Path) -> Command {
    let mut command = rolecall(folder);
    command.arg("serve");
    command
}

/// Runs a command. Panics if it does not exit.
pub fn output(command: &mut Command) -> Output {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The pipes are read while the command runs: a full pipe would block it.
    let (stdout, stderr) = (whole(child.stdout.take().unwrap()), whole(child.stderr.take().unwrap()));
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("does not exit: {command:?}");
        }
        sleep(PAUSE);
    };
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn whole(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// Returns what was printed to both outputs.
pub fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Returns the grpcurl on the path. `None` skips the test. In CI its absence is a failure.
pub fn grpcurl() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|folder| folder.join("grpcurl")).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "grpcurl not found, and CI=true");
        // Written past the capture of the test runner: a skipped test must be seen.
        let _ = std::io::stderr().write_all(b"skipped: grpcurl not found\n");
    }
    found
}

/// Runs a line as a shell does, with grpcurl on the path.
pub fn shell(grpcurl: &Path, line: &str) -> Output {
    output(&mut bash(grpcurl, line))
}

/// Returns a command that runs a line in a folder as a shell does, with grpcurl and `rolecall` on the path.
pub fn shell_in(folder: &Path, grpcurl: &Path, line: &str) -> Command {
    unconfigured(bash(grpcurl, line), folder)
}

fn bash(grpcurl: &Path, line: &str) -> Command {
    let folders = [grpcurl, Path::new(env!("CARGO_BIN_EXE_rolecall"))].map(|program| program.parent().unwrap().into());
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&paths))).unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", line]).env("PATH", paths);
    command
}

fn kept(pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let kept = text.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut text = kept.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
        }
    });
    text
}
