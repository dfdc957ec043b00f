//! The TLS of a client: its flags, and why a handshake fails.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, ConfigBuilder, RootCertStore, client::WantsClientCert,
};

use crate::cli::shell;
use crate::cli::trouble::{BUG, Trouble};
use crate::server::{Listen, pem_fault};

const TLS: &str = "ROLECALL_TLS";
const CA: &str = "ROLECALL_CA";
const CERT: &str = "ROLECALL_CERT";
const CERT_KEY: &str = "ROLECALL_CERT_KEY";
const SERVER_NAME: &str = "ROLECALL_SERVER_NAME";

/// TLS of a connection over TCP.
#[derive(Clone, Default, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// Connects with TLS, to a server whose certificate is of a CA of this system.
    #[arg(long, env = TLS)]
    tls: bool,

    /// Connects with TLS, to a server whose certificate is of a CA in this PEM file.
    #[arg(long, env = CA, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// A PEM file with the certificate that this client gives.
    #[arg(long, env = CERT, value_name = "FILE", requires = "cert_key")]
    cert: Option<PathBuf>,

    /// A PEM file with the key of the certificate.
    #[arg(long, env = CERT_KEY, value_name = "FILE", requires = "cert")]
    cert_key: Option<PathBuf>,

    /// The name in the certificate of the server, if it is not the host of its address.
    #[arg(long, env = SERVER_NAME, value_name = "NAME")]
    server_name: Option<String>,
}

impl TlsArgs {
    /// Returns the flags with which another command connects in the same way. It runs in the same environment.
    pub fn repeated(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if self.tls && std::env::var_os(TLS).is_none() {
            flags.push("--tls".into());
        }
        for (flag, variable, value) in [
            ("--ca", CA, self.ca.as_deref()),
            ("--cert", CERT, self.cert.as_deref()),
            ("--cert-key", CERT_KEY, self.cert_key.as_deref()),
            ("--server-name", SERVER_NAME, self.server_name.as_deref().map(Path::new)),
        ] {
            if let Some(value) = value.filter(|value| std::env::var_os(variable).as_deref() != Some(value.as_os_str()))
            {
                flags.extend(shell::flag(flag, &value.to_string_lossy()));
            }
        }
        flags
    }

    /// Returns what makes the handshakes with the server at an address. `None` without TLS.
    pub fn connector(&self, address: &str) -> Result<Option<(TlsConnector, ServerName<'static>)>, Trouble> {
        if !self.tls && self.ca.is_none() {
            return match &self.cert {
                None => Ok(None),
                Some(_) => {
                    let next = "give the file of the server's CA with --ca, or use the CAs of this system with --tls";
                    Err(Trouble::new("a client certificate needs TLS", next))
                }
            };
        }
        let name =
            server_name(self.server_name.as_deref().unwrap_or(host(address)), "name the server with --server-name")?;
        let builder = verifying(self.ca.as_deref(), "--ca")?;
        let config = match (&self.cert, &self.cert_key) {
            (Some(certificate), Some(key)) => {
                let pair = format!("{} and {}", certificate.display(), key.display());
                let chain = certificates(certificate, "--cert")?;
                let key = PrivateKeyDer::from_pem_slice(&read(key, "--cert-key")?)
                    .map_err(|error| unusable(key, "--cert-key", &pem_fault(&error)))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    let next = "give a certificate with --cert, and its key with --cert-key";
                    Trouble::new(format!("{pair} do not make a client certificate: {error}"), next)
                })?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Some((for_http2(config), name)))
    }
}

/// Returns what makes the handshakes with the server at an address that asks for no certificate. `flag` names the file `ca`.
pub fn connector_without_certificate(
    address: &str,
    ca: Option<&Path>,
    flag: &str,
) -> Result<(TlsConnector, ServerName<'static>), Trouble> {
    let name = server_name(host(address), "give an address with a host name or an IP address")?;
    Ok((for_http2(verifying(ca, flag)?.with_no_client_auth()), name))
}

fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

fn server_name(host: &str, next: &str) -> Result<ServerName<'static>, Trouble> {
    let name = host.trim_matches(['[', ']']).to_owned();
    ServerName::try_from(name.clone())
        .map_err(|_| Trouble::new(format!("`{name}` cannot be the name in a certificate"), next))
}

/// Begins the settings of a client that verifies the certificate of its server.
fn verifying(ca: Option<&Path>, flag: &str) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Trouble> {
    let bug = |error: rustls::Error| Trouble::new(error.to_string(), BUG);
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(builder.with_safe_default_protocol_versions().map_err(bug)?.with_root_certificates(roots(ca, flag)?))
}

fn for_http2(mut config: ClientConfig) -> TlsConnector {
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// Returns the CAs that the certificate of a server may be of: those of a file, or else those of the system.
fn roots(ca: Option<&Path>, flag: &str) -> Result<RootCertStore, Trouble> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            for certificate in certificates(file, flag)? {
                roots.add(certificate).map_err(|error| unusable(file, flag, &error))?;
            }
        }
        None => {
            // A system may have some that cannot be read.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                let next = format!("give the file of the server's CA with {flag}");
                return Err(Trouble::new("this system has no certificates of CAs", next));
            }
        }
    }
    Ok(roots)
}

fn read(file: &Path, flag: &str) -> Result<Vec<u8>, Trouble> {
    std::fs::read(file).map_err(|error| unusable(file, flag, &error))
}

fn certificates(file: &Path, flag: &str) -> Result<Vec<CertificateDer<'static>>, Trouble> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file, flag)?).collect();
    let certificates = certificates.map_err(|error| unusable(file, flag, &pem_fault(&error)))?;
    if certificates.is_empty() { Err(unusable(file, flag, &"it has no certificate")) } else { Ok(certificates) }
}

fn unusable(file: &Path, flag: &str, why: &dyn std::fmt::Display) -> Trouble {
    Trouble::new(format!("{} cannot be used: {why}", file.display()), format!("give a PEM file with {flag}"))
}

/// Explains a failed handshake. `None` if TLS is not the reason.
pub fn explain(error: &io::Error, address: &Listen, name: &ServerName<'_>) -> Option<Trouble> {
    let no_tls =
        || Trouble::new(format!("{address} does not speak TLS"), "leave out --ca and --tls, or give another address");
    let error = match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        None if error.kind() == io::ErrorKind::UnexpectedEof => return Some(no_tls()),
        None => return None,
        Some(error) => error,
    };
    let of_server = |why: &dyn std::fmt::Display, next: &str| {
        Some(Trouble::new(format!("the certificate of {address} {why}"), next))
    };
    match error {
        rustls::Error::InvalidMessage(_) => Some(no_tls()),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            of_server(&"is of another CA", "give the file of its CA with --ca")
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            let why = format!("is not for `{}`: {error}", name.to_str());
            of_server(&why, "give a name that is in the certificate with --server-name")
        }
        rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => of_server(&format!("is not valid now: {error}"), "renew it, or set the clock of this machine"),
        rustls::Error::InvalidCertificate(_) => {
            of_server(&format!("cannot be verified: {error}"), "issue another one; docs/operating.md says how")
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            let what = format!("{address} takes only clients with a certificate");
            Some(Trouble::new(what, "give one with --cert, and its key with --cert-key"))
        }
        rustls::Error::AlertReceived(alert) => {
            let what = format!("{address} refuses the handshake: {alert:?}");
            let next = "give a valid certificate, of a CA in its --tls-client-ca, with --cert and --cert-key";
            Some(Trouble::new(what, next))
        }
        _ => Some(Trouble::new(format!("the handshake with {address} fails: {error}"), "see the log of the server")),
    }
}
