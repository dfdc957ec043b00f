//! The skin of the service, from outside: the real binary, grpcurl, the documents.

#[path = "../support/database.rs"]
mod support;

mod ask;
mod commands;
mod demo;
mod errors;
mod examples;
mod exits;
mod lifecycle;
mod matrix;
mod readme;
mod reflection;
mod run;
mod stories;
mod subscribe;
