//! TLS and client certificates, and files that change while the server runs. TLS knows no database: SQLite is enough.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use rcgen::ExtendedKeyUsagePurpose;
use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::grpc::generated::server_service_client::ServerServiceClient;
use rolecall::server::{Bootstrap, Config, ConnectionLimits, Listen, OperatorConfig, Running, TlsFiles};
use rolecall::wire;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ALL_VERSIONS, ClientConfig, RootCertStore, SupportedProtocolVersion, crypto::ring};
use tonic::Status;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::refusals::Details;
use crate::support::certificates::{Ca, Identity};
use crate::support::{TestDatabase, block_on, sqlite};

const NAME: &str = "rolecall.example";
static VERSIONS: [&[&SupportedProtocolVersion]; 2] = [&[&TLS13], &[&TLS12]];
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with TLS, and its files.
struct World {
    running: Running,
    address: String,
    folder: TempDir,
    _database: TestDatabase,
}

/// What a client trusts and gives.
#[derive(Clone)]
struct Client {
    cas: Vec<String>,
    identity: Option<Identity>,
    versions: &'static [&'static SupportedProtocolVersion],
}

impl World {
    async fn start(ca: &Ca, client_ca: Option<&Ca>, required: bool) -> Self {
        Self::start_with(ca, client_ca, required, ConnectionLimits::default()).await
    }

    async fn start_with(ca: &Ca, client_ca: Option<&Ca>, required: bool, connections: ConnectionLimits) -> Self {
        // These tests are about connections. Who calls does not matter.
        let operators = OperatorConfig { authentication: Some(false), ..OperatorConfig::default() };
        Self::start_for(ca, client_ca, required, |config| Config { connections, operators, ..config }).await
    }

    async fn start_for(ca: &Ca, client_ca: Option<&Ca>, required: bool, change: impl FnOnce(Config) -> Config) -> Self {
        let (folder, database) = (tempfile::tempdir().unwrap(), sqlite());
        let file = |name: &str| folder.path().join(name);
        write(&folder, &ca.issue(&[NAME]));
        if let Some(client_ca) = client_ca {
            std::fs::write(file("client-ca.pem"), &client_ca.certificate).unwrap();
        }
        let tls = TlsFiles {
            certificate: file("cert.pem"),
            key: file("key.pem"),
            client_ca: client_ca.map(|_| file("client-ca.pem")),
            client_certificate_required: required,
            poll: Duration::from_millis(10),
        };
        let listen = vec![Listen::Tcp("127.0.0.1:0".into()), Listen::Unix(file("r.sock"))];
        let config = change(Config { tls: Some(tls), ..Config::new(&database.url, listen) });
        let running = Running::start(config).await.unwrap();
        let address = running.addresses[0].to_string();
        Self { running, address, folder, _database: database }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the certificate that new connections get.
    async fn certificate(&self, client: &Client) -> Vec<u8> {
        let stream = client.handshake(&self.address).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }
}

/// Replaces the certificate and the key of a server, one after the other.
fn write(folder: &TempDir, identity: &Identity) {
    std::fs::write(folder.path().join("cert.pem"), &identity.certificate).unwrap();
    std::fs::write(folder.path().join("key.pem"), &identity.key).unwrap();
}

fn der(identity: &Identity) -> Vec<u8> {
    CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap().to_vec()
}

impl Client {
    fn trusting(ca: &Ca) -> Self {
        Self { cas: vec![ca.certificate.clone()], identity: None, versions: ALL_VERSIONS }
    }

    fn with(&self, identity: Identity) -> Self {
        Self { identity: Some(identity), ..self.clone() }
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for ca in &self.cas {
            roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(self.versions).unwrap().with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key }) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    async fn handshake(&self, address: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(self.config())).connect(NAME.try_into().unwrap(), stream).await
    }

