//! TLS of the TCP listeners, with files that are read again when they change.

pub mod files;
mod names;

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, interval_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::config::TlsFiles;
use super::connection::{Open, Protocol};
use crate::grpc::peer::Peer;
use files::{Pem, TlsError};

/// How often the expiry of the certificate is looked at.
const EXPIRY_PERIOD: Duration = Duration::from_secs(24 * 3_600);
/// How many bytes are read after a failed handshake.
const LAST_BYTES: u64 = 64 << 10;
/// How often failed handshakes are logged.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// What new connections get.
pub struct Tls {
    config: ArcSwap<ServerConfig>,
    failed: Mutex<Failed>,
}

/// Handshakes that failed since they were logged.
#[derive(Default)]
struct Failed {
    count: u64,
    logged: Option<Instant>,
}

impl Tls {
    /// Makes the handshake.
    pub async fn accept(&self, stream: TcpStream, protocol: Protocol) -> io::Result<Open> {
        let mut config = self.config.load_full();
        if protocol == Protocol::Http {
            Arc::make_mut(&mut config).alpn_protocols = vec![files::HTTP_ALPN.to_vec()];
        }
        let stream = match TlsAcceptor::from(config).accept(stream).into_fallible().await {
            Ok(stream) => stream,
            Err((error, mut stream)) => {
                self.failed(&error, &stream);
                // A client that goes on sending reads the alert only if the connection is not reset.
                stream.shutdown().await?;
                tokio::io::copy(&mut stream.take(LAST_BYTES), &mut tokio::io::sink()).await?;
                return Err(error);
            }
        };
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let read = certificate.map(|certificate| names::read(certificate)).transpose();
        let (names, valid_for) = read.inspect_err(|error| self.failed(error, stream.get_ref().0))?.unzip();
        let peer = Peer { certificate_names: names.unwrap_or_default(), ..Peer::default() };
        Ok(Open { stream: Box::new(stream), peer, valid_for })
    }

    /// Logs failed handshakes, but not each: strangers make them.
    fn failed(&self, error: &io::Error, stream: &TcpStream) {
        let peer = stream.peer_addr().ok();
        tracing::debug!(?peer, %error, "a TLS handshake failed");
        // Probes of load balancers only connect.
        if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) {
            return;
        }
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.count += 1;
        if failed.logged.is_none_or(|at| at.elapsed() >= LOG_PAUSE) {
            tracing::warn!(?peer, %error, count = failed.count, "TLS handshakes failed; this is the last one");
            *failed = Failed { count: 0, logged: Some(Instant::now()) };
        }
    }
}

/// Reads the files again and again, and replaces the configuration if they have changed. Open connections keep theirs.
pub struct Reloader {
    pub tls: Arc<Tls>,
    files: TlsFiles,
    in_use: Pem,
    failure: Option<Failure>,
}

/// Why the files cannot be used.
struct Failure {
    why: String,
    logged: bool,
}

impl Reloader {
    /// Reads the files. Refuses files that cannot be used.
    pub fn new(files: &TlsFiles) -> Result<Self, TlsError> {
        let in_use = Pem::read(files)?;
        let config = in_use.config(files)?;
        let tls = Arc::new(Tls { config: ArcSwap::from_pointee(config), failed: Mutex::default() });
        in_use.warn_of_expiry();
        Ok(Self { tls, files: files.clone(), in_use, failure: None })
    }

