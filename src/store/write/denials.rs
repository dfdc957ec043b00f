//! Writes refused calls (A1). These are no changes of the State: they have no revision.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::domain::Time;
use crate::domain::model::event::{Denial, EventPlace};
use crate::store::connect::LONG_MAX;
use crate::store::ids::{revision_number, unreadable};
use crate::store::read::snapshot::joined;
use crate::store::schema::denial::{Column, Entity, Model};
use crate::store::write::batch::Batch;
use crate::store::write::rows;
use crate::store::{Store, StoreError, WriteTx};

/// Denials that one transaction deletes. Writes wait for it.
const OLD_MAX: u64 = 1_000;

impl Store {
    /// Stores denials and returns their places. A denial with a place is there already: its count is stored.
    ///
    /// The head row is locked meanwhile. So the places grow in the order of the commits: a reader who has read up to a
    /// place never misses one before it.
    pub async fn write_denials(
        &self,
        denials: Vec<(Denial, Option<EventPlace>)>,
    ) -> Result<Vec<EventPlace>, StoreError> {
        let store = self.clone();
        // In a task of its own, because the caller may be cancelled, see `snapshot`.
        let writing = tokio::spawn(async move {
            let write = store.begin_write().await?;
            store.answered(LONG_MAX, upsert(write, denials)).await
        });
        joined(writing.await)?
    }

    /// Deletes some of the oldest denials, if they are older than `before`. Returns true if there may be more.
    pub async fn delete_old_denials(&self, before: Time) -> Result<bool, StoreError> {
        let columns = [Column::Revision, Column::Id, Column::At];
        let find = Entity::find().select_only().columns(columns).order_by_asc(Column::Revision);
        let find = find.order_by_asc(Column::Id).limit(OLD_MAX).into_tuple();
        let read = async { Ok::<Vec<(i64, i64, i64)>, StoreError>(find.all(self.reads()).await?) };
        let oldest = self.answered(LONG_MAX, read).await?;
        let Some(last) = oldest.into_iter().take_while(|(_, _, at)| *at < before.0).last() else { return Ok(false) };
        let store = self.clone();
        let deleting = tokio::spawn(async move {
            let write = store.begin_write().await?;
            let until_last = Expr::tuple([Column::Revision, Column::Id].map(Expr::col));
            let until_last = until_last.lte(Expr::tuple([last.0, last.1].map(Expr::val)));
            let deleting = async {
                Entity::delete_many().filter(until_last).exec(&write.tx).await?;
                Ok(write.tx.commit().await?)
            };
            store.answered::<_, StoreError>(LONG_MAX, deleting).await
        });
        joined(deleting.await)??;
        Ok(true)
    }
}

async fn upsert(write: WriteTx, denials: Vec<(Denial, Option<EventPlace>)>) -> Result<Vec<EventPlace>, StoreError> {
    let head = write.head.number;
    let last = Entity::find().select_only().column(Column::Id).filter(Column::Revision.eq(revision_number(head)));
    let last: Option<i64> = last.order_by_desc(Column::Id).into_tuple().one(&write.tx).await?;
    let last = u64::try_from(last.unwrap_or(0)).map_err(|_| unreadable("a denial with a negative id"))?;
    let mut free = (last + 1..).map(|denial| EventPlace { revision: head, denial });
    let places: Vec<EventPlace> = denials.iter().filter_map(|(_, place)| place.or_else(|| free.next())).collect();
    let rows: Vec<Model> = denials.into_iter().zip(&places).map(|((denial, _), place)| row(denial, place)).collect();
    let fixed = [
        Column::At,
        Column::Kind,
        Column::Actor,
        Column::KeyId,
        Column::Project,
        Column::OrgId,
        Column::ActingUser,
        Column::Reason,
        Column::MissingPermission,
    ];
    let mut batch = Batch::new(&write.tx);
    rows::upsert::<Entity>(&mut batch, &rows, &fixed).await?;
    batch.send().await?;
    drop(batch);
    write.tx.commit().await?;
    Ok(places)
}

fn row(denial: Denial, place: &EventPlace) -> Model {
    Model {
        revision: revision_number(place.revision),
        id: revision_number(place.denial),
        at: denial.at.0,
        kind: denial.kind,
        actor: denial.actor,
        key_id: denial.key_id,
        project: denial.project,
        org_id: denial.org_id,
        acting_user: denial.acting_user,
        reason: denial.reason,
        missing_permission: denial.missing_permission,
        count: revision_number(denial.count),
    }
}
