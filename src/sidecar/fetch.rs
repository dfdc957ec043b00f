//! Reads from an upstream: snapshots, and the commits since.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Status, Streaming};
use tonic_types::StatusExt;

use super::Config;
use super::copy::{NewCopy, REPLACING};
use super::received::{Commits, Received, Snapshot, Unusable};
use super::upstream::{Client, Connect};
use crate::domain::Revision;
use crate::domain::collections::hash::HashKey;
use crate::limits::WAIT_MAX;
use crate::replication::{VERSION, wire_revision};
use crate::wire::ErrorReason;
use crate::wire::replication::{
    FollowRequest, FollowResponse, ReadRevisionRequest, ReadSnapshotRequest, Revision as WireRevision,
};

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long an upstream may send nothing. It sends something every second.
pub const SILENCE_MAX: Duration = Duration::from_secs(5);
/// How long the next frame of a snapshot may take. The upstream may have to write it first.
const SNAPSHOT_SILENCE_MAX: Duration = Duration::from_secs(300);

/// Why a sidecar no longer follows an upstream.
pub enum Ended {
    /// Another attempt may succeed.
    Failed(String),
    /// The upstream has another history, or no longer has what follows the State.
    NeedsSnapshot(String),
    /// A newer server wrote a change that this release does not know.
    Unknown(String),
}

impl From<Unusable> for Ended {
    fn from(why: Unusable) -> Self {
        match why {
            Unusable::Unknown(why) => Self::Unknown(why.to_string()),
            // A new snapshot does not build on what is missing.
            Unusable::Damaged(_) => Self::NeedsSnapshot(why.to_string()),
        }
    }
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        let reason = status.get_details_error_info().map(|info| info.reason);
        let needs_snapshot = [ErrorReason::RevisionOfAnotherHistory, ErrorReason::RevisionTooOld];
        match needs_snapshot.iter().any(|it| reason.as_deref() == Some(it.as_str_name())) {
            true => Self::NeedsSnapshot(text(&status)),
            false => Self::Failed(text(&status)),
        }
    }
}

impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Ended {
    pub fn why(self) -> String {
        match self {
            Self::Failed(why) | Self::NeedsSnapshot(why) | Self::Unknown(why) => why,
        }
    }
}

/// Asks for what follows a revision of a State that was received.
pub fn request(config: &Config, store_id: u32, mine: Revision, scope: &str) -> FollowRequest {
    let after = Some(wire_revision(store_id, mine));
    FollowRequest { version: VERSION, projects: config.projects.clone(), after, scope: scope.into() }
}

/// Applies to a snapshot, and writes to its file, all that has happened since.
pub async fn catch_up(
    client: &mut Client,
    config: &Config,
    received: &mut Received,
    mut new: Option<&mut NewCopy>,
) -> Result<(), Ended> {
    let asked = Instant::now();
    let request = request(config, received.store_id, received.state.revision(), &received.scope);
    let mut frames = follow(client, request).await?;
    let mut commits = Commits::default();
    loop {
        let frame = next_frame(&mut frames).await?;
        let age = frame.age_millis.map(Duration::from_millis);
        if let Some(complete) = commits.take(frame, received.state.revision())?
            && let Some(last) = complete.commits.last()
        {
            if let Some(new) = &mut new {
                new.append(&complete.frames, last.revision)?;
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

/// Reads a first snapshot.
pub async fn bootstrap(
    config: &Config,
    upstream: &dyn Connect,
    key: HashKey,
) -> Result<(Received, Option<NewCopy>), String> {
    let client = connect(upstream).await?;
    match fetch(client.clone(), config, Some(key), REPLACING).await {
        Ok((Some(mut received), mut new)) => {
            // The snapshot may be minutes old.
            catch_up(&mut client.clone(), config, &mut received, new.as_mut()).await.map_err(Ended::why)?;
            Ok((received, new))
        }
        Ok((None, _)) => Err("the snapshot made no State".into()),
        Err(ended) => Err(ended.why()),
    }
}

pub async fn connect(upstream: &dyn Connect) -> Result<Client, String> {
    let connected = timeout(CONNECT_MAX, upstream.connect()).await;
    connected.map_err(|_| format!("no connection within {CONNECT_MAX:?}"))?
}

/// Fails unless the upstream's database has the revision. An upstream that cannot reach its database, or that has not noticed
/// yet that it was restored, still sends the lost history. A sidecar that has left that must not go back to it.
pub async fn is_in_database(client: &mut Client, received: &Received) -> Result<(), Ended> {
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

/// Begins to follow.
pub async fn follow(client: &mut Client, request: FollowRequest) -> Result<Streaming<FollowResponse>, Ended> {
    let followed = timeout(WAIT_MAX + SILENCE_MAX, client.follow(request)).await;
    Ok(followed.map_err(|_| silent())??.into_inner())
}

pub async fn next_frame(frames: &mut Streaming<FollowResponse>) -> Result<FollowResponse, Ended> {
    let frame = timeout(SILENCE_MAX, frames.message()).await.map_err(|_| silent())??;
    frame.ok_or_else(|| Ended::Failed("the upstream has ended the stream".into()))
}

/// Reads a snapshot: into a State if there is a key, and into a new file of this `suffix` if the sidecar keeps one.
pub async fn fetch(
    mut client: Client,
    config: &Config,
    key: Option<HashKey>,
    suffix: &'static str,
) -> Result<(Option<Received>, Option<NewCopy>), Ended> {
    let request = ReadSnapshotRequest { version: VERSION, projects: config.projects.clone() };
    let asked = timeout(SNAPSHOT_SILENCE_MAX, client.read_snapshot(request)).await;
    let mut frames = asked.map_err(|_| silent())??.into_inner();
    let mut file = config.file.clone().map(|path| NewCopy::create(path, suffix, &config.projects)).transpose()?;
    let mut snapshot = Snapshot::new(key);
    // Applying takes longer than receiving. On a thread of its own: this one may answer checks.
    let (sender, mut received) = mpsc::channel(2);
    let applying = tokio::task::spawn_blocking(move || {
        while let Some(frame) = received.blocking_recv() {
            if let Some(file) = &mut file {
                file.append_snapshot(&frame)?;
            }
            snapshot.take(frame)?;
        }
        let (revision, received) = snapshot.finish()?;
        if let Some(file) = &mut file {
            file.snapshot_ends(revision)?;
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

/// Returns a status in words.
pub fn text(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
