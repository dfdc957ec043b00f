//! The configuration of a server.

use std::time::Duration;

use super::Listen;
use crate::limits::Limits;

/// See the module.
#[derive(Clone, Debug)]
pub struct Config {
    /// `sqlite://FILE` or `postgres://…`.
    pub database: String,
    pub listen: Vec<Listen>,
    pub limits: Limits,
    /// How long calls in flight have to finish when the server stops.
    pub drain: Duration,
}
