//! Deletes accepted and revoked invitations: old ones, and those of deleted orgs. Only the database has them.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Value};

use crate::domain::Time;
use crate::domain::model::id::{OrgNo, ProjectId};
use crate::store::connect::LONG_MAX;
use crate::store::ids::number;
use crate::store::read::snapshot::joined;
use crate::store::schema::invitation::{Column, Entity};
use crate::store::write::batch::Batch;
use crate::store::write::rows::delete;
use crate::store::{Store, StoreError};

/// Invitations that one transaction deletes. Writes wait for it.
const ROWS_MAX: u64 = 1_000;
const KEY: [Column; 3] = [Column::Project, Column::Org, Column::Id];

impl Store {
    /// Deletes some invitations that were accepted or revoked before `before`. Returns false if there were none.
    pub async fn delete_old_invitations(&self, before: Time) -> Result<bool, StoreError> {
        let old = Entity::find().filter(Column::SettledAt.lt(before.0)).order_by_asc(Column::SettledAt);
        self.delete_some_settled(old).await
    }

    /// Deletes some accepted and revoked invitations of these orgs, which must be deleted. `None` means all orgs of the
    /// project. Returns false if there were none.
    pub async fn delete_invitations_of(&self, project: ProjectId, orgs: Option<&[OrgNo]>) -> Result<bool, StoreError> {
        let mut of_orgs = Entity::find().filter(Column::Project.eq(number(project)));
        if let Some(orgs) = orgs {
            of_orgs = of_orgs.filter(Column::Org.is_in(orgs.iter().map(|&org| number(org))));
        }
        self.delete_some_settled(of_orgs.filter(Column::SettledAt.is_not_null())).await
    }

    async fn delete_some_settled(&self, these: Select<Entity>) -> Result<bool, StoreError> {
        let find = these.select_only().columns(KEY).limit(ROWS_MAX).into_tuple();
        let read = async { Ok::<Vec<(i64, i64, String)>, StoreError>(find.all(self.reads()).await?) };
        let found = self.answered(LONG_MAX, read).await?;
        if found.is_empty() {
            return Ok(false);
        }
        let keys: Vec<Value> =
            found.into_iter().flat_map(|(project, org, id)| [project.into(), org.into(), id.into()]).collect();
        let store = self.clone();
        // In a task of its own, because the caller may be cancelled, see `snapshot`.
        let deleting = tokio::spawn(async move {
            let write = store.begin_write().await?;
            let deleting = async {
                let mut batch = Batch::new(&write.tx);
                delete::<Entity>(&mut batch, &KEY, &keys).await?;
                batch.send().await?;
                Ok(write.tx.commit().await?)
            };
            store.answered::<_, StoreError>(LONG_MAX, deleting).await
        });
        joined(deleting.await)??;
        Ok(true)
    }
}
