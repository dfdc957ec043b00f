//! One PostgreSQL for a test binary, with one database a test.
//!
//! The server listens on a unix socket in a folder of its own. A shell that waits for the end of its input stops it and
//! deletes the folder: its input ends with the test binary, however that ends, so that no server is left behind.
//!
//! `ROLECALL_TEST_POSTGRES=postgres://…` names a running server instead; its databases are left there. Where there is no
//! PostgreSQL a test says so and counts as passed, but not with `CI=true`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectionTrait, Database};

const SERVER: &str = "ROLECALL_TEST_POSTGRES";

/// The url of a new, empty database; none where PostgreSQL is missing.
pub async fn database() -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = server()?;
    let name = format!("rolecall_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let admin = Database::connect(server).await.expect("the PostgreSQL server answers");
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("a database can be made");
    admin.close().await.expect("a connection can be closed");
    Some(with_database(server, &name))
}

/// The url of the server's own database.
fn server() -> Option<&'static str> {
    static SERVER_URL: OnceLock<Option<String>> = OnceLock::new();
    SERVER_URL.get_or_init(|| std::env::var(SERVER).ok().or_else(start)).as_deref()
}

fn start() -> Option<String> {
    let Some(programs) = programs() else {
        // Past the capture of the test harness: nobody shall believe that this was tested.
        let _ = std::io::stderr()
            .write_all(b"\nskipped: PostgreSQL not found; install it or set ROLECALL_TEST_POSTGRES\n\n");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "PostgreSQL not found, and CI must not skip");
        return None;
    };
    let folder =
        tempfile::Builder::new().prefix("rolecall-pg-").tempdir_in("/tmp").expect("a folder can be made").keep();
    let data = folder.join("data");
    let as_root = output(Command::new("id").arg("-u")) == "0";
    if as_root {
        // PostgreSQL refuses to run as root.
        run(Command::new("chown").arg("postgres:").arg(&folder));
    }
    let program = |name: &str| {
        let path = programs.join(name);
        if !as_root {
            return Command::new(path);
        }
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(path);
        command
    };
    // A locale whose order is not that of bytes, so that a missing COLLATE shows. Before PostgreSQL 15 there is none to set.
    let initdb = |locale: &[&str]| {
        let common = ["-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"];
        program("initdb").arg("-D").arg(&data).args(common).args(locale).stdout(Stdio::null()).status()
    };
    let made = initdb(&["--locale-provider=icu", "--icu-locale=en"]).expect("initdb can be run");
    if !made.success() {
        assert!(initdb(&[]).expect("initdb can be run").success(), "initdb failed");
    }
    // Nobody's power fails here: what is committed need not reach the disk.
    let options = format!(
        "-c listen_addresses='' -c unix_socket_directories={} -c fsync=off -c max_connections=300",
        folder.display()
    );
    let mut pg_ctl = program("pg_ctl");
    pg_ctl.arg("-D").arg(&data).arg("-w").arg("-l").arg(folder.join("log")).arg("-o").arg(options).arg("start");
    run(pg_ctl.stdout(Stdio::null()).current_dir("/"));
    keep(stop_at_the_end(program("pg_ctl").arg("-D").arg(&data), &folder));
    Some(format!("postgres://postgres@localhost/postgres?host={}", folder.display()))
}

/// The shell that outlives this process by the time it takes to stop the server.
fn stop_at_the_end(pg_ctl: &Command, folder: &Path) -> Child {
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

/// Holds the shell's input open until the process ends.
fn keep(shell: Child) {
    static SHELL: OnceLock<Child> = OnceLock::new();
    let _ = SHELL.set(shell);
}

/// Where the programs of the newest PostgreSQL are.
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

/// The url of another database of the same server.
fn with_database(server: &str, name: &str) -> String {
    let (address, parameters) =
        server.split_once('?').map_or((server, String::new()), |(it, rest)| (it, format!("?{rest}")));
    let host = address.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    format!("{host}/{name}{parameters}")
}
