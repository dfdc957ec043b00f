//! Writers: each repeats a write until it has an outcome, then reads it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rolecall::engine::Token;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::World;
use super::commands::random_command;
use super::observed::{Because, Counts, RefusedWrite, name_of};
use super::readers::{Wanted, ask};
use super::send::send;
use crate::processes::{CALL_MAX, PATIENCE};
use crate::random::Random;

/// So that the model can keep up.
const PAUSE_MILLIS_MAX: usize = 60;

/// How an attempt has ended.
enum Outcome {
    Acknowledged(Token),
    Refused,
    /// The write may be stored or not.
    Unknown,
}

/// Writes until `stop` is set. The last write has an outcome then.
pub async fn write(world: Arc<World>, mut random: Random) {
    let channels: Vec<Channel> = world.processes[..super::SERVERS].iter().map(|server| server.channel()).collect();
    while !world.stop.load(Ordering::Relaxed) {
        let write = world.observed.write(random_command(&mut random));
        let server = settle(&world, &channels, write, &mut random).await;
        if let Some(server) = server
            && random.below(5) == 0
        {
            // It has an outcome already, which it must keep.
            let other = (server + 1 + random.below(2)) % channels.len();
            if let Outcome::Acknowledged(at) = attempt(&world, &channels[other], write).await {
                world.observed.acknowledge(write, at);
            }
        }
        tokio::time::sleep(Duration::from_millis(random.below(PAUSE_MILLIS_MAX) as u64)).await;
    }
}

/// Repeats a write on random servers until it has an outcome. Returns the server that has acknowledged it, or `None` if one
/// has refused it.
async fn settle(world: &World, channels: &[Channel], write: usize, random: &mut Random) -> Option<usize> {
    let deadline = Instant::now() + PATIENCE;
    let mut attempts = 0;
    loop {
        let server = random.below(channels.len());
        attempts += 1;
        match attempt(world, &channels[server], write).await {
            Outcome::Acknowledged(at) => {
                world.observed.acknowledge(write, at);
                // On this server every later check sees it (K5).
                let wanted = Wanted { at_least: None, not_before: vec![(at, Because::ReadYourWrites)] };
                ask(world, server, &channels[server], wanted, random).await;
                return Some(server);
            }
            Outcome::Refused => {
                Counts::add(&world.observed.counts.refused, 1);
                if attempts == 1 {
                    world.observed.refused_writes.lock().unwrap().push(RefusedWrite { write });
                }
                return None;
            }
            Outcome::Unknown => Counts::add(&world.observed.counts.repeated, 1),
        }
        assert!(Instant::now() < deadline, "write {write} has no outcome");
        tokio::time::sleep(Duration::from_millis(20 + random.below(100) as u64)).await;
    }
}

async fn attempt(world: &World, channel: &Channel, write: usize) -> Outcome {
    let command = world.observed.writes.lock().unwrap()[write].clone();
    let Ok(answer) = timeout(CALL_MAX * 2, send(channel.clone(), &command, &name_of(write))).await else {
        return Outcome::Unknown;
    };
    match answer {
        Ok(revision) => Outcome::Acknowledged(Token::decode(&revision).expect("a token")),
        Err(status) => outcome_of(world, write, status),
    }
}

fn outcome_of(world: &World, write: usize, status: Status) -> Outcome {
    // Without a reason it is no answer of a server: the connection has ended.
    let Some(info) = status.get_details_error_info() else { return Outcome::Unknown };
    match (status.code(), &*info.reason) {
        (Code::Unavailable, "DATABASE_UNAVAILABLE" | "OUTCOME_UNKNOWN") => Outcome::Unknown,
        (Code::ResourceExhausted, "OVERLOADED") | (Code::DeadlineExceeded, "DEADLINE_PASSED") => Outcome::Unknown,
        (Code::InvalidArgument, "REQUEST_ID_REUSED") => {
            world.fail(format!("write {write} is taken for another: {status:?}"));
            Outcome::Refused
        }
        (Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition | Code::InvalidArgument, reason)
            if reason != "PROJECT_NOT_FOUND" =>
        {
            Outcome::Refused
        }
        _ => {
            world.fail(format!("write {write} got {status:?}"));
            Outcome::Refused
        }
    }
}
