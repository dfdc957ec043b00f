//! Kills the server with `kill -9` during writes, many times on one store.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rolecall::domain::collections::hash::HashKey;
use rolecall::domain::{Change, ProjectKey, Revision, State, UserId};
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::grpc::generated::role_service_client::RoleServiceClient;
use rolecall::store::Store;
use rolecall::wire;
use tonic::Code;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::support::postgres;

/// Concurrent streams of writes. Each writes to its own org.
const STREAMS: usize = 4;
/// Members of one bulk write.
const ROWS: usize = 20;
/// The org that is created and deleted in a loop.
const DELETED_ORG: &str = "deleted";

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_on_sqlite_lose_no_acknowledged_write_and_split_none() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("rolecall.db").display());
    kill_and_restart(&database, folder.path(), 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_on_postgres_lose_no_acknowledged_write_and_split_none() {
    let Some(database) = postgres::database().await else { return };
    let folder = tempfile::tempdir().unwrap();
    kill_and_restart(&database, folder.path(), 10).await;
}

/// A bulk write.
#[derive(Clone)]
struct Sent {
    org: String,
    users: Vec<String>,
    acknowledged: bool,
}

async fn kill_and_restart(database: &str, folder: &Path, times: u32) {
    let socket = folder.join("rolecall.sock");
    let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
    let mut acknowledged_before_kill = 0;
    for round in 0..times {
        let mut server = serve(database, &socket);
        let channel = connect(&socket).await;
        let so_far = sent.lock().unwrap().clone();
        assert_acknowledged_writes_are_served(&channel, &so_far).await;
        let streams: Vec<_> =
            (0..STREAMS).map(|stream| tokio::spawn(write(channel.clone(), round, stream, sent.clone()))).collect();
        let deletions = tokio::spawn(create_and_delete_until_killed(channel.clone()));
        // Kill at a different time in each round, but only after writes were acknowledged that could be lost.
        let acknowledged = || sent.lock().unwrap().iter().filter(|sent| sent.acknowledged).count();
        let before = acknowledged();
        let deadline = Instant::now() + Duration::from_secs(20);
        while acknowledged() < before + 2 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(u64::from(round) * 977 % 25_000)).await;
        server.kill().unwrap();
        server.wait().unwrap();
        for stream in streams {
            stream.await.unwrap();
        }
        deletions.await.unwrap();
        let sent = sent.lock().unwrap().clone();
        acknowledged_before_kill = sent.iter().filter(|sent| sent.acknowledged).count();
        assert_stored(database, &sent).await;
    }
    assert!(acknowledged_before_kill > times as usize, "too few writes were acknowledged");
    deleted_data_is_purged(database, &socket).await;
    let sent = sent.lock().unwrap().clone();
    assert_stored(database, &sent).await;
}

/// Creates an org and adds members in bulk writes until the server is killed.
async fn write(channel: Channel, round: u32, stream: usize, sent: Arc<Mutex<Vec<Sent>>>) {
    let org = format!("org-{round}-{stream}");
    let request = wire::CreateOrgRequest { org_id: org.clone(), ..Default::default() };
    if OrgServiceClient::new(channel.clone()).create_org(request).await.is_err() {
        return;
    }
    let mut members = MembershipServiceClient::new(channel);
    for number in 0.. {
        let users: Vec<String> = (0..ROWS).map(|row| format!("user-{number}-{row}")).collect();
        let add = || wire::member_write::Write::Add(wire::RoleAssignments::default());
        let row = |user: &String| wire::MemberWrite { org_id: org.clone(), user_id: user.clone(), write: Some(add()) };
        let request = wire::BatchWriteMembersRequest { rows: users.iter().map(row).collect(), ..Default::default() };
        let at = {
            let mut sent = sent.lock().unwrap();
            sent.push(Sent { org: org.clone(), users, acknowledged: false });
            sent.len() - 1
        };
        if members.batch_write_members(request).await.is_err() {
            return;
        }
        sent.lock().unwrap()[at].acknowledged = true;
    }
}

async fn create_and_delete_until_killed(channel: Channel) {
    while create_and_delete(&channel).await {}
}

/// Creates an org and a role with members, then deletes both. Continues after a refusal, because a killed server may
/// have done some of these steps. Returns true if the server answered every call.
async fn create_and_delete(channel: &Channel) -> bool {
    let given =
        || wire::RoleAssignments { roles: vec![wire::RoleAssignment { role: "Deleted".into(), ..Default::default() }] };
    let row = |number: usize| wire::MemberWrite {
        org_id: DELETED_ORG.into(),
        user_id: format!("user-{number}"),
        write: Some(wire::member_write::Write::Add(given())),
    };
    let (mut orgs, mut roles) = (OrgServiceClient::new(channel.clone()), RoleServiceClient::new(channel.clone()));
    let mut members = MembershipServiceClient::new(channel.clone());
    let create_role = wire::CreateRoleRequest { name: "Deleted".into(), ..Default::default() };
    let org = wire::CreateOrgRequest { org_id: DELETED_ORG.into(), reuse_deleted_id: true, ..Default::default() };
    let rows = wire::BatchWriteMembersRequest { rows: (0..ROWS).map(row).collect(), ..Default::default() };
    let delete_role = wire::DeleteRoleRequest { name: "Deleted".into(), ..Default::default() };
    let delete_org = wire::DeleteOrgRequest { org_id: DELETED_ORG.into(), ..Default::default() };
    is_answer(roles.create_role(create_role).await)
        && is_answer(orgs.create_org(org).await)
        && is_answer(members.batch_write_members(rows).await)
        && is_answer(roles.delete_role(delete_role).await)
        && is_answer(orgs.delete_org(delete_org).await)
}

