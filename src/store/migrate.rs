//! Creates or alters the tables of a database, and initializes a new store.

use rolecall_migrations::{Migrator, MigratorTrait, SchemaManager};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, Statement, TransactionTrait,
};

use super::error::is_forbidden;
use super::head::HEAD;
use super::{Database, Store, StoreError};
use crate::store::schema::head;

/// Held on PostgreSQL while migrating, since two servers may start at once. The number is `rolecall` in ASCII.
const ADVISORY_LOCK: i64 = 0x726f_6c65_6361_6c6c;

/// The table that lists the applied migrations.
const MIGRATIONS: &str = "seaql_migrations";

/// Returns the newest migration of the tables that this release uses. A running server has made them so.
pub fn schema_version() -> String {
    Migrator::migrations().last().map(|newest| newest.name().to_owned()).unwrap_or_default()
}

impl Store {
    /// Creates or alters the tables. Only reads if they are already those of this release, because a server may have no
    /// right to create tables.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let writes = self.writes();
        if !is_pending(&writes).await? {
            return Ok(());
        }
        if self.database() == Database::Sqlite {
            // The lock file keeps other servers out.
            return Ok(Migrator::up(&writes, None).await?);
        }
        // The lock belongs to a transaction on another connection and is released with it, even after an error.
        let guard = self.reads().begin().await?;
        let lock = format!("SELECT pg_advisory_xact_lock({ADVISORY_LOCK})");
        guard.execute_raw(Statement::from_string(DbBackend::Postgres, lock)).await?;
        if is_pending(&writes).await? {
            Migrator::up(&writes, None).await.map_err(|error| match is_forbidden(&error) {
                true => StoreError::MayNotMigrate,
                false => error.into(),
            })?;
        }
        Ok(guard.rollback().await?)
    }

    /// Gives a new store its id. Does nothing if it has one.
    pub async fn initialize(&self) -> Result<(), StoreError> {
        if head::Entity::find_by_id(HEAD).one(&self.writes()).await?.is_some() {
            return Ok(());
        }
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

/// Returns true if the database has the table that every store has.
pub async fn has_store(db: &DatabaseConnection) -> Result<bool, StoreError> {
    Ok(SchemaManager::new(db).has_table("head").await?)
}

/// Returns true if tables must be created or altered. Refuses a database with a migration that this release does not know: a
/// newer release wrote it.
pub async fn is_pending(db: &DatabaseConnection) -> Result<bool, StoreError> {
    if !SchemaManager::new(db).has_table(MIGRATIONS).await? {
        return Ok(true);
    }
    // The migrator's own query creates the table first.
    let sql = format!("SELECT version FROM {MIGRATIONS} ORDER BY version");
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    let applied = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<Vec<String>, _>>()?;
    let known = Migrator::migrations();
    let stranger = applied.iter().find(|version| !known.iter().any(|known| known.name() == version.as_str()));
    match stranger {
        Some(version) => Err(StoreError::Newer(version.clone())),
        None => Ok(applied.len() < known.len()),
    }
}
