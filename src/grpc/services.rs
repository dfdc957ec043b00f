//! The handlers, one file per noun.

pub mod access;
pub mod api_key;
pub mod audit;
pub mod batch_check;
pub mod check;
pub mod configuration;
pub mod envoy;
pub mod insights;
pub mod invitation;
mod manageable;
pub mod membership;
pub mod org;
mod past;
pub mod permission;
pub mod project;
pub mod replication;
pub mod role;
pub mod role_mapping;
pub mod server;
mod stream_check;
pub mod subscription;
pub mod user;
pub mod watch;

/// What every handler returns.
type Reply<T> = Result<tonic::Response<T>, tonic::Status>;
