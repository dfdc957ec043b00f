//! One PostgreSQL server for a test binary, with one database for each test.
//!
//! The server listens on a unix socket in its own folder. A shell stops the server and deletes the folder when its input
//! closes. The test binary holds the other end of that input, so that no server outlives it, however it exits.
//!
//! `ROLECALL_TEST_POSTGRES=postgres://…` names a running server instead. Its databases are not deleted. Where there is no
//! PostgreSQL a test says so and counts as passed. With `CI=true` it fails.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectionTrait, Database};

const SERVER: &str = "ROLECALL_TEST_POSTGRES";

/// Creates an empty database and returns its URL. `None` if there is no PostgreSQL.
pub async fn database() -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = server()?;
    let name = format!("rolecall_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let admin = Database::connect(server).await.expect("the PostgreSQL server answers");
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("a database can be made");
    admin.close().await.expect("a connection can be closed");
    Some(with_database(server, &name))
}

/// Returns the URL of the server's own database. `None` if there is no PostgreSQL.
fn server() -> Option<&'static str> {
    static SERVER_URL: OnceLock<Option<String>> = OnceLock::new();
    SERVER_URL.get_or_init(|| std::env::var(SERVER).ok().or_else(start)).as_deref()
}

fn start() -> Option<String> {
    let cluster = Cluster::new()?;
    let url = cluster.url("postgres");
    keep(cluster);
    Some(url)
}

/// A PostgreSQL server in its own folder, on a unix socket there. Dropping it stops the server and deletes the folder.
pub struct Cluster {
    programs: PathBuf,
    pub folder: PathBuf,
    /// Its input closes when this is dropped.
    _stop: Child,
}

impl Cluster {
    /// Creates and starts a server. `None` if there is no PostgreSQL.
    pub fn new() -> Option<Self> {
        let Some(programs) = programs() else {
            // Written directly, because the test harness hides what a passing test prints.
            let _ = std::io::stderr()
                .write_all(b"\nskipped: PostgreSQL not found; install it or set ROLECALL_TEST_POSTGRES\n\n");
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "PostgreSQL not found, and CI must not skip");
            return None;
        };
        let folder = new_folder();
        // This locale does not sort by bytes, so that a missing COLLATE shows. PostgreSQL before 15 cannot set it.
        let initdb = |locale: &[&str]| {
            let common = ["-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"];
            let mut initdb = program(&programs, "initdb");
            initdb.arg("-D").arg(folder.join("data")).args(common).args(locale).stdout(Stdio::null()).status()
        };
        let made = initdb(&["--locale-provider=icu", "--icu-locale=en"]).expect("initdb can be run");
        if !made.success() {
            assert!(initdb(&[]).expect("initdb can be run").success(), "initdb failed");
        }
        Some(Self::started(programs, folder, ""))
    }

    /// Creates and starts a streaming standby that applies each commit `delay_ms` later.
    pub fn standby(&self, delay_ms: u32) -> Self {
        let folder = new_folder();
        let mut copy = program(&self.programs, "pg_basebackup");
        copy.args(["-U", "postgres", "-R", "--checkpoint=fast", "-h"]).arg(&self.folder);
        run(copy.arg("-D").arg(folder.join("data")).current_dir("/"));
        Self::started(self.programs.clone(), folder, &format!("-c recovery_min_apply_delay={delay_ms}"))
    }

    fn started(programs: PathBuf, folder: PathBuf, more: &str) -> Self {
        // No test survives a power failure, so commits need not reach the disk.
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories={} -c fsync=off -c max_connections=300 {more}",
            folder.display()
        );
        let mut start = pg_ctl(&programs, &folder);
        run(start.arg("-w").arg("-l").arg(folder.join("log")).arg("-o").arg(options).arg("start"));
        let stop = stop_on_exit(&pg_ctl(&programs, &folder), &folder);
        Self { programs, folder, _stop: stop }
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.display())
    }

    /// Returns the socket on which the server listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }
}

fn new_folder() -> PathBuf {
    let folder =
        tempfile::Builder::new().prefix("rolecall-pg-").tempdir_in("/tmp").expect("a folder can be made").keep();
    if is_root() {
        // PostgreSQL refuses to run as root.
        run(Command::new("chown").arg("postgres:").arg(&folder));
    }
    folder
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")) == "0"
}

fn program(programs: &Path, name: &str) -> Command {
    let path = programs.join(name);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(path);
    command
}

fn pg_ctl(programs: &Path, folder: &Path) -> Command {
    let mut pg_ctl = program(programs, "pg_ctl");
    pg_ctl.arg("-D").arg(folder.join("data")).stdout(Stdio::null()).current_dir("/");
    pg_ctl
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

/// Keeps the server until this process exits.
fn keep(cluster: Cluster) {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let _ = CLUSTER.set(cluster);
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

/// Returns the URL of another database of the same server.
fn with_database(server: &str, name: &str) -> String {
    let (address, parameters) =
        server.split_once('?').map_or((server, String::new()), |(it, rest)| (it, format!("?{rest}")));
    let host = address.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    format!("{host}/{name}{parameters}")
}
