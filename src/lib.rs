//! Rolecall: roles and permissions for products that sell to organizations, answered over gRPC.
//!
//! `tests/architecture.rs` lists the modules and checks their imports.

pub mod authzen;
pub mod cli;
pub mod clock;
pub mod demo;
pub mod domain;
pub mod engine;
pub mod grpc;
pub mod limits;
pub mod metrics;
pub mod purger;
pub mod replica;
pub mod replication;
pub mod server;
pub mod sidecar;
pub mod store;
pub mod trace;
pub mod wire;
pub mod writer;
mod yaml;
