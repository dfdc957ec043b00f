//! The messages of `proto/`, and their conversions from and to domain values.

/// The generated messages. Services and clients refer to those of the API as `crate::wire::NAME`.
#[allow(clippy::all, clippy::pedantic, rustdoc::all)]
mod rolecall {
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/messages/rolecall.v1.rs"));
    }
    pub mod replication {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/messages/rolecall.replication.v1.rs"));
        }
    }
    pub mod storage {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/messages/rolecall.storage.v1.rs"));
        }
    }
}

pub mod batch_check;
pub mod change;
pub mod configuration;
pub mod consistency;
pub mod error_reason;
pub mod frame;
pub mod impact;
pub mod json;
pub mod outcome;
pub mod reduced;
pub mod resource;

pub use consistency::Consistency;
pub use outcome::outcome;
pub use prost_types::Timestamp;
pub use resource::{
    access, api_key, invitation, member, member_role, org, org_domain, permission, project, role, role_mapping,
    subscription, timestamp, user,
};
pub use rolecall::replication::v1 as replication;
pub use rolecall::storage::v1 as storage;
pub use rolecall::v1::*;

/// Shows no token.
impl std::fmt::Debug for CreateApiKeyResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateApiKeyResponse").field("api_key", &self.api_key).finish_non_exhaustive()
    }
}
