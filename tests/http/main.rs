//! AuthZEN over HTTP, and Envoy's ext_authz, through real servers.

// Helpers of tests may panic, as tests may (`clippy.toml`).
#![allow(clippy::expect_used, clippy::unwrap_used)]

#[path = "../support/database.rs"]
mod support;

#[allow(dead_code, unused_imports)]
#[path = "../grpc/fixture.rs"]
mod fixture;
#[allow(dead_code)]
#[path = "../grpc/raw.rs"]
mod raw;
#[allow(dead_code)]
#[path = "../grpc/server.rs"]
mod server;

mod client;
mod guarded;

mod authzen;
mod conformance;
mod connections;
mod envoy;
mod envoy_proxy;
mod errors;
mod metrics;
mod searches;
mod sidecar;
mod types;
