//! Reads what an upstream sends: snapshots and commits.

use std::time::Duration;

use bytes::Bytes;

use crate::domain::collections::hash::HashKey;
use crate::domain::commands::group::Commit;
use crate::domain::{Change, Revision, State, Time};
use crate::replication::read_revision;
use crate::wire::change::{UnknownChange, decode};
use crate::wire::replication::read_snapshot_response::Frame;
use crate::wire::replication::{FollowResponse, ReadSnapshotResponse, SnapshotHeader};

/// What was sent cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error(transparent)]
    Unknown(#[from] UnknownChange),
    #[error("the upstream sent {0}")]
    Damaged(&'static str),
}

/// A State that was received, and what belongs to it.
pub struct Received {
    pub store_id: u32,
    /// What the upstream calls the data that this sidecar gets.
    pub scope: String,
    pub state: State,
    /// Revisions before the State's, oldest first. Their times are not known.
    pub past: Vec<Revision>,
    /// How long ago the State was the newest.
    pub age: Duration,
}

/// A snapshot while it arrives.
pub struct Snapshot {
    header: Option<SnapshotHeader>,
    /// `None` only counts.
    state: Option<State>,
    changes: u64,
    ended: bool,
}

impl Snapshot {
    /// Without a key it makes no State.
    pub fn new(key: Option<HashKey>) -> Self {
        Self { header: None, state: key.map(State::new), changes: 0, ended: false }
    }

    pub fn take(&mut self, frame: ReadSnapshotResponse) -> Result<(), Unusable> {
        let frame = frame.frame.ok_or(Unusable::Damaged("a frame of a kind that this release does not know"))?;
        match frame {
            Frame::Header(header) if self.header.is_none() => self.header = Some(header),
            Frame::Changes(frame) if self.header.is_some() && !self.ended => {
                self.changes += frame.changes.len() as u64;
                for change in frame.changes {
                    let change = decode(&change)?;
                    if let Some(state) = &mut self.state {
                        state.apply(&change);
                    }
                }
            }
            Frame::End(end) if end.changes == self.changes => self.ended = true,
            Frame::End(_) => return Err(Unusable::Damaged("a snapshot with missing changes")),
            _ => return Err(Unusable::Damaged("frames of a snapshot in the wrong order")),
        }
        Ok(())
    }

    /// Returns the revision, and the State if there is a key.
    pub fn finish(self) -> Result<(Revision, Option<Received>), Unusable> {
        let header = self.header.filter(|_| self.ended).ok_or(Unusable::Damaged("a snapshot that ends too early"))?;
        let revision = header.revision.ok_or(Unusable::Damaged("a snapshot without a revision"))?;
        let store_id = revision.store_id;
        let revision = read_revision(&revision);
        let first = revision.number.saturating_sub(header.past_tags.len() as u64);
        let past = (first..).zip(header.past_tags).map(|(number, tag)| Revision { number, tag, at: Time::default() });
        let scope = header.scope;
        let received = self.state.map(|mut state| {
            state.share_rows();
            state.set_revision(revision);
            Received { store_id, scope, state, past: past.collect(), age: Duration::from_millis(header.age_millis) }
        });
        Ok((revision, received))
    }
}

/// Commits while they arrive.
#[derive(Default)]
pub struct Commits {
    /// The frames since the last complete commit.
    frames: Vec<FollowResponse>,
    /// The changes of a commit that is not complete.
    changes: Vec<Bytes>,
}

/// Complete commits, and the frames in which they were.
pub struct Complete {
    pub commits: Vec<Commit>,
    pub frames: Vec<FollowResponse>,
}

impl Commits {
    /// Takes a frame. Returns the commits after `mine`, or `None` if the last commit goes on in the next frame.
    pub fn take(&mut self, frame: FollowResponse, mine: Revision) -> Result<Option<Complete>, Unusable> {
        let incomplete = frame.commits.last().is_some_and(|commit| commit.incomplete);
        self.frames.push(frame);
        if incomplete {
            return Ok(None);
        }
        let frames = std::mem::take(&mut self.frames);
        let mut commits = Vec::new();
        for frame in &frames {
            let mut number = frame.after;
            for commit in &frame.commits {
                self.changes.extend(commit.changes.iter().cloned());
                if commit.incomplete {
                    continue;
                }
                number += 1;
                let changes = std::mem::take(&mut self.changes);
                if number == mine.number && commit.tag != mine.tag {
                    return Err(Unusable::Damaged("commits of another history"));
                }
                if number <= mine.number {
                    continue;
                }
                if number != mine.number + 1 + commits.len() as u64 {
                    return Err(Unusable::Damaged("commits with a gap"));
                }
                let changes = changes.iter().map(|change| decode(change)).collect::<Result<Vec<Change>, _>>()?;
                commits.push(Commit {
                    revision: Revision { number, tag: commit.tag, at: Time(commit.time_micros) },
                    kind: "".into(),
                    actor: "".into(),
                    key: None,
                    acting_user: None,
                    reason: "".into(),
                    request: None,
                    changes,
                });
            }
        }
        Ok(Some(Complete { commits, frames }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::replication::Commit as WireCommit;

    fn commit(tag: u32, incomplete: bool) -> WireCommit {
        WireCommit { tag, time_micros: 0, changes: Vec::new(), incomplete }
    }

    fn frame(after: u64, commits: Vec<WireCommit>) -> FollowResponse {
        FollowResponse { after, commits, age_millis: None }
    }

    fn mine(number: u64) -> Revision {
        Revision { number, tag: number as u32, at: Time(0) }
    }

    fn numbers(complete: &Complete) -> Vec<u64> {
        complete.commits.iter().map(|commit| commit.revision.number).collect()
    }

    #[test]
    fn commits_that_the_state_has_are_skipped_and_a_gap_is_an_error() {
        let three = |after: u64| frame(after, (1..=3).map(|at| commit(after as u32 + at, false)).collect());
        let mut commits = Commits::default();
        assert_eq!(numbers(&commits.take(three(4), mine(4)).unwrap().unwrap()), [5, 6, 7]);
        assert_eq!(numbers(&commits.take(three(4), mine(6)).unwrap().unwrap()), [7]);
        assert!(commits.take(three(4), mine(7)).unwrap().unwrap().commits.is_empty());
        assert!(commits.take(three(5), mine(4)).is_err());
        let other_history = Revision { tag: 99, ..mine(6) };
        assert!(commits.take(three(4), other_history).is_err());
    }

    #[test]
    fn a_commit_is_taken_when_its_last_frame_is_here() {
        let mut commits = Commits::default();
        assert!(commits.take(frame(4, vec![commit(5, false), commit(6, true)]), mine(4)).unwrap().is_none());
        assert!(commits.take(frame(5, vec![commit(6, true)]), mine(4)).unwrap().is_none());
        let complete = commits.take(frame(5, vec![commit(6, false), commit(7, false)]), mine(4)).unwrap().unwrap();
        assert_eq!(numbers(&complete), [5, 6, 7]);
        assert_eq!(complete.frames.len(), 3);
    }

    #[test]
    fn a_snapshot_that_is_cut_is_unusable() {
        let of = |frame| ReadSnapshotResponse { frame: Some(frame) };
        let header = || of(Frame::Header(SnapshotHeader { revision: Some(Default::default()), ..Default::default() }));
        let end = |changes| of(Frame::End(crate::wire::replication::SnapshotEnd { changes }));
        let mut snapshot = Snapshot::new(None);
        snapshot.take(header()).unwrap();
        assert!(snapshot.take(end(1)).is_err(), "a change is missing");
        assert!(snapshot.finish().is_err(), "no end");
        let mut snapshot = Snapshot::new(None);
        assert!(snapshot.take(ReadSnapshotResponse { frame: None }).is_err());
        snapshot.take(header()).unwrap();
        assert!(snapshot.take(header()).is_err());
        snapshot.take(end(0)).unwrap();
        assert!(snapshot.finish().is_ok());
    }
}
