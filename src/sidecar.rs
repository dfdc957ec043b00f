//! A sidecar: follows an upstream server, and keeps a copy of what checks need in memory and in a file.

mod copy;
mod received;
pub mod upstream;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

use crate::domain::collections::hash::HashKey;
use crate::domain::{Revision, State};
use crate::engine::Engine;
use crate::limits::{ACTIVE_ORGS_A_REPORT_MAX, WAIT_MAX};
use crate::replication::VERSION;
use crate::wire::ErrorReason;
use crate::wire::replication::{
    ActiveOrg, FollowRequest, FollowResponse, ReadRevisionRequest, ReadSnapshotRequest, ReportActivityRequest,
    Revision as WireRevision,
};
use copy::{Copy, NewCopy};
use received::{Commits, Received, Snapshot, Unusable};
use upstream::{Client, Connect};

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long an upstream may send nothing. It sends something every second.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// How long the next frame of a snapshot may take. The upstream may have to write it first.
const SNAPSHOT_SILENCE_MAX: Duration = Duration::from_secs(300);
/// The waits between attempts. They double, and each is shortened by up to a half, so that sidecars spread.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_millis(500);
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
    config: Config,
    copy: Mutex<Option<Copy>>,
    /// True while a new file is written in place of one that has grown.
    rewriting: AtomicBool,
    /// Counts how often another history has replaced the State. Changed while `copy` is locked.
    replacements: AtomicU32,
    /// The upstream that is followed now.
    current: Mutex<Option<Client>>,
}

/// Why a sidecar no longer follows an upstream.
enum Ended {
    /// Another attempt may succeed.
    Failed(String),
    /// The upstream has another history, or no longer has what follows the State.
    NeedsSnapshot(Client, String),
    /// A newer server wrote a change that this release does not know.
    Unknown(String),
}