    /// Looks at the files until dropped: every few seconds, and at SIGHUP, which is caught from this call on.
    pub fn run(mut self) -> impl Future<Output = ()> {
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut expiry = interval_at(Instant::now() + EXPIRY_PERIOD, EXPIRY_PERIOD);
        async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(self.files.poll) => self.look(),
                    Some(()) = async { hangup.as_mut()?.recv().await } => self.look(),
                    _ = expiry.tick() => self.in_use.warn_of_expiry(),
                }
            }
        }
    }

    /// Uses the files if they have changed and can be used. A failure is logged if it is there at two looks in a row: in between,
    /// someone may have written one file and not yet the other.
    fn look(&mut self) {
        let new = Pem::read(&self.files).and_then(|pem| {
            if pem == self.in_use { Ok(None) } else { pem.config(&self.files).map(|config| Some((pem, config))) }
        });
        match new {
            Ok(None) => self.failure = None,
            Ok(Some((pem, config))) => {
                self.tls.config.store(Arc::new(config));
                self.in_use = pem;
                self.failure = None;
                tracing::info!("new TLS files are used for new connections");
                self.in_use.warn_of_expiry();
            }
            Err(error) => {
                let why = error.to_string();
                match &mut self.failure {
                    Some(failure) if failure.why == why => {
                        if !failure.logged {
                            failure.logged = true;
                            tracing::error!(why, "the new TLS files cannot be used; the former ones stay in use");
                        }
                    }
                    failure => *failure = Some(Failure { why, logged: false }),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CertifiedKey, Issuer, KeyPair, SanType};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

    use super::*;

    const SPIFFE: &str = "spiffe://prod.example/billing";

    fn issued() -> CertifiedKey<KeyPair> {
        rcgen::generate_simple_self_signed(["rolecall.example".into()]).unwrap()
    }

    fn files(folder: &tempfile::TempDir, issued: &CertifiedKey<KeyPair>, client_ca: &str) -> TlsFiles {
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        TlsFiles {
            certificate: write("cert", &issued.cert.pem()),
            key: write("key", &issued.signing_key.serialize_pem()),
            client_ca: Some(write("ca", client_ca)),
            client_certificate_required: false,
            poll: Duration::from_secs(2),
        }
    }

    #[test]
    fn files_that_cannot_be_used_change_nothing_and_are_logged_once() {
        let (folder, ca) = (tempfile::tempdir().unwrap(), issued().cert.pem());
        let (old, new) = (issued(), issued());
        let mut reloader = Reloader::new(&files(&folder, &old, &ca)).unwrap();
        let first = reloader.tls.config.load_full();
        let mut looks = |change: &dyn Fn(), same: bool, logged: &[Option<bool>]| {
            change();
            for logged in logged {
                reloader.look();
                assert_eq!(reloader.failure.as_ref().map(|failure| failure.logged), *logged);
                assert_eq!(Arc::ptr_eq(&first, &reloader.tls.config.load_full()), same);
            }
        };
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let logged = [Some(false), Some(true), Some(true)];
        looks(&|| {}, true, &[None]);
        looks(&|| write("key", &new.signing_key.serialize_pem()), true, &logged);
        looks(&|| write("key", "no key"), true, &logged);
        looks(&|| write("key", &old.signing_key.serialize_pem()), true, &[None]);
        looks(&|| write("ca", ""), true, &logged);
        looks(&|| std::fs::remove_file(folder.path().join("ca")).unwrap(), true, &logged);
        looks(&|| drop(files(&folder, &new, &ca)), false, &[None, None]);
    }

    #[tokio::test]
    async fn a_verified_certificate_names_the_client() {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let (ca, issuer) = (params.self_signed(&key).unwrap(), Issuer::new(params, key));
        let mut params = CertificateParams::new(["billing.example".into()]).unwrap();
        params.subject_alt_names.push(SanType::URI(SPIFFE.try_into().unwrap()));
        params.not_after = std::time::SystemTime::now().checked_add(Duration::from_secs(3_600)).unwrap().into();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let server = issued();
        let tls = Reloader::new(&files(&folder, &server, &ca.pem())).unwrap().tls;

        let mut roots = RootCertStore::empty();
        roots.add(server.cert.der().clone()).unwrap();
        let config = || {
            let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
            builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots.clone())
        };
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let named = config().with_client_auth_cert(vec![certificate.der().clone()], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for (config, names) in [(named, &[SPIFFE, "dns:billing.example"][..]), (config().with_no_client_auth(), &[])] {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let connect = TlsConnector::from(Arc::new(config)).connect("rolecall.example".try_into().unwrap(), stream);
            let accept = async { tls.accept(listener.accept().await.unwrap().0, Protocol::Grpc).await };
            let (open, client) = tokio::join!(accept, connect);
            let (open, _client) = (open.unwrap(), client.unwrap());
            assert_eq!(open.peer.certificate_names, names);
            assert_eq!(open.valid_for.is_some(), !names.is_empty());
            assert!(open.valid_for.is_none_or(|left| left <= Duration::from_secs(3_600)));
        }
    }
}
