//! One PostgreSQL server for a test binary, with one database for each test.
//!
//! `ROLECALL_TEST_POSTGRES=postgres://…` names a running server instead. Its databases are not deleted. Where there is no
//! PostgreSQL a test says so and counts as passed. With `CI=true` it fails.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectionTrait, Database};

use super::cluster::Cluster;

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
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let cluster = Cluster::start(&[])?;
    let url = cluster.url();
    // Kept until this process exits.
    let _ = CLUSTER.set(cluster);
    Some(url)
}

/// Returns the URL of another database of the same server.
pub fn with_database(server: &str, name: &str) -> String {
    let (address, parameters) =
        server.split_once('?').map_or((server, String::new()), |(it, rest)| (it, format!("?{rest}")));
    let host = address.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    format!("{host}/{name}{parameters}")
}
