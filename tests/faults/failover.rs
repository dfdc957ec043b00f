//! A name that leads to another PostgreSQL server, and servers that must not be written to.

use std::time::{Duration, Instant};

use rolecall::server::Running;
use rolecall::writer::Failure;

use crate::database::{create_org, serve, wait_until};
use crate::support::cluster::{Cluster, psql};
use crate::support::proxy::Proxy;

/// A primary, its standby, and a name that leads to the primary.
struct Pair {
    primary: Cluster,
    standby: Cluster,
    name: Proxy,
}

impl Pair {
    async fn start() -> Option<Self> {
        let primary = Cluster::start(&[])?;
        let standby = primary.standby(0);
        let name = Proxy::new(vec![primary.socket()]).await;
        Some(Self { primary, standby, name })
    }

    fn url(&self) -> String {
        self.name.url("postgres")
    }

    /// Waits until the standby has everything, promotes it, and leads the name to it.
    async fn fail_over(&self) {
        self.standby_has_everything().await;
        self.standby.promote();
        self.name.lead_to(vec![self.standby.socket()]);
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
    psql(&cluster.url(), "SELECT org_id FROM orgs ORDER BY 1")
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
    pair.name.lead_to(vec![pair.standby.socket()]);
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
    let read_only = format!("{}&options=-c%20default_transaction_read_only%3Don", pair.url());
    let error = refused(&read_only).await;
    assert!(error.contains("takes no writes"), "{error}");
}
