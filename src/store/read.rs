//! What all reads and lists have in common: one transaction, which reads the newest revision first.

use std::sync::{Mutex, PoisonError};

use sea_orm::{
    AccessMode, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, ExprTrait,
    IsolationLevel, QueryFilter, TransactionOptions, TransactionTrait,
};
use tokio::task::JoinError;

use super::alias::Renamed;
use super::entity::{org, permission, project, role, role_mapping};
use super::{Database, ReadError, Store, StoreError, head};
use crate::domain::model::refusal::Noun;
use crate::domain::{OrgId, PermissionName, ProjectKey, Revision, RoleMappingName, RoleName};

/// One thing, and the revision at which it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct At<T> {
    pub revision: Revision,
    pub value: T,
    pub scope: Scope,
}

/// What a read was in, by numbers that are never given twice: an id or a key can be given anew once its org or project
/// was deleted, and a page must not go on in the new one (S5). 0 where a read was in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    pub project: i64,
    pub org: i64,
    /// How often the project's roles got other ranks: a list in their order cannot go on in another. For end users, to whom
    /// that would tell of internal roles, a number for the order of the visible ones.
    pub role_order: i64,
    /// Of the permissions, roles and mappings that it was asked by: their names, too, can be given anew.
    pub named: i64,
}

impl Scope {
    /// For a list in another order than that of the roles.
    pub fn in_any_order(self) -> Self {
        Self { role_order: 0, ..self }
    }
}

/// Some of the rows of a list, and the revision at which they were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub revision: Revision,
    pub rows: Vec<T>,
    /// Whether rows follow.
    pub more: bool,
    pub scope: Scope,
}

/// The database at one revision.
pub struct Snapshot {
    pub tx: DatabaseTransaction,
    pub revision: Revision,
    /// Of what was found in it so far.
    scope: Mutex<Scope>,
}

impl Store {
    /// Begins to read; nothing that is committed from now on is seen.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let options = match self.database() {
            // A transaction of SQLite reads one snapshot from its first statement on, and cannot be told more.
            Database::Sqlite => TransactionOptions::default(),
            Database::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..TransactionOptions::default()
            },
        };
        let reads = self.reads().clone();
        // In a task of its own, which goes on when the caller is cancelled (a deadline, a client that left). The driver
        // rolls back what was begun only once it knows that it was begun: a caller dropped while BEGIN is under way
        // would give the connection back inside a transaction, and whoever reads on it next would fail. A snapshot that
        // nobody takes any more is dropped whole, and that rolls back.
        let beginning = tokio::spawn(async move {
            let tx = reads.begin_with_options(options).await?;
            let revision = head::newest(&tx).await?;
            Ok(Snapshot { tx, revision, scope: Mutex::default() })
        });
        match beginning.await.map_err(JoinError::try_into_panic) {
            Ok(begun) => begun,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Err(Err(_)) => Err(DbErr::Custom("the process is stopping".into()).into()),
        }
    }
}

impl Snapshot {
    pub fn database(&self) -> Database {
        match self.tx.get_database_backend() {
            DbBackend::Sqlite => Database::Sqlite,
            _ => Database::Postgres,
        }
    }

    /// Gives the connection back.
    pub async fn end(self) {
        // Nothing was written: an error here takes nothing from what was read.
        let _ = self.tx.rollback().await;
    }

    pub async fn at<T>(self, value: T) -> At<T> {
        let (revision, scope) = (self.revision, self.scope());
        self.end().await;
        At { revision, value, scope }
    }

    /// A page of at most `limit` of these rows; there is one row more where more follow.
    pub async fn page<T>(self, mut rows: Vec<T>, limit: u32) -> Page<T> {
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let (revision, scope) = (self.revision, self.scope());
        self.end().await;
        Page { revision, rows, more, scope }
    }

