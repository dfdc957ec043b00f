//! The store, on SQLite and on PostgreSQL: the same bodies on both.

#[path = "../support/mod.rs"]
mod support;

mod desk;
mod history;
mod lists;
mod members;
mod open;
mod round_trip;
