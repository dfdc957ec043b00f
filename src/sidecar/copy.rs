//! The file of a sidecar: a snapshot and the commits since, so that a restart needs no upstream.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use prost::Message;

use super::received::{Commits, Received, Snapshot, Unusable};
use crate::domain::Revision;
use crate::domain::collections::hash::HashKey;
use crate::replication::VERSION;
use crate::replication::frames::{FrameReader, FrameWriter};
use crate::wire::replication::{FollowRequest, FollowResponse, ReadSnapshotResponse};

/// The first byte of each frame: what follows.
const ABOUT: u8 = 0;
const SNAPSHOT: u8 = 1;
const COMMITS: u8 = 2;

/// A file is rewritten when its commits take more bytes than its snapshot, and more than this.
const COMMITS_BYTES_MIN: u64 = 16 << 20;

/// The suffixes of files that are not in place yet. Both may be written at the same time.
pub const REPLACING: &str = ".new";
pub const REWRITING: &str = ".rewritten";

/// The file, open for appending.
pub struct Copy {
    lock: Lock,
    writer: FrameWriter,
    /// The same file, to set its time.
    file: File,
    snapshot_bytes: u64,
    /// When the State was known to be the newest. It is the time of the file.
    confirmed: SystemTime,
}

/// Holds the file against a second sidecar.
struct Lock {
    _file: File,
}

/// A file that is not in place yet.
pub struct NewCopy {
    path: PathBuf,
    suffix: &'static str,
    writer: FrameWriter,
    snapshot_bytes: u64,
    revision: Revision,
}

impl Lock {
    fn take(path: PathBuf) -> io::Result<Self> {
        let mut name = path.clone().into_os_string();
        name.push(".lock");
        let file = private(OpenOptions::new().write(true).create(true), Path::new(&name))?;
        file.try_lock().map_err(|_| {
            let why =
                format!("`{}` is in use by another sidecar; name another file with --snapshot-file", path.display());
            io::Error::new(ErrorKind::AddrInUse, why)
        })?;
        Ok(Self { _file: file })
    }
}

impl Copy {
    /// Reads the file, and opens it for appending. Returns no State if there is no file, or if it is of no use: of other projects,
    /// of another release, or without a whole snapshot. What follows a damaged frame is cut off.
    pub fn read(path: PathBuf, projects: &[String], key: HashKey) -> io::Result<(Option<Self>, Option<Received>)> {
        let lock = Lock::take(path.clone())?;
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Some(Self::closed(lock)?), None)),
            file => file?,
        };
        let confirmed = file.metadata()?.modified()?;
        let mut reader = FrameReader::new(&file);
        let read = read(&mut reader, projects, key);
        let (mut received, snapshot_bytes, bytes) = match read? {
            Ok(read) => read,
            Err(why) => {
                tracing::warn!(file = %path.display(), why, "the copy is of no use");
                return Ok((Some(Self::closed(lock)?), None));
            }
        };
        drop(reader);
        file.set_len(bytes)?;
        // Keep the time of the last confirmation.
        file.set_modified(confirmed)?;
        received.age = SystemTime::now().duration_since(confirmed).unwrap_or_default();
        (&file).seek(SeekFrom::End(0))?;
        let writer = FrameWriter::new(file.try_clone()?, bytes);
        Ok((Some(Self { lock, writer, file, snapshot_bytes, confirmed }), Some(received)))
    }

    /// A file that only holds the lock, until a new one takes its place.
    fn closed(lock: Lock) -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        let writer = FrameWriter::new(file.try_clone()?, 0);
        Ok(Self { lock, writer, file, snapshot_bytes: 0, confirmed: SystemTime::UNIX_EPOCH })
    }

    pub fn append(&mut self, frames: &[FollowResponse]) -> io::Result<()> {
        append(&mut self.writer, frames)?;
        self.writer.flush()?;
        // Writing has set it.
        self.file.set_modified(self.confirmed)
    }

    /// Notes that the State had been the newest this long ago.
    pub fn confirm(&mut self, age: Duration) -> io::Result<()> {
        self.confirmed = SystemTime::now() - age;
        self.file.set_modified(self.confirmed)
    }

    /// Returns true if the commits take more space than a new snapshot would.
    pub fn has_grown(&self) -> bool {
        self.writer.bytes() - self.snapshot_bytes > self.snapshot_bytes.max(COMMITS_BYTES_MIN)
    }
}

impl NewCopy {
    /// Creates the file beside the one that it will replace.
    pub fn create(path: PathBuf, suffix: &'static str, projects: &[String]) -> io::Result<Self> {
        let new = new_path(&path, suffix);
        let file = private(OpenOptions::new().write(true).create(true).truncate(true), &new)?;
        let mut writer = FrameWriter::new(file, 0);
        let about = FollowRequest { version: VERSION, projects: projects.to_vec(), ..Default::default() };
        write(&mut writer, ABOUT, &about)?;
        Ok(Self { path, suffix, writer, snapshot_bytes: 0, revision: Revision::default() })
    }

