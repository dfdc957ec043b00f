//! The command line: the real binary, grpcurl, and the commands of the documents.

// Helpers of tests may panic, as tests may (`clippy.toml`).
#![allow(clippy::expect_used, clippy::unwrap_used)]

#[path = "../support/database.rs"]
mod support;

mod addresses;
mod ask;
mod backup;
mod bench;
mod commands;
mod completions;
mod configuration;
mod demo;
mod descriptors;
mod errors;
mod examples;
mod exits;
mod first_start;
mod gateway;
mod import;
mod lifecycle;
mod log;
mod matrix;
mod operators;
mod packaging;
mod readme;
mod reflection;
mod run;
mod stories;
mod subscribe;
mod systemd;
mod tls;
mod traces;
