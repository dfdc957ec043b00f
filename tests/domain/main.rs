//! The rules of the domain: random histories compared with a slow model, and plain tests named after the rules.

// Helpers of tests may panic, as tests may (`clippy.toml`).
#![allow(clippy::expect_used, clippy::unwrap_used)]

#[path = "../support/random_configuration.rs"]
mod random_configuration;

mod affected;
mod allocations;
mod case_counts;
mod colliding_hashes;
mod collusion;
mod configuration;
mod decision_rows;
mod disabling;
mod explain;
mod fixture;
mod groups;
mod histories;
mod history_runner;
mod impact_comparison;
mod internal_roles;
mod manageable;
mod model;
mod placeholders;
mod random_history;
mod random_org;
mod random_writes;
mod rules;
mod state_to_model;
mod undo;
mod workspace;
