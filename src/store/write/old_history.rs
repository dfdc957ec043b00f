//! Deletes old history: the changes and commits that no server needs to follow from.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::Time;
use crate::store::head::HEAD;
use crate::store::schema::{change, commit, head};
use crate::store::{Store, StoreError};

/// Commits or changes that one transaction deletes. Writes wait for it.
const COMMITS_MAX: u64 = 256;
const CHANGES_MAX: u64 = 10_000;

impl Store {
    /// Deletes the changes and commits of some of the oldest revisions, if they are older than `before`.
    /// Keeps the newest of these commits, from which servers may still follow. Returns true if there may be more.
    pub async fn delete_old_history(&self, before: Time) -> Result<bool, StoreError> {
        let store = self.clone();
        self.beside_the_writer(async move { store.delete_some(before).await }).await
    }

    /// Deletes one step: either changes up to the floor, or commits, which raises the floor. So a commit with many changes is
    /// forgotten first, and its changes follow.
    async fn delete_some(&self, before: Time) -> Result<bool, StoreError> {
        let write = self.begin_write().await?;
        let (tx, floor) = (&write.tx, write.floor);
        let old = change::Entity::find().select_only().column(change::Column::Revision).column(change::Column::Seq);
        let old = old.filter(change::Column::Revision.lte(floor));
        let old = old.order_by_asc(change::Column::Revision).order_by_asc(change::Column::Seq).limit(CHANGES_MAX);
        let old: Vec<(i64, i64)> = old.into_tuple().all(tx).await?;
        if let Some((revision, seq)) = old.last() {
            let of_last = change::Column::Revision.eq(*revision).and(change::Column::Seq.lte(*seq));
            let old = change::Column::Revision.lt(*revision).or(of_last);
            change::Entity::delete_many().filter(old).exec(tx).await?;
            write.tx.commit().await?;
            return Ok(true);
        }
        let oldest = commit::Entity::find().select_only().column(commit::Column::Revision).column(commit::Column::At);
        let oldest = oldest.filter(commit::Column::Revision.gt(floor)).order_by_asc(commit::Column::Revision);
        let oldest: Vec<(i64, i64)> = oldest.limit(COMMITS_MAX).into_tuple().all(tx).await?;
        let Some((floor, _)) = oldest.into_iter().take_while(|(_, at)| *at < before.0).last() else {
            write.rollback().await;
            return Ok(false);
        };
        commit::Entity::delete_many().filter(commit::Column::Revision.lt(floor)).exec(tx).await?;
        let raise = head::Entity::update_many().col_expr(head::Column::Floor, Expr::value(floor));
        raise.filter(head::Column::Id.eq(HEAD)).exec(tx).await?;
        write.tx.commit().await?;
        Ok(true)
    }
}
