//! Snapshots for sidecars: one file at one revision, read from the database once and sent to all who ask in the next minutes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;
use tokio::sync::Mutex;

use super::frames::{FrameReader, FrameWriter};
use crate::domain::model::id::ProjectId;
use crate::domain::{Change, Revision};
use crate::engine::Engine;
use crate::store::{Sink, Store, StoreError};
use crate::wire::change::encode;
use crate::wire::reduced::reduced;
use crate::wire::replication::SnapshotChanges;

/// How long a snapshot is sent. Its sidecars then follow the commits since.
const AGE_MAX: Duration = Duration::from_secs(300);
/// Revisions before a snapshot whose tags its sidecars know.
const PAST_REVISIONS: u32 = 65_536;
/// Bytes of the changes in one frame.
const FRAME_BYTES: usize = 256 << 10;
/// Bytes of all frames that are not full yet: there is one for each project.
const OPEN_BYTES_MAX: usize = 16 << 20;

/// Writes snapshots, and shares them.
pub struct Snapshots {
    engine: Arc<Engine>,
    store: Store,
    current: Arc<Mutex<Option<Arc<Snapshot>>>>,
}

/// A file of frames with encoded [`SnapshotChanges`]. It has no name, and ends with its last user.
pub struct Snapshot {
    pub revision: Revision,
    /// Revisions before it, oldest first.
    pub past: Vec<Revision>,
    /// When it was read, at the newest revision of the database.
    pub read: Instant,
    /// The history that the engine had when this was read.
    history: u64,
    file: File,
}

impl Snapshots {
    pub fn new(engine: Arc<Engine>, store: Store) -> Self {
        Self { engine, store, current: Arc::default() }
    }

    /// Returns a snapshot of the last minutes. Writes one if there is none, or if it is of another history. Others
    /// who ask meanwhile wait for it.
    pub async fn get(&self) -> Result<Arc<Snapshot>, StoreError> {
        let mut current = self.current.clone().lock_owned().await;
        let history = self.engine.history();
        let fits = |it: &&Arc<Snapshot>| it.read.elapsed() < AGE_MAX && it.history == history;
        if let Some(snapshot) = current.as_ref().filter(fits) {
            return Ok(snapshot.clone());
        }
        let (all, store) = (self.current.clone(), self.store.clone());
        // In a task of its own: a snapshot that takes longer than its client waits is there for the next one.
        let writing = tokio::spawn(async move {
            *current = None;
            let snapshot = Arc::new(write(&store, history).await?);
            *current = Some(snapshot.clone());
            tokio::spawn(drop_when_old(all, Arc::downgrade(&snapshot)));
            Ok(snapshot)
        });
        writing.await.unwrap_or_else(|error| Err(unwritten(io::Error::other(error))))
    }
}

/// Frees the disk space of a snapshot that is too old to be sent.
async fn drop_when_old(all: Arc<Mutex<Option<Arc<Snapshot>>>>, old: Weak<Snapshot>) {
    tokio::time::sleep(AGE_MAX).await;
    let mut current = all.lock().await;
    if current.as_ref().is_some_and(|current| Arc::downgrade(current).ptr_eq(&old)) {
        *current = None;
    }
}

impl Snapshot {
    /// Reads the frames from the beginning.
    pub fn frames(&self) -> FrameReader<impl io::Read + use<>> {
        FrameReader::new(Shared { file: self.file.try_clone(), at: 0 })
    }
}

/// A file that others read too, from their own positions.
struct Shared {
    file: io::Result<File>,
    at: u64,
}

impl io::Read for Shared {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt;
        let file = self.file.as_ref().map_err(|error| io::Error::from(error.kind()))?;
        let read = file.read_at(bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

async fn write(store: &Store, history: u64) -> Result<Snapshot, StoreError> {
    let file = tempfile::tempfile().map_err(unwritten)?;
    let began = Instant::now();
    let frames = Frames { file: FrameWriter::new(file, 0), open: HashMap::new(), open_bytes: 0 };
    let (frames, revision, past) = store.export(frames, PAST_REVISIONS).await?;
    let mut file = frames.finish().map_err(unwritten)?;
    let bytes = file.seek(SeekFrom::End(0)).map_err(unwritten)?;
    tracing::info!(revision = revision.number, bytes, elapsed = ?began.elapsed(), "wrote a snapshot for sidecars");
    Ok(Snapshot { revision, past, read: began, history, file })
}

fn unwritten(error: io::Error) -> StoreError {
    StoreError::Snapshot(error)
}

/// The frames of a snapshot. Each has the changes of one project.
struct Frames {
    file: FrameWriter,
    open: HashMap<ProjectId, (Vec<Bytes>, usize)>,
    open_bytes: usize,
}

impl Sink for Frames {
    fn take(&mut self, change: Change) -> Result<(), StoreError> {
        let project = change.project();
        let Some(change) = reduced(change) else { return Ok(()) };
        let change = Bytes::from(encode(&change));
        let (changes, bytes) = self.open.entry(project).or_default();
        *bytes += change.len();
        self.open_bytes += change.len();
        changes.push(change);
        if *bytes >= FRAME_BYTES {
            self.close(project).map_err(unwritten)?;
        } else if self.open_bytes >= OPEN_BYTES_MAX {
            self.close_all().map_err(unwritten)?;
        }
        Ok(())
    }
}

impl Frames {
    fn close(&mut self, project: ProjectId) -> io::Result<()> {
        let Some((changes, bytes)) = self.open.remove(&project) else { return Ok(()) };
        self.open_bytes -= bytes;
        self.file.write(&SnapshotChanges { project: project.number(), changes }.encode_to_vec())
    }

    fn close_all(&mut self) -> io::Result<()> {
        // Ascending: the order of a file does not depend on chance.
        let mut projects: Vec<ProjectId> = self.open.keys().copied().collect();
        projects.sort_unstable();
        projects.into_iter().try_for_each(|project| self.close(project))
    }

    fn finish(mut self) -> io::Result<File> {
        self.close_all()?;
        self.file.into_file()
    }
}
