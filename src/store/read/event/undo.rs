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

/// Changes that are read at once.
const CHANGES_MAX: i64 = 1_000;

/// Takes a State back, commit by commit. Only checks of the user in the projects stay right.
pub struct Undo<'a> {
    events: &'a Events,
    /// All projects that have had the key.
    projects: Vec<ProjectId>,
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
    pub fn undo(&self, projects: Vec<ProjectId>, user: UserId, until: u64) -> Undo<'_> {
        let before = Some((revision_number(self.past.at.number) + 1, 0)).filter(|_| !projects.is_empty());
        Undo { events: self, projects, user, until, before, read: VecDeque::new() }
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

    /// Undoes the next commit.
    pub async fn undo(&mut self, state: &mut State) -> Result<(), StoreError> {
        let Some(commit) = self.next().await? else { return Ok(()) };
        while self.next().await? == Some(commit) {
            if let Some((_, change)) = self.read.pop_front() {
                state.apply(&change.undone());
            }
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), StoreError> {
        let Some((before, seq)) = self.before.take() else { return Ok(()) };
        let mut sql = Sql::default();
        let (before, seq, until) = (sql.bind(before), sql.bind(seq), sql.bind(revision_number(self.until)));
        let (user, projects) = (sql.bind(self.user.as_str()), sql.list(self.projects.iter().map(|&it| number(it))));
        // `+ 0` keeps the planner from the indexes by project: this walks through the primary key.
        sql.push(&format!(
            r#"SELECT h.revision, h.seq, c.tag, c."at", h.payload FROM changes h JOIN commits c ON c.revision = h.revision
               WHERE h.revision > {until} AND (h.revision, h.seq) < ({before}, {seq}) AND h.project + 0 IN ({projects})
                   AND (h.user_id IS NULL OR h.user_id = {user}) AND h.noun NOT IN ({})
               ORDER BY h.revision DESC, h.seq DESC LIMIT {CHANGES_MAX}"#,
            UNCHECKED.map(|noun| noun.to_string()).join(", ")
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
