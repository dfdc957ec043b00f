//! A database that is cut off, restored from a backup, or written by a newer server.

use std::time::{Duration, Instant};

use rolecall::domain::commands::command::CreateOrg;
use rolecall::domain::{Call, Command, OrgId, ProjectKey};
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::server::{Config, Listen, Running, StartError};
use rolecall::wire;
use rolecall::writer::{Failure, Written};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::postgres;

struct World {
    server: Running,
    /// Another connection to the same database.
    sql: DatabaseConnection,
}

/// Starts a server on a database.
pub async fn serve(database: &str) -> Result<Running, StartError> {
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    Running::start(Config { drain: Duration::from_secs(5), ..Config::new(database, listen) }).await
}

/// Creates an org in the default project.
pub async fn create_org(server: &Running, id: &str) -> Result<Written, Failure> {
    let command = Command::CreateOrg(CreateOrg {
        project: ProjectKey::default_project(),
        org_id: OrgId::stored(id),
        display_name: String::new(),
        metadata: String::new(),
        role_mapping: None,
        creator: None,
        reuse_deleted_id: false,
    });
    server.app.writer.submit(command, Call::plain("test", "")).await
}

impl World {
    async fn new() -> Option<Self> {
        let database = postgres::database().await?;
        Some(Self { server: serve(&database).await.unwrap(), sql: Database::connect(database).await.unwrap() })
    }

    async fn create_org(&self, id: &str) -> Result<Written, Failure> {
        create_org(&self.server, id).await
    }

    fn revision(&self) -> u64 {
        self.server.app.engine.load().state.revision().number
    }

    fn knows(&self, org: &str) -> bool {
        let state = self.server.app.engine.pin();
        state.state.project(&ProjectKey::default_project()).is_some_and(|project| project.org(org).is_some())
    }

    async fn run(&self, sql: &str) {
        self.sql.execute_unprepared(sql).await.unwrap();
    }

    async fn cut_connections(&self) {
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    }

    async fn serving(&self, service: &str) -> bool {
        serving(&self.server, service).await
    }
}

async fn channel(server: &Running) -> Channel {
    let Listen::Tcp(address) = &server.addresses[0] else { unreachable!("the test listens on TCP") };
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// Returns what the health service says.
pub async fn serving(server: &Running, service: &str) -> bool {
    let mut health = HealthClient::new(channel(server).await);
    let answer = health.check(HealthCheckRequest { service: service.into() }).await;
    answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
}

pub async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition().await {
        assert!(Instant::now() < deadline, "not in 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_are_replaced_and_no_write_is_lost() {
    let Some(world) = World::new().await else { return };
    for round in 0..5 {
        world.create_org(&format!("before-{round}")).await.unwrap();
        world.cut_connections().await;
        world.create_org(&format!("after-{round}")).await.unwrap();
        assert!(world.knows(&format!("before-{round}")) && world.knows(&format!("after-{round}")));
    }
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_knows_the_outcome_of_every_interrupted_write() {
    let Some(world) = World::new().await else { return };
    let mut refused = 0;
    for round in 0..20 {
        let ids: Vec<String> = (0..8).map(|number| format!("org-{round}-{number}")).collect();
        let writes = futures_util::future::join_all(ids.iter().map(|id| world.create_org(id)));
        let cut = async {
            tokio::time::sleep(Duration::from_micros(round * 300)).await;
            world.cut_connections().await;
        };
        let (written, ()) = tokio::join!(writes, cut);
        for (id, written) in ids.iter().zip(written) {
            match written {
                Ok(_) => assert!(world.knows(id), "{id} was acknowledged"),
                Err(Failure::Unavailable | Failure::OutcomeUnknown) => refused += 1,
                Err(failure) => panic!("{id}: {failure}"),
            }
        }
    }
    println!("{refused} of 160 writes were refused because the database was unavailable");
    let state = world.server.app.engine.pin();
    let loaded = world.server.app.store.load(state.state.hash_key().clone()).await.unwrap();
    wait_until("the state equals the database", async || {
        *world.server.app.engine.pin().state == loaded && loaded.revision() == state.state.revision()
    })
    .await;
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_reloads_a_restored_database_and_continues() {
    let Some(world) = World::new().await else { return };
    world.create_org("kept").await.unwrap();
    let kept = world.revision();
    world.create_org("lost").await.unwrap();
    // This looks like a restored backup to a server that keeps running.
    let sql = format!(
        "BEGIN; DELETE FROM changes WHERE revision > {kept}; DELETE FROM commits WHERE revision > {kept};
         DELETE FROM orgs WHERE org_id = 'lost';
         UPDATE head SET revision = {kept}, tag = (SELECT tag FROM commits WHERE revision = {kept}),
             at = (SELECT at FROM commits WHERE revision = {kept}); COMMIT"
    );
    world.run(&sql).await;
    wait_until("the server reloads the database", async || world.revision() == kept).await;
    assert!(world.knows("kept") && !world.knows("lost"));
    world.create_org("next").await.unwrap();
    assert_eq!(world.revision(), kept + 1);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_a_newer_server_stops_serving_permanently() {
    let Some(world) = World::new().await else { return };
    let next = world.revision() + 1;
    assert!(world.serving("").await);
    let sql = format!(
        "BEGIN; INSERT INTO commits (revision, tag, at, kind, actor, reason, digest, project, shown_changes)
             SELECT {next}, 7, at + 1, kind, actor, reason, 0, project, shown_changes FROM commits WHERE revision = {next} - 1;
         INSERT INTO changes (revision, seq, project, noun, payload) VALUES ({next}, 0, 1, 99, '\\x9a0600');
         UPDATE head SET revision = {next}, tag = 7, at = at + 1; COMMIT"
    );
    world.run(&sql).await;
    wait_until("the server stops serving", async || !world.serving("").await).await;
    assert!(!world.serving("rolecall.v1.CheckService").await);
    // The database works, but the server must not serve again.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!world.serving("").await && !world.serving("rolecall.v1.OrgService").await);
    assert!(world.create_org("acme").await.is_err());
    assert!(!world.knows("acme"));
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_a_statement_is_not_an_absent_database() {
    let Some(world) = World::new().await else { return };
    world.run("ALTER TABLE orgs RENAME TO hidden").await;
    let error = world.create_org("acme").await.err();
    assert!(matches!(error, Some(Failure::Internal)), "{error:?}");
    world.run("ALTER TABLE hidden RENAME TO orgs").await;
    world.run("ALTER TABLE head RENAME TO hidden").await;
    let error = world.create_org("acme").await.err();
    assert!(matches!(error, Some(Failure::Internal)), "{error:?}");
    world.run("ALTER TABLE hidden RENAME TO head").await;
    world.create_org("acme").await.unwrap();
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_without_space_says_so() {
    let Some(world) = World::new().await else { return };
    // A sort that does not fit into memory fails with this code on a full disk.
    let full = "ALTER TABLE orgs RENAME TO hidden;
        CREATE FUNCTION full_disk() RETURNS bool LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'a test' USING ERRCODE = '53100'; END $$;
        CREATE VIEW orgs AS SELECT * FROM hidden WHERE full_disk()";
    world.create_org("acme").await.unwrap();
    world.run(full).await;
    let mut orgs = OrgServiceClient::new(channel(&world.server).await);
    let status = orgs.list_orgs(wire::ListOrgsRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("no space left"), "{status:?}");
    world.server.stop().await;
}
