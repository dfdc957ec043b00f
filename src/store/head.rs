//! The newest revision, and the commit of a revision.

use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder, QuerySelect};

use super::ids::{revision, revision_number, u32_of};
use super::{Store, StoreError};
use crate::domain::Revision;
use crate::store::schema::{commit, head};

/// The id of the only row of `head`.
pub const HEAD: i64 = 1;

impl Store {
    /// Returns the id that distinguishes this store from others in tokens.
    pub async fn store_id(&self) -> Result<u32, StoreError> {
        u32_of(row(self.reads()).await?.store_id)
    }

    /// Returns the newest revision in the database.
    pub async fn head(&self) -> Result<Revision, StoreError> {
        match newest(self.reads()).await {
            Err(error) => Err(self.explained(error).await),
            newest => newest,
        }
    }

    /// Returns the revision with this number. `None` if there is none yet.
    pub async fn revision_at(&self, number: u64) -> Result<Option<Revision>, StoreError> {
        committed(self.reads(), number).await
    }

    /// Returns at most `limit` of the newest revisions, oldest first.
    pub async fn newest_revisions(&self, limit: u32) -> Result<Vec<Revision>, StoreError> {
        let find = commit::Entity::find().order_by_desc(commit::Column::Revision).limit(u64::from(limit));
        let found = find.all(self.reads()).await?;
        found.into_iter().rev().map(|commit| revision(commit.revision, commit.tag, commit.at)).collect()
    }
}

pub async fn newest(db: &impl ConnectionTrait) -> Result<Revision, StoreError> {
    revision_of(&row(db).await?)
}

pub fn revision_of(head: &head::Model) -> Result<Revision, StoreError> {
    revision(head.revision, head.tag, head.at)
}

pub async fn committed(db: &impl ConnectionTrait, number: u64) -> Result<Option<Revision>, StoreError> {
    let found = commit::Entity::find_by_id(revision_number(number)).one(db).await?;
    found.map(|commit| revision(commit.revision, commit.tag, commit.at)).transpose()
}

async fn row(db: &impl ConnectionTrait) -> Result<head::Model, StoreError> {
    head::Entity::find_by_id(HEAD).one(db).await?.ok_or(StoreError::Empty)
}
