//! The files of TLS, and the configuration that they make.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::server::config::TlsFiles;

/// HTTP/2, as a client names it in the handshake.
pub const ALPN: &[u8] = b"h2";
/// HTTP/1.1, which HTTP sockets speak.
pub const HTTP_ALPN: &[u8] = b"http/1.1";
/// A certificate that expires within this is warned of.
const EXPIRY_DAYS: i64 = 14;

/// Why the files cannot be used, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read `{}`: {}; name a readable file with {}", .0.display(), .2, .1)]
    Read(PathBuf, &'static str, io::Error),
    #[error("`{}` is not in PEM form: {}; write it again for {}", .0.display(), .2, .1)]
    NotPem(PathBuf, &'static str, &'static str),
    #[error("`{}` has no certificate in PEM form; name a file that has one with {}", .0.display(), .1)]
    NoCertificate(PathBuf, &'static str),
    #[error("a certificate in `{}` cannot be used: {}; write it again for {}", .0.display(), .2, .1)]
    Certificate(PathBuf, &'static str, String),
    #[error("`{}` has no private key in PEM form; name a file that has one, not encrypted, with --tls-key", .0.display())]
    NoKey(PathBuf),
    #[error(
        "the key in `{}` does not fit the first certificate in `{}`; name files that belong together with --tls-key and --tls-cert",
        .0.display(), .1.display()
    )]
    OtherKey(PathBuf, PathBuf),
    #[error("the key in `{}` cannot be used: {}; make an ECDSA, Ed25519 or RSA key for --tls-key", .0.display(), .1)]
    Key(PathBuf, String),
}

/// The contents of the files.
#[derive(PartialEq)]
pub struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Pem {
    pub fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path, flag| std::fs::read(path).map_err(|error| TlsError::Read(path.into(), flag, error));
        Ok(Self {
            certificate: read(&files.certificate, "--tls-cert")?,
            key: read(&files.key, "--tls-key")?,
            client_ca: files.client_ca.as_deref().map(|path| read(path, "--tls-client-ca")).transpose()?,
        })
    }

    /// Returns the configuration for connections. Refuses files that do not make one.
    pub fn config(&self, files: &TlsFiles) -> Result<ServerConfig, TlsError> {
        let chain = certificates(&self.certificate, &files.certificate, "--tls-cert")?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::NoKey(files.key.clone()),
            error => TlsError::NotPem(files.key.clone(), "--tls-key", pem_fault(&error)),
        })?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        // The provider has cipher suites for both versions.
        let builder = builder.map_err(|error| TlsError::Key(files.key.clone(), error.to_string()))?;
        let builder = match (&self.client_ca, &files.client_ca) {
            (Some(pem), Some(path)) => {
                let refused = |error: &dyn std::fmt::Display| {
                    TlsError::Certificate(path.clone(), "--tls-client-ca", error.to_string())
                };
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem, path, "--tls-client-ca")? {
                    roots.add(certificate).map_err(|error| refused(&error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier =
                    if files.client_certificate_required { verifier } else { verifier.allow_unauthenticated() };
                builder.with_client_cert_verifier(verifier.build().map_err(|error| refused(&error))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::OtherKey(files.key.clone(), files.certificate.clone()),
            rustls::Error::InvalidCertificate(error) => {
                TlsError::Certificate(files.certificate.clone(), "--tls-cert", error.to_string())
            }
            error => TlsError::Key(files.key.clone(), error.to_string()),
        })?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session would not verify the certificate of the client again. Connections are long, so handshakes are few.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// Warns if a certificate of the server has expired or soon will.
    pub fn warn_of_expiry(&self) {
        for certificate in CertificateDer::pem_slice_iter(&self.certificate).flatten() {
            let Ok((_, certificate)) = X509Certificate::from_der(&certificate) else { continue };
            let subject = certificate.subject().to_string();
            let until = certificate.validity().not_after;
            let now = crate::clock::now().0 / 1_000_000;
            match days_left(until.timestamp(), now) {
                Some(days) if days < 0 => {
                    tracing::warn!(%subject, %until, "a certificate of the server has expired; clients refuse it")
                }
                Some(days) => tracing::warn!(%subject, %until, days, "a certificate of the server expires soon"),
                None => {}
            }
        }
    }
}

/// Returns the days until the expiry, in seconds since 1970 as `now`. `None` if it is far away. Negative if it has passed.
fn days_left(until: i64, now: i64) -> Option<i64> {
    Some((until - now).div_euclid(24 * 3_600)).filter(|days| *days < EXPIRY_DAYS)
}

/// Reads one or more certificates.
pub fn certificates(pem: &[u8], path: &Path, flag: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(TlsError::NoCertificate(path.into(), flag)),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(TlsError::NotPem(path.into(), flag, pem_fault(&error))),
    }
}

/// Returns what is wrong with a PEM file, without its content. `pem::Error` itself quotes a line, and a key whose line ends were
/// lost is one line.
pub fn pem_fault(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "the line that ends a section is missing",
        pem::Error::IllegalSectionStart { .. } => "a line that begins a section is malformed",
        pem::Error::Base64Decode(_) => "a section is not base64",
        pem::Error::NoItemsFound => "it has no such section",
        pem::Error::Io(_) => "it cannot be read",
        _ => "it is malformed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_warned_of_two_weeks_before_it_expires() {
        const DAY: i64 = 24 * 3_600;
        assert_eq!(days_left(100 * DAY, 86 * DAY), None);
        assert_eq!(days_left(100 * DAY, 86 * DAY + 1), Some(13));
        assert_eq!(days_left(100 * DAY, 100 * DAY), Some(0));
        assert_eq!(days_left(100 * DAY, 100 * DAY + 1), Some(-1));
    }

    #[test]
    fn an_error_about_a_key_shows_none_of_it() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let secret = key.lines().nth(1).unwrap().to_owned();
        let bytes = secret.bytes().take(8).map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
        // A secret store that lost the line ends, or wrote them as two characters.
        for lost in
            [key.replace('\n', ""), key.replace('\n', " "), key.replace('\n', "\\n"), key[..key.len() - 30].into()]
        {
            let error = PrivateKeyDer::from_pem_slice(lost.as_bytes()).unwrap_err();
            let shown = TlsError::NotPem("key.pem".into(), "--tls-key", pem_fault(&error)).to_string();
            assert!(!shown.contains(&secret[..8]) && !shown.contains(&bytes), "{shown}");
        }
    }
}
