//! Reads events: commits from the history, and refused calls, in the order of their places (A2).

mod sql;
mod undo;

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use sea_orm::QueryResult;

use super::past::Past;
use crate::domain::model::event::{Denial, EventPlace};
use crate::domain::model::id::{OrgNo, ProjectId};
use crate::domain::rules::event::Object;
use crate::domain::{Actor, Change, OrgId, ProjectKey, Revision, Time, UserId};
use crate::store::connect::LONG_MAX;
use crate::store::ids::{id, number, revision, revision_number, unreadable};
use crate::store::sql::Sql;
use crate::store::{Store, StoreError};
use crate::wire::change::decode;
pub use undo::Undo;

/// Commits whose changes are read at once.
pub const EVENT_COMMITS_MAX: usize = 20;
/// Changes that are read of a commit. It is more than an event shows, since some are not shown.
const CHANGES_MAX: usize = 300;

/// The history as it was at the revision of a State.
pub struct Events {
    store: Store,
    past: Past,
}

#[derive(Clone, Debug)]
pub struct CommitRow {
    pub revision: Revision,
    pub project: ProjectId,
    pub kind: String,
    pub actor: Actor,
    pub key_id: Option<String>,
    pub acting_user: Option<String>,
    pub request_id: Option<String>,
    pub reason: String,
    pub shown_changes: u64,
}

#[derive(Clone, Debug)]
pub enum EventRow {
    Commit(Box<CommitRow>),
    Denial(EventPlace, Box<Denial>),
}

/// Which events to read.
#[derive(Clone, Debug)]
pub struct EventScan {
    pub project: Option<(ProjectId, ProjectKey)>,
    /// Only commits with changes of the org. Denials of other orgs are read too.
    pub org: Option<OrgNo>,
    /// Only commits with changes of the user.
    pub user: Option<UserId>,
    /// The revisions of commits. `None`: no commits.
    pub commits: Option<RangeInclusive<u64>>,
    pub denials: bool,
    pub newest_first: bool,
    /// Only events between these places.
    pub after: EventPlace,
    pub before: EventPlace,
}

impl EventRow {
    pub fn place(&self) -> EventPlace {
        match self {
            Self::Commit(row) => EventPlace { revision: row.revision.number, denial: 0 },
            Self::Denial(place, _) => *place,
        }
    }
}

impl Store {
    /// Begins to read the history at the revision of a State.
    pub async fn events(&self, at: Revision) -> Result<Events, StoreError> {
        Ok(Events { past: self.answered(LONG_MAX, Past::at(self, at)).await?, store: self.clone() })
    }
}

impl Events {
    pub async fn end(self) {
        self.past.end().await;
    }

    /// Returns the place of the newest event.
    pub async fn newest_place(&self) -> Result<EventPlace, StoreError> {
        let revision = self.past.at.number;
        let mut sql = Sql::default();
        let at = sql.bind(revision_number(revision));
        sql.push(&format!("SELECT max(id) FROM denials WHERE revision = {at}"));
        let newest = match self.rows_of(sql).await?.first() {
            Some(row) => row.try_get_by_index::<Option<i64>>(0)?,
            None => None,
        };
        Ok(EventPlace { revision, denial: unsigned(newest.unwrap_or(0))? })
    }

    /// Returns the revision of the oldest commit that was made at this time or later. If there is none: the next revision.
    pub async fn revision_from(&self, time: Time) -> Result<u64, StoreError> {
        // The times of commits grow with their revisions.
        let (mut from, mut to) = (self.past.snapshot.floor, revision_number(self.past.at.number) + 1);
        while from < to {
            let middle = from + (to - from) / 2;
            let mut sql = Sql::default();
            let bound = sql.bind(middle);
            sql.push(&format!(
                r#"SELECT revision, "at" FROM commits WHERE revision >= {bound} ORDER BY revision LIMIT 1"#
            ));
            match self.rows_of(sql).await?.first() {
                Some(row) if row.try_get_by_index::<i64>(1)? < time.0 => from = row.try_get_by_index::<i64>(0)? + 1,
                _ => to = middle,
            }
        }
        unsigned(to)
    }

