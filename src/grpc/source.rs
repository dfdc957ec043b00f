//! Where the State comes from, for what memory does not hold: the newest revision, and the tags of old ones.

use std::sync::Arc;

use tonic::Status;

use super::status;
use crate::domain::Revision;
use crate::store::Store;

/// The database of a server, or the upstream of a sidecar.
pub enum Source {
    Database(Store),
    Upstream(Arc<dyn Upstream>),
}

/// The servers that feed a sidecar.
#[tonic::async_trait]
pub trait Upstream: Send + Sync {
    /// Returns the newest revision of the database. UNAVAILABLE if no upstream answers.
    async fn head(&self) -> Result<Revision, Status>;

    /// Returns the revision with this number. `None` if there is none. UNAVAILABLE if no upstream answers.
    async fn revision_at(&self, number: u64) -> Result<Option<Revision>, Status>;

    /// Returns the addresses, separated by commas.
    fn addresses(&self) -> &str;

    /// UNAVAILABLE if the State is too old to answer from.
    fn check_fresh(&self) -> Result<(), Status>;

    /// Returns the address of the upstream that is followed now. `None` if none is.
    fn followed(&self) -> Option<String>;
}

impl Source {
    pub async fn head(&self) -> Result<Revision, Status> {
        match self {
            Self::Database(store) => store.head().await.map_err(|error| status::unread(&error)),
            Self::Upstream(upstream) => upstream.head().await,
        }
    }

    pub async fn revision_at(&self, number: u64) -> Result<Option<Revision>, Status> {
        match self {
            Self::Database(store) => store.revision_at(number).await.map_err(|error| status::unread(&error)),
            Self::Upstream(upstream) => upstream.revision_at(number).await,
        }
    }

    /// UNAVAILABLE if a sidecar must not answer from a State as old as its own.
    #[inline]
    pub fn check_fresh(&self) -> Result<(), Status> {
        match self {
            Self::Database(_) => Ok(()),
            Self::Upstream(upstream) => upstream.check_fresh(),
        }
    }

    /// Returns the database. On a sidecar: FAILED_PRECONDITION, and which server to ask instead.
    pub fn database(&self) -> Result<&Store, Status> {
        match self {
            Self::Database(store) => Ok(store),
            Self::Upstream(upstream) => Err(status::only_upstream(upstream.addresses())),
        }
    }
}
