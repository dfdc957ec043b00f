//! What is known about the client of a connection.

use super::authn::last_key::LastKey;
use super::authz::last_authorized::LastAuthorized;

/// The client of a connection.
#[derive(Debug, Default)]
pub struct Peer {
    /// As the kernel proves it: the user id of the process at the other end of a unix socket. `None` over TCP.
    pub uid: Option<u32>,
    /// The names in a verified client certificate, SPIFFE ids first: `spiffe://prod.example/billing`, `dns:billing.example`.
    pub certificate_names: Vec<String>,
    pub last_key: LastKey,
    pub last_authorized: LastAuthorized,
}
