//! pgbouncer between a server and PostgreSQL.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::database::{create_org, serve};
use crate::support::cluster::{Cluster, free_port, psql};
use crate::support::postgres::skipped;

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// Ends with the shell's input, and so with this process.
struct Pooler {
    port: u16,
    shell: Child,
}

impl Pooler {
    /// `None` if there is no pgbouncer.
    fn start(cluster: &Cluster, settings: &str) -> Option<Self> {
        if !Path::new(PROGRAM).is_file() {
            skipped("pgbouncer not found; install it");
            return None;
        }
        let port = free_port();
        let file = cluster.folder().join("pgbouncer.ini");
        let users = cluster.folder().join("users.txt");
        std::fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\n{settings}\n",
            cluster.port,
            users.display()
        );
        std::fs::write(&file, text).unwrap();
        let pgbouncer = cluster.programs().command(PROGRAM);
        let words = std::iter::once(pgbouncer.get_program()).chain(pgbouncer.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        let script = format!("{} -q '{}' & cat >/dev/null; kill $!; wait", words.join(" "), file.display());
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let pooler = Self { port, shell: shell.spawn().unwrap() };
        let began = Instant::now();
        while psql(&pooler.url(), "SELECT 1") != "1" {
            assert!(began.elapsed() < Duration::from_secs(30), "pgbouncer does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(pooler)
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_pooler_works_without_settings() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    psql(&cluster.url(), "ALTER ROLE postgres SET lock_timeout = '1ms'");
    let Some(pooler) = Pooler::start(&cluster, "pool_mode = session") else { return };
    for org in ["acme", "initech"] {
        let server = serve(&pooler.url()).await.unwrap();
        create_org(&server, org).await.unwrap();
        server.app.store.head().await.unwrap();
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_pooler_is_refused_with_the_remedy() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    for settings in ["server_round_robin = 0", "server_round_robin = 1\nmin_pool_size = 5", "default_pool_size = 1"] {
        let Some(pooler) = Pooler::start(&cluster, &format!("pool_mode = transaction\n{settings}")) else { return };
        let error = serve(&pooler.url()).await.err().expect("it is refused").to_string();
        assert!(error.contains("`pool_mode = session`"), "{settings}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_pooler_is_refused_with_the_remedy() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let Some(pooler) = Pooler::start(&cluster, "pool_mode = statement") else { return };
    let error = serve(&pooler.url()).await.err().expect("it is refused").to_string();
    assert!(error.contains("`pool_mode = session`"), "{error}");
}
