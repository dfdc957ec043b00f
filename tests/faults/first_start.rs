//! Several servers that start at once on an empty database.

use std::time::Duration;

use futures_util::future::join_all;
use rolecall::server::{Bootstrap, Config, OperatorConfig, Running};

use crate::database::{create_org, serve, wait_until};
use crate::support::postgres;

const SERVERS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn servers_started_at_once_on_an_empty_database_all_come_up() {
    let Some(database) = postgres::database().await else { return };
    let servers: Vec<Running> =
        join_all((0..SERVERS).map(|_| serve(&database))).await.into_iter().map(Result::unwrap).collect();
    for (number, server) in servers.iter().enumerate() {
        create_org(server, &format!("org-{number}")).await.unwrap();
    }
    // Two projects and the team were created once.
    let (first, others) = servers.split_first().unwrap();
    wait_until("all have the same State", async || {
        let state = first.app.engine.pin();
        state.state.revision().number == 3 + SERVERS as u64
            && others.iter().all(|it| it.app.engine.pin().state.revision() == state.state.revision())
    })
    .await;
    let projects = |server: &Running| {
        let state = server.app.engine.pin();
        state.state.projects().map(|project| project.record.key.to_string()).collect::<Vec<_>>()
    };
    assert!(servers.iter().all(|server| projects(server) == ["default", "workspace"]));
    for server in servers {
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn w9_servers_started_at_once_share_one_first_operator() {
    let Some(database) = postgres::database().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let start = |number: usize| {
        let file = folder.path().join(format!("key-{number}"));
        let operators = OperatorConfig {
            authentication: Some(true),
            bootstrap: Bootstrap::File(file),
            ..OperatorConfig::default()
        };
        let listen = vec!["127.0.0.1:0".parse().unwrap()];
        Running::start(Config { operators, drain: Duration::from_secs(5), ..Config::new(&database, listen) })
    };
    let servers: Vec<Running> = join_all((0..SERVERS).map(start)).await.into_iter().map(Result::unwrap).collect();
    let keys =
        std::fs::read_dir(folder.path()).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let keys: Vec<String> = keys.collect();
    assert!(!keys.is_empty() && keys.iter().all(|key| key.starts_with("rk_live_")), "{keys:?}");
    for server in servers {
        server.stop().await;
    }
}
