//! The database, SQLite (embedded) or PostgreSQL: what exists, what happened, and lists.
//!
//! A page of a list is one read transaction, which reads the newest revision first. A group of commits is one write
//! transaction on a connection of its own: [`Store::begin_write`] locks the head row, [`WriteTx::persist`] takes the
//! transaction, [`Ready::commit`] ends it.

pub mod backup;
mod connect;
mod error;
mod head;
mod ids;
mod load;
mod migrate;
mod notices;
mod pulse;
mod read;
mod rows;
mod schema;
mod sql;
mod write;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::DatabaseConnection;

use crate::metrics::store::StoreMetrics;
use connect::Address;
use connect::postgres::ServerId;
pub use error::{ErrorClass, ReadError, SinceError, StoreError};
pub use load::Sink;
pub use migrate::schema_version;
pub use notices::Notices;
pub use read::event::{CommitRow, EVENT_COMMITS_MAX, EventRow, EventScan, Events, Undo};
pub use read::invitation::SettledInvitations;
pub use read::member_ids::MembersWith;
pub use read::membership::{ListMembers, ListUserMemberships, MemberRow};
pub use read::org::{ListOrgs, OrgRow};
pub use read::snapshot::Page;
pub use read::subscription::SubscriptionRow;
pub use write::{ACTIVE_ORGS_MAX, Committed, Ready, WriteTx};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// An open database. Clones share its connections.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    /// For lists and loading.
    reads: DatabaseConnection,
    /// Connections that lists cannot take: for the newest revision, following and health.
    reserved: DatabaseConnection,
    /// One connection. It is replaced when an unknown outcome was settled.
    writes: Mutex<DatabaseConnection>,
    /// The PostgreSQL server that answered last. `None` if it does not tell its timeline.
    server: Option<Mutex<ServerId>>,
    /// True once the database has promised notices: then commits announce themselves.
    announces: AtomicBool,
    metrics: StoreMetrics,
    pulse: pulse::Pulse,
    /// Dropped last: it holds the lock of a SQLite file.
    address: Address,
}

impl Store {
    pub fn database(&self) -> Database {
        match self.0.address {
            Address::Sqlite(_) => Database::Sqlite,
            Address::Postgres(_) => Database::Postgres,
        }
    }

    /// Closes the connections, so that SQLite merges its `-wal` file into the database.
    pub async fn close(self) {
        // An error while closing loses nothing that was committed.
        let _ = self.0.reads.close_by_ref().await;
        let _ = self.0.reserved.close_by_ref().await;
        let _ = self.writes().close().await;
    }

    /// Returns how long the database takes.
    pub fn metrics(&self) -> &StoreMetrics {
        &self.0.metrics
    }

    fn reads(&self) -> &DatabaseConnection {
        &self.0.reads
    }

    fn reserved(&self) -> &DatabaseConnection {
        &self.0.reserved
    }

    fn writes(&self) -> DatabaseConnection {
        self.0.writes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace_writes(&self, writes: DatabaseConnection) {
        *self.0.writes.lock().unwrap_or_else(PoisonError::into_inner) = writes;
    }
}
