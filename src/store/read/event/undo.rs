//! The changes on which checks of one user depend, newest first, so that a State can be taken back to the past (A3).

use std::collections::VecDeque;

use super::Events;
use crate::domain::model::id::ProjectId;
use crate::domain::{Change, Revision, State, UserId};
use crate::store::StoreError;
use crate::store::head::committed;
use crate::store::ids::{number, revision, revision_number};
use crate::store::sql::Sql;
use crate::wire::change::{UNCHECKED, decode};

/// Changes that are read at once. One may have 50,000 permissions.
const CHANGES_MAX: i64 = 200;

/// Takes a State back, commit by commit. It stays complete for checks of one user in one project.
pub struct Undo<'a> {
    events: &'a Events,
    project: ProjectId,
    user: UserId,
    /// Changes up to this revision are not read.
    until: u64,
    /// Where the next read begins.
    before: Option<(i64, i64)>,
    read: VecDeque<(Revision, Change)>,
}

impl Events {
    /// Returns the number of the oldest revision to which a State can be taken back. 0 is before all commits.
    pub fn oldest(&self) -> u64 {
        self.past.snapshot.floor.unsigned_abs()
    }

    /// Returns the revision with this number. `None` if it is no longer kept.
    pub async fn revision(&self, number: u64) -> Result<Option<Revision>, StoreError> {
        if number < self.oldest() {
            return Ok(None);
        }
        if number == 0 {
            return Ok(Some(Revision::default()));
        }
        committed(&self.past.snapshot.tx, number).await
    }

    /// Begins at the newest change before or at the State's revision.
    pub fn undo(&self, project: ProjectId, user: UserId, until: u64) -> Undo<'_> {
        let before = Some((revision_number(self.past.at.number) + 1, 0));
        Undo { events: self, project, user, until, before, read: VecDeque::new() }
    }
}

impl Undo<'_> {
    /// Returns the revision of the next commit to undo. `None` if no commit is left.
    pub async fn next(&mut self) -> Result<Option<Revision>, StoreError> {
        if self.read.is_empty() {
            self.fill().await?;
        }
        Ok(self.read.front().map(|(revision, _)| *revision))
    }

    /// Undoes the next commit. Passes its changes to `undone`, the last one first.
    pub async fn undo(&mut self, state: &mut State, mut undone: impl FnMut(&Change)) -> Result<(), StoreError> {
        let Some(commit) = self.next().await? else { return Ok(()) };
        while self.next().await? == Some(commit) {
            if let Some((_, change)) = self.read.pop_front() {
                undone(&change);
                state.apply(&change.undone());
            }
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), StoreError> {
        let Some((before, seq)) = self.before.take() else { return Ok(()) };
        let mut sql = Sql::default();
        let (before, seq, until) = (sql.bind(before), sql.bind(seq), sql.bind(revision_number(self.until)));
        let (project, user) = (sql.bind(number(self.project)), sql.bind(self.user.as_str()));
        let unchecked = UNCHECKED.map(|noun| noun.to_string()).join(", ");
        // Each part has an index.
        let part = |user: &str| {
            format!(
                "SELECT * FROM (SELECT revision, seq, payload FROM changes
                     WHERE project = {project} AND user_id {user} AND revision > {until} AND revision <= {before}
                         AND (revision, seq) < ({before}, {seq}) AND noun NOT IN ({unchecked})
                     ORDER BY revision DESC, seq DESC LIMIT {CHANGES_MAX}) part"
            )
        };
        sql.push(&format!(
            r#"SELECT h.revision, h.seq, c.tag, c."at", h.payload
               FROM ({} UNION ALL {}) h JOIN commits c ON c.revision = h.revision
               ORDER BY h.revision DESC, h.seq DESC LIMIT {CHANGES_MAX}"#,
            part(&format!("= {user}")),
            part("IS NULL")
        ));
        let rows = self.events.rows_of(sql).await?;
        for row in &rows {
            let place: (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let of = revision(place.0, row.try_get_by_index(2)?, row.try_get_by_index(3)?)?;
            let change = decode(&row.try_get_by_index::<Vec<u8>>(4)?);
            self.read.push_back((of, change.map_err(|error| StoreError::Unreadable(error.to_string()))?));
            self.before = Some(place);
        }
        if rows.len() < CHANGES_MAX as usize {
            self.before = None;
        }
        Ok(())
    }
}
