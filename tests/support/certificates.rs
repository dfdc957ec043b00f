//! Certificate authorities, and the certificates that they issue.

// Helpers of tests may panic, as tests may (`clippy.toml`).
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::transport::{Channel, Endpoint, Uri};

pub struct Ca {
    /// In PEM form, as keys are.
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// In PEM form, too.
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Identity {
    /// Returns what makes the handshakes of a server that has this certificate.
    pub fn acceptor(&self) -> TlsAcceptor {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let chain = vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Ca {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Returns a client that trusts this CA.
    pub fn client_config(&self) -> ClientConfig {
        self.config(None)
    }

    /// Returns a client that trusts this CA and gives a certificate.
    pub fn client_config_with(&self, identity: &Identity) -> ClientConfig {
        self.config(Some(identity))
    }

    fn config(&self, identity: Option<&Identity>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key }) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    /// Connects to a server whose certificate is of this CA.
    pub async fn connect(&self, address: String, name: &'static str) -> Result<Channel, String> {
        let config = Arc::new(self.client_config());
        let connector = tower::service_fn(move |_: Uri| {
            let (connector, address) = (TlsConnector::from(config.clone()), address.clone());
            async move {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                connector.connect(name.try_into().unwrap(), stream).await.map(TokioIo::new)
            }
        });
        let connected = Endpoint::from_static("http://localhost").connect_with_connector(connector).await;
        connected.map_err(|error| format!("{error:?}"))
    }

    /// Issues a certificate for DNS names, IP addresses and URIs.
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| {})
    }

    /// Issues a certificate for yesterday or for tomorrow.
    pub fn issue_for_day(&self, names: &[&str], day: i64) -> Identity {
        self.issue_with(names, |params| {
            let now = std::time::SystemTime::now();
            let hours = |hours: i64| match u64::try_from(hours) {
                Ok(hours) => now + std::time::Duration::from_secs(hours * 3_600),
                Err(_) => now - std::time::Duration::from_secs(hours.unsigned_abs() * 3_600),
            };
            (params.not_before, params.not_after) = (hours(24 * day - 12).into(), hours(24 * day + 12).into());
        })
    }

    pub fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let (uris, others): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.contains("://"));
        let mut params = CertificateParams::new(others.into_iter().map(String::from).collect::<Vec<_>>()).unwrap();
        params.subject_alt_names.extend(uris.into_iter().map(|uri| SanType::URI(uri.try_into().unwrap())));
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}