    /// Returns why the server refuses the handshake. With TLS 1.3 a client learns it when it first reads.
    async fn refused(&self, address: &str) -> String {
        match self.handshake(address).await {
            Err(error) => error.to_string(),
            Ok(mut stream) => stream.read_u8().await.unwrap_err().to_string(),
        }
    }

    /// Connects, and makes a call.
    async fn call(&self, address: &str) -> Result<Channel, String> {
        let stream = self.handshake(address).await.map_err(|error| error.to_string())?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut stream = Some(TokioIo::new(stream));
        let connector = tower::service_fn(move |_: Uri| {
            let stream = stream.take().ok_or_else(|| std::io::Error::other("one connection only"));
            async move { stream }
        });
        let channel = Endpoint::from_static("http://localhost").connect_with_connector(connector).await;
        let channel = channel.map_err(|error| format!("{error:?}"))?;
        asked(&channel).await.map_err(|status| format!("{status:?}"))?;
        Ok(channel)
    }
}

async fn asked(channel: &Channel) -> Result<(), Status> {
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.map(|_| ())
}

#[test]
fn calls_are_answered_over_tls_and_over_unix_sockets_without() {
    block_on(async {
        let ca = Ca::new("ca");
        let world = World::start(&ca, None, false).await;
        for versions in VERSIONS {
            Client { versions, ..Client::trusting(&ca) }.call(&world.address).await.unwrap();
        }
        let other = Client::trusting(&Ca::new("ca")).call(&world.address).await.unwrap_err();
        assert!(other.contains("invalid peer certificate"), "{other}");
        let path = world.file("r.sock");
        let connector = tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { tokio::net::UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let unix = Endpoint::from_static("http://localhost").connect_with_connector(connector).await.unwrap();
        asked(&unix).await.unwrap();
        world.running.stop().await;
    });
}

#[test]
fn a_client_without_tls_fails_and_others_go_on() {
    block_on(async {
        let ca = Ca::new("ca");
        let world = World::start(&ca, None, false).await;
        let channel = Client::trusting(&ca).call(&world.address).await.unwrap();
        let plain = async {
            let channel = Endpoint::from_shared(format!("http://{}", world.address)).unwrap().connect().await;
            match channel {
                Ok(channel) => asked(&channel).await.unwrap_err().to_string(),
                Err(error) => error.to_string(),
            }
        };
        tokio::time::timeout(PATIENCE, plain).await.expect("it fails at once");
        asked(&channel).await.unwrap();
        world.running.stop().await;
    });
}

#[test]
fn only_valid_client_certificates_are_let_in() {
    block_on(async {
        let (ca, client_ca) = (Ca::new("ca"), Ca::new("clients"));
        let names = ["spiffe://prod.example/billing"];
        let valid = client_ca.issue(&names);
        for required in [false, true] {
            let world = World::start(&ca, Some(&client_ca), required).await;
            for versions in VERSIONS {
                let client = Client { versions, ..Client::trusting(&ca) };
                client.with(valid.clone()).call(&world.address).await.unwrap();
                if required {
                    // TLS 1.2 has no alert of its own for it.
                    let why = client.refused(&world.address).await;
                    assert!(why.contains("CertificateRequired") || why.contains("HandshakeFailure"), "{why}");
                } else {
                    client.call(&world.address).await.unwrap();
                }
                let for_servers = client_ca.issue_with(&names, |params| {
                    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]
                });
                for (refused, why) in [
                    (Ca::new("others").issue(&names), "UnknownCA"),
                    // It has the name of the CA, and another key.
                    (Ca::new("clients").issue(&names), "DecryptError"),
                    (client_ca.issue_for_day(&names, -1), "CertificateExpired"),
                    (client_ca.issue_for_day(&names, 1), "CertificateExpired"),
                    (for_servers, "UnsupportedCertificate"),
                ] {
                    let error = client.with(refused).refused(&world.address).await;
                    assert!(error.contains(why), "{required} {why}: {error}");
                }
            }
            world.running.stop().await;
        }
    });
}

