//! Reads the commits after a revision, for other servers and followers.

use std::sync::Arc;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::commands::group::Commit;
use crate::domain::{Revision, UserId};
use crate::store::ids::{revision, revision_number};
use crate::store::schema::{change, commit};
use crate::store::{SinceError, Store};
use crate::wire::change::decode;

impl Store {
    /// Returns at most `limit` commits after `mine`, which must belong to this history.
    pub async fn commits_since(&self, mine: Revision, limit: u32) -> Result<Vec<Commit>, SinceError> {
        commits_since(self.reads(), mine, limit).await
    }
}

/// Commits and changes are never altered, so two statements see the same ones without a transaction.
pub async fn commits_since(db: &impl ConnectionTrait, mine: Revision, limit: u32) -> Result<Vec<Commit>, SinceError> {
    let mine_number = revision_number(mine.number);
    let from = commit::Entity::find().filter(commit::Column::Revision.gte(mine_number));
    let rows = from.order_by_asc(commit::Column::Revision).limit(u64::from(limit) + 1).all(db).await?;
    let mut rows = rows.into_iter();
    // A diverged history has another commit at this revision, or none.
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
    let mut changes = changes.into_iter().peekable();
    let mut commits = Vec::with_capacity(rows.len());
    for row in rows {
        let mut decoded = Vec::new();
        while let Some((_, payload)) = changes.next_if(|(number, _)| *number == row.revision) {
            decoded.push(decode(&payload)?);
        }
        commits.push(Commit {
            revision: revision(row.revision, row.tag, row.at)?,
            kind: row.kind.into(),
            actor: row.actor.into(),
            reason: Arc::from(row.reason),
            acting_user: row.acting_user.map(UserId::stored),
            request: None,
            changes: decoded,
        });
    }
    Ok(commits)
}
