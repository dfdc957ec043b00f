//! What the tests of attacks share: a server in a process of its own, attackers with an address of their own, and a client
//! that keeps to the rules.
//!
//! `ROLECALL_TEST_ATTACK_SECONDS` says how long an attack lasts, and `ROLECALL_TEST_SERVER` names another binary to attack.
//! The tests print latencies, and judge only memory and answers.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::grpc::generated::project_service_client::ProjectServiceClient;
use rolecall::grpc::generated::role_service_client::RoleServiceClient;
use rolecall::wire::{self, Decision, consistency::Requirement};
use tokio::net::{TcpSocket, TcpStream};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::hostile::Client;
use crate::support::block_on;
use crate::support::process::processor_seconds;

pub const PERMISSION: &str = "rolecall::can_view_other_members";
/// The number of roles of the project `many`, beside that of its bosses.
pub const ROLES: usize = 12;
/// The attackers have an address of their own: the limit of connections for each peer is part of what protects others.
const ATTACKERS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// How long a test waits for what must happen. A slow machine may need minutes.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// How long a round of an attack may take. 20 writes to a busy server that is not optimized take a minute.
const ROUND: Duration = Duration::from_secs(120);

/// Returns how long an attack lasts. CI needs only a few seconds.
pub fn attack_time(seconds: u64) -> Duration {
    let given = std::env::var("ROLECALL_TEST_ATTACK_SECONDS").map(|given| given.parse().unwrap());
    Duration::from_secs(given.unwrap_or(seconds))
}

/// A connection that sends the same key with each call, or none.
pub type Caller = InterceptedService<Channel, Key>;

#[derive(Clone)]
pub struct Key(Option<MetadataValue<Ascii>>);

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(authorization) = &self.0 {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        Ok(request)
    }
}

pub fn caller(channel: Channel, token: Option<&str>) -> Caller {
    let key = token.map(|token| format!("Bearer {token}").parse().unwrap());
    InterceptedService::new(channel, Key(key))
}

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
    /// Starts a server with these flags, which may use that many file descriptors.
    pub async fn start(database: &str, files: u32, flags: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let binary = std::env::var("ROLECALL_TEST_SERVER").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rolecall").into());
        let serve =
            format!("ulimit -n {files}; exec '{binary}' serve --database '{database}' --listen {address} {flags}");
        let process = Command::new("sh").args(["-c", &serve]).stdin(Stdio::null()).spawn().unwrap();
        Self { process, address }
    }

    pub async fn channel(&self) -> Channel {
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
                Err(error) => assert!(began.elapsed() < PATIENCE, "the server does not start: {error}"),
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

    /// Returns the seconds of processor time that the process has used.
    pub fn processor_seconds(&self) -> f64 {
        processor_seconds(self.process.id())
    }

    /// Waits until the process has about as much memory as before.
    pub async fn gives_back(&self, before: u64) {
        let enough = before + (before / 10).max(16 * 1_024);
        let began = Instant::now();
        let mut after = self.memory("VmRSS");
        while after > enough {
            assert!(began.elapsed() < PATIENCE, "{after} KiB are not given back");
            tokio::time::sleep(Duration::from_secs(1)).await;
            after = self.memory("VmRSS");
        }
        println!("memory {:?} after the attack: {after} KiB", began.elapsed());
    }
}

pub type Running = std::thread::JoinHandle<()>;

/// What the attackers share.
#[derive(Clone)]
pub struct Attack {
    server: SocketAddr,
    over: Arc<AtomicBool>,
    /// How often each attack did its work, so that none only fails.
    pub rounds: Arc<Mutex<BTreeMap<&'static str, u64>>>,
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

    /// Runs attackers on threads of their own, so that the client waits for the server only. Ends with the first that fails.
    pub fn run(attackers: impl Iterator<Item = impl Future<Output = ()> + Send + 'static> + Send + 'static) -> Running {
        std::thread::spawn(|| block_on(async { drop(try_join_all(attackers.map(tokio::spawn)).await.unwrap()) }))
    }

    pub async fn connect(&self) -> Option<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((ATTACKERS, 0))).unwrap();
        tokio::time::timeout(Duration::from_secs(5), socket.connect(self.server)).await.ok()?.ok()
    }

    pub async fn client(&self) -> Option<Client> {
        Client::over(self.connect().await?).await.ok()
    }

    /// Repeats an attack until the end, each time over a new connection.
    pub async fn repeat(self, name: &'static str, round: impl AsyncFn(Client) -> Option<()>) {
        while !self.is_over() {
            let done = match self.client().await {
                Some(client) => tokio::time::timeout(ROUND, round(client)).await,
                None => Ok(None),
            };
            if matches!(done, Ok(Some(()))) {
                *self.rounds.lock().unwrap().entry(name).or_default() += 1;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub async fn set_up(caller: &Caller) {
    let mut orgs = OrgServiceClient::new(caller.clone());
    let mut members = MembershipServiceClient::new(caller.clone());
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
    ProjectServiceClient::new(caller.clone()).create_project(project).await.unwrap();
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
    RoleServiceClient::new(caller.clone()).batch_create_roles(roles).await.unwrap();
    for org in ["a", "b"] {
        orgs.create_org(owner(org, "many", "owner")).await.unwrap();
        for (user, role) in [("boss", "Boss"), ("cycled", "r0")] {
            members.add_member(member("many", org, user, role)).await.unwrap();
        }
    }
}

pub fn member(project: &str, org: &str, user: &str, role: &str) -> wire::AddMemberRequest {
    wire::AddMemberRequest {
        project: project.into(),
        org_id: org.into(),
        user_id: user.into(),
        roles: vec![wire::RoleAssignment { role: role.into(), ..Default::default() }],
        ..Default::default()
    }
}

pub async fn asked(caller: &Caller, user: &str, consistency: Option<Requirement>) -> (i32, Duration) {
    let request = wire::CheckRequest {
        org_id: "acme".into(),
        user_id: user.into(),
        question: Some(wire::check_request::Question::Permission(PERMISSION.into())),
        consistency: consistency.map(|requirement| wire::Consistency { requirement: Some(requirement) }),
        ..Default::default()
    };
    let began = Instant::now();
    let answer = CheckServiceClient::new(caller.clone()).check(request).await.expect("no check fails");
    (answer.into_inner().decision, began.elapsed())
}

/// Checks in a loop, prints the latencies, and fails if a check is refused or wrong.
pub async fn checks(name: &str, caller: &Caller, time: Duration) {
    let (mut times, began) = (Vec::new(), Instant::now());
    while began.elapsed() < time {
        for (user, decision) in [("member-1", Decision::Allowed), ("nobody", Decision::NotAMember)] {
            let (answer, took) = asked(caller, user, None).await;
            assert_eq!(answer, decision as i32, "{user}");
            times.push(took);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100];
    println!("{name}: {} checks, median {:?}, p99 {:?}", times.len(), at(50), at(99));
}
