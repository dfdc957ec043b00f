//! A PostgreSQL server of one test, which may set it up, restart it, make it a standby and promote it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::postgres::{Programs, run, stop_on_exit};

/// Ends the connections of clients, so that new ones are made.
pub const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";

/// Stopped and deleted when dropped.
pub struct Cluster {
    pub port: u16,
    programs: Programs,
    folder: PathBuf,
    shell: Child,
}

impl Cluster {
    /// Starts a server on 127.0.0.1. `None` if there is no PostgreSQL.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let cluster = Self::new(Programs::find()?);
        let mut initdb = cluster.programs.command("initdb");
        initdb.arg("-D").arg(cluster.data()).args(["-U", "postgres", "--auth=trust", "--no-sync"]);
        run(initdb.args(["-E", "UTF8", "--locale=C"]).stdout(Stdio::null()));
        cluster.set(&["listen_addresses = '127.0.0.1'", "fsync = off", "wal_level = replica"]);
        cluster.set(&[&format!("unix_socket_directories = '{}'", cluster.folder.display())]);
        cluster.set(&[&format!("port = {}", cluster.port)]);
        cluster.set(settings);
        cluster.control(&["start"]);
        Some(cluster)
    }

    /// Starts a streaming standby of this server.
    pub fn standby(&self) -> Self {
        let standby = Self::new(Programs::find().expect("the primary was found"));
        let mut copy = self.programs.command("pg_basebackup");
        copy.arg("-D").arg(standby.data()).args(["-R", "-U", "postgres", "-h", "127.0.0.1", "-c", "fast"]);
        run(copy.arg("-p").arg(self.port.to_string()));
        standby.set(&[&format!("port = {}", standby.port)]);
        standby.set(&[&format!("unix_socket_directories = '{}'", standby.folder.display())]);
        standby.control(&["start"]);
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

    /// Stops without a checkpoint, as a crash does. The next start recovers.
    pub fn crash(&self) {
        self.control(&["stop", "-m", "immediate"]);
    }

    pub fn start_again(&self) {
        self.control(&["start"]);
    }

    /// Starts on another port, where nobody else looks for this server.
    pub fn start_hidden(&self, port: u16) {
        self.control(&["start", "-o", &format!("-p {port}")]);
    }

    /// Copies the data of the stopped server.
    pub fn copy_data(&self) {
        run(Command::new("cp").arg("-a").arg(self.data()).arg(self.folder.join("copy")));
    }

    /// Replaces the data of the stopped server by the copy.
    pub fn restore_copy(&self) {
        fs::remove_dir_all(self.data()).expect("the data can be deleted");
        fs::rename(self.folder.join("copy"), self.data()).expect("the copy can be moved");
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
        url(self.port)
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

/// Returns the URL of the database `postgres` of a server on this port.
pub fn url(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres")
}

/// Returns a port that was free just now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// Runs SQL on a server with `psql`.
pub fn psql(url: &str, sql: &str) -> String {
    super::postgres::output(Command::new("psql").args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, url]))
}
