//! All kinds of hostile clients at once on one process, beside a client that keeps to the rules. Its checks are right and
//! are never refused, memory has a bound, and comes back afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http_body_util::BodyExt;
use prost::Message;
use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::wire::{self, Decision, consistency::Requirement};
use tonic::Code;

use crate::attackers::{
    Attack, Caller, PATIENCE, PERMISSION, ROLES, Server, asked, attack_time, caller, member, set_up,
};
use crate::hostile::{Client, batch, framed};
use crate::support::{block_on, sqlite};

const CALLS_MIB: u64 = 256;
const ROLE_SETS_MAX: usize = 200;

/// Sends a whole request and reads the answer. `None` if the connection is closed.
async fn answer(client: &Client, path: &str, message: &[u8]) -> Option<Code> {
    let (head, body) = client.begin(path, framed(message), true).await.ok()?.into_parts();
    let status = tonic::Status::from_header_map(&head.headers);
    let body = body.collect().await.ok()?;
    status.or_else(|| body.trailers().and_then(tonic::Status::from_header_map)).map(|status| status.code())
}

/// Returns true if the server began to answer. A call that is refused at once has its status in the headers.
fn began(answer: &hyper::Result<http::Response<hyper::body::Incoming>>) -> bool {
    answer.as_ref().is_ok_and(|answer| !answer.headers().contains_key("grpc-status"))
}

/// Nested empty messages: in a row's roles, and in edits.
async fn nested(client: Client) -> Option<()> {
    let roles = vec![wire::RoleAssignment::default(); 1_500_000];
    let add = wire::member_write::Write::Add(wire::RoleAssignments { roles });
    let row = wire::MemberWrite { org_id: "acme".into(), user_id: "u".into(), write: Some(add) };
    let rows = wire::BatchWriteMembersRequest { rows: vec![row], ..Default::default() }.encode_to_vec();
    let edit = wire::GrantEdit { role: "Admin".into(), add: vec![String::new(); 500_000], remove: Vec::new() };
    let edits = wire::UpdateRoleMappingRequest { edits: vec![edit], ..Default::default() }.encode_to_vec();
    let refused = answer(&client, "MembershipService/BatchWriteMembers", &rows).await?;
    answer(&client, "RoleMappingService/UpdateRoleMapping", &edits).await?;
    (refused == Code::InvalidArgument).then_some(())
}

/// Batch checks of empty items, whose answers are not read.
async fn unread(client: Client) -> Option<()> {
    let message = framed(&[0x12, 0].repeat(100_000));
    let calls = (0..100).map(|_| client.begin("CheckService/BatchCheck", message.clone(), true));
    let held = join_all(calls).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    held.iter().any(began).then_some(())
}

/// Bodies that arrive by half.
async fn halves(client: Client) -> Option<()> {
    let message = framed(&batch(20_000, "u"));
    let half = message.slice(..message.len() / 2);
    let calls = join_all((0..200).map(|_| client.begin("CheckService/BatchCheck", half.clone(), false))).await;
    let is_late = |answer: &http::Response<hyper::body::Incoming>| {
        tonic::Status::from_header_map(answer.headers()).is_some_and(|status| status.code() == Code::DeadlineExceeded)
    };
    calls.iter().flatten().any(is_late).then_some(())
}

/// Lists of many members.
async fn lists(client: Client) -> Option<()> {
    let list = wire::ListMembersRequest {
        org_id: "acme".into(),
        permission: PERMISSION.into(),
        page_size: 1_000,
        ..Default::default()
    };
    let list = list.encode_to_vec();
    let answers = join_all((0..48).map(|_| answer(&client, "MembershipService/ListMembers", &list))).await;
    answers.contains(&Some(Code::Ok)).then_some(())
}

/// A member who gets one combination of roles after another from the owner of an org.
async fn combinations(client: Client, next: &AtomicU64) -> Option<()> {
    for _ in 0..20 {
        let number = next.fetch_add(1, Ordering::Relaxed) % ((1 << ROLES) - 1) + 1;
        let given = (0..ROLES)
            .filter(|role| number >> role & 1 == 1)
            .map(|role| wire::RoleAssignment { role: format!("r{role}"), ..Default::default() });
        let set = wire::SetMemberRolesRequest {
            project: "many".into(),
            org_id: "a".into(),
            user_id: "cycled".into(),
            roles: given.collect(),
            acting_user_id: "boss".into(),
            ..Default::default()
        };
        if answer(&client, "MembershipService/SetMemberRoles", &set.encode_to_vec()).await != Some(Code::Ok) {
            return None;
        }
    }
    Some(())
}

/// Watches and reflection streams that stay open.
async fn streams(client: Client) -> Option<()> {
    let watch = framed(&[]);
    let held = join_all((0..50).map(|_| client.begin("grpc.health.v1.Health/Watch", watch.clone(), true))).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    held.iter().any(began).then_some(())
}

