//! How to serve.

use std::time::Duration;

use super::Listen;
use crate::limits::Limits;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// `sqlite://FILE` or `postgres://…`.
    pub database: String,
    pub listen: Vec<Listen>,
    pub limits: Limits,
    /// What calls in flight have to finish when the server stops.
    pub drain: Duration,
}
