//! The faults: kills, restarts, cut connections, and one restore.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::observed::Counts;
use super::{SERVERS, SIDECARS, World};
use crate::processes::PATIENCE;
use crate::random::Random;
use crate::support::cluster::{free_port, url};

/// After each fault the clients must get on by so much, however long it takes.
const ACKNOWLEDGED_A_FAULT: u64 = 10;
const ANSWERS_A_FAULT: u64 = 100;
/// The restore must take something away.
const ACKNOWLEDGED_BEFORE_RESTORE: u64 = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    KillServer,
    KillTwoServers,
    KillSidecar,
    /// It starts without an upstream, and answers from its file.
    KillSidecarWhileCutOff,
    /// Connections end, and new ones are refused.
    RefuseUpstreams,
    /// Connections stay open, and no byte passes.
    SilenceUpstreams,
    /// The sidecar must go to another one.
    SilenceOneUpstream,
    KillServerOfCutOffSidecar,
    RestartPostgres,
    CrashPostgres,
}

const ALL: [Fault; 10] = [
    Fault::KillServer,
    Fault::SilenceUpstreams,
    Fault::KillSidecar,
    Fault::CrashPostgres,
    Fault::RefuseUpstreams,
    Fault::KillSidecarWhileCutOff,
    Fault::SilenceOneUpstream,
    Fault::KillTwoServers,
    Fault::KillServerOfCutOffSidecar,
    Fault::RestartPostgres,
];

/// What was done.
#[derive(Default)]
pub struct Done {
    faults: BTreeMap<Fault, u32>,
    pub server_kills: u32,
    pub sidecar_kills: u32,
    pub cut_offs: u32,
    pub postgres_restarts: u32,
    pub restores: u32,
}

impl Done {
    pub fn total(&self) -> u64 {
        self.faults.values().map(|&times| u64::from(times)).sum()
    }

    /// The least numbers of acknowledged writes and of answers that follow from what was done.
    pub fn least(&self) -> (u64, u64) {
        (self.total() * ACKNOWLEDGED_A_FAULT, self.total() * ANSWERS_A_FAULT)
    }
}

/// Makes faults for a time, but at least each kind once, and one restore.
pub async fn make_faults(world: &Arc<World>, duration: Duration, mut random: Random) -> Done {
    let began = Instant::now();
    let mut done = Done::default();
    let mut first_round: Vec<Fault> = ALL.to_vec();
    let mut copied: Option<(u64, u64)> = None;
    progress(world).await;
    while began.elapsed() < duration || !first_round.is_empty() || done.restores == 0 {
        world.assert_no_failure();
        let acknowledged = Counts::of(&world.observed.counts.acknowledged);
        match copied {
            None if began.elapsed() > duration / 4 => {
                copied = Some((copy(world), acknowledged));
                done.postgres_restarts += 1;
            }
            Some((revision, before))
                if done.restores == 0
                    && began.elapsed() > duration / 2
                    && acknowledged >= before + ACKNOWLEDGED_BEFORE_RESTORE =>
            {
                restore(world, revision, &mut random).await;
                done.restores += 1;
            }
            _ => {
                let fault = match first_round.is_empty() {
                    false => first_round.remove(random.below(first_round.len())),
                    true => ALL[random.below(ALL.len())],
                };
                make(world, fault, &mut done, &mut random).await;
                *done.faults.entry(fault).or_default() += 1;
            }
        }
        progress(world).await;
    }
    println!("faults: {:?}", done.faults);
    done
}