/// More connections than the server has file descriptors, some silent and some that begin HTTP/2.
async fn connections(attack: Attack) {
    while !attack.is_over() {
        let sockets = join_all((0..600).map(|_| attack.connect())).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(sockets);
        *attack.rounds.lock().unwrap().entry("connections").or_default() += 1;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
}

/// What the client that keeps to the rules saw.
#[derive(Default)]
struct Seen {
    checks: Vec<Duration>,
    latest: Vec<Duration>,
    writes: Vec<Duration>,
    refused_writes: u64,
}

impl Seen {
    fn print(mut self, name: &str) {
        for (what, times) in
            [("check", &mut self.checks), ("latest check", &mut self.latest), ("write", &mut self.writes)]
        {
            times.sort_unstable();
            let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or_default();
            println!(
                "{name}: {} times {what}: median {:?}, p99 {:?}, most {:?}",
                times.len(),
                at(0.5),
                at(0.99),
                at(1.0 - 1e-9)
            );
        }
        println!("{name}: {} refused writes", self.refused_writes);
    }
}

/// Checks in a loop, and adds and removes a member twice a second.
async fn keep_to_the_rules(caller: Caller, time: Duration) -> Seen {
    let mut seen = Seen::default();
    let began = Instant::now();
    let checks = async {
        let mut times = Vec::new();
        while began.elapsed() < time {
            for (user, decision) in [("member-1", Decision::Allowed), ("nobody", Decision::NotAMember)] {
                let (answer, took) = asked(&caller, user, None).await;
                assert_eq!(answer, decision as i32);
                times.push(took);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        times
    };
    let writes = async {
        let mut members = MembershipServiceClient::new(caller.clone());
        for number in 0.. {
            if began.elapsed() >= time {
                return;
            }
            let user = format!("rules-{number}");
            for decision in [Decision::Allowed, Decision::NotAMember] {
                let (revision, took) = loop {
                    let began = Instant::now();
                    let written = match decision {
                        Decision::Allowed => {
                            let answer = members.add_member(member("", "acme", &user, "Member")).await;
                            answer.map(|answer| answer.into_inner().revision)
                        }
                        _ => {
                            let request = wire::RemoveMemberRequest {
                                org_id: "acme".into(),
                                user_id: user.clone(),
                                ..Default::default()
                            };
                            members.remove_member(request).await.map(|answer| answer.into_inner().revision)
                        }
                    };
                    match written {
                        Ok(revision) => break (revision, began.elapsed()),
                        Err(status) => {
                            assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                            seen.refused_writes += 1;
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    }
                };
                seen.writes.push(took);
                for requirement in [Requirement::Latest(true), Requirement::AtLeast(revision)] {
                    let (answer, took) = asked(&caller, &user, Some(requirement)).await;
                    assert_eq!(answer, decision as i32, "{user}");
                    seen.latest.push(took);
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let (checks, ()) = tokio::join!(checks, writes);
    seen.checks = checks;
    seen
}

#[test]
fn a_client_that_keeps_to_the_rules_is_served_under_all_attacks_at_once() {
    let time = attack_time(8);
    block_on(async {
        let database = sqlite();
        // Few file descriptors, so that the attackers can use them up.
        let flags = format!(
            "--log error --role-sets-max {ROLE_SETS_MAX} --calls-mib-max {CALLS_MIB} --body-seconds 5 --answer-seconds 5 \
             --handshake-seconds 2 --idle-seconds 10"
        );
        let server = Server::start(&database.url, 400, &flags).await;
        let caller = caller(server.channel().await, None);
        set_up(&caller).await;
        let attack = Attack::on(&server);
        // Lists open the connections to the database, which then stay open with their caches.
        lists(attack.client().await.unwrap()).await.unwrap();
        keep_to_the_rules(caller.clone(), time / 4).await.print("alone");
        let before = server.memory("VmRSS");

        let next = Arc::new(AtomicU64::new(0));
        let mut attackers = vec![
            tokio::spawn(attack.clone().repeat("nested", nested)),
            tokio::spawn(attack.clone().repeat("unread", unread)),
            tokio::spawn(attack.clone().repeat("unread", unread)),
            tokio::spawn(attack.clone().repeat("halves", halves)),
            tokio::spawn(attack.clone().repeat("lists", lists)),
            tokio::spawn(attack.clone().repeat("streams", streams)),
            tokio::spawn(connections(attack.clone())),
        ];
        let cycle = attack.clone().repeat("combinations", async move |client| combinations(client, &next).await);
        attackers.push(tokio::spawn(cycle));
        keep_to_the_rules(caller.clone(), time).await.print("under attack");
        // A slow machine may need longer until each attack did its work.
        let began = Instant::now();
        while attack.rounds.lock().unwrap().len() < 7 {
            assert!(began.elapsed() < PATIENCE, "{:?}", attack.rounds.lock().unwrap());
            keep_to_the_rules(caller.clone(), Duration::from_secs(1)).await;
        }
        attack.end();
        for attacker in attackers {
            attacker.await.unwrap();
        }
        println!("rounds: {:?}", attack.rounds.lock().unwrap());

        // Another org gets a combination that nobody had.
        let given = wire::SetMemberRolesRequest {
            project: "many".into(),
            org_id: "b".into(),
            user_id: "cycled".into(),
            roles: (0..ROLES)
                .map(|role| wire::RoleAssignment { role: format!("r{role}"), ..Default::default() })
                .collect(),
            acting_user_id: "boss".into(),
            ..Default::default()
        };
        MembershipServiceClient::new(caller.clone()).set_member_roles(given).await.unwrap();

        let peak = server.memory("VmHWM");
        println!("memory before {before} KiB, at most {peak} KiB");
        assert!(peak <= before + 2 * CALLS_MIB * 1_024, "{peak} KiB are more than docs/operating.md says");
        server.gives_back(before).await;
        keep_to_the_rules(caller, time / 4).await.print("afterwards");
    });
}
