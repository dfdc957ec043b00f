//! Writes when orgs were active (U4). These are no changes of the State: no revision, no history.

use sea_orm::ConnectionTrait;

use crate::domain::model::id::{OrgNo, ProjectId};
use crate::domain::model::time::Day;
use crate::store::connect::LONG_MAX;
use crate::store::ids::number;
use crate::store::read::snapshot::joined;
use crate::store::sql::Sql;
use crate::store::{Store, StoreError, WriteTx};

/// Orgs of one transaction. Writes wait for it.
pub const ACTIVE_ORGS_MAX: usize = 1_000;

impl Store {
    /// Stores that orgs of a project, at most [`ACTIVE_ORGS_MAX`], were active on a day. A later day that is stored stays:
    /// several servers report theirs. Stores nothing for deleted orgs.
    pub async fn write_activity(&self, project: ProjectId, day: Day, orgs: &[OrgNo]) -> Result<(), StoreError> {
        let (store, orgs) = (self.clone(), orgs.to_vec());
        // In a task of its own, because the caller may be cancelled, see `snapshot`.
        let writing = tokio::spawn(async move {
            let write = store.begin_write().await?;
            store.answered(LONG_MAX, insert(write, project, day, &orgs)).await
        });
        joined(writing.await)?
    }
}

async fn insert(write: WriteTx, project: ProjectId, day: Day, orgs: &[OrgNo]) -> Result<(), StoreError> {
    let mut sql = Sql::default();
    let (project, day) = (sql.bind(number(project)), sql.bind(i64::from(day.0)));
    // The numbers are in the text, see `subscriptions`.
    let orgs: Vec<String> = orgs.iter().map(|&org| number(org).to_string()).collect();
    sql.push(&format!(
        r#"INSERT INTO org_activity (project, org, last_active_day)
        SELECT project, "no", {day} FROM orgs
        WHERE project = {project} AND "no" IN ({}) AND deleted_at IS NULL
        ON CONFLICT (project, org) DO UPDATE SET last_active_day = excluded.last_active_day
        WHERE org_activity.last_active_day < excluded.last_active_day"#,
        orgs.join(", ")
    ));
    write.tx.execute_raw(sql.statement(write.tx.get_database_backend())).await?;
    Ok(write.tx.commit().await?)
}
