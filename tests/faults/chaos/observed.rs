//! What the clients have seen, for the checker.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rolecall::domain::Command;
use rolecall::engine::Token;

/// Recent tokens from which `at_least` is chosen.
const RECENT: usize = 40;

/// What a check asks.
#[derive(Clone, Debug)]
pub enum Asked {
    Permission(&'static str),
    Role(&'static str),
    AtLeastRole(&'static str),
    AllOf(Vec<String>),
    AnyOf(Vec<String>),
}

#[derive(Clone, Debug)]
pub struct Check {
    pub org: &'static str,
    pub user: &'static str,
    pub asked: Asked,
    /// The decision, as its number.
    pub decision: i32,
}

/// Why an answer must not be older than a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Because {
    /// The call asked for it. Nothing excuses an older answer.
    AtLeast,
    /// The call asked for `latest` after this was acknowledged.
    Latest,
    /// The same server has acknowledged this write before.
    ReadYourWrites,
    /// The same process has answered with it before.
    NeverBack,
    /// The age of the server says that it had this.
    Age,
}

/// The answer to one call.
#[derive(Debug)]
pub struct Answer {
    /// The index of the process.
    pub process: usize,
    pub sent: Instant,
    pub received: Instant,
    pub at: Token,
    pub not_before: Vec<(Token, Because)>,
    pub checks: Vec<Check>,
}

/// A token that a process refused as one of another history.
#[derive(Debug)]
pub struct RefusedToken {
    pub process: usize,
    pub sent: Instant,
    pub received: Instant,
    pub token: Token,
}

/// An answer to a write.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    pub write: usize,
    pub at: Token,
}

/// A write that a server refused, and which client sent it only once.
#[derive(Clone, Copy, Debug)]
pub struct RefusedWrite {
    pub write: usize,
}

/// Numbers for the report.
#[derive(Default)]
pub struct Counts {
    pub acknowledged: AtomicU64,
    /// Attempts of a write that ended without an outcome, and were repeated.
    pub repeated: AtomicU64,
    pub refused: AtomicU64,
    pub answers_of_servers: AtomicU64,
    pub answers_of_sidecars: AtomicU64,
    pub answers_at_least: AtomicU64,
    pub checks: AtomicU64,
    pub unanswered: AtomicU64,
}

/// See the module.
#[derive(Default)]
pub struct Observed {
    pub counts: Counts,
    /// The name of a write is its index, with a word before it.
    pub writes: Mutex<Vec<Command>>,
    pub acknowledged: Mutex<Vec<Acknowledged>>,
    pub refused_writes: Mutex<Vec<RefusedWrite>>,
    pub answers: Mutex<Vec<Answer>>,
    pub refused_tokens: Mutex<Vec<RefusedToken>>,
    /// How long sidecars took for answers that need a recent write.
    pub waits: Mutex<Vec<Duration>>,
    pub restore_began: OnceLock<Instant>,
    recent: Mutex<Vec<(Instant, Token)>>,
}

impl Counts {
    pub fn add(counter: &AtomicU64, number: usize) {
        counter.fetch_add(number as u64, Ordering::Relaxed);
    }

    pub fn of(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    pub fn answers(&self) -> u64 {
        Self::of(&self.answers_of_servers) + Self::of(&self.answers_of_sidecars)
    }
}

impl Observed {
    /// Registers a write. Returns its index.
    pub fn write(&self, command: Command) -> usize {
        let mut writes = self.writes.lock().unwrap();
        writes.push(command);
        writes.len() - 1
    }

    /// Returns all writes that were registered. Read the history before: it then has no others.
    pub fn writes(&self) -> Vec<Command> {
        self.writes.lock().unwrap().clone()
    }

    pub fn acknowledge(&self, write: usize, at: Token) {
        Counts::add(&self.counts.acknowledged, 1);
        self.acknowledged.lock().unwrap().push(Acknowledged { write, at });
        let mut recent = self.recent.lock().unwrap();
        recent.push((Instant::now(), at));
        if recent.len() >= 2 * RECENT {
            recent.drain(..RECENT);
        }
    }

    pub fn answer(&self, answer: Answer, is_sidecar: bool) {
        let counter = if is_sidecar { &self.counts.answers_of_sidecars } else { &self.counts.answers_of_servers };
        Counts::add(counter, 1);
        Counts::add(&self.counts.checks, answer.checks.len());
        self.answers.lock().unwrap().push(answer);
    }

    /// Returns the revision of one of the latest acknowledged writes. `back` counts from the newest.
    pub fn recent(&self, back: usize) -> Option<Token> {
        let recent = self.recent.lock().unwrap();
        recent.len().checked_sub(1 + back % RECENT).map(|at| recent[at].1)
    }

    /// Returns the revision of a write that was acknowledged before `time`.
    pub fn acknowledged_before(&self, time: Instant) -> Option<Token> {
        let recent = self.recent.lock().unwrap();
        recent.iter().rev().find(|(at, _)| *at < time).map(|(_, token)| *token)
    }
}

/// Returns the name of a write: its request id and its reason.
pub fn name_of(write: usize) -> String {
    format!("write {write}")
}

/// Reads what [`name_of`] returns.
pub fn write_named(name: &str) -> Option<usize> {
    name.strip_prefix("write ")?.parse().ok()
}
