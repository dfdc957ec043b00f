//! Deletes old history: the changes and commits that no server needs to follow from.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::Time;
use crate::store::head::HEAD;
use crate::store::read::snapshot::joined;
use crate::store::schema::{change, commit, head};
use crate::store::{Store, StoreError};

/// Revisions whose changes one transaction deletes. Writes wait for it.
const COMPACT_COMMITS: u64 = 256;

impl Store {
    /// Deletes the changes and commits of up to `COMPACT_COMMITS` of the oldest revisions, if they are older than `before`.
    /// Keeps the newest of these commits, from which servers may still follow. Returns true if there may be more.
    pub async fn compact(&self, before: Time) -> Result<bool, StoreError> {
        let store = self.clone();
        // In a task of its own, because the caller may be cancelled, see `snapshot`.
        joined(tokio::spawn(async move { store.compact_once(before).await }).await)?
    }

    async fn compact_once(&self, before: Time) -> Result<bool, StoreError> {
        let write = self.begin_write().await?;
        let oldest = commit::Entity::find().select_only().column(commit::Column::Revision).column(commit::Column::At);
        let oldest = oldest.filter(commit::Column::Revision.gt(write.floor)).order_by_asc(commit::Column::Revision);
        let oldest: Vec<(i64, i64)> = oldest.limit(COMPACT_COMMITS).into_tuple().all(&write.tx).await?;
        let old = oldest.iter().take_while(|(_, at)| *at < before.0);
        let Some(floor) = old.clone().last().map(|(revision, _)| *revision) else {
            write.rollback().await;
            return Ok(false);
        };
        let more = old.count() as u64 == COMPACT_COMMITS;
        change::Entity::delete_many().filter(change::Column::Revision.lte(floor)).exec(&write.tx).await?;
        commit::Entity::delete_many().filter(commit::Column::Revision.lt(floor)).exec(&write.tx).await?;
        let advance = head::Entity::update_many().col_expr(head::Column::Floor, Expr::value(floor));
        advance.filter(head::Column::Id.eq(HEAD)).exec(&write.tx).await?;
        write.tx.commit().await?;
        Ok(more)
    }
}
