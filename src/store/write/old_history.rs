//! Deletes old history: the changes and commits that no server needs to follow from.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::Time;
use crate::store::connect::LONG_MAX;
use crate::store::head::HEAD;
use crate::store::read::snapshot::joined;
use crate::store::schema::{change, commit, head};
use crate::store::{Store, StoreError, WriteTx};

/// Commits or changes that one transaction deletes. Writes wait for it.
const COMMITS_MAX: u64 = 256;
const CHANGES_MAX: u64 = 10_000;

impl Store {
    /// Deletes the changes and commits of some of the oldest revisions, if they are older than `before`.
    /// Keeps the newest of these commits, from which servers may still follow. Returns true if there may be more.
    pub async fn delete_old_history(&self, before: Time) -> Result<bool, StoreError> {
        let store = self.clone();
        // In a task of its own, because the caller may be cancelled, see `snapshot`.
        let deleting = tokio::spawn(async move {
            let write = store.begin_write().await?;
            store.answered(LONG_MAX, delete_some(write, before)).await
        });
        joined(deleting.await)?
    }
}

/// Deletes one step: either changes up to the floor, or commits, which raises the floor. So a commit with many changes is
/// forgotten first, and its changes follow.
async fn delete_some(write: WriteTx, before: Time) -> Result<bool, StoreError> {
    let (tx, floor) = (&write.tx, write.floor);
    let columns = [change::Column::Revision, change::Column::Seq];
    let find = change::Entity::find().select_only().columns(columns).filter(change::Column::Revision.lte(floor));
    let find = find.order_by_asc(change::Column::Revision).order_by_asc(change::Column::Seq).limit(CHANGES_MAX);
    let forgotten: Vec<(i64, i64)> = find.into_tuple().all(tx).await?;
    if let Some(&(revision, seq)) = forgotten.last() {
        // Compared as rows, so that it is one range of the primary key.
        let until_last = Expr::tuple(columns.map(Expr::col)).lte(Expr::tuple([revision, seq].map(Expr::val)));
        change::Entity::delete_many().filter(until_last).exec(tx).await?;
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
