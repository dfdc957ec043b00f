//! Checks every pair, in batches over several connections, and compares the answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::wire::{BatchCheckRequest, CheckItem, Consistency, Decision, consistency::Requirement};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::load::{Loaded, ORG};
use crate::matrix::Matrix;
use crate::{MISMATCHES_SHOWN, bar};

/// The answers, compared with the file.
#[derive(Default)]
pub struct Answers {
    pub checks: u64,
    pub allowed: u64,
    /// At most [`MISMATCHES_SHOWN`].
    pub mismatches: Vec<Mismatch>,
    pub mismatches_total: u64,
    pub latencies: Vec<Duration>,
}

/// An answer that differs from the file.
pub struct Mismatch {
    pub pair: u64,
    pub expected: bool,
    pub decision: &'static str,
}

pub async fn ask(
    matrix: &Arc<Matrix>,
    loaded: &Arc<Loaded>,
    channels: Vec<Channel>,
    batch: u64,
) -> Result<Answers, String> {
    let bar = bar(matrix.pairs(), "checking");
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for channel in channels {
        let (matrix, loaded, next, bar) = (matrix.clone(), loaded.clone(), next.clone(), bar.clone());
        tasks.spawn(Asker { matrix, loaded, channel, batch, next, bar }.run());
    }
    let mut all = Answers::default();
    while let Some(answers) = tasks.join_next().await {
        all.add(answers.map_err(|error| format!("a task failed: {error}"))??);
    }
    bar.finish_and_clear();
    Ok(all)
}

struct Asker {
    matrix: Arc<Matrix>,
    loaded: Arc<Loaded>,
    channel: Channel,
    batch: u64,
    next: Arc<AtomicU64>,
    bar: ProgressBar,
}

impl Asker {
    async fn run(self) -> Result<Answers, String> {
        let mut client = CheckServiceClient::new(self.channel.clone());
        let mut answers = Answers::default();
        loop {
            let first = self.next.fetch_add(self.batch, Ordering::Relaxed);
            let pairs = first..(first + self.batch).min(self.matrix.pairs());
            if pairs.is_empty() {
                return Ok(answers);
            }
            let request = self.request(pairs.clone());
            let start = Instant::now();
            let answer = client.batch_check(request).await;
            answers.latencies.push(start.elapsed());
            let answer =
                answer.map_err(|status| format!("a batch failed: {:?}: {}", status.code(), status.message()))?;
            let decisions = answer.into_inner().decisions;
            if decisions.len() as u64 != pairs.end - pairs.start {
                return Err(format!("{} decisions for {} items", decisions.len(), pairs.end - pairs.start));
            }
            pairs.clone().zip(decisions).for_each(|(pair, decision)| answers.compare(&self.matrix, pair, decision));
            self.bar.inc(pairs.end - pairs.start);
        }
    }

    fn request(&self, pairs: std::ops::Range<u64>) -> BatchCheckRequest {
        let item = |pair| {
            let (user, permission) = self.matrix.pair(pair);
            CheckItem { org_id: String::new(), user_id: user.into(), permission: permission.into() }
        };
        BatchCheckRequest {
            project: self.loaded.project.clone(),
            items: pairs.map(item).collect(),
            defaults: Some(CheckItem { org_id: ORG.into(), ..Default::default() }),
            no_activity: true,
            // A server that has not yet read the loaded data waits until it has.
            consistency: Some(Consistency { requirement: Some(Requirement::AtLeast(self.loaded.revision.clone())) }),
            ..Default::default()
        }
    }
}

impl Answers {
    fn compare(&mut self, matrix: &Matrix, pair: u64, decision: i32) {
        self.checks += 1;
        let expected = matrix.is_granted(pair);
        // MISSING_PERMISSION is the only right denial: every user is a member and every permission is known.
        let right = if expected { Decision::Allowed } else { Decision::MissingPermission };
        self.allowed += u64::from(decision == Decision::Allowed as i32);
        if decision != right as i32 {
            self.mismatches_total += 1;
            if self.mismatches.len() < MISMATCHES_SHOWN {
                let decision =
                    Decision::try_from(decision).map_or("an unknown number", |decision| decision.as_str_name());
                self.mismatches.push(Mismatch { pair, expected, decision });
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.checks += other.checks;
        self.allowed += other.allowed;
        self.mismatches.extend(other.mismatches);
        self.mismatches_total += other.mismatches_total;
        self.latencies.extend(other.latencies);
    }
}
