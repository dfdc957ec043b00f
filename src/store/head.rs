//! The newest revision, and the commit of a revision. Refuses a PostgreSQL server that is not the primary.

use std::sync::{Mutex, PoisonError};

use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityTrait, Statement};

use super::connect::SHORT_MAX;
use super::connect::postgres::ServerId;
use super::ids::{revision, revision_number, u32_of};
use super::rows::each;
use super::sql::Sql;
use super::{Database, Store, StoreError};
use crate::domain::Revision;
use crate::store::schema::commit;

/// The id of the only row of `head`.
pub const HEAD: i64 = 1;

/// What is read with the newest revision.
pub struct Head {
    pub revision: Revision,
    /// The oldest commit that is kept. Its changes and those before it are deleted, or will be. 0 if all are kept.
    pub floor: i64,
    pub store_id: i64,
}

impl Store {
    /// Returns the id that distinguishes this store from others in tokens.
    pub async fn store_id(&self) -> Result<u32, StoreError> {
        u32_of(self.read_head(self.reserved(), "").await?.store_id)
    }

    /// Returns the newest revision in the database.
    pub async fn head(&self) -> Result<Revision, StoreError> {
        match self.answered(SHORT_MAX, self.read_head(self.reserved(), "")).await {
            Err(error) => Err(self.failed(error).await),
            head => {
                self.check_file()?;
                Ok(head?.revision)
            }
        }
    }

    /// Returns the revision with this number. `None` if there is none yet.
    pub async fn revision_at(&self, number: u64) -> Result<Option<Revision>, StoreError> {
        let snapshot = self.reserved_snapshot().await?;
        let found = committed(&snapshot.tx, number).await;
        snapshot.end().await;
        found
    }

    /// Returns the oldest revision whose changes are kept. `None` if all are.
    pub async fn oldest_revision(&self) -> Result<Option<Revision>, StoreError> {
        let snapshot = self.reserved_snapshot().await?;
        let oldest = match u64::try_from(snapshot.floor).ok().filter(|floor| *floor > 0) {
            Some(floor) => committed(&snapshot.tx, floor).await,
            None => Ok(None),
        };
        snapshot.end().await;
        oldest
    }

    /// Returns at most `limit` of the newest revisions, oldest first.
    pub async fn newest_revisions(&self, limit: u32) -> Result<Vec<Revision>, StoreError> {
        let snapshot = self.reserved_snapshot().await?;
        let revisions = newest_revisions(&snapshot.tx, limit).await;
        snapshot.end().await;
        revisions
    }

    /// Reads the head row. Refuses a server in recovery (a standby) and a former primary: both may lag behind what this
    /// process has read or written.
    pub(in crate::store) async fn read_head(
        &self,
        db: &impl ConnectionTrait,
        locking: &str,
    ) -> Result<Head, StoreError> {
        let mut sql = Sql::default();
        let id = sql.bind(HEAD);
        let (recovery, timeline) = match (self.database(), &self.0.server) {
            (Database::Sqlite, _) => ("FALSE", "NULL"),
            (Database::Postgres, None) => ("pg_is_in_recovery()", "NULL"),
            // A standby has no current position in the log.
            (Database::Postgres, Some(_)) => ("pg_is_in_recovery()", ServerId::TIMELINE),
        };
        sql.push(&format!(
            r#"SELECT store_id, revision, tag, "at", floor, {recovery}, {timeline} FROM head WHERE id = {id} {locking}"#
        ));
        let row = db.query_one_raw(sql.statement(db.get_database_backend())).await?.ok_or(StoreError::Empty)?;
        if row.try_get_by_index(5)? {
            return Err(StoreError::Standby);
        }
        if let (Some(server), Some(timeline)) = (&self.0.server, row.try_get_by_index::<Option<String>>(6)?) {
            check_server(db, server, &timeline).await?;
        }
        let revision = revision(row.try_get_by_index(1)?, row.try_get_by_index(2)?, row.try_get_by_index(3)?)?;
        Ok(Head { revision, floor: row.try_get_by_index(4)?, store_id: row.try_get_by_index(0)? })
    }
}

/// Refuses a former primary. It has a lower timeline than its successor, while another system (a restored database) may have
/// any.
async fn check_server(db: &impl ConnectionTrait, known: &Mutex<ServerId>, timeline: &str) -> Result<(), StoreError> {
    let newest = known.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if newest.timeline == timeline {
        return Ok(());
    }
    let ask = Statement::from_string(db.get_database_backend(), ServerId::SYSTEM);
    let row = db.query_one_raw(ask).await?.ok_or(StoreError::Empty)?;
    let found = ServerId { timeline: timeline.into(), system: row.try_get_by_index(0)? };
    // The digits are hexadecimal and always eight.
    if found.system == newest.system && found.timeline < newest.timeline {
        return Err(StoreError::FormerPrimary { timeline: found.timeline, newest: newest.timeline });
    }
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    // Another read may have found a newer one meanwhile.
    if *known == newest {
        *known = found;
    }
    Ok(())
}

pub async fn committed(db: &impl ConnectionTrait, number: u64) -> Result<Option<Revision>, StoreError> {
    let found = commit::Entity::find_by_id(revision_number(number)).one(db).await?;
    found.map(|commit| revision(commit.revision, commit.tag, commit.at)).transpose()
}

/// Returns at most `limit` of the newest revisions, oldest first.
pub async fn newest_revisions(tx: &DatabaseTransaction, limit: u32) -> Result<Vec<Revision>, StoreError> {
    let mut revisions = Vec::new();
    let sql = format!(r#"SELECT revision, tag, "at" FROM commits ORDER BY revision DESC LIMIT {limit}"#);
    each(tx, &sql, |mut row| {
        revisions.push(revision(row.next()?, row.next()?, row.next()?)?);
        Ok(())
    })
    .await?;
    revisions.reverse();
    Ok(revisions)
}