    fn scope(&self) -> Scope {
        *self.scope.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts in what a list is asked by, in the order in which it is.
    fn found_named(&self, id: i64) {
        self.found_in(|scope| scope.named = scope.named.wrapping_mul(1 << 21).wrapping_add(id));
    }

    fn found_in(&self, change: impl FnOnce(&mut Scope)) {
        change(&mut self.scope.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub async fn project(&self, key: &ProjectKey) -> Result<project::Model, ReadError> {
        let existing = project::Column::Key.eq(key.as_str()).and(project::Column::DeletedAt.is_null());
        let found = project::Entity::find().filter(existing).one(&self.tx).await?;
        let found = found.ok_or_else(|| ReadError::NotFound(Noun::Project, key.to_string()))?;
        self.found_in(|scope| {
            scope.project = found.id;
            scope.role_order = found.role_order_version;
        });
        Ok(found)
    }

    /// The permission that has this name, or had it (R3).
    pub async fn permission(&self, project: i64, name: &PermissionName) -> Result<permission::Model, ReadError> {
        let named = permission::Column::Project.eq(project).and(permission::Column::Name.eq(name.as_str()));
        let mut found = permission::Entity::find().filter(named).one(&self.tx).await?;
        if found.is_none()
            && let Some(id) = self.aliased(project, Renamed::Permission, name.as_str()).await?
        {
            found = permission::Entity::find_by_id((project, id)).one(&self.tx).await?;
        }
        let found = found.ok_or_else(|| ReadError::NotFound(Noun::Permission, name.to_string()))?;
        self.found_named(found.id);
        Ok(found)
    }

    /// The role that has this name, or had it (R3). Found by the folded name, for which there is an index, and compared
    /// exactly (R1).
    pub async fn role(&self, project: i64, name: &RoleName) -> Result<role::Model, ReadError> {
        let found = self.role_named(project, name).await?;
        let found = found.ok_or_else(|| ReadError::NotFound(Noun::Role, name.to_string()))?;
        self.found_named(found.id);
        Ok(found)
    }

    /// The same for a role that the list is not asked by.
    pub async fn role_named(&self, project: i64, name: &RoleName) -> Result<Option<role::Model>, StoreError> {
        let folded = crate::domain::model::name::folded(name.as_str());
        let named = role::Column::Project.eq(project).and(role::Column::NameKey.eq(folded));
        let named = named.and(role::Column::Name.eq(name.as_str()));
        let mut found = role::Entity::find().filter(named).one(&self.tx).await?;
        if found.is_none()
            && let Some(id) = self.aliased(project, Renamed::Role, name.as_str()).await?
        {
            found = role::Entity::find_by_id((project, id)).one(&self.tx).await?;
        }
        Ok(found)
    }

    /// Says in which order the roles are that were found, where it is not that of all roles.
    pub fn found_in_order(&self, role_order: i64) {
        self.found_in(|scope| scope.role_order = role_order);
    }

    /// The role mapping that has this name, or had it (R3). Found as a role is.
    pub async fn role_mapping(&self, project: i64, name: &RoleMappingName) -> Result<role_mapping::Model, ReadError> {
        let folded = crate::domain::model::name::folded(name.as_str());
        let named = role_mapping::Column::Project.eq(project).and(role_mapping::Column::NameKey.eq(folded));
        let named = named.and(role_mapping::Column::Name.eq(name.as_str()));
        let mut found = role_mapping::Entity::find().filter(named).one(&self.tx).await?;
        if found.is_none()
            && let Some(id) = self.aliased(project, Renamed::RoleMapping, name.as_str()).await?
        {
            found = role_mapping::Entity::find_by_id((project, id)).one(&self.tx).await?;
        }
        let found = found.ok_or_else(|| ReadError::NotFound(Noun::RoleMapping, name.to_string()))?;
        self.found_named(found.id);
        Ok(found)
    }

    pub async fn org(&self, project: i64, id: &OrgId) -> Result<org::Model, ReadError> {
        let existing = org::Column::Project.eq(project).and(org::Column::DeletedAt.is_null());
        let named = existing.and(org::Column::OrgId.eq(id.as_str()));
        let found = org::Entity::find().filter(named).one(&self.tx).await?;
        let found = found.ok_or_else(|| ReadError::NotFound(Noun::Org, id.to_string()))?;
        self.found_in(|scope| scope.org = found.no);
        Ok(found)
    }
}
