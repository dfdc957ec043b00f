//! What a connection proves about its client.

/// Who is at the other end of a connection, as the transport proves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The user id of the process at the other end of a unix socket. `None` over TCP.
    pub uid: Option<u32>,
    /// The names in a verified client certificate, SPIFFE ids first: `spiffe://prod.example/billing`, `dns:billing.example`.
    pub certificate_names: Vec<String>,
}
