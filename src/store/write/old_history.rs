//! Deletes old history: the changes and commits that no server needs to follow from.

use std::collections::BTreeMap;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::Time;
use crate::store::head::HEAD;
use crate::store::schema::{change, commit, head};
use crate::store::{Store, StoreError};

/// Revisions, and changes of them, that one transaction deletes. Writes wait for it. A commit is deleted whole.
const COMMITS_MAX: u64 = 256;
const CHANGES_MAX: i64 = 10_000;

impl Store {
    /// Deletes the changes and commits of some of the oldest revisions, if they are older than `before`.
    /// Keeps the newest of these commits, from which servers may still follow. Returns true if there may be more.
    pub async fn delete_old_history(&self, before: Time) -> Result<bool, StoreError> {
        let store = self.clone();
        self.beside_the_writer(async move { store.delete_some(before).await }).await
    }

    async fn delete_some(&self, before: Time) -> Result<bool, StoreError> {
        let write = self.begin_write().await?;
        let oldest = commit::Entity::find().select_only().column(commit::Column::Revision).column(commit::Column::At);
        let oldest = oldest.filter(commit::Column::Revision.gt(write.floor)).order_by_asc(commit::Column::Revision);
        let oldest: Vec<(i64, i64)> = oldest.limit(COMMITS_MAX).into_tuple().all(&write.tx).await?;
        let old: Vec<i64> = oldest.iter().take_while(|(_, at)| *at < before.0).map(|(revision, _)| *revision).collect();
        let (Some(first), Some(last)) = (old.first(), old.last()) else {
            write.rollback().await;
            return Ok(false);
        };
        let sizes = change::Entity::find().select_only().column(change::Column::Revision);
        let sizes = sizes.column_as(change::Column::Seq.count(), "size").group_by(change::Column::Revision);
        let sizes = sizes.filter(change::Column::Revision.between(*first, *last));
        let sizes: BTreeMap<i64, i64> = sizes.into_tuple::<(i64, i64)>().all(&write.tx).await?.into_iter().collect();
        let mut changes = 0;
        let small = old.iter().take_while(|revision| {
            changes += sizes.get(revision).copied().unwrap_or(0);
            changes <= CHANGES_MAX
        });
        let floor = small.last().copied().unwrap_or(*first);
        let more = floor < *last || old.len() as u64 == COMMITS_MAX;
        change::Entity::delete_many().filter(change::Column::Revision.lte(floor)).exec(&write.tx).await?;
        commit::Entity::delete_many().filter(commit::Column::Revision.lt(floor)).exec(&write.tx).await?;
        let advance = head::Entity::update_many().col_expr(head::Column::Floor, Expr::value(floor));
        advance.filter(head::Column::Id.eq(HEAD)).exec(&write.tx).await?;
        write.tx.commit().await?;
        Ok(more)
    }
}
