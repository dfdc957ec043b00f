//! The API from outside: a real server on a socket, the generated clients, the same bodies on SQLite and PostgreSQL.
//!
//! A test that proves a rule of the domain carries the rule's number in its name.

#[path = "../support/database.rs"]
mod support;

mod contract;
mod fixture;
mod raw;
mod refusals;
mod server;

mod bad_input;
mod checks;
mod consistency;
mod coverage;
mod doors;
mod ends;
mod erasure;
mod health;
mod limits;
mod lists;
mod members;
mod orgs;
mod previews;
mod projects;
mod repeats;
mod role_mappings;
mod roles;
mod tokens;
