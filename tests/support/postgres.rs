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
    let programs = Programs::find()?;
    let folder = programs.folder();
    let data = folder.join("data");
    let program = |name: &str| programs.command(name);
    // This locale does not sort by bytes, so that a missing COLLATE shows. PostgreSQL before 15 cannot set it.
    let initdb = |locale: &[&str]| {
        let common = ["-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"];
        program("initdb").arg("-D").arg(&data).args(common).args(locale).stdout(Stdio::null()).status()
    };
    let made = initdb(&["--locale-provider=icu", "--icu-locale=en"]).expect("initdb can be run");
    if !made.success() {
        assert!(initdb(&[]).expect("initdb can be run").success(), "initdb failed");
    }
    // No test survives a power failure, so commits need not reach the disk.
    let options = format!(
        "-c listen_addresses='' -c unix_socket_directories={} -c fsync=off -c max_connections=300",
        folder.display()
    );
    let mut pg_ctl = program("pg_ctl");
    pg_ctl.arg("-D").arg(&data).arg("-w").arg("-l").arg(folder.join("log")).arg("-o").arg(options).arg("start");
    run(pg_ctl.stdout(Stdio::null()).current_dir("/"));
    keep(stop_on_exit(program("pg_ctl").arg("-D").arg(&data), &folder));
    Some(format!("postgres://postgres@localhost/postgres?host={}", folder.display()))
}

/// Starts the shell that stops the server after this process exits.
pub fn stop_on_exit(pg_ctl: &Command, folder: &Path) -> Child {
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

/// Holds the shell's input open until this process exits.
fn keep(shell: Child) {
    static SHELL: OnceLock<Child> = OnceLock::new();
    let _ = SHELL.set(shell);
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

pub fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    String::from_utf8_lossy(&output.stdout).trim().into()
}

/// Returns the URL of another database of the same server.
pub fn with_database(server: &str, name: &str) -> String {
    let (address, parameters) =
        server.split_once('?').map_or((server, String::new()), |(it, rest)| (it, format!("?{rest}")));
    let host = address.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    format!("{host}/{name}{parameters}")
}
