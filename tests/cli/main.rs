//! The skin of the service, from outside: the real binary, grpcurl, the README.

#[path = "../support/database.rs"]
mod support;

mod demo;
mod errors;
mod exits;
mod life;
mod matrix;
mod readme;
mod reflection;
mod run;