/// Returns true if the server accepted the call or refused it for a known reason.
fn is_answer<T>(answer: Result<tonic::Response<T>, tonic::Status>) -> bool {
    let refused = |status: &tonic::Status| matches!(status.code(), Code::AlreadyExists | Code::NotFound);
    answer.is_ok() || answer.as_ref().is_err_and(refused)
}

/// A server that keeps running purges what the killed servers left.
async fn deleted_data_is_purged(database: &str, socket: &Path) {
    for purge_time in [Duration::ZERO, Duration::from_secs(5)] {
        let mut server = serve(database, socket);
        assert!(create_and_delete(&connect(socket).await).await);
        tokio::time::sleep(purge_time).await;
        server.kill().unwrap();
        server.wait().unwrap();
    }
    let store = Store::open(database).await.unwrap();
    let state = store.load(HashKey::new([5; 16])).await.unwrap();
    assert!(state.all_projects().all(|project| !project.has_data_to_purge()), "deleted data is left");
    let project = state.project(&ProjectKey::default_project()).unwrap();
    assert!(project.was_deleted(DELETED_ORG), "nothing was deleted");
    store.close().await;
}

/// The restarted server must answer for every acknowledged write.
async fn assert_acknowledged_writes_are_served(channel: &Channel, sent: &[Sent]) {
    let acknowledged = sent.iter().filter(|sent| sent.acknowledged);
    let items: Vec<wire::CheckItem> = acknowledged
        .flat_map(|sent| sent.users.iter().map(|user| (sent.org.clone(), user.clone())))
        .map(|(org_id, user_id)| wire::CheckItem {
            org_id,
            user_id,
            permission: "rolecall::can_view_other_members".into(),
        })
        .collect();
    let mut checks = CheckServiceClient::new(channel.clone());
    for items in items.chunks(50_000) {
        let request = wire::BatchCheckRequest { items: items.to_vec(), ..Default::default() };
        let decisions = checks.batch_check(request).await.unwrap().into_inner().decisions;
        assert_eq!(decisions.len(), items.len());
        assert!(
            decisions.iter().all(|&decision| decision == wire::Decision::Allowed as i32),
            "an acknowledged write is lost"
        );
    }
}

/// Reads the store of the killed server. Acknowledged rows must exist. Every other write must be complete or absent.
/// The tables must equal the history, replayed, undone and redone.
async fn assert_stored(database: &str, sent: &[Sent]) {
    let store = Store::open(database).await.unwrap();
    let key = HashKey::new([5; 16]);
    let loaded = store.load(key.clone()).await.unwrap();
    let project = loaded.project(&ProjectKey::default_project()).expect("the first start creates the default project");
    for write in sent {
        let org = project.org(&write.org);
        let there =
            |user: &&String| org.is_some_and(|org| project.membership(org, &UserId::stored(user.as_str())).is_some());
        let there = write.users.iter().filter(there).count();
        match write.acknowledged {
            true => assert_eq!(there, ROWS, "an acknowledged write to {} is incomplete", write.org),
            false => assert!(there == 0 || there == ROWS, "a write to {} is split: {there} of {ROWS}", write.org),
        }
    }
    let history = history(&store).await;
    let mut replayed = State::new(key.clone());
    for (revision, changes) in &history {
        replayed.apply_commit(*revision, changes);
    }
    assert!(replayed == loaded, "the history and the tables differ");
    assert_eq!(replayed.revision(), loaded.revision());
    for (project, other) in replayed.all_projects().zip(loaded.all_projects()) {
        assert_eq!(project.counters(), other.counters());
    }
    let mut undone = loaded.clone();
    for (_, changes) in history.iter().rev() {
        changes.iter().rev().for_each(|change| undone.apply(&change.clone().undone()));
    }
    undone.set_revision(Revision::default());
    assert!(undone == State::new(key), "undoing everything leaves data");
    for (revision, changes) in &history {
        undone.apply_commit(*revision, changes);
    }
    assert!(undone == loaded, "the state differs after undo and redo");
    store.close().await;
}

async fn history(store: &Store) -> Vec<(Revision, Vec<Change>)> {
    let mut history: Vec<(Revision, Vec<Change>)> = Vec::new();
    loop {
        let last = history.last().map(|(revision, _)| *revision).unwrap_or_default();
        let commits = store.commits_since(last, 1_000).await.unwrap();
        if commits.is_empty() {
            return history;
        }
        history.extend(commits.into_iter().map(|commit| (commit.revision, commit.changes)));
    }
}

fn serve(database: &str, socket: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rolecall"));
    command.args(["serve", "--log", "warn", "--database", database]);
    command.arg("--listen").arg(format!("unix:{}", socket.display()));
    command.stdin(Stdio::null()).spawn().unwrap()
}

/// Connects as soon as the server answers.
async fn connect(socket: &Path) -> Channel {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let path: PathBuf = socket.into();
        let connector = tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
        });
        match Endpoint::from_static("http://localhost").connect_with_connector(connector).await {
            Ok(channel) => return channel,
            Err(error) => assert!(Instant::now() < deadline, "the server does not start: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