    pub fn append_snapshot(&mut self, frame: &ReadSnapshotResponse) -> io::Result<()> {
        write(&mut self.writer, SNAPSHOT, frame)
    }

    pub fn snapshot_ends(&mut self, revision: Revision) -> io::Result<()> {
        self.snapshot_bytes = self.writer.bytes();
        self.revision = revision;
        // Now, on a thread that may wait, and not when the file is put in place.
        self.writer.sync()
    }

    pub fn append(&mut self, frames: &[FollowResponse], last: Revision) -> io::Result<()> {
        self.revision = last;
        append(&mut self.writer, frames)
    }

    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Puts the file in the place of the one before, which stays if that fails. The State had been the newest `age` ago.
    pub fn finish(mut self, place: &mut Option<Copy>, age: Duration) -> io::Result<()> {
        self.writer.flush()?;
        let bytes = self.writer.bytes();
        let file = self.writer.into_file()?;
        let confirmed = SystemTime::now() - age;
        file.set_modified(confirmed)?;
        // A power failure must not leave a new name without contents.
        file.sync_all()?;
        let writer = FrameWriter::new(file.try_clone()?, bytes);
        let taken = if place.is_none() { Some(Lock::take(self.path.clone())?) } else { None };
        std::fs::rename(new_path(&self.path, self.suffix), &self.path)?;
        if let Some(lock) = place.take().map(|before| before.lock).or(taken) {
            *place = Some(Copy { lock, writer, file, snapshot_bytes: self.snapshot_bytes, confirmed });
        }
        Ok(())
    }
}

type Read = (Received, u64, u64);

/// Returns the State, and where its snapshot and its last commit end. Or why the file is of no use.
fn read(reader: &mut FrameReader<&File>, projects: &[String], key: HashKey) -> io::Result<Result<Read, String>> {
    let unusable = |error: Unusable| error.to_string();
    let about = reader.read()?.and_then(|frame| FollowRequest::decode(frame.strip_prefix(&[ABOUT])?).ok());
    match about {
        Some(about) if about.version != VERSION => return Ok(Err("it is of another release".into())),
        Some(about) if about.projects != projects => return Ok(Err("it is of other projects".into())),
        Some(_) => {}
        None => return Ok(Err("it is no copy of a sidecar".into())),
    }
    let mut snapshot = Snapshot::new(Some(key));
    let mut at = reader.bytes();
    let mut following = None;
    while let Some(frame) = reader.read()? {
        if let Some(frame) = frame.strip_prefix(&[SNAPSHOT]) {
            let Ok(frame) = ReadSnapshotResponse::decode(frame) else { break };
            if let Err(why) = snapshot.take(frame) {
                return Ok(Err(unusable(why)));
            }
            at = reader.bytes();
        } else {
            following = Some(frame);
            break;
        }
    }
    let snapshot_bytes = at;
    let mut received = match snapshot.finish() {
        Ok((_, Some(received))) => received,
        Ok((_, None)) => return Ok(Err("it makes no State".into())),
        Err(why) => return Ok(Err(unusable(why))),
    };
    let mut commits = Commits::default();
    while let Some(frame) = following {
        let decoded = frame.strip_prefix(&[COMMITS]).and_then(|frame| FollowResponse::decode(frame).ok());
        let Some(decoded) = decoded else { break };
        match commits.take(decoded, received.state.revision()) {
            Err(why) => return Ok(Err(unusable(why))),
            Ok(None) => {}
            Ok(Some(complete)) => {
                for commit in &complete.commits {
                    received.past.push(received.state.revision());
                    received.state.apply_commit(commit.revision, &commit.changes);
                }
                at = reader.bytes();
            }
        }
        following = reader.read()?;
    }
    Ok(Ok((received, snapshot_bytes, at)))
}

fn append(writer: &mut FrameWriter, frames: &[FollowResponse]) -> io::Result<()> {
    frames.iter().filter(|frame| !frame.commits.is_empty()).try_for_each(|frame| write(writer, COMMITS, frame))
}

fn write(writer: &mut FrameWriter, kind: u8, message: &impl Message) -> io::Result<()> {
    let mut frame = Vec::with_capacity(1 + message.encoded_len());
    frame.push(kind);
    // A vector grows.
    message.encode(&mut frame).map_err(io::Error::other)?;
    writer.write(&frame)
}

fn new_path(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Opens a file that only this user can read: it has user ids.
fn private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.mode(0o600).open(path).map_err(|error| {
        io::Error::new(error.kind(), format!("`{}` cannot be written: {error}; choose --snapshot-file", path.display()))
    })
}
