//! Checks and writes that run in the background. They measure how long each call waits, and fail if a check is denied.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::HumanCount;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::wire;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::{refused, target};

/// Checks per batch.
const BATCH: usize = 1_000;

type Waits = Result<Vec<Duration>, String>;

/// The users to check: `u0`, `u1` and so on, `org_members` of them in each of the orgs `org-0`, `org-1` and so on.
#[derive(Clone)]
pub struct Watched {
    pub project: String,
    pub users: usize,
    pub org_members: usize,
    /// A permission that each of them has all the time.
    pub permission: &'static str,
}

pub struct Watch {
    stop: Arc<AtomicBool>,
    checks: JoinHandle<Waits>,
    writes: JoinHandle<Waits>,
}

/// How long each call took.
pub struct Report {
    checks: Vec<Duration>,
    writes: Vec<Duration>,
}

impl Watch {
    /// Starts to check the users, and to write to an org.
    pub async fn start(address: &str, watched: &Watched) -> Result<Self, String> {
        let stop = Arc::<AtomicBool>::default();
        let (for_checks, for_writes) = (target::connect(address).await?, target::connect(address).await?);
        let checks = tokio::spawn(check(for_checks, watched.clone(), stop.clone()));
        let writes = tokio::spawn(write(for_writes, watched.project.clone(), stop.clone()));
        Ok(Self { stop, checks, writes })
    }

    /// Continues for `time`, then stops and reports.
    pub async fn stop_after(self, time: Duration) -> Result<Report, String> {
        tokio::time::sleep(time).await;
        self.stop.store(true, Ordering::Relaxed);
        let failed = |error: tokio::task::JoinError| format!("a task failed: {error}");
        Ok(Report { checks: self.checks.await.map_err(failed)??, writes: self.writes.await.map_err(failed)?? })
    }
}

impl Watched {
    fn item(&self, user: usize) -> wire::CheckItem {
        wire::CheckItem {
            org_id: format!("org-{}", user / self.org_members),
            user_id: format!("u{user}"),
            permission: self.permission.into(),
        }
    }
}

async fn check(channel: Channel, watched: Watched, stop: Arc<AtomicBool>) -> Waits {
    let mut client = CheckServiceClient::new(channel);
    let mut waits = Vec::new();
    let mut first = 0;
    while !stop.load(Ordering::Relaxed) {
        // Steps of a prime spread a batch over the users. In time they reach every user.
        let users = (0..BATCH).map(|at| (first + at * 7_919) % watched.users.max(1));
        let items = users.map(|user| watched.item(user)).collect();
        let request = wire::BatchCheckRequest { project: watched.project.clone(), items, ..Default::default() };
        let start = Instant::now();
        let answer = client.batch_check(request).await.map_err(refused)?.into_inner();
        waits.push(start.elapsed());
        let denied = answer.decisions.iter().find(|&&decision| decision != wire::Decision::Allowed as i32);
        if let Some(denied) = denied {
            return Err(format!("a member was denied a permission that it has all the time: decision {denied}"));
        }
        first += BATCH;
    }
    Ok(waits)
}

/// Changes the metadata of an org again and again, which is one of the smallest writes.
async fn write(channel: Channel, project: String, stop: Arc<AtomicBool>) -> Waits {
    let mut client = OrgServiceClient::new(channel);
    let mut waits = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let metadata = format!("{:?}", Instant::now());
        let request = wire::UpdateOrgRequest {
            project: project.clone(),
            org_id: "org-0".into(),
            resource: Some(wire::Org { metadata, ..Default::default() }),
            ..Default::default()
        };
        let start = Instant::now();
        client.update_org(request).await.map_err(refused)?;
        waits.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(waits)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = |waits: &[Duration]| {
            let mut sorted = waits.to_vec();
            sorted.sort_unstable();
            let ms = |at: usize| sorted.get(at).map_or(0.0, |wait| wait.as_secs_f64() * 1_000.0);
            let count = HumanCount(waits.len() as u64);
            format!("{count}, p50 {:.1} ms, longest {:.1} ms", ms(sorted.len() / 2), ms(sorted.len().saturating_sub(1)))
        };
        write!(f, "batches of {BATCH} checks: {}; writes: {}", summary(&self.checks), summary(&self.writes))
    }
}
