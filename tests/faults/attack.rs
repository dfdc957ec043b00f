//! All kinds of hostile clients at once on one process, beside a client that keeps to the rules. Its checks are right and
//! are never refused, memory has a bound, and comes back afterwards.
//!
//! `ROLECALL_TEST_ATTACK_SECONDS` says how long, and `ROLECALL_TEST_SERVER` names another binary to attack. The test prints
//! latencies and memory, and judges only memory and answers.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http_body_util::BodyExt;
use prost::Message;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::grpc::generated::project_service_client::ProjectServiceClient;
use rolecall::grpc::generated::role_service_client::RoleServiceClient;
use rolecall::wire::{self, Decision, consistency::Requirement};
use tokio::net::{TcpSocket, TcpStream};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::hostile::{Client, batch, framed};
use crate::support::{block_on, sqlite};

const PERMISSION: &str = "rolecall::can_view_other_members";
/// The attackers have an address of their own: the limit of connections for each peer is part of what protects others.
const ATTACKERS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const CALLS_MIB: u64 = 256;
const ROLE_SETS_MAX: usize = 200;
const ROLES: usize = 12;

pub struct Server {
    process: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    async fn start(database: &str) -> Self {
        // Few file descriptors, so that the attackers can use them up.
        let flags = format!(
            "--role-sets-max {ROLE_SETS_MAX} --calls-mib-max {CALLS_MIB} --body-seconds 5 --answer-seconds 5 \
             --handshake-seconds 2 --idle-seconds 10"
        );
        Self::start_with(database, 400, &flags).await
    }

    pub async fn start_with(database: &str, files: u32, flags: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let binary = std::env::var("ROLECALL_TEST_SERVER").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rolecall").into());
        let serve = format!(
            "ulimit -n {files}; exec '{binary}' serve --log error --database '{database}' --listen {address} {flags}"
        );
        let process = Command::new("sh").args(["-c", &serve]).stdin(Stdio::null()).spawn().unwrap();
        Self { process, address }
    }

    async fn channel(&self) -> Channel {
        self.channel_over(|address| async move {
            Endpoint::from_shared(format!("http://{address}"))
                .unwrap()
                .connect()
                .await
                .map_err(|error| error.to_string())
        })
        .await
    }

