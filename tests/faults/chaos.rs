//! Three servers on one PostgreSQL, two sidecars, and clients that write and read everywhere, while processes are killed,
//! the database restarts and is once restored from an older copy, and sidecars are cut off.
//!
//! A checker compares what the clients have seen with the history in the database and with the reference model:
//!
//! 1. No acknowledged write is lost, except those that the restore takes away, and none is applied twice.
//! 2. Revisions have no gaps.
//! 3. Every answer is that of the model at the revision that it names. So a batch never mixes revisions.
//! 4. No answer is older than what the call asks for (K4), nor than a write that the same server has acknowledged (K5).
//!    A call that cannot be answered in time is UNAVAILABLE.
//! 5. A process that has shown the restored history never goes back to the lost one. At the end all processes have the
//!    restored one, and refuse tokens of the lost one.
//!
//! Nothing depends on speed. A slow machine does less in the same time, or takes longer for the least that the test
//! wants: each kind of fault happens at least once, and the clients get on after each.
//!
//! The seed is printed. It chooses the faults and the calls, not how they interleave. For half an hour, with a seed:
//! `ROLECALL_TEST_CHAOS_SECONDS=1800 ROLECALL_TEST_SEED=7 cargo test --test faults chaos -- --nocapture`

mod checker;
mod commands;
mod faults;
mod history;
mod observed;
mod readers;
mod send;
mod writers;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rolecall::engine::Token;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::wire::{Consistency, consistency::Requirement};
use tonic::Code;
use tonic_types::StatusExt;

use crate::processes::{Address, CALL_MAX, PATIENCE, Process};
use crate::random::Random;
use crate::support::cluster::Cluster;
use crate::support::proxy::Proxy;
use checker::Checker;
use commands::{ORGS, PERMISSIONS, USERS};
use faults::make_faults;
use observed::{Answer, Asked, Check, Counts, Observed, name_of};
use readers::batch_of;

/// How long faults are made, if `ROLECALL_TEST_CHAOS_SECONDS` is not set.
const SECONDS: u64 = 120;
const SERVERS: usize = 3;
const SIDECARS: usize = 2;
const WRITERS: usize = 6;
const READERS_A_PROCESS: usize = 2;
/// How often the history is read and answers are verified.
const VERIFY_PAUSE: Duration = Duration::from_secs(2);

/// See the module.
pub struct World {
    cluster: Cluster,
    /// The servers, then the sidecars.
    processes: Vec<Process>,
    /// The ways of each sidecar to its upstreams, and their ports.
    links: Vec<Vec<Proxy>>,
    upstream_ports: Vec<Vec<u16>>,
    /// Which processes should run.
    running: Vec<AtomicBool>,
    observed: Arc<Observed>,
    checker: Mutex<Checker>,
    failure: Mutex<Option<String>>,
    /// Clients finish what they are doing.
    stop: AtomicBool,
    passed: AtomicBool,
    folder: PathBuf,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chaos_loses_no_write_and_gives_no_wrong_answer() {
    let Some(world) = World::set_up().await else { return };
    let seconds = number("ROLECALL_TEST_CHAOS_SECONDS").unwrap_or(SECONDS);
    let seed = number("ROLECALL_TEST_SEED").unwrap_or_else(|| u64::from(getrandom::u32().unwrap()));
    println!("ROLECALL_TEST_SEED={seed}, {seconds} s");
    let began = Instant::now();
    let mut random = Random(seed);
    let mut next = || Random(random.below(usize::MAX / 2) as u64 ^ seed);
    let mut clients = Vec::new();
    for _ in 0..WRITERS {
        clients.push(tokio::spawn(writers::write(world.clone(), next())));
    }
    for process in (0..SERVERS + SIDECARS).cycle().take((SERVERS + SIDECARS) * READERS_A_PROCESS) {
        clients.push(tokio::spawn(readers::read(world.clone(), process, next())));
    }
    let keeping = tokio::spawn(keep_running(world.clone()));
    let verifying = tokio::spawn(verify_while_running(world.clone()));
    let done = make_faults(&world, Duration::from_secs(seconds), next()).await;
    world.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    verifying.await.unwrap();
    keeping.abort();
    world.assert_no_failure();

    let observed = &world.observed;
    ask_everything(&world).await;
    let (lost, unchanged) = verified(world.checker.lock().unwrap().verify_all(&world.cluster.url()));
    lost_tokens_are_refused(&world).await;
    // Each sidecar has in its file what it has shown.
    for sidecar in 0..SIDECARS {
        world.links[sidecar].iter().for_each(|link| link.refuse());
        world.processes[SERVERS + sidecar].kill();
        world.processes[SERVERS + sidecar].start();
    }
    ask_everything(&world).await;
    verified(world.checker.lock().unwrap().verify_all(&world.cluster.url()));

    let checker = world.checker.lock().unwrap();
    let (counts, of) = (&observed.counts, Counts::of);
    let (kept, old, new) = checker.revisions();
    println!(
        "{:?} in all; {} faults, and the restore: {} server kills, {} sidecar kills, {} cut-offs, {} PostgreSQL restarts",
        began.elapsed(),
        done.total(),
        done.server_kills,
        done.sidecar_kills,
        done.cut_offs,
        done.postgres_restarts
    );
    println!("revisions: {old}, restored to {kept}, then {new}");
    println!(
        "writes: {} acknowledged ({lost} lost by the restore, {unchanged} changed nothing), {} refused, {} repetitions",
        of(&counts.acknowledged),
        of(&counts.refused),
        of(&counts.repeated)
    );
    println!(
        "answers: {} of servers, {} of sidecars, {} with at_least; {} checks, {} calls unanswered; verified: {}",
        of(&counts.answers_of_servers),
        of(&counts.answers_of_sidecars),
        of(&counts.answers_at_least),
        of(&counts.checks),
        of(&counts.unanswered),
        checker.verified
    );
    println!("decisions by number: {:?}", checker.decisions);
    let mut waits = observed.waits.lock().unwrap().clone();
    waits.sort();
    println!(
        "sidecars with at_least: median {:?}, 99 of 100 {:?}",
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100]
    );
    let (acknowledged, answers) = done.least();
    assert!(of(&counts.acknowledged) >= acknowledged && checker.verified >= answers, "too little happened");
    assert!(done.server_kills >= 4 && done.sidecar_kills >= 2 && done.cut_offs >= 5 && done.restores == 1);
    assert!(lost >= 1 && old > kept && new > kept, "the restore took nothing away");
    assert!(of(&counts.repeated) > 0, "no write was interrupted");
    world.passed.store(true, Ordering::Relaxed);
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

fn verified<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|wrong| panic!("{wrong}"))
}

