//! A name that leads to another PostgreSQL server, and servers that must not be written to.

use std::time::{Duration, Instant};

use rolecall::domain::{ProjectKey, Time};
use rolecall::server::Running;
use rolecall::store::ListOrgs;
use rolecall::writer::Failure;
use sea_orm::{ConnectionTrait, Database, TransactionTrait};

use crate::database::{create_org, serve, serving, wait_until};
use crate::support::cluster::{CUT, Cluster, psql};
use crate::support::postgres::run;
use crate::support::proxy::Proxy;

/// Much shorter than TCP waits for a machine that has vanished.
const PATIENCE: Duration = Duration::from_secs(120);
const LIST_CONNECTIONS: usize = 8;
/// With those that are reserved for short reads.
const READ_CONNECTIONS: usize = LIST_CONNECTIONS + 3;

/// A primary, its standby, and a name that leads to the primary.
struct Pair {
    primary: Cluster,
    standby: Cluster,
    name: Proxy,
}

impl Pair {
    async fn start() -> Option<Self> {
        let primary = Cluster::start(&[])?;
        let standby = primary.standby();
        let name = Proxy::to(primary.port).await;
        Some(Self { primary, standby, name })
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.name.port)
    }

    /// Waits until the standby has everything, promotes it, and leads the name to it.
    async fn fail_over(&self) {
        self.standby_has_everything().await;
        self.standby.promote();
        self.name.lead_to(self.standby.port);
    }

    async fn standby_has_everything(&self) {
        let ask = "SELECT coalesce(max(revision), 0) FROM commits";
        wait_until("the standby has everything", async || {
            psql(&self.primary.url(), ask) == psql(&self.standby.url(), ask)
        })
        .await;
    }
}

fn orgs(cluster: &Cluster) -> String {
    psql(&cluster.url(), "SELECT org_id FROM orgs WHERE org_id <> 'team' ORDER BY 1")
}