    /// Connects as soon as the server listens.
    pub async fn channel_over(&self, connect: impl AsyncFn(String) -> Result<Channel, String>) -> Channel {
        let began = Instant::now();
        loop {
            match connect(self.address.to_string()).await {
                Ok(channel) => return channel,
                Err(error) => assert!(began.elapsed() < Duration::from_secs(60), "the server does not start: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns a field of the process's status, in KiB.
    pub fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim_matches([':', ' ', '\t']).split(' ').next().unwrap().parse().unwrap()
    }
}

/// What the attackers share.
#[derive(Clone)]
pub struct Attack {
    server: SocketAddr,
    over: Arc<AtomicBool>,
    /// How often each attack did its work, so that none only fails.
    rounds: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

impl Attack {
    pub fn on(server: &Server) -> Self {
        Self { server: server.address, over: Arc::default(), rounds: Arc::default() }
    }

    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub async fn connect(&self) -> Option<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((ATTACKERS, 0))).unwrap();
        tokio::time::timeout(Duration::from_secs(5), socket.connect(self.server)).await.ok()?.ok()
    }

    async fn client(&self) -> Option<Client> {
        Client::over(self.connect().await?).await.ok()
    }

    /// Repeats an attack until the end, each time over a new connection.
    async fn repeat(self, name: &'static str, round: impl AsyncFn(Client) -> Option<()>) {
        while !self.is_over() {
            let done = match self.client().await {
                Some(client) => tokio::time::timeout(Duration::from_secs(20), round(client)).await,
                None => Ok(None),
            };
            if matches!(done, Ok(Some(()))) {
                *self.rounds.lock().unwrap().entry(name).or_default() += 1;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

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

pub async fn set_up(channel: &Channel) {
    let mut orgs = OrgServiceClient::new(channel.clone());
    let mut members = MembershipServiceClient::new(channel.clone());
    let owner = |org: &str, project: &str, creator: &str| wire::CreateOrgRequest {
        project: project.into(),
        org_id: org.into(),
        creator_user_id: creator.into(),
        ..Default::default()
    };
    orgs.create_org(owner("acme", "", "ann")).await.unwrap();
    let add = || wire::member_write::Write::Add(wire::RoleAssignments::default());
    let row =
        |number| wire::MemberWrite { org_id: "acme".into(), user_id: format!("member-{number}"), write: Some(add()) };
    let rows = wire::BatchWriteMembersRequest { rows: (0..5_000).map(row).collect(), ..Default::default() };
    members.batch_write_members(rows).await.unwrap();
    let project = wire::CreateProjectRequest {
        key: "many".into(),
        environment: wire::Environment::Live.into(),
        role_structure: wire::RoleStructure::MultiRole.into(),
        ..Default::default()
    };
    ProjectServiceClient::new(channel.clone()).create_project(project).await.unwrap();
    let name = |role| format!("r{role}");
    let role = |role| wire::RoleSpec { name: name(role), ..Default::default() };
    let grants = wire::RoleSpecGrants {
        role_mapping: "Default".into(),
        permissions: vec!["rolecall::can_change_roles".into(), "rolecall::can_invite".into()],
    };
    let boss = wire::RoleSpec {
        name: "Boss".into(),
        manages: (0..ROLES).map(name).collect(),
        grants: vec![grants],
        ..Default::default()
    };
    let roles = (0..ROLES).map(role).chain([boss]).collect();
    let roles = wire::BatchCreateRolesRequest { project: "many".into(), roles, ..Default::default() };
    RoleServiceClient::new(channel.clone()).batch_create_roles(roles).await.unwrap();
    for org in ["a", "b"] {
        orgs.create_org(owner(org, "many", "owner")).await.unwrap();
        for (user, role) in [("boss", "Boss"), ("cycled", "r0")] {
            members.add_member(member("many", org, user, role)).await.unwrap();
        }
    }
}

fn member(project: &str, org: &str, user: &str, role: &str) -> wire::AddMemberRequest {
    wire::AddMemberRequest {
        project: project.into(),
        org_id: org.into(),
        user_id: user.into(),
        roles: vec![wire::RoleAssignment { role: role.into(), ..Default::default() }],
        ..Default::default()
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

pub async fn asked(channel: &Channel, user: &str, consistency: Option<Requirement>) -> (i32, Duration) {
    let request = wire::CheckRequest {
        org_id: "acme".into(),
        user_id: user.into(),
        question: Some(wire::check_request::Question::Permission(PERMISSION.into())),
        consistency: consistency.map(|requirement| wire::Consistency { requirement: Some(requirement) }),
        ..Default::default()
    };
    let began = Instant::now();
    let answer = CheckServiceClient::new(channel.clone()).check(request).await.expect("no check fails");
    (answer.into_inner().decision, began.elapsed())
}

/// Checks in a loop, and adds and removes a member twice a second.
async fn keep_to_the_rules(channel: Channel, time: Duration) -> Seen {
    let mut seen = Seen::default();
    let began = Instant::now();
    let checks = async {
        let mut times = Vec::new();
        while began.elapsed() < time {
            for (user, decision) in [("member-1", Decision::Allowed), ("nobody", Decision::NotAMember)] {
                let (answer, took) = asked(&channel, user, None).await;
                assert_eq!(answer, decision as i32);
                times.push(took);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        times
    };
    let writes = async {
        let mut members = MembershipServiceClient::new(channel.clone());
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
                    let (answer, took) = asked(&channel, &user, Some(requirement)).await;
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
    let seconds = std::env::var("ROLECALL_TEST_ATTACK_SECONDS").map_or(8, |seconds| seconds.parse().unwrap());
    let time = Duration::from_secs(seconds);
    block_on(async {
        let database = sqlite();
        let server = Server::start(&database.url).await;
        let channel = server.channel().await;
        set_up(&channel).await;
        let attack = Attack::on(&server);
        // Lists open the connections to the database, which then stay open with their caches.
        lists(attack.client().await.unwrap()).await.unwrap();
        keep_to_the_rules(channel.clone(), time / 4).await.print("alone");
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
        keep_to_the_rules(channel.clone(), time).await.print("under attack");
        // A slow machine may need longer until each attack did its work.
        let began = Instant::now();
        while attack.rounds.lock().unwrap().len() < 7 {
            assert!(began.elapsed() < Duration::from_secs(300), "{:?}", attack.rounds.lock().unwrap());
            keep_to_the_rules(channel.clone(), Duration::from_secs(1)).await;
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
        MembershipServiceClient::new(channel.clone()).set_member_roles(given).await.unwrap();

        let peak = server.memory("VmHWM");
        println!("memory before {before} KiB, at most {peak} KiB");
        assert!(peak <= before + 2 * CALLS_MIB * 1_024, "{peak} KiB are more than docs/operating.md says");
        let enough = before + (before / 10).max(16 * 1_024);
        let began = Instant::now();
        let mut after = server.memory("VmRSS");
        while after > enough {
            assert!(began.elapsed() < Duration::from_secs(300), "{after} KiB are not given back");
            tokio::time::sleep(Duration::from_secs(1)).await;
            after = server.memory("VmRSS");
        }
        println!("memory {:?} after the attack: {after} KiB", began.elapsed());
        keep_to_the_rules(channel, time / 4).await.print("afterwards");
    });
}