    /// Returns the number of the newest purged org with this id. `None` if there is none.
    pub async fn purged_org(&self, project: ProjectId, org_id: &OrgId) -> Result<Option<OrgNo>, StoreError> {
        let mut sql = Sql::default();
        let (project, org_id) = (sql.bind(number(project)), sql.bind(org_id.as_str()));
        sql.push(&format!(r#"SELECT max("no") FROM orgs WHERE project = {project} AND org_id = {org_id}"#));
        match self.rows_of(sql).await?.first() {
            Some(row) => row.try_get_by_index::<Option<i64>>(0)?.map(id).transpose(),
            None => Ok(None),
        }
    }

    /// Returns the next events of a scan, at least one unless there are no more, and whether more may follow.
    pub async fn next(&self, scan: &EventScan, limit: usize) -> Result<(Vec<EventRow>, bool), StoreError> {
        let mut commits = Vec::new();
        if let Some(sql) = sql::commits(scan, self.past.snapshot.floor, self.past.at.number, limit) {
            for row in self.rows_of(sql).await? {
                commits.push(EventRow::Commit(Box::new(commit_row(&row)?)));
            }
        }
        let mut denials = Vec::new();
        if scan.denials {
            for row in self.rows_of(sql::denials(scan, self.past.at.number, limit)).await? {
                let (place, denial) = denial_row(&row)?;
                denials.push(EventRow::Denial(place, Box::new(denial)));
            }
        }
        // A full part may go on before the other part ends.
        let ends = [&commits, &denials].map(|part| part.last().filter(|_| part.len() == limit).map(EventRow::place));
        let ends = ends.into_iter().flatten();
        let end = if scan.newest_first { ends.max() } else { ends.min() };
        let mut rows = commits;
        rows.append(&mut denials);
        rows.sort_unstable_by_key(EventRow::place);
        if scan.newest_first {
            rows.reverse();
        }
        if let Some(end) = end {
            rows.retain(|row| if scan.newest_first { row.place() >= end } else { row.place() <= end });
        }
        Ok((rows, end.is_some()))
    }

    /// Returns the first changes of at most [`EVENT_COMMITS_MAX`] commits: of those of the scan's org and user, if it has any.
    pub async fn changes(&self, scan: &EventScan, revisions: &[u64]) -> Result<HashMap<u64, Vec<Change>>, StoreError> {
        let mut found: HashMap<u64, BTreeMap<i64, Change>> = HashMap::new();
        if !revisions.is_empty() {
            for row in self.rows_of(sql::changes(scan, revisions, CHANGES_MAX)).await? {
                let (revision, seq) = (unsigned(row.try_get_by_index(0)?)?, row.try_get_by_index(1)?);
                let change = decode(&row.try_get_by_index::<Vec<u8>>(2)?);
                let change = change.map_err(|error| StoreError::Unreadable(error.to_string()))?;
                found.entry(revision).or_default().insert(seq, change);
            }
        }
        Ok(found.into_iter().map(|(revision, changes)| (revision, changes.into_values().collect())).collect())
    }

    /// Returns each object as it was at a revision, as `after` of a change; one that was deleted, as it was before. The State
    /// has the objects that are missing: they have not changed since.
    pub async fn versions(
        &self,
        project: ProjectId,
        wanted: &[(Object, u64)],
    ) -> Result<HashMap<(Object, u64), Change>, StoreError> {
        let wanted: Vec<_> = wanted.iter().map(|&(object, at)| (object, revision_number(at))).collect();
        let versions = self.store.answered(LONG_MAX, self.past.versions(project, &wanted)).await?;
        versions.into_iter().map(|((object, at), change)| Ok(((object, unsigned(at)?), change))).collect()
    }

    async fn rows_of(&self, sql: Sql) -> Result<Vec<QueryResult>, StoreError> {
        self.store.answered(LONG_MAX, self.past.rows(sql)).await
    }
}

fn commit_row(row: &QueryResult) -> Result<CommitRow, StoreError> {
    Ok(CommitRow {
        revision: revision(row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?)?,
        kind: row.try_get_by_index(3)?,
        actor: Arc::from(row.try_get_by_index::<String>(4)?),
        key_id: row.try_get_by_index(5)?,
        acting_user: row.try_get_by_index(6)?,
        request_id: row.try_get_by_index(7)?,
        reason: row.try_get_by_index(8)?,
        project: id(row.try_get_by_index(9)?)?,
        shown_changes: unsigned(row.try_get_by_index(10)?)?,
    })
}

fn denial_row(row: &QueryResult) -> Result<(EventPlace, Denial), StoreError> {
    let place =
        EventPlace { revision: unsigned(row.try_get_by_index(0)?)?, denial: unsigned(row.try_get_by_index(1)?)? };
    let denial = Denial {
        at: Time(row.try_get_by_index(2)?),
        kind: row.try_get_by_index(3)?,
        actor: row.try_get_by_index(4)?,
        key_id: row.try_get_by_index(5)?,
        project: row.try_get_by_index(6)?,
        org_id: row.try_get_by_index(7)?,
        acting_user: row.try_get_by_index(8)?,
        reason: row.try_get_by_index(9)?,
        missing_permission: row.try_get_by_index(10)?,
        count: unsigned(row.try_get_by_index(11)?)?,
    };
    Ok((place, denial))
}

fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| unreadable("a negative number"))
}
