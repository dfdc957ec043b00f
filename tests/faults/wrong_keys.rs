//! Calls with wrong keys, about 10,000 a second, beside a client that has a key and checks. Each is refused for its reason,
//! memory has a bound, and the audit and the log do not grow with the attack.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use rolecall::domain::model::project;
use rolecall::grpc::authn::token;
use rolecall::grpc::generated::api_key_service_client::ApiKeyServiceClient;
use rolecall::grpc::generated::audit_service_client::AuditServiceClient;
use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::wire;
use tokio::time::MissedTickBehavior;
use tonic::Code;

use crate::attackers::{Attack, Caller, PATIENCE, Server, attack_time, caller, checks, member, set_up};
use crate::hostile::{Client, framed, reason, status};
use crate::support::{block_on, sqlite};

/// Each of the connections sends 5 calls every 10 ms: 10,000 a second, if the machine can.
const CONNECTIONS: usize = 20;
const TICK: Duration = Duration::from_millis(10);
/// What the calls in flight and their connections may take, in KiB.
const ATTACK_KIB_MAX: u64 = 32 * 1_024;
/// The audit has the refused calls after a second, and the log has their number at most once a minute.
const LOG_SECONDS: u64 = 60;

/// Returns the key that a first start writes, which may come after the first connection.
async fn first_key(file: &Path) -> String {
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if let Some(key) = text.strip_suffix('\n') {
            return key.into();
        }
        assert!(began.elapsed() < PATIENCE, "the server writes no key");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A key of an operator who only reads.
async fn reader_key(owner: &Caller) -> wire::CreateApiKeyResponse {
    let request = wire::CreateApiKeyRequest {
        display_name: "reader".into(),
        operator: "reader".into(),
        environment: wire::Environment::Live.into(),
        expire_time: Some((SystemTime::now() + Duration::from_secs(3_600)).into()),
        ..Default::default()
    };
    ApiKeyServiceClient::new(owner.clone()).create_api_key(request).await.unwrap().into_inner()
}

/// Returns the token of a key that is archived.
async fn archived_key(owner: &Caller) -> String {
    let created = reader_key(owner).await;
    let api_key_id = created.api_key.unwrap().api_key_id;
    let request = wire::ArchiveApiKeyRequest { api_key_id, ..Default::default() };
    ApiKeyServiceClient::new(owner.clone()).archive_api_key(request).await.unwrap();
    created.token
}

/// Returns the key with another character in its middle.
fn mistyped(key: &str) -> String {
    let at = key.len() / 2;
    let other = if &key[at..=at] == "a" { "b" } else { "a" };
    format!("{}{other}{}", &key[..at], &key[at + 1..])
}

/// Sends wrong keys, one of each kind in a tick, and counts the refused calls.
async fn send_wrong_keys(attack: Attack, right: String, archived: String, refused: Arc<AtomicU64>) {
    let mut client = None;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !attack.is_over() {
        ticks.tick().await;
        if client.is_none() {
            client = attack.client().await;
        }
        let Some(connected) = &client else { continue };
        // Each of the unknown keys is another one.
        let unknown = token::new(project::Environment::Live).unwrap();
        let calls = [
            (format!("Bearer {unknown}"), "API_KEY_UNKNOWN"),
            (format!("Bearer {}", mistyped(&right)), "CREDENTIALS_MALFORMED"),
            (format!("Bearer {archived}"), "API_KEY_ARCHIVED"),
            (format!("Bearer {}", unknown.repeat(50)), "CREDENTIALS_MALFORMED"),
            (String::new(), "CREDENTIALS_MISSING"),
        ];
        let answers = join_all(calls.iter().map(|(key, reason)| is_refused(connected, key, reason))).await;
        refused.fetch_add(answers.iter().flatten().count() as u64, Ordering::Relaxed);
        if answers.contains(&None) {
            client = None;
        }
    }
}

/// Asserts that a call is refused for this reason. `None` if the server closed the connection, as it does at its age.
async fn is_refused(client: &Client, authorization: &str, expected: &str) -> Option<()> {
    let header = [("authorization", authorization)];
    let headers = if authorization.is_empty() { &[][..] } else { &header };
    let answer = client.begin_with("CheckService/Check", framed(&[]), true, headers).await.ok()?;
    let status = status(answer).await;
    assert_eq!((status.code(), &*reason(&status)), (Code::Unauthenticated, expected), "{status:?}");
    Some(())
}

/// Returns the refused calls in the audit.
async fn denials(owner: &Caller) -> Vec<wire::Event> {
    let request = wire::ListEventsRequest { r#type: wire::EventType::Denial.into(), ..Default::default() };
    AuditServiceClient::new(owner.clone()).list_events(request).await.unwrap().into_inner().events
}

/// Asserts that the audit has only the refused call of a known caller, and that it came after the calls of strangers.
async fn the_audit_has_no_strangers(owner: &Caller, reader: &Caller) {
    assert_eq!(denials(owner).await, [], "strangers are not in the audit");
    let request = wire::CreateOrgRequest { org_id: "mine".into(), ..Default::default() };
    let refused = OrgServiceClient::new(reader.clone()).create_org(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    let began = Instant::now();
    // All refused calls until then are written together.
    let written = loop {
        let denials = denials(owner).await;
        if !denials.is_empty() {
            break denials;
        }
        assert!(began.elapsed() < PATIENCE, "the refused call is not recorded");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let callers: Vec<_> = written.iter().map(|it| (&*it.actor, &*it.kind)).collect();
    assert_eq!(callers, [("reader", "CreateOrg")]);
}

/// Asserts that the log has the number of the refused calls, not more often than it may, and no key.
async fn the_log_counts_strangers(log: &Path, began: Instant) {
    let lines = loop {
        let log = std::fs::read_to_string(log).unwrap();
        assert!(!log.contains("rk_live_"), "{log}");
        let lines = log.lines().filter(|line| line.contains("calls of unknown callers were refused")).count() as u64;
        if lines > 0 {
            break lines;
        }
        assert!(began.elapsed() < PATIENCE, "the calls of strangers are not logged: {log}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let most = 1 + began.elapsed().as_secs() / LOG_SECONDS;
    assert!(lines <= most, "{lines} lines");
}

#[test]
fn a_client_is_served_beside_calls_with_wrong_keys() {
    let time = attack_time(4);
    block_on(async {
        let (folder, database) = (tempfile::tempdir().unwrap(), sqlite());
        let (key, log) = (folder.path().join("first.key"), folder.path().join("log"));
        let flags =
            format!("--log warn --auth required --bootstrap-key-file '{}' 2>'{}'", key.display(), log.display());
        let server = Server::start(&database.url, 4_096, &flags).await;
        let channel = server.channel().await;
        let right = first_key(&key).await;
        let owner = caller(channel.clone(), Some(&right));
        set_up(&owner).await;
        let operator = member("workspace", "team", "reader", "ReadOnly");
        MembershipServiceClient::new(owner.clone()).add_member(operator).await.unwrap();
        let reader = caller(channel, Some(&reader_key(&owner).await.token));
        let archived = archived_key(&owner).await;
        checks("alone", &reader, time).await;

        let before = server.memory("VmRSS");
        let (attack, refused) = (Attack::on(&server), Arc::new(AtomicU64::new(0)));
        let (began, idle) = (Instant::now(), server.processor_seconds());
        let attacker = {
            let (attack, refused) = (attack.clone(), refused.clone());
            move |_| send_wrong_keys(attack.clone(), right.clone(), archived.clone(), refused.clone())
        };
        let attackers = Attack::run((0..CONNECTIONS).map(attacker));
        checks("under attack", &reader, time).await;
        let (calls, busy) = (refused.load(Ordering::Relaxed), server.processor_seconds() - idle);
        let (a_second, us) = (calls as f64 / began.elapsed().as_secs_f64(), busy * 1e6 / calls as f64);
        println!(
            "{a_second:.0} refused calls a second, {us:.1} us of processor time for each with the checks beside them"
        );
        // A slow machine may need longer until each attacker was refused.
        while refused.load(Ordering::Relaxed) < 100 * CONNECTIONS as u64 {
            assert!(!attackers.is_finished() && began.elapsed() < PATIENCE, "only {refused:?} calls were refused");
            checks("under attack", &reader, Duration::from_secs(1)).await;
        }
        attack.end();
        attackers.join().unwrap();

        let peak = server.memory("VmHWM");
        println!("memory before {before} KiB, at most {peak} KiB");
        assert!(peak <= before + ATTACK_KIB_MAX, "{peak} KiB are too much");
        the_log_counts_strangers(&log, began).await;
        the_audit_has_no_strangers(&owner, &reader).await;
        server.gives_back(before).await;
        checks("afterwards", &reader, time / 4).await;
    });
}
