//! The domain against its rules: random histories compared with a slow model, and plain tests named after the rules.

// Helpers of tests may panic, as tests may (`clippy.toml`).
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod conspiracies;
mod fixture;
mod groups;
mod hidden;
mod histories;
mod impacts;
mod lifecycle;
mod manageable;
mod model;
mod rules;
mod seen;
mod strategies;
mod suspensions;
mod symbols;
mod tally;
mod teams;
mod undo;
mod wishes;
