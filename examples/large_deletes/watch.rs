//! Checks and writes that go on meanwhile: how long each waited at most, and whether anybody was ever denied.

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

/// Checks a batch.
const BATCH: usize = 1_000;

type Waits = Result<Vec<Duration>, String>;

/// Whom is asked about: users `u0` to the last, so many in each of the orgs `org-0`, `org-1` and so on.
#[derive(Clone)]
pub struct Watched {
    pub project: String,
    pub users: usize,
    pub users_an_org: usize,
    /// What each of them may do all the time.
    pub permission: &'static str,
}

pub struct Watch {
    stop: Arc<AtomicBool>,
    checks: JoinHandle<Waits>,
    writes: JoinHandle<Waits>,
}

/// How long the calls took.
pub struct Visibility {
    checks: Vec<Duration>,
    writes: Vec<Duration>,
}

impl Watch {
    /// Begins to ask about the members, and to write something else.
    pub async fn begin(address: &str, watched: &Watched) -> Result<Self, String> {
        let stop = Arc::<AtomicBool>::default();
        let (checking, writing) = (target::connect(address).await?, target::connect(address).await?);
        let checks = tokio::spawn(check(checking, watched.clone(), stop.clone()));
        let writes = tokio::spawn(write(writing, watched.project.clone(), stop.clone()));
        Ok(Self { stop, checks, writes })
    }

    /// Goes on for so long, then says what was seen.
    pub async fn over(self, time: Duration) -> Result<Visibility, String> {
        tokio::time::sleep(time).await;
        self.stop.store(true, Ordering::Relaxed);
        let failed = |error: tokio::task::JoinError| format!("a task failed: {error}");
        Ok(Visibility { checks: self.checks.await.map_err(failed)??, writes: self.writes.await.map_err(failed)?? })
    }
}

impl Watched {
    fn item(&self, user: usize) -> wire::CheckItem {
        wire::CheckItem {
            org_id: format!("org-{}", user / self.users_an_org),
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
        // A step that meets every user in time, whatever their number.
        let users = (0..BATCH).map(|at| (first + at * 7_919) % watched.users.max(1));
        let items = users.map(|user| watched.item(user)).collect();
        let request = wire::BatchCheckRequest { project: watched.project.clone(), items, ..Default::default() };
        let began = Instant::now();
        let answer = client.batch_check(request).await.map_err(refused)?.into_inner();
        waits.push(began.elapsed());
        let denied = answer.decisions.iter().find(|&&decision| decision != wire::Decision::Allowed as i32);
        if let Some(denied) = denied {
            return Err(format!("a member was denied what it may do all the time: decision {denied}"));
        }
        first += BATCH;
    }
    Ok(waits)
}

/// Changes the text of an org again and again: a write as small as there is.
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
        let began = Instant::now();
        client.update_org(request).await.map_err(refused)?;
        waits.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(waits)
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |waits: &[Duration]| {
            let mut sorted = waits.to_vec();
            sorted.sort_unstable();
            let ms = |at: usize| sorted.get(at).map_or(0.0, |wait| wait.as_secs_f64() * 1_000.0);
            let count = HumanCount(waits.len() as u64);
            format!("{count}, p50 {:.1} ms, longest {:.1} ms", ms(sorted.len() / 2), ms(sorted.len().saturating_sub(1)))
        };
        write!(f, "batches of {BATCH} checks: {}; writes: {}", told(&self.checks), told(&self.writes))
    }
}
