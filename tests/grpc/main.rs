//! The API through a real server and the generated clients. Every test runs on SQLite and on PostgreSQL.
//!
//! The name of a test that proves a rule of the domain begins with the number of the rule.

// Helpers of tests may panic, as tests may (`clippy.toml`).
#![allow(clippy::expect_used, clippy::unwrap_used)]

#[path = "../support/database.rs"]
mod support;

mod contract;
mod fixture;
mod operators;
mod random;
mod raw;
mod refusals;
mod server;

mod access;
mod answers;
mod audit;
mod audit_lists;
mod bad_input;
mod batches;
mod busy_lists;
mod checks;
mod configuration;
mod consistency;
mod conversion;
mod coverage;
mod default_roles;
mod delegation;
mod disabling;
mod domains;
mod etags;
mod health;
mod impact;
mod insights;
mod interleaved_lists;
mod internal;
mod internal_hidden;
mod invitation_input;
mod invitation_lists;
mod invitations;
mod layers;
mod limits;
mod lists;
mod manageable;
mod mapping_diffs;
mod mapping_etags;
mod mapping_names;
mod mapping_removal;
mod members;
mod metrics;
mod operator_key_ends;
mod operator_keys;
mod operator_matrix;
mod operator_sign_in;
mod operator_workspace;
mod org_deletion;
mod orgs;
mod origins;
mod owners;
mod past;
mod previews;
mod project_deletion;
mod projects;
mod purge;
mod questions;
mod renames;
mod repeats;
mod replication;
mod role_batches;
mod role_deletion;
mod role_mappings;
mod roles;
mod sidecar;
mod strategies;
mod streams;
mod subscriptions;
mod templates;
mod temporary_roles;
mod tls;
mod tokens;
mod users;
mod watch;
mod watch_cache;
mod watch_keys;
