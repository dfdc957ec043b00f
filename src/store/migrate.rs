//! Creates or alters the tables of a database, and initializes a new store.

use rolecall_migrations::{Migrator, MigratorTrait};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbBackend, EntityTrait, Statement, TransactionTrait};

use super::head::HEAD;
use super::{Database, Store, StoreError};
use crate::store::schema::head;

/// Held on PostgreSQL while migrating, since two servers may start at once. The number is `rolecall` in ASCII.
const ADVISORY_LOCK: i64 = 0x726f_6c65_6361_6c6c;

impl Store {
    /// Creates or alters the tables. Does nothing if they are already those of this release.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let writes = self.writes();
        if self.database() == Database::Sqlite {
            // The lock file keeps other servers out.
            refuse_newer(&writes).await?;
            return Ok(Migrator::up(&writes, None).await?);
        }
        // The lock belongs to a transaction on another connection and is released with it, even after an error.
        let guard = self.reads().begin().await?;
        let lock = format!("SELECT pg_advisory_xact_lock({ADVISORY_LOCK})");
        guard.execute_raw(Statement::from_string(DbBackend::Postgres, lock)).await?;
        refuse_newer(&writes).await?;
        Migrator::up(&writes, None).await?;
        Ok(guard.rollback().await?)
    }

    /// Gives a new store its id. Does nothing if it has one.
    pub async fn initialize(&self) -> Result<(), StoreError> {
        let mut random = [0; 4];
        let no_randomness = |error: getrandom::Error| StoreError::Unreadable(format!("no random numbers ({error})"));
        getrandom::fill(&mut random).map_err(no_randomness)?;
        // In tokens zero means no store.
        let store_id = u32::from_le_bytes(random).max(1);
        let first = head::ActiveModel {
            id: Set(HEAD),
            store_id: Set(store_id.into()),
            revision: Set(0),
            tag: Set(0),
            at: Set(0),
            floor: Set(0),
        };
        // If two servers start at once, one inserts the row and the other finds it.
        let once = OnConflict::column(head::Column::Id).do_nothing().to_owned();
        head::Entity::insert(first).on_conflict(once).exec_without_returning(&self.writes()).await?;
        Ok(())
    }
}

/// Refuses a database with a migration that this release does not know: a newer release wrote it.
async fn refuse_newer(db: &impl ConnectionTrait) -> Result<(), StoreError> {
    Migrator::install(db).await?;
    let known = Migrator::migrations();
    let applied = Migrator::get_migration_models(db).await?;
    let stranger = applied.into_iter().find(|model| !known.iter().any(|known| known.name() == model.version));
    stranger.map_or(Ok(()), |model| Err(StoreError::Newer(model.version)))
}
