//! A sidecar: follows an upstream server, and keeps a copy of what checks need in memory and in a file.

mod copy;
mod fetch;
mod received;
mod retry;
pub mod upstream;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::domain::collections::hash::HashKey;
use crate::domain::{Revision, State};
use crate::engine::Engine;
use crate::limits::ACTIVE_ORGS_A_REPORT_MAX;
use crate::metrics::sidecar::SidecarMetrics;
use crate::replication::VERSION;
use crate::wire::replication::{ActiveOrg, FollowRequest, FollowResponse, ReportActivityRequest};
use copy::Copy;
use fetch::{
    Ended, SILENCE_MAX, bootstrap, catch_up, connect, fetch, follow, is_in_database, next_frame, request, text,
};
use received::{Commits, Received};
use retry::Retry;
use upstream::{Client, Connect};

/// How long to wait before a file that is still too large is written again. By then upstreams send a newer snapshot.
const REWRITE_PAUSE: Duration = Duration::from_secs(300);
/// How often activity is reported, as often as servers store theirs.
const REPORT_PAUSE: Duration = Duration::from_secs(30);

/// What a sidecar follows.
pub struct Config {
    /// At least one. The first that answers is followed.
    pub upstreams: Vec<Arc<dyn Connect>>,
    /// The keys of the projects. Empty: all.
    pub projects: Vec<String>,
    /// Where the copy is kept. `None` keeps none.
    pub file: Option<PathBuf>,
}

/// See the module.
pub struct Sidecar {
    pub engine: Arc<Engine>,
    pub metrics: SidecarMetrics,
    config: Config,
    copy: Mutex<Option<Copy>>,
    /// What the upstream calls the data of the State.
    scope: Mutex<String>,
    /// True while the file is rewritten.
    rewriting: AtomicBool,
    /// Counts how often another history has replaced the State. Changed while `copy` is locked.
    replacements: AtomicU32,
    /// The upstream that is followed now, with its address.
    current: Mutex<Option<(Client, String)>>,
}