impl From<Unusable> for Ended {
    fn from(why: Unusable) -> Self {
        match why {
            Unusable::Unknown(why) => Self::Unknown(why.to_string()),
            Unusable::Damaged(_) => Self::Failed(why.to_string()),
        }
    }
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Self::Failed(words(&status))
    }
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
        if received.is_none() {
            tracing::info!("there is no copy yet; reading a snapshot from an upstream");
        }
        let mut retry = Retry::default();
        let received = loop {
            if let Some(received) = received {
                break received;
            }
            let upstream = retry.next(&config.upstreams);
            match bootstrap(&config, &**upstream, key.clone()).await {
                Ok((fetched, new)) => {
                    copy = match (new, copy.take()) {
                        (Some(new), before) => Some(new.finish(before)?),
                        (None, before) => before,
                    };
                    received = Some(fetched);
                }
                Err(why) => {
                    retry.failed(upstream.address(), &why);
                    received = None;
                    retry.wait().await;
                }
            }
        };
        let revision = received.state.revision().number;
        let memberships: usize = received.state.projects().map(|project| project.memberships_len()).sum();
        tracing::info!(revision, memberships, age = ?received.age, "loaded");
        let engine = Engine::new(received.store_id, received.state, &received.past);
        engine.freshness.set(received.age);
        Ok(Arc::new(Self {
            engine: Arc::new(engine),
            config,
            copy: Mutex::new(copy),
            rewriting: AtomicBool::new(false),
            replacements: AtomicU32::new(0),
            current: Mutex::new(None),
        }))
    }

    /// Follows the upstreams until dropped. Returns a reason if one sends a change that this version does not know.
    pub async fn follow(self: Arc<Self>) -> String {
        let mut retry = Retry::default();
        loop {
            let upstream = retry.next(&self.config.upstreams).clone();
            let mut ended = self.follow_one(&*upstream, None, &mut retry).await;
            while let Ended::NeedsSnapshot(client, why) = ended {
                tracing::warn!(upstream = upstream.address(), why, "reading a new snapshot");
                ended = match self.replace(client.clone()).await {
                    Ok(()) => self.follow_one(&*upstream, Some(client), &mut retry).await,
                    Err(ended) => ended,
                };
            }
            self.set_current(None);
            match ended {
                Ended::Unknown(why) => return why,
                Ended::Failed(why) | Ended::NeedsSnapshot(_, why) => retry.failed(upstream.address(), &why),
            }
            retry.wait().await;
        }
    }

    async fn follow_one(self: &Arc<Self>, upstream: &dyn Connect, client: Option<Client>, retry: &mut Retry) -> Ended {
        let client = match client {
            Some(client) => client,
            None => match connect(upstream).await {
                Ok(client) => client,
                Err(why) => return Ended::Failed(why),
            },
        };
        let Err(ended) = self.frames(upstream, client, retry).await;
        ended
    }

    /// Applies what an upstream sends, until that ends.
    async fn frames(
        self: &Arc<Self>,
        upstream: &dyn Connect,
        mut client: Client,
        retry: &mut Retry,
    ) -> Result<std::convert::Infallible, Ended> {
        let mine = self.engine.pin().state.revision();
        let followed = timeout(WAIT_MAX + SILENCE_MAX, client.follow(self.request(self.engine.store_id(), mine))).await;
        let mut frames = match followed.map_err(|_| silent())? {
            Ok(frames) => frames.into_inner(),
            Err(status) => return Err(ended(client, status)),
        };
        self.set_current(Some(client.clone()));
        let mut commits = Commits::default();
        let mut first = true;
        loop {
            let frame = match timeout(SILENCE_MAX, frames.message()).await.map_err(|_| silent())? {
                Ok(Some(frame)) => frame,
                Ok(None) => return Err(Ended::Failed("the upstream has ended the stream".into())),
                Err(status) => return Err(ended(client, status)),
            };
            if std::mem::take(&mut first) {
                retry.succeeded(upstream.address());
            }
            self.apply(&mut commits, frame)?;
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
        self.catch_up(&mut client, &mut received, new.as_mut()).await?;
        is_in_database(&mut client, &received).await?;
        {
            let mut copy = self.copy();
            self.replacements.fetch_add(1, Ordering::Relaxed);
            // The file first: a restart must not go back to what this replaces.
            match new.map(|new| new.finish(copy.take())).transpose() {
                Ok(new) => *copy = new,
                Err(error) => tracing::error!(%error, "the copy cannot be written any more"),
            }
        }
        self.engine.replace(before.state.revision(), received.store_id, received.state, &received.past);
        self.engine.freshness.set(received.age);
        Ok(())
    }

    /// Applies to a snapshot, and writes to its file, all that has happened since.
    async fn catch_up(
        &self,
        client: &mut Client,
        received: &mut Received,
        mut new: Option<&mut NewCopy>,
    ) -> Result<(), Ended> {
        let asked = Instant::now();
        let request = self.request(received.store_id, received.state.revision());
        let followed = timeout(WAIT_MAX + SILENCE_MAX, client.follow(request)).await;
        let mut frames = followed.map_err(|_| silent())??.into_inner();
        let mut commits = Commits::default();
        loop {
            let frame = next_frame(&mut frames).await?;
            let age = frame.age_millis.map(Duration::from_millis);
            if let Some(complete) = commits.take(frame, received.state.revision())?
                && let Some(last) = complete.commits.last()
            {
                if let Some(new) = &mut new {
                    let appended = new.append(&complete.frames, last.revision);
                    appended.map_err(|error| Ended::Failed(error.to_string()))?;
                }
                for commit in &complete.commits {
                    received.past.push(received.state.revision());
                    received.state.apply_commit(commit.revision, &commit.changes);
                }
            }
            if let Some(age) = age {
                // Since then it may have become older.
                received.age = age + asked.elapsed();
                return Ok(());
            }
        }
    }

    /// Writes a new file in place of one that has grown: a snapshot, and the commits since.
    async fn rewrite(self: Arc<Self>, client: Client) {
        if let Err(Ended::Failed(why) | Ended::NeedsSnapshot(_, why) | Ended::Unknown(why)) =
            self.try_rewrite(client).await
        {
            tracing::warn!(why, "the copy was not written anew; it grows on");
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
        let request = self.request(self.engine.store_id(), new.revision());
        let mut frames = client.follow(request).await?.into_inner();
        let mut commits = Commits::default();
        loop {
            {
                let mut copy = self.copy();
                if self.replacements.load(Ordering::Relaxed) != replacements {
                    // What was written is of the history before.
                    return Ok(());
                }
                if new.revision().number >= self.engine.pin().state.revision().number {
                    *copy = Some(new.finish(copy.take()).map_err(|error| Ended::Failed(error.to_string()))?);
                    return Ok(());
                }
            }
            let frame = next_frame(&mut frames).await?;
            if let Some(complete) = commits.take(frame, new.revision())?
                && let Some(last) = complete.commits.last()
            {
                let appended = new.append(&complete.frames, last.revision);
                appended.map_err(|error| Ended::Failed(error.to_string()))?;
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
                Ok(Err(status)) => tracing::debug!(why = words(&status), "the activity of orgs is reported later"),
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
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_current(&self, client: Option<Client>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = client;
    }

    fn copy(&self) -> std::sync::MutexGuard<'_, Option<Copy>> {
        self.copy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, store_id: u32, mine: Revision) -> FollowRequest {
        let after = WireRevision { store_id, number: mine.number, tag: mine.tag, time_micros: mine.at.0 };
        FollowRequest { version: VERSION, projects: self.config.projects.clone(), after: Some(after) }
    }
}

/// Reads a first snapshot.
async fn bootstrap(
    config: &Config,
    upstream: &dyn Connect,
    key: HashKey,
) -> Result<(Received, Option<NewCopy>), String> {
    let client = connect(upstream).await?;
    match fetch(client, config, Some(key), copy::REPLACING).await {
        Ok((Some(received), new)) => Ok((received, new)),
        Ok((None, _)) => Err("the snapshot made no State".into()),
        Err(Ended::Failed(why) | Ended::NeedsSnapshot(_, why) | Ended::Unknown(why)) => Err(why),
    }
}

async fn connect(upstream: &dyn Connect) -> Result<Client, String> {
    let connected = timeout(CONNECT_MAX, upstream.connect()).await;
    connected.map_err(|_| format!("no connection within {CONNECT_MAX:?}"))?
}

/// Fails unless the upstream's database has the revision. An upstream that cannot reach its database, or that has not noticed
/// yet that it was restored, still sends the lost history. A sidecar that has left that must not go back to it.
async fn is_in_database(client: &mut Client, received: &Received) -> Result<(), Ended> {
    let mine = received.state.revision();
    let request = ReadRevisionRequest { version: VERSION, number: Some(mine.number) };
    let read = timeout(WAIT_MAX + SILENCE_MAX, client.read_revision(request)).await;
    let found = read.map_err(|_| silent())??.into_inner().revision;
    let same = |it: WireRevision| (it.store_id, it.tag) == (received.store_id, mine.tag);
    match found.is_some_and(same) {
        true => Ok(()),
        false => Err(Ended::Failed("the database of the upstream has another history than its snapshot".into())),
    }
}

async fn next_frame(frames: &mut Streaming<FollowResponse>) -> Result<FollowResponse, Ended> {
    let frame = timeout(SILENCE_MAX, frames.message()).await.map_err(|_| silent())??;
    frame.ok_or_else(|| Ended::Failed("the upstream has ended the stream".into()))
}

/// Reads a snapshot: into a State if there is a key, and into a new file of this `suffix` if the sidecar keeps one.
async fn fetch(
    mut client: Client,
    config: &Config,
    key: Option<HashKey>,
    suffix: &'static str,
) -> Result<(Option<Received>, Option<NewCopy>), Ended> {
    let request = ReadSnapshotRequest { version: VERSION, projects: config.projects.clone() };
    let asked = timeout(SNAPSHOT_SILENCE_MAX, client.read_snapshot(request)).await;
    let mut frames = asked.map_err(|_| silent())??.into_inner();
    let file = config.file.clone().map(|path| NewCopy::create(path, suffix, &config.projects)).transpose();
    let mut file = file.map_err(|error| Ended::Failed(error.to_string()))?;
    let mut snapshot = Snapshot::new(key);
    // Applying takes longer than receiving. On a thread of its own: this one may answer checks.
    let (sender, mut received) = mpsc::channel(2);
    let applying = tokio::task::spawn_blocking(move || {
        while let Some(frame) = received.blocking_recv() {
            if let Some(file) = &mut file {
                file.append_snapshot(&frame).map_err(|error| Ended::Failed(error.to_string()))?;
            }
            snapshot.take(frame)?;
        }
        let (revision, received) = snapshot.finish()?;
        if let Some(file) = &mut file {
            file.snapshot_ends(revision).map_err(|error| Ended::Failed(error.to_string()))?;
        }
        Ok((received, file))
    });
    loop {
        let frame = timeout(SNAPSHOT_SILENCE_MAX, frames.message()).await.map_err(|_| silent())??;
        let Some(frame) = frame else { break };
        // Sending fails if applying has failed.
        if sender.send(frame).await.is_err() {
            break;
        }
    }
    drop(sender);
    applying.await.map_err(|error| Ended::Failed(error.to_string()))?
}

fn silent() -> Ended {
    Ended::Failed("the upstream is silent".into())
}

fn ended(client: Client, status: Status) -> Ended {
    let reason = status.get_details_error_info().map(|info| info.reason);
    let needs_snapshot = [ErrorReason::RevisionOfAnotherHistory, ErrorReason::RevisionTooOld];
    let needs_snapshot = needs_snapshot.iter().any(|it| reason.as_deref() == Some(it.as_str_name()));
    match needs_snapshot && status.code() == Code::FailedPrecondition {
        true => Ended::NeedsSnapshot(client, words(&status)),
        false => status.into(),
    }
}

fn words(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

/// Which upstream to try next, and when.
#[derive(Default)]
struct Retry {
    at: usize,
    wait: Option<Duration>,
    /// The last failure that was logged.
    logged: Option<String>,
}

impl Retry {
    fn next<'a>(&self, upstreams: &'a [Arc<dyn Connect>]) -> &'a Arc<dyn Connect> {
        &upstreams[self.at % upstreams.len()]
    }

    fn succeeded(&mut self, upstream: &str) {
        tracing::info!(upstream, "following");
        (self.wait, self.logged) = (None, None);
    }

    fn failed(&mut self, upstream: &str, why: &str) {
        let failure = format!("{upstream}: {why}");
        // Each failure once, not twice a second.
        if self.logged.as_ref() != Some(&failure) {
            tracing::warn!(
                upstream,
                why,
                "cannot follow; trying the upstreams in turn, and answering from memory meanwhile"
            );
            self.logged = Some(failure);
        }
        self.at += 1;
    }

    async fn wait(&mut self) {
        let wait = self.wait.map_or(RETRY_MIN, |wait| (wait * 2).min(RETRY_MAX));
        self.wait = Some(wait);
        let random = f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX);
        tokio::time::sleep(wait.mul_f64(1.0 - random / 2.0)).await;
    }
}
