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
mod default_roles;
mod doors;
mod ends;
mod erasure;
mod etags;
mod health;
mod limits;
mod lists;
mod members;
mod orgs;
mod previews;
mod project_deletion;
mod projects;
mod renames;
mod repeats;
mod role_deletion;
mod role_mappings;
mod roles;
mod tokens;