impl Sidecar {
    /// Returns a sidecar with the State of its file, or else of the first upstream that answers. Waits for one.
    pub async fn load(config: Config) -> std::io::Result<Arc<Self>> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(std::io::Error::other)?;
        let key = HashKey::new(key);
        let (mut copy, mut received) = (None, None);
        if let Some(path) = config.file.clone() {
            let (key, projects) = (key.clone(), config.projects.clone());
            let read = tokio::task::spawn_blocking(move || Copy::read(path, &projects, key)).await;
            (copy, received) = read.map_err(std::io::Error::other)??;
        }
        let received = match received {
            Some(received) => received,
            None => Self::first_snapshot(&config, &mut copy, key).await?,
        };
        let revision = received.state.revision().number;
        let memberships: usize = received.state.projects().map(|project| project.memberships_len()).sum();
        tracing::info!(revision, memberships, age = ?received.age, "loaded");
        let engine = Engine::new(received.store_id, received.state, &received.past);
        engine.freshness.set(received.age);
        Ok(Arc::new(Self {
            engine: Arc::new(engine),
            metrics: SidecarMetrics::default(),
            config,
            copy: Mutex::new(copy),
            scope: Mutex::new(received.scope),
            rewriting: AtomicBool::new(false),
            replacements: AtomicU32::new(0),
            current: Mutex::new(None),
        }))
    }

    /// Reads a snapshot from the first upstream that answers, and puts it into the file. Waits for one.
    async fn first_snapshot(config: &Config, copy: &mut Option<Copy>, key: HashKey) -> std::io::Result<Received> {
        tracing::info!("there is no copy yet; reading a snapshot from an upstream");
        let mut retry = Retry::default();
        loop {
            let upstream = retry.next(&config.upstreams);
            match bootstrap(config, &**upstream, key.clone()).await {
                Ok((received, new)) => {
                    new.map(|new| new.finish(copy, received.age)).transpose()?;
                    return Ok(received);
                }
                Err(why) => {
                    retry.failed(upstream.address(), &why);
                    retry.wait().await;
                }
            }
        }
    }

    /// Follows the upstreams until dropped. Returns a reason if one sends a change that this version does not know.
    pub async fn follow(self: Arc<Self>) -> String {
        let mut retry = Retry::default();
        loop {
            let upstream = retry.next(&self.config.upstreams).clone();
            let Err(ended) = self.follow_one(&*upstream, &mut retry).await;
            self.set_current(None);
            self.metrics.failures.add(1);
            match ended {
                Ended::Unknown(why) => return why,
                Ended::Failed(why) | Ended::NeedsSnapshot(why) => retry.failed(upstream.address(), &why),
            }
            retry.wait().await;
        }
    }

    async fn follow_one(self: &Arc<Self>, upstream: &dyn Connect, retry: &mut Retry) -> Result<Infallible, Ended> {
        let client = connect(upstream).await.map_err(Ended::Failed)?;
        loop {
            let Err(ended) = self.frames(upstream, client.clone(), retry).await;
            let Ended::NeedsSnapshot(why) = ended else { return Err(ended) };
            tracing::warn!(upstream = upstream.address(), why, "reading a new snapshot");
            // Not again and again if the upstream has not noticed yet that its database was restored.
            retry.wait().await;
            self.replace(client.clone()).await?;
        }
    }

    /// Applies what an upstream sends, until that ends.
    async fn frames(
        self: &Arc<Self>,
        upstream: &dyn Connect,
        mut client: Client,
        retry: &mut Retry,
    ) -> Result<Infallible, Ended> {
        let mine = self.engine.pin().state.revision();
        let mut frames = follow(&mut client, self.request(mine)).await?;
        self.set_current(Some((client.clone(), upstream.address().to_owned())));
        self.metrics.connects.add(1);
        let mut commits = Commits::default();
        let mut first = true;
        loop {
            let frame = next_frame(&mut frames).await?;
            self.apply(&mut commits, frame)?;
            if std::mem::take(&mut first) {
                retry.succeeded(upstream.address());
            }
            if self.copy().as_ref().is_some_and(Copy::has_grown) && !self.rewriting.swap(true, Ordering::Relaxed) {
                tokio::spawn(self.clone().rewrite(client.clone()));
            }
        }
    }

    fn apply(&self, commits: &mut Commits, frame: FollowResponse) -> Result<(), Ended> {
        let received = Instant::now();
        let age = frame.age_millis.map(Duration::from_millis);
        let published = self.engine.pin();
        let mine = published.state.revision();
        if let Some(complete) = commits.take(frame, mine)? {
            let mut state = State::clone(&published.state);
            let mut passed = complete.commits;
            for commit in &mut passed {
                state.apply_commit(commit.revision, &commit.changes);
                // Nobody follows a sidecar.
                commit.changes = Vec::new();
            }
            if !passed.is_empty() {
                self.engine.publish(mine, state, passed);
                self.write(|copy| copy.append(&complete.frames));
            }
        }
        if let Some(age) = age {
            self.engine.freshness.confirm(received, age);
            self.write(|copy| copy.confirm(age));
        }
        Ok(())
    }

    /// Writes to the file. Without it the sidecar goes on, but no longer survives a restart without upstream.
    fn write(&self, write: impl FnOnce(&mut Copy) -> std::io::Result<()>) {
        let mut copy = self.copy();
        if let Some(Err(error)) = copy.as_mut().map(write) {
            tracing::error!(%error, "the copy cannot be written any more; a restart needs an upstream");
            *copy = None;
        }
    }

    /// Replaces the State by that of an upstream with another history.
    async fn replace(&self, mut client: Client) -> Result<(), Ended> {
        let before = self.engine.pin();
        let key = before.state.hash_key().clone();
        let (received, new) = fetch(client.clone(), &self.config, Some(key), copy::REPLACING).await?;
        let (Some(mut received), mut new) = (received, new) else { return Ok(()) };
        // The snapshot may be minutes old. Checks must not go back so far.
        catch_up(&mut client, &self.config, &mut received, new.as_mut()).await?;
        is_in_database(&mut client, &received).await?;
        {
            let mut copy = self.copy();
            self.replacements.fetch_add(1, Ordering::Relaxed);
            // The file first: a restart must not go back to what this replaces.
            if let Some(Err(error)) = new.map(|new| new.finish(&mut copy, received.age)) {
                tracing::error!(%error, "the copy cannot be written any more; a restart needs an upstream");
                *copy = None;
            }
        }
        *self.scope.lock().unwrap_or_else(PoisonError::into_inner) = received.scope;
        self.engine.replace(before.state.revision(), received.store_id, received.state, &received.past);
        self.metrics.snapshots.add(1);
        self.engine.freshness.set(received.age);
        Ok(())
    }

    /// Rewrites a file that has grown: a snapshot, and the commits since.
    async fn rewrite(self: Arc<Self>, client: Client) {
        if let Err(why) = self.try_rewrite(client).await.map_err(Ended::why) {
            tracing::warn!(why, "the copy cannot be rewritten; it goes on growing");
            tokio::time::sleep(REPORT_PAUSE).await;
        } else if self.copy().as_ref().is_some_and(Copy::has_grown) {
            // The upstream sent a snapshot from before most of the commits, which it keeps for some minutes.
            tokio::time::sleep(REWRITE_PAUSE).await;
        }
        self.rewriting.store(false, Ordering::Relaxed);
    }

    async fn try_rewrite(&self, mut client: Client) -> Result<(), Ended> {
        let replacements = self.replacements.load(Ordering::Relaxed);
        let (_, new) = fetch(client.clone(), &self.config, None, copy::REWRITING).await?;
        let Some(mut new) = new else { return Ok(()) };
        let mut frames = follow(&mut client, self.request(new.revision())).await?;
        let mut commits = Commits::default();
        loop {
            {
                let mut copy = self.copy();
                if self.replacements.load(Ordering::Relaxed) != replacements {
                    // What was written is of the history before.
                    return Ok(());
                }
                if new.revision().number >= self.engine.pin().state.revision().number {
                    return Ok(new.finish(&mut copy, self.engine.freshness.age())?);
                }
            }
            let frame = next_frame(&mut frames).await?;
            if let Some(complete) = commits.take(frame, new.revision())?
                && let Some(last) = complete.commits.last()
            {
                new.append(&complete.frames, last.revision)?;
            }
        }
    }

    /// Reports the activity of orgs until dropped.
    pub async fn report_activity(self: Arc<Self>) {
        loop {
            tokio::time::sleep(REPORT_PAUSE).await;
            self.report_activity_now().await;
        }
    }

    /// Reports what no upstream knows yet. Keeps what could not be reported.
    pub async fn report_activity_now(&self) {
        let unreported = self.engine.activity.unwritten();
        for orgs in unreported.chunks(ACTIVE_ORGS_A_REPORT_MAX) {
            let Some(mut client) = self.current() else { return };
            let of_wire = orgs.iter().map(|&(project, org, day)| ActiveOrg {
                project: project.number(),
                org: org.number(),
                day: u32::from(day.0),
            });
            let report =
                ReportActivityRequest { version: VERSION, store_id: self.engine.store_id(), orgs: of_wire.collect() };
            match timeout(SILENCE_MAX, client.report_activity(report)).await {
                Ok(Ok(_)) => self.engine.activity.written(orgs),
                Ok(Err(status)) => tracing::debug!(why = text(&status), "the activity of orgs is reported later"),
                Err(_) => return,
            }
        }
    }

    /// Returns the addresses of the upstreams, separated by commas.
    pub fn addresses(&self) -> String {
        let addresses: Vec<&str> = self.config.upstreams.iter().map(|upstream| upstream.address()).collect();
        addresses.join(",")
    }

    /// Returns the upstream that is followed now.
    pub fn current(&self) -> Option<Client> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|(client, _)| client.clone())
    }

    /// Returns the address of the upstream that is followed now.
    pub fn followed(&self) -> Option<String> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|(_, address)| address.clone())
    }

    fn set_current(&self, upstream: Option<(Client, String)>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = upstream;
    }

    fn request(&self, mine: Revision) -> FollowRequest {
        let scope = self.scope.lock().unwrap_or_else(PoisonError::into_inner).clone();
        request(&self.config, self.engine.store_id(), mine, &scope)
    }

    fn copy(&self) -> std::sync::MutexGuard<'_, Option<Copy>> {
        self.copy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
