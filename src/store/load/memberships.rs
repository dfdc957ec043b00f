//! Loads the memberships, by far the most rows: one thread decodes and applies them while the next ones are read.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::DatabaseTransaction;
use tokio::sync::mpsc;

use super::{Sink, created};
use crate::domain::model::id::{OrgNo, ProjectId};
use crate::domain::model::membership::{MembershipRecord, RoleOrigin, TemporaryRole};
use crate::domain::state::change::MembershipKey;
use crate::domain::{Change, UserId};
use crate::store::StoreError;
use crate::store::ids::{id, origin};
use crate::store::read::snapshot::joined;
use crate::store::rows::{Columns, Rows, each};

/// Chunks of rows that are read ahead.
const CHUNKS_AHEAD: usize = 2;

/// In any order: sorting a large table takes PostgreSQL longer than reading it. In three columns: the driver copies and
/// decodes each column by itself, and that takes most of the time of a load.
const MEMBERSHIPS: &str = "SELECT (project << 32) | org, user_id,
        (role_set << 5) | (origin << 2) | (CAST(temporary AS integer) << 1) | CAST(other_origins AS integer)
    FROM memberships";

/// Gives `sink` the memberships, and returns it.
pub async fn load<S: Sink>(tx: &DatabaseTransaction, mut sink: S) -> Result<S, StoreError> {
    let mut memberships = Memberships::details(tx).await?;
    let (sender, mut chunks) = mpsc::channel::<Vec<_>>(CHUNKS_AHEAD);
    let applying = tokio::task::spawn_blocking(move || {
        while let Some(chunk) = chunks.blocking_recv() {
            for row in &chunk {
                memberships.apply(&mut sink, Columns::of(row))?;
            }
        }
        Ok::<S, StoreError>(sink)
    });
    let mut rows = Rows::of(tx, MEMBERSHIPS).await?;
    loop {
        let mut chunk = Vec::new();
        // Sending fails if applying has failed.
        if !rows.next(&mut chunk).await? || sender.send(chunk).await.is_err() {
            break;
        }
    }
    drop(sender);
    joined(applying.await)?
}

/// What the rows of memberships do not hold: the expiries and origins of roles. Few members have any.
struct Memberships {
    temporary: HashMap<(ProjectId, OrgNo, String), Vec<TemporaryRole>>,
    origins: HashMap<(ProjectId, OrgNo, String), Vec<RoleOrigin>>,
    no_temporary: Arc<[TemporaryRole]>,
    no_origins: Arc<[RoleOrigin]>,
}

impl Memberships {
    async fn details(tx: &DatabaseTransaction) -> Result<Self, StoreError> {
        let mut temporary: HashMap<_, Vec<_>> = HashMap::new();
        let sql =
            "SELECT project, org, user_id, role, expire_time FROM temporary_roles ORDER BY project, org, user_id, role";
        each(tx, sql, |mut row| {
            let key = (row.id()?, row.id()?, row.text()?);
            temporary.entry(key).or_default().push(TemporaryRole { role: row.id()?, expire_time: row.time()? });
            Ok(())
        })
        .await?;
        let mut origins: HashMap<_, Vec<_>> = HashMap::new();
        let sql = "SELECT project, org, user_id, role, origin FROM role_origins ORDER BY project, org, user_id, role";
        each(tx, sql, |mut row| {
            let key = (row.id()?, row.id()?, row.text()?);
            origins.entry(key).or_default().push(RoleOrigin { role: row.id()?, origin: origin(row.next()?)? });
            Ok(())
        })
        .await?;
        Ok(Self { temporary, origins, no_temporary: Arc::from([]), no_origins: Arc::from([]) })
    }

    fn apply(&mut self, sink: &mut impl Sink, mut row: Columns<'_>) -> Result<(), StoreError> {
        let (place, user, packed): (i64, String, i64) = (row.next()?, row.text()?, row.next()?);
        let place = (id(place >> 32)?, id(place & i64::from(u32::MAX))?, user);
        let mut record = MembershipRecord {
            role_set: id(packed >> 5)?,
            origin: origin((packed >> 2 & 7) as i16)?,
            temporary: self.no_temporary.clone(),
            origins: self.no_origins.clone(),
        };
        if packed & 2 != 0 {
            record.temporary = self.temporary.remove(&place).unwrap_or_default().into();
        }
        if packed & 1 != 0 {
            record.origins = self.origins.remove(&place).unwrap_or_default().into();
        }
        let (project, org, user) = place;
        let key = MembershipKey { project, org, user: UserId::stored(user) };
        sink.take(Change::Membership(created(key, record)))
    }
}
