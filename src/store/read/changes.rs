//! Reads the commits after a revision, for the replica and for a writer that catches up.

use std::sync::Arc;

use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::commands::group::Commit;
use crate::domain::{Revision, UserId};
use crate::store::connect::LONG_MAX;
use crate::store::ids::{changes_digest, revision, revision_number};
use crate::store::schema::{change, commit};
use crate::store::{SinceError, Store, StoreError};
use crate::wire::change::decode;

impl Store {
    /// Returns at most `limit` commits after `mine`, which must belong to this history.
    pub async fn commits_since(&self, mine: Revision, limit: u32) -> Result<Vec<Commit>, SinceError> {
        let read = async {
            let snapshot = self.reserved_snapshot().await?;
            let head = snapshot.revision;
            let commits = match (head.number, head.tag) {
                (number, tag) if (number, tag) == (mine.number, mine.tag) => Ok(Vec::new()),
                (number, _) if number < mine.number => {
                    Err(StoreError::Behind { head: number, state: mine.number }.into())
                }
                _ => commits_since(&snapshot.tx, mine, limit).await,
            };
            snapshot.end().await;
            commits
        };
        self.answered(LONG_MAX, read).await
    }
}

/// Reads with two statements, so `db` must be a transaction that sees one revision, or that locks the head row.
pub async fn commits_since(db: &DatabaseTransaction, mine: Revision, limit: u32) -> Result<Vec<Commit>, SinceError> {
    let mine_number = revision_number(mine.number);
    let from = commit::Entity::find().filter(commit::Column::Revision.gte(mine_number));
    let rows = from.order_by_asc(commit::Column::Revision).limit(u64::from(limit) + 1).all(db).await?;
    let mut rows = rows.into_iter();
    if mine.number > 0 {
        let first = rows.next().ok_or(SinceError::Diverged)?;
        if revision(first.revision, first.tag, first.at).map(|it| (it.number, it.tag))? != (mine.number, mine.tag) {
            return Err(SinceError::Diverged);
        }
    }
    let rows: Vec<commit::Model> = rows.take(limit as usize).collect();
    let Some(last) = rows.last() else { return Ok(Vec::new()) };
    let between = change::Column::Revision.gt(mine_number).and(change::Column::Revision.lte(last.revision));
    let changes = change::Entity::find().select_only().column(change::Column::Revision).column(change::Column::Payload);
    let changes = changes.filter(between).order_by_asc(change::Column::Revision).order_by_asc(change::Column::Seq);
    let changes: Vec<(i64, Vec<u8>)> = changes.into_tuple().all(db).await?;
    let mut rest = &*changes;
    let mut commits = Vec::with_capacity(rows.len());
    for (at, row) in rows.into_iter().enumerate() {
        let (mine, later) = rest.split_at(rest.partition_point(|(number, _)| *number <= row.revision));
        rest = later;
        let decoded = mine.iter().map(|(_, payload)| decode(payload)).collect::<Result<Vec<_>, _>>()?;
        let complete = row.digest == changes_digest(mine.iter().map(|(_, payload)| &**payload));
        if !complete || row.revision != mine_number + 1 + at as i64 {
            return Err(StoreError::Incomplete(row.revision).into());
        }
        commits.push(Commit {
            revision: revision(row.revision, row.tag, row.at)?,
            kind: row.kind.into(),
            actor: row.actor.into(),
            key: row.key_id.map(Arc::from),
            reason: Arc::from(row.reason),
            acting_user: row.acting_user.map(UserId::stored),
            request: None,
            changes: decoded,
        });
    }
    Ok(commits)
}