impl World {
    async fn set_up() -> Option<Arc<Self>> {
        let cluster = Cluster::start(&["max_connections = 300"])?;
        let folder = tempfile::tempdir().unwrap().keep();
        let mut processes: Vec<Process> =
            (0..SERVERS).map(|at| Process::server(&format!("server-{at}"), &cluster.url(), &folder)).collect();
        let mut upstream_ports = Vec::new();
        let mut links = Vec::new();
        for sidecar in 0..SIDECARS {
            let ports: Vec<u16> = [sidecar, sidecar + 1].map(|at| processes[at].address.port()).into();
            let mut ways = Vec::new();
            for &port in &ports {
                ways.push(Proxy::to(port).await);
            }
            let addresses: Vec<String> = ways.iter().map(|way| format!("127.0.0.1:{}", way.port)).collect();
            let address = match sidecar {
                0 => Address::free(),
                _ => Address::Unix(folder.join("sidecar.sock")),
            };
            processes.push(Process::sidecar(&format!("sidecar-{sidecar}"), &addresses, address, &folder, &[]));
            upstream_ports.push(ports);
            links.push(ways);
        }
        let observed = Arc::<Observed>::default();
        let world = Self {
            checker: Mutex::new(Checker::new(observed.clone(), processes.len())),
            running: processes.iter().map(|_| AtomicBool::new(true)).collect(),
            cluster,
            processes,
            links,
            upstream_ports,
            observed,
            failure: Mutex::default(),
            stop: AtomicBool::new(false),
            passed: AtomicBool::new(false),
            folder,
        };
        for process in &world.processes {
            process.start();
            process.wait_until_answering().await;
        }
        for command in commands::set_up() {
            let write = world.observed.write(command.clone());
            let sent = send::send(world.processes[0].channel(), &command, &name_of(write)).await;
            world.observed.acknowledge(write, Token::decode(&sent.unwrap()).expect("a token"));
        }
        // Before that a reader would not find the project.
        for process in &world.processes {
            let newest = world.observed.recent(0).expect("writes were acknowledged");
            let has = |revision: &str| Token::decode(revision).is_some_and(|at| at.number >= newest.number);
            process.wait_until("has the project", |info| has(&info.revision)).await;
        }
        Some(Arc::new(world))
    }

    /// Notes the first thing that is wrong.
    fn fail(&self, wrong: String) {
        self.failure.lock().unwrap().get_or_insert(wrong);
    }