async fn make(world: &World, fault: Fault, done: &mut Done, random: &mut Random) {
    let server = random.below(SERVERS);
    let sidecar = random.below(SIDECARS);
    match fault {
        Fault::KillServer => kill(world, server, done, random).await,
        Fault::KillTwoServers => {
            world.kill(server);
            kill(world, (server + 1) % SERVERS, done, random).await;
            world.start(server);
            done.server_kills += 1;
        }
        Fault::KillSidecar => kill(world, SERVERS + sidecar, done, random).await,
        Fault::KillSidecarWhileCutOff => {
            world.links[sidecar].iter().for_each(|link| link.refuse());
            kill(world, SERVERS + sidecar, done, random).await;
            // It has a file, so it needs nobody.
            world.processes[SERVERS + sidecar].wait_until_answering().await;
            pause(random, 1_000).await;
            world.join(sidecar);
            done.cut_offs += 1;
        }
        Fault::RefuseUpstreams => {
            world.links[sidecar].iter().for_each(|link| link.refuse());
            pause(random, 6_000).await;
            world.join(sidecar);
            done.cut_offs += 1;
        }
        Fault::SilenceUpstreams => {
            world.links[sidecar].iter().for_each(|link| link.be_silent());
            // A sidecar notices after five seconds.
            pause(random, 12_000).await;
            world.join(sidecar);
            done.cut_offs += 1;
        }
        Fault::SilenceOneUpstream => {
            let links = &world.links[sidecar];
            links[random.below(links.len())].be_silent();
            pause(random, 8_000).await;
            world.join(sidecar);
            done.cut_offs += 1;
        }
        Fault::KillServerOfCutOffSidecar => {
            world.links[sidecar].iter().for_each(|link| link.be_silent());
            kill(world, server, done, random).await;
            world.join(sidecar);
            done.cut_offs += 1;
        }
        Fault::RestartPostgres | Fault::CrashPostgres => {
            tokio::task::block_in_place(|| match fault {
                Fault::CrashPostgres => world.cluster.crash(),
                _ => world.cluster.stop(),
            });
            pause(random, 3_000).await;
            tokio::task::block_in_place(|| world.cluster.start_again());
            done.postgres_restarts += 1;
        }
    }
}

async fn kill(world: &World, process: usize, done: &mut Done, random: &mut Random) {
    world.kill(process);
    pause(random, 1_500).await;
    world.start(process);
    match process < SERVERS {
        true => done.server_kills += 1,
        false => done.sidecar_kills += 1,
    }
}

/// Copies the data of the stopped database. Returns the newest revision of the copy.
fn copy(world: &World) -> u64 {
    tokio::task::block_in_place(|| {
        let cluster = &world.cluster;
        cluster.stop();
        let port = free_port();
        cluster.start_hidden(port);
        let mut checker = world.checker.lock().unwrap();
        let read = checker.verify(&url(port)).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert!(read, "the database does not answer");
        let revision = checker.newest().0;
        cluster.stop();
        cluster.copy_data();
        cluster.start_again();
        revision
    })
}

/// Puts the copy in the place of the database. Its newest revision is known.
async fn restore(world: &World, revision: u64, random: &mut Random) {
    // Some do not see that it happens: a sidecar, and a server that is killed.
    let (sidecar, server) = (random.below(SIDECARS), random.below(SERVERS));
    world.links[sidecar].iter().for_each(|link| match random.below(2) {
        0 => link.refuse(),
        _ => link.be_silent(),
    });
    tokio::task::block_in_place(|| {
        let cluster = &world.cluster;
        // Nobody reads the history meanwhile.
        let mut checker = world.checker.lock().unwrap();
        world.observed.restore_began.set(Instant::now()).expect("there is one restore");
        cluster.stop();
        let port = free_port();
        cluster.start_hidden(port);
        let read = checker.read_lost(&url(port)).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert!(read, "the database does not answer");
        cluster.stop();
        cluster.restore_copy();
        cluster.start_again();
        let kept = checker.read_restored(&cluster.url()).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(kept, Some(revision), "the restored history is not the copied one");
    });
    if random.below(2) == 0 {
        world.kill(server);
    }
    progress(world).await;
    world.join(sidecar);
    world.start(server);
}

async fn pause(random: &mut Random, millis_max: usize) {
    tokio::time::sleep(Duration::from_millis(random.below(millis_max) as u64)).await;
}

/// Waits until the clients have got on.
async fn progress(world: &World) {
    let counts = &world.observed.counts;
    let now = || (Counts::of(&counts.acknowledged), counts.answers());
    let before = now();
    let began = Instant::now();
    while now().0 < before.0 + ACKNOWLEDGED_A_FAULT || now().1 < before.1 + ANSWERS_A_FAULT {
        world.assert_no_failure();
        if began.elapsed() > PATIENCE {
            let logs = world.processes.iter().map(|process| format!("{}:\n{}\n", process.name, process.log()));
            panic!("the clients do not get on: {before:?}, then {:?}\n{}", now(), logs.collect::<String>());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    debug_assert!(!world.stop.load(Ordering::Relaxed));
}
