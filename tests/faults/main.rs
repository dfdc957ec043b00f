//! Killed servers, lost connections and concurrent servers: no acknowledged write is lost, none is split, and there is
//! one history.

// Helpers of tests may panic, as tests may (`clippy.toml`).
#![allow(clippy::expect_used, clippy::unwrap_used)]

#[path = "../support/database.rs"]
mod support;

#[path = "../support/random_configuration.rs"]
mod random_configuration;

/// The model of the rules and the random histories that are compared with it.
#[allow(dead_code, unused_imports)]
#[path = "../domain"]
mod reference {
    pub mod model;
    pub mod placeholders;
    pub mod random_history;
    pub mod state_to_model;
}

/// Repeatable random numbers.
#[path = "../grpc/random.rs"]
mod random;

mod attack;
mod attackers;
mod chaos;
mod database;
mod failover;
mod files;
mod first_start;
mod handshakes;
mod hostile;
mod kill;
mod pooler;
mod processes;
mod roles;
mod sidecars;
mod standby;
mod two_writers;
mod wrong_keys;

use reference::{model, placeholders, random_history, state_to_model};
