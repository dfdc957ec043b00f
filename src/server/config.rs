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
    pub connections: ConnectionLimits,
    /// How long calls in flight have to finish when the server stops.
    pub drain: Duration,
}

/// What clients may use of a server. Each limit has a flag of `rolecall serve`.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections of all clients.
    pub total: usize,
    /// Connections from one IP address.
    pub per_peer: usize,
    /// How long a new connection may take to begin HTTP/2.
    pub handshake: Duration,
    /// How long the body of a request may take to arrive.
    pub body: Duration,
    /// How long an answer may wait to be sent. The connection is closed within twice this time.
    pub answer: Duration,
    /// How long a connection may have no call. It is closed within twice this time.
    pub idle: Duration,
    /// Bytes of all calls in flight together.
    pub call_bytes: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            total: 10_000,
            per_peer: 1_000,
            handshake: Duration::from_secs(10),
            body: Duration::from_secs(30),
            answer: Duration::from_secs(30),
            idle: Duration::from_secs(900),
            call_bytes: 256 << 20,
        }
    }
}