/// Writes until a write is stored. Every earlier one must be refused as unavailable, not as a bug.
async fn writes_work_again(server: &Running, org: &str) {
    let began = Instant::now();
    loop {
        match create_org(server, org).await {
            Ok(_) => return,
            Err(Failure::Unavailable) => {}
            Err(failure) => panic!("{failure:?}"),
        }
        assert!(began.elapsed() < Duration::from_secs(30), "writes still fail");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_restarts_as_a_standby_is_left() {
    let Some(pair) = Pair::start().await else { return };
    let server = serve(&pair.url()).await.unwrap();
    create_org(&server, "first").await.unwrap();
    pair.standby_has_everything().await;
    pair.primary.demote();
    // The name still leads to the old server, which answers reads.
    let error = create_org(&server, "nowhere").await.err();
    assert!(matches!(error, Some(Failure::Unavailable)), "{error:?}");
    pair.standby.promote();
    pair.name.lead_to(pair.standby.port);
    writes_work_again(&server, "second").await;
    assert_eq!(orgs(&pair.standby), "first\nsecond");
    assert_eq!(orgs(&pair.primary), "first");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_primary_is_not_written_to_and_left_with_its_connections_open() {
    let Some(pair) = Pair::start().await else { return };
    let server = serve(&pair.url()).await.unwrap();
    create_org(&server, "first").await.unwrap();
    pair.primary.set(&["default_transaction_read_only = on"]);
    pair.primary.reload();
    wait_until("the primary is read-only", async || {
        psql(&pair.primary.url(), "SHOW default_transaction_read_only") == "on"
    })
    .await;
    let error = create_org(&server, "nowhere").await.err();
    assert!(matches!(error, Some(Failure::Unavailable)), "{error:?}");
    pair.fail_over().await;
    writes_work_again(&server, "second").await;
    assert_eq!(orgs(&pair.standby), "first\nsecond");
    assert_eq!(orgs(&pair.primary), "first");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_a_server_that_takes_no_writes_is_refused() {
    let Some(pair) = Pair::start().await else { return };
    serve(&pair.url()).await.unwrap().stop().await;
    pair.standby_has_everything().await;
    let refused = async |url: &str| serve(url).await.err().expect("the start is refused").to_string();
    let error = refused(&pair.standby.url()).await;
    assert!(error.contains("is a standby"), "{error}");
    let read_only = format!("{}?options=-c%20default_transaction_read_only%3Don", pair.url());
    let error = refused(&read_only).await;
    assert!(error.contains("takes no writes"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_primary_that_still_takes_writes_is_refused() {
    let Some(pair) = Pair::start().await else { return };
    let server = serve(&pair.url()).await.unwrap();
    create_org(&server, "first").await.unwrap();
    pair.fail_over().await;
    psql(&pair.primary.url(), CUT);
    writes_work_again(&server, "second").await;
    pair.name.lead_to(pair.primary.port);
    psql(&pair.standby.url(), CUT);
    let error = create_org(&server, "nowhere").await.err();
    assert!(matches!(error, Some(Failure::Unavailable)), "{error:?}");
    pair.name.lead_to(pair.standby.port);
    writes_work_again(&server, "third").await;
    assert_eq!(orgs(&pair.standby), "first\nsecond\nthird");
    assert_eq!(orgs(&pair.primary), "first");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_restored_on_a_new_system_is_loaded() {
    let Some(pair) = Pair::start().await else { return };
    let server = serve(&pair.url()).await.unwrap();
    create_org(&server, "first").await.unwrap();
    pair.fail_over().await;
    psql(&pair.primary.url(), CUT);
    let restored = Cluster::start(&[]).expect("PostgreSQL was found");
    let dump = pair.standby.programs().command("pg_dump").arg(pair.standby.url()).output().unwrap().stdout;
    restored.write("dump.sql", &String::from_utf8(dump).unwrap());
    let mut load = restored.programs().command("psql");
    run(load
        .args(["-X", "-q", "-o", "/dev/null", "-f"])
        .arg(restored.folder().join("data/dump.sql"))
        .arg(restored.url()));
    writes_work_again(&server, "lost").await;
    pair.name.lead_to(restored.port);
    psql(&pair.standby.url(), CUT);
    wait_until("the restored database is loaded", async || {
        let state = server.app.engine.pin();
        let project = state.state.project(&ProjectKey::default_project()).unwrap();
        project.org("lost").is_none() && project.org("first").is_some()
    })
    .await;
    writes_work_again(&server, "second").await;
    assert_eq!(orgs(&restored), "first\nsecond");
    server.stop().await;
}

/// The machine of a server vanishes, and no packet says so.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_off_are_replaced() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let name = Proxy::to(cluster.port).await;
    let server = serve(&format!("postgres://postgres@127.0.0.1:{}/postgres", name.port)).await.unwrap();
    create_org(&server, "first").await.unwrap();
    let store = &server.app.store;
    let list = || {
        let project = ProjectKey::default_project();
        store.list_orgs(ListOrgs { project, role_mapping: None, ownerless: false, after: None, limit: 10 })
    };
    // Statements on all connections for reads are in flight when the connections are cut off.
    let direct = Database::connect(cluster.url()).await.unwrap();
    let lock = direct.begin().await.unwrap();
    lock.execute_unprepared("LOCK TABLE head IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let abandoned = futures_util::future::join_all(
        (0..LIST_CONNECTIONS).map(|_| tokio::time::timeout(Duration::from_secs(1), list())),
    )
    .await;
    assert!(abandoned.iter().all(Result::is_err));
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    wait_until("all connections for reads wait", async || {
        psql(&cluster.url(), waiting).parse::<usize>().unwrap() >= READ_CONNECTIONS
    })
    .await;
    name.cut_off();
    lock.rollback().await.unwrap();
    let began = Instant::now();
    let revision = server.app.engine.load().state.revision();
    while !store.head().await.is_ok_and(|head| head == revision) {
        assert!(began.elapsed() < PATIENCE, "the newest revision is not read");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    while list().await.is_err() {
        assert!(began.elapsed() < PATIENCE, "lists fail");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    wait_until("health says so", async || serving(&server, "rolecall.v1.OrgService").await).await;
    // The follower sees the commit of another server.
    let other = serve(&cluster.url()).await.unwrap();
    create_org(&other, "second").await.unwrap();
    let project = ProjectKey::default_project();
    wait_until("the follower goes on", async || {
        server.app.engine.pin().state.project(&project).unwrap().org("second").is_some()
    })
    .await;
    other.stop().await;
    // The connection for writes was idle.
    name.cut_off();
    let began = Instant::now();
    writes_work_again(&server, "third").await;
    assert!(began.elapsed() < PATIENCE);
    direct.close().await.unwrap();
    server.stop().await;
}

/// The pool still waits for a sign of life from the connection for writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_off_after_a_commit_is_replaced() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let name = Proxy::to(cluster.port).await;
    let server = serve(&format!("postgres://postgres@127.0.0.1:{}/postgres", name.port)).await.unwrap();
    // The answer of the server, with the next message.
    name.cut_off_after(b"COMMIT\0Z");
    create_org(&server, "first").await.unwrap();
    writes_work_again(&server, "second").await;
    assert_eq!(orgs(&cluster), "first\nsecond");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_off_during_a_rollback_is_replaced() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let name = Proxy::to(cluster.port).await;
    let server = serve(&format!("postgres://postgres@127.0.0.1:{}/postgres", name.port)).await.unwrap();
    create_org(&server, "first").await.unwrap();
    name.cut_off_after(b"ROLLBACK\0");
    let error = create_org(&server, "first").await.err();
    assert!(matches!(error, Some(Failure::Refused(_))), "{error:?}");
    writes_work_again(&server, "second").await;
    assert_eq!(orgs(&cluster), "first\nsecond");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_while_the_deletion_of_old_history_gets_no_answer() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let name = Proxy::to(cluster.port).await;
    let server = serve(&format!("postgres://postgres@127.0.0.1:{}/postgres", name.port)).await.unwrap();
    create_org(&server, "first").await.unwrap();
    name.cut_off_after(b"DELETE FROM");
    let store = server.app.store.clone();
    let deleting = tokio::spawn(async move { store.delete_old_history(Time(i64::MAX)).await });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE 'DELETE%'";
    wait_until("the answer is lost", async || psql(&cluster.url(), waiting) == "1").await;
    // PostgreSQL itself does so some time after its client has vanished.
    psql(&cluster.url(), CUT);
    writes_work_again(&server, "second").await;
    assert!(!deleting.is_finished());
    deleting.abort();
    server.stop().await;
}