/// Calls until the end, over an open connection and over new ones. No call may fail.
async fn load(client: Client, address: String, open: Channel, over: Arc<AtomicBool>, calls: Arc<AtomicU64>) {
    while !over.load(Ordering::Relaxed) {
        asked(&open).await.unwrap();
        client.call(&address).await.unwrap();
        calls.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn certificates_are_replaced_under_load() {
    block_on(async {
        let (ca, next) = (Ca::new("ca"), Ca::new("next"));
        let world = World::start(&ca, None, false).await;
        let both = Client { cas: vec![ca.certificate.clone(), next.certificate.clone()], ..Client::trusting(&ca) };
        let (over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let open = both.call(&world.address).await.unwrap();
        let loads: Vec<_> = (0..2)
            .map(|_| load(both.clone(), world.address.clone(), open.clone(), over.clone(), calls.clone()))
            .map(tokio::spawn)
            .collect();
        for issuer in [&ca, &next, &ca, &next] {
            let new = issuer.issue(&[NAME]);
            write(&world.folder, &new);
            let (before, began) = (calls.load(Ordering::Relaxed), Instant::now());
            // The load goes on before and after the change.
            while world.certificate(&both).await != der(&new) || calls.load(Ordering::Relaxed) < before + 20 {
                assert!(began.elapsed() < PATIENCE, "the new certificate is not used");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        over.store(true, Ordering::Relaxed);
        for load in loads {
            load.await.unwrap();
        }
        world.running.stop().await;
    });
}

#[test]
fn the_ca_of_clients_is_replaced() {
    block_on(async {
        let (ca, old, new) = (Ca::new("ca"), Ca::new("old"), Ca::new("new"));
        let world = World::start(&ca, Some(&old), false).await;
        let client = |issuer: &Ca| Client::trusting(&ca).with(issuer.issue(&["dns.example"]));
        let (of_old, of_new) = (client(&old), client(&new));
        let open = of_old.call(&world.address).await.unwrap();
        of_new.call(&world.address).await.unwrap_err();
        std::fs::write(world.file("client-ca.pem"), &new.certificate).unwrap();
        let began = Instant::now();
        while of_new.call(&world.address).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "the new CA is not used");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        of_old.call(&world.address).await.unwrap_err();
        asked(&open).await.unwrap();
        world.running.stop().await;
    });
}

#[test]
fn handshakes_that_are_not_finished_are_given_up() {
    block_on(async {
        let ca = Ca::new("ca");
        let limits = ConnectionLimits { handshake: Duration::from_secs(1), ..Default::default() };
        let world = World::start_with(&ca, None, false, limits).await;
        let client = Client::trusting(&ca);
        let open = client.call(&world.address).await.unwrap();
        let mut silent = Vec::new();
        for at in 0..200 {
            let mut stream = TcpStream::connect(&world.address).await.unwrap();
            // A part of a ClientHello. The kernel of a busy server forgets a connection on which nothing is sent, and says nothing.
            stream.write_all(&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..1 + at % 11]).await.unwrap();
            silent.push(stream);
        }
        // One finishes the handshake and sends nothing then.
        let mut speechless = client.handshake(&world.address).await.unwrap();
        let closed = async {
            for mut stream in silent {
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer).await;
            }
            let _ = speechless.read_to_end(&mut Vec::new()).await;
        };
        tokio::pin!(closed);
        let began = Instant::now();
        loop {
            asked(&open).await.unwrap();
            client.call(&world.address).await.unwrap();
            if tokio::time::timeout(Duration::from_millis(20), &mut closed).await.is_ok() {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "connections are still open");
        }
        world.running.stop().await;
    });
}

#[test]
fn a_server_does_not_start_with_files_that_do_not_work() {
    block_on(async {
        let (ca, folder, database) = (Ca::new("ca"), tempfile::tempdir().unwrap(), sqlite());
        let (own, other) = (ca.issue(&[NAME]), ca.issue(&[NAME]));
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("ca", &ca.certificate);
        write("cert", &own.certificate);
        write("key", &own.key);
        write("other-key", &other.key);
        write("empty", "");
        write("cut", &own.certificate[..own.certificate.len() / 2]);
        write("garbage", "-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n");
        write(
            "encrypted",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nZ2FyYmFnZQ==\n-----END ENCRYPTED PRIVATE KEY-----\n",
        );
        for (certificate, key, client_ca, says) in [
            ("absent", "key", "ca", &["absent", "--tls-cert", "No such file"][..]),
            ("cert", "absent", "ca", &["absent", "--tls-key", "No such file"]),
            ("cert", "key", "absent", &["absent", "--tls-client-ca", "No such file"]),
            ("empty", "key", "ca", &["empty", "--tls-cert", "no certificate"]),
            ("cut", "key", "ca", &["cut", "--tls-cert", "not in PEM form"]),
            ("garbage", "key", "ca", &["garbage", "--tls-cert", "cannot be used"]),
            ("cert", "cert", "ca", &["cert", "--tls-key", "no private key"]),
            ("cert", "encrypted", "ca", &["encrypted", "--tls-key", "no private key"]),
            ("cert", "other-key", "ca", &["other-key", "cert", "does not fit"]),
            ("cert", "key", "empty", &["empty", "--tls-client-ca", "no certificate"]),
            ("cert", "key", "garbage", &["garbage", "--tls-client-ca", "cannot be used"]),
        ] {
            let file = |name: &str| folder.path().join(name);
            let tls = TlsFiles {
                certificate: file(certificate),
                key: file(key),
                client_ca: Some(file(client_ca)),
                client_certificate_required: false,
                poll: Duration::from_secs(1),
            };
            let listen = vec![Listen::Tcp("127.0.0.1:0".into())];
            let config = Config { tls: Some(tls), ..Config::new(&database.url, listen) };
            let error = Running::start(config).await.err().expect("it is refused").to_string();
            for part in says {
                assert!(error.contains(part), "`{part}` is not in: {error}");
            }
        }
    });
}

#[test]
fn w3_w9_a_client_certificate_is_known_by_its_names() {
    block_on(async {
        let (ca, clients) = (Ca::new("ca"), Ca::new("clients"));
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("bootstrap.key");
        let bootstrap = Bootstrap::File(key_file.clone());
        // With a CA of clients every call needs credentials.
        let operators = OperatorConfig { bootstrap, ..OperatorConfig::default() };
        let world = World::start_for(&ca, Some(&clients), false, |config| Config { operators, ..config }).await;
        let client = Client::trusting(&ca);
        let who = async |client: &Client| {
            let channel = client.call(&world.address).await.unwrap();
            ServerServiceClient::new(channel).who_am_i(wire::WhoAmIRequest {}).await
        };
        assert_eq!(who(&client).await.unwrap_err().reason(), "CREDENTIALS_MISSING");
        let billing = client.with(clients.issue(&["spiffe://prod.example/billing", "billing.example"]));
        assert_eq!(who(&billing).await.unwrap_err().reason(), "OPERATOR_UNKNOWN");
        let token = std::fs::read_to_string(&key_file).unwrap();
        for name in ["dns:billing.example", "spiffe://prod.example/billing"] {
            let mut request = tonic::Request::new(wire::AddMemberRequest {
                project: "workspace".into(),
                org_id: "team".into(),
                user_id: name.into(),
                ..Default::default()
            });
            request.metadata_mut().insert("authorization", format!("Bearer {}", token.trim()).parse().unwrap());
            let channel = client.call(&world.address).await.unwrap();
            MembershipServiceClient::new(channel).add_member(request).await.unwrap();
            // The SPIFFE id comes first.
            let known = who(&billing).await.unwrap().into_inner();
            assert_eq!((&*known.operator, &*known.credential), (name, "certificate"));
        }
        world.running.stop().await;
    });
}
