//! The configuration of a server.

use std::path::PathBuf;
use std::time::Duration;

use super::listeners::Sockets;
use super::{Bound, Gateways, Listen, MetricsListen};
use crate::domain::model::template::{PROPELAUTH, Template};
use crate::grpc::authn::jwt::Issuer;
use crate::grpc::caller_limits::CallerLimits;
use crate::limits::Limits;

/// See the module. It is not `Debug`: the URL of the database may hold a password.
#[derive(Clone)]
pub struct Config {
    /// `sqlite://FILE` or `postgres://…`.
    pub database: String,
    pub listen: Vec<Listen>,
    pub metrics: MetricsListen,
    pub gateways: Gateways,
    pub operators: OperatorConfig,
    /// `None` serves without TLS.
    pub tls: Option<TlsFiles>,
    /// Listens beyond this machine without protection too.
    pub insecure: bool,
    pub limits: Limits,
    pub callers: CallerLimits,
    pub connections: ConnectionLimits,
    /// How many days of history to keep. `None` keeps all.
    pub history_days: Option<u32>,
    /// How long calls in flight have to finish when the server stops.
    pub drain: Duration,
}

/// How operators are let in.
#[derive(Clone, Debug)]
pub struct OperatorConfig {
    /// True if every call needs credentials. `None` if it does unless all addresses are of this machine.
    pub authentication: Option<bool>,
    /// Whose JWTs are accepted.
    pub jwt_issuers: Vec<Issuer>,
    /// The roles of the workspace, chosen when it is created (W5).
    pub roles: &'static Template,
    /// What to do with the key that opens an empty store (W9).
    pub bootstrap: Bootstrap,
}

/// Where the key of `bootstrap` goes if the first operator has to sign in with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bootstrap {
    /// A new file that only this user can read.
    File(PathBuf),
    /// [`Running::bootstrap_key`](super::Running), to be printed to a terminal.
    Terminal,
    /// Nowhere: the server does not start.
    None,
}

impl Default for OperatorConfig {
    fn default() -> Self {
        Self { authentication: None, jwt_issuers: Vec::new(), roles: &PROPELAUTH, bootstrap: Bootstrap::None }
    }
}

impl Config {
    /// Returns true if every call needs credentials. Unless configured, only a server without a way to know its callers, and for
    /// callers on this machine, needs none.
    pub(super) fn requires_credentials(&self, sockets: &Sockets) -> bool {
        let knows_callers =
            !self.operators.jwt_issuers.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        self.operators.authentication.unwrap_or(knows_callers || !sockets.all().all(Bound::is_local))
    }

    /// Returns the defaults of everything else.
    pub fn new(database: impl Into<String>, listen: Vec<Listen>) -> Self {
        Self {
            database: database.into(),
            listen,
            metrics: MetricsListen::Off,
            gateways: Gateways::default(),
            operators: OperatorConfig::default(),
            tls: None,
            insecure: false,
            limits: Limits::default(),
            callers: CallerLimits::default(),
            connections: ConnectionLimits::default(),
            history_days: None,
            drain: Duration::from_secs(10),
        }
    }
}

/// The files of TLS, in PEM form. They are read again when they change.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate of the server, then those that lead to its CA.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The CAs of client certificates. `None` asks clients for no certificate.
    pub client_ca: Option<PathBuf>,
    /// Refuses clients without a certificate.
    pub client_certificate_required: bool,
    /// How often to look whether the files have changed.
    pub poll: Duration,
}

/// What clients may use of a server. Each limit has a flag of `rolecall serve`.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections of all clients.
    pub total: usize,
    /// Connections from one IP address.
    pub per_peer: usize,
    /// How long a new connection may take to begin HTTP/2, the TLS handshake included.
    pub handshake: Duration,
    /// How long the body of a request may take to arrive.
    pub body: Duration,
    /// How long an answer may wait to be sent. The connection is closed within twice this time.
    pub answer: Duration,
    /// How long a connection may have no call. It is closed within twice this time.
    pub idle: Duration,
    /// After how long a connection is closed, give or take a tenth. Calls in flight finish. `None` keeps it.
    pub age: Option<Duration>,
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
            age: Some(Duration::from_secs(3_600)),
            call_bytes: 256 << 20,
        }
    }
}