    fn assert_no_failure(&self) {
        if let Some(wrong) = &*self.failure.lock().unwrap() {
            panic!("{wrong}\nlogs: {}", self.folder.display());
        }
    }

    fn kill(&self, process: usize) {
        self.running[process].store(false, Ordering::SeqCst);
        self.processes[process].kill();
    }

    /// Starts a killed process. Does nothing if it runs.
    fn start(&self, process: usize) {
        if !self.running[process].swap(true, Ordering::SeqCst) {
            self.processes[process].start();
        }
    }

    /// Leads a sidecar to its upstreams again.
    fn join(&self, sidecar: usize) {
        for (link, &port) in self.links[sidecar].iter().zip(&self.upstream_ports[sidecar]) {
            link.lead_to(port);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The logs help to understand a failure.
        match self.passed.load(Ordering::Relaxed) {
            false => eprintln!("logs: {}", self.folder.display()),
            true => drop(std::fs::remove_dir_all(&self.folder)),
        }
    }
}

/// Starts processes again that could not start, because the database was away. A process that has answered must not end by
/// itself.
async fn keep_running(world: Arc<World>) {
    let mut answered = vec![0; world.processes.len()];
    loop {
        for (at, process) in world.processes.iter().enumerate() {
            if let Some(status) = process.ended() {
                if answered[at] == process.starts() {
                    world.fail(format!("{} has ended: {status}\n{}", process.name, process.log()));
                }
                process.start();
            } else if answered[at] != process.starts() {
                let starts = process.starts();
                if process.info().await.is_ok() && process.starts() == starts {
                    answered[at] = starts;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn verify_while_running(world: Arc<World>) {
    while !world.stop.load(Ordering::Relaxed) {
        tokio::time::sleep(VERIFY_PAUSE).await;
        let verified = tokio::task::block_in_place(|| {
            let mut checker = world.checker.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            checker.verify(&world.cluster.url())
        });
        if let Err(wrong) = verified {
            return world.fail(wrong);
        }
    }
}

/// Waits until all processes have the newest revision, and asks each about everything there.
async fn ask_everything(world: &World) {
    let deadline = Instant::now() + PATIENCE;
    while !verified(world.checker.lock().unwrap().verify(&world.cluster.url())) {
        assert!(Instant::now() < deadline, "the database does not answer");
    }
    let (number, tag) = world.checker.lock().unwrap().newest();
    for (at, process) in world.processes.iter().enumerate() {
        // A later revision is one of the purger.
        let is_newest = |at: Token| at.number > number || (at.number, at.tag) == (number, tag);
        process.wait_until("has the newest revision", |info| is_newest(Token::decode(&info.revision).unwrap())).await;
        let mut checks = Vec::new();
        for org in ORGS {
            for user in USERS {
                let check = |permission| Check { org, user, asked: Asked::Permission(permission), decision: 0 };
                checks.extend(PERMISSIONS.map(check));
            }
        }
        let mut client = CheckServiceClient::new(process.channel());
        let sent = Instant::now();
        let (decisions, revision) = batch_of(&mut client, None, CALL_MAX, &checks).await.unwrap();
        checks.iter_mut().zip(decisions).for_each(|(check, decision)| check.decision = decision);
        let answer = Answer {
            process: at,
            sent,
            received: Instant::now(),
            at: Token::decode(&revision).unwrap(),
            not_before: Vec::new(),
            checks,
        };
        world.observed.answer(answer, at >= SERVERS);
    }
}

async fn lost_tokens_are_refused(world: &World) {
    let store_id = world.observed.recent(0).expect("writes were acknowledged").store_id;
    let lost = world.checker.lock().unwrap().lost_tokens(store_id);
    assert!(!lost.is_empty());
    for process in &world.processes {
        for token in lost.iter().step_by(lost.len().div_ceil(20)).chain(lost.last()) {
            let consistency = Consistency { requirement: Some(Requirement::AtLeast(token.encode())) };
            let check = Check { org: ORGS[0], user: USERS[0], asked: Asked::Permission("read"), decision: 0 };
            let mut client = CheckServiceClient::new(process.channel());
            let refused = batch_of(&mut client, Some(consistency), CALL_MAX, &[check]).await.unwrap_err();
            assert_eq!(refused.code(), Code::FailedPrecondition, "{}: {refused:?}", process.name);
            let reason = refused.get_details_error_info().map(|info| info.reason);
            assert_eq!(reason.as_deref(), Some("REVISION_OF_ANOTHER_HISTORY"), "{}", process.name);
        }
    }
}
