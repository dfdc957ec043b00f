//! The store. Every test runs on SQLite and on PostgreSQL.

// Helpers of tests may panic, as tests may (`clippy.toml`).
#![allow(clippy::expect_used, clippy::unwrap_used)]

#[path = "../support/database.rs"]
mod support;

#[path = "../support/random_configuration.rs"]
mod random_configuration;

mod agreement;
mod backup;
mod cancelled;
mod denials;
mod desk;
mod errors;
mod fallbacks;
mod history;
mod large;
mod lists;
mod members;
mod migrations;
mod notices;
mod open;
mod random;
mod remaps;
mod round_trip;
mod samples;
mod tls;
mod whole_core;
