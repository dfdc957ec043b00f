//! PostgreSQL servers, which a test may set up, restart, make a standby and promote.
//!
//! A server listens on 127.0.0.1, and on a unix socket in its own folder. A shell stops it and deletes the folder when its
//! input closes. The test binary holds the other end of that input, so that no server outlives it, however it exits.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A PostgreSQL server. Dropping it stops the server and deletes its folder.
pub struct Cluster {
    pub port: u16,
    programs: Programs,
    folder: PathBuf,
    shell: Child,
}

impl Cluster {
    /// Creates and starts a server. `None` if there is no PostgreSQL.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let cluster = Self::new(Programs::find()?);
        // This locale does not sort by bytes, so that a missing COLLATE shows. PostgreSQL before 15 cannot set it.
        let initdb = |locale: &[&str]| {
            let common = ["-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"];
            let mut initdb = cluster.programs.command("initdb");
            initdb.arg("-D").arg(cluster.data()).args(common).args(locale).stdout(Stdio::null()).status()
        };
        let made = initdb(&["--locale-provider=icu", "--icu-locale=en"]).expect("initdb can be run");
        if !made.success() {
            assert!(initdb(&[]).expect("initdb can be run").success(), "initdb failed");
        }
        // No test survives a power failure, so commits need not reach the disk.
        cluster.set(&["listen_addresses = '127.0.0.1'", "fsync = off", "max_connections = 300"]);
        cluster.set(settings);
        cluster.start_here();
        Some(cluster)
    }

    /// Creates and starts a streaming standby that applies each commit `delay_ms` later.
    pub fn standby(&self, delay_ms: u32) -> Self {
        let standby = Self::new(Programs::find().expect("the primary was found"));
        let mut copy = self.programs.command("pg_basebackup");
        copy.arg("-D").arg(standby.data()).args(["-R", "-U", "postgres", "-h", "127.0.0.1", "-c", "fast"]);
        run(copy.arg("-p").arg(self.port.to_string()));
        standby.set(&[&format!("recovery_min_apply_delay = {delay_ms}")]);
        standby.start_here();
        standby
    }

    pub fn promote(&self) {
        self.control(&["promote"]);
    }

    /// Restarts this server as a standby that follows nothing.
    pub fn demote(&self) {
        self.control(&["stop", "-m", "fast"]);
        fs::write(self.data().join("standby.signal"), "").expect("a file can be written");
        self.programs.give(&self.data().join("standby.signal"));
        self.control(&["start"]);
    }

    pub fn restart(&self) {
        self.control(&["restart", "-m", "fast"]);
    }

    pub fn reload(&self) {
        self.control(&["reload"]);
    }

    pub fn stop(&self) {
        self.control(&["stop", "-m", "fast"]);
    }

    /// Appends settings, which the next start or reload reads.
    pub fn set(&self, settings: &[&str]) {
        let file = self.data().join("postgresql.conf");
        let text = fs::read_to_string(&file).expect("the settings can be read");
        fs::write(file, format!("{text}\n{}\n", settings.join("\n"))).expect("the settings can be written");
    }

    /// Writes a file into the data folder that only the server's user may read.
    pub fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        let file = self.data().join(name);
        fs::write(&file, text).expect("a file can be written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode can be set");
        self.programs.give(&file);
    }

    /// Returns the URL of the database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Returns the socket on which the server listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    fn new(programs: Programs) -> Self {
        let folder = programs.folder();
        let shell = stop_on_exit(programs.command("pg_ctl").arg("-D").arg(folder.join("data")), &folder);
        Self { port: free_port(), programs, folder, shell }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn start_here(&self) {
        self.set(&[
            &format!("port = {}", self.port),
            &format!("unix_socket_directories = '{}'", self.folder.display()),
        ]);
        self.control(&["start"]);
    }

    fn control(&self, action: &[&str]) {
        let mut control = self.programs.command("pg_ctl");
        control.arg("-D").arg(self.data()).arg("-w").arg("-l").arg(self.folder.join("log")).args(action);
        run(control.stdout(Stdio::null()).current_dir("/"));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// Starts the shell that stops the server after this process exits.
fn stop_on_exit(pg_ctl: &Command, folder: &Path) -> Child {
    let words = std::iter::once(pg_ctl.get_program()).chain(pg_ctl.get_args());
    let stop: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    let script = format!(
        "trap '' INT TERM HUP; cat >/dev/null; {} -m immediate stop >/dev/null 2>&1; rm -rf '{}'",
        stop.join(" "),
        folder.display()
    );
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().expect("a shell can be started")
}

/// The programs of PostgreSQL, run as a user who may run them.
pub struct Programs {
    bin: PathBuf,
    as_root: bool,
}

impl Programs {
    /// Returns `None` if there is no PostgreSQL.
    pub fn find() -> Option<Self> {
        let Some(bin) = programs() else {
            skipped("PostgreSQL not found; install it or set ROLECALL_TEST_POSTGRES");
            return None;
        };
        Some(Self { bin, as_root: output(Command::new("id").arg("-u")) == "0" })
    }

    /// Creates a folder that belongs to the user who runs the programs.
    pub fn folder(&self) -> PathBuf {
        let folder = tempfile::Builder::new().prefix("rolecall-pg-").tempdir_in("/tmp");
        let folder = folder.expect("a folder can be made").keep();
        self.give(&folder);
        folder
    }

    pub fn give(&self, path: &Path) {
        if self.as_root {
            run(Command::new("chown").arg("postgres:").arg(path));
        }
    }

    /// PostgreSQL and pgbouncer refuse to run as root.
    pub fn command(&self, name: &str) -> Command {
        let path = self.bin.join(name);
        let path = if path.is_file() { path } else { name.into() };
        if !self.as_root {
            return Command::new(path);
        }
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(path).current_dir("/");
        command
    }
}

/// Reports a skipped test. Fails it where nothing may be skipped.
pub fn skipped(why: &str) {
    // Written directly, because the test harness hides what a passing test prints.
    let _ = std::io::stderr().write_all(format!("\nskipped: {why}\n\n").as_bytes());
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{why}, and CI must not skip");
}

/// Returns the folder with the programs of the newest PostgreSQL.
fn programs() -> Option<PathBuf> {
    let debian =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = debian.chain(std::env::split_paths(&path)).filter(|folder| folder.join("initdb").is_file());
    found.max_by_key(|folder| {
        folder.components().rev().nth(1).and_then(|version| version.as_os_str().to_str()?.parse::<u32>().ok())
    })
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    String::from_utf8_lossy(&output.stdout).trim().into()
}

/// Returns a port that was free just now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// Runs SQL on a server with `psql`.
pub fn psql(url: &str, sql: &str) -> String {
    output(Command::new("psql").args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, url]))
}
