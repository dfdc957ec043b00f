//! HTTP sockets have the protections of gRPC sockets.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rolecall::authzen::Authzen;
use rolecall::server::{Bootstrap, Config, ConnectionLimits, Gateways, Listen, OperatorConfig, Running, TlsFiles};
use rolecall::wire;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

use crate::client::{Answer, ask, request, send, send_over};
use crate::fixture::roles;
use crate::guarded::http;
use crate::server::Server;
use crate::support::certificates::Ca;
use crate::support::{block_on, sqlite};

const NAME: &str = "rolecall.example";

fn config(database: &str, gateways: Gateways) -> Config {
    Config {
        gateways,
        drain: Duration::from_secs(60),
        ..Config::new(database, vec![Listen::Tcp("127.0.0.1:0".into())])
    }
}

fn question() -> serde_json::Value {
    json!({
        "subject": { "type": "user", "id": "ann" },
        "action": { "name": "view" },
        "resource": { "type": "org", "id": "acme" },
    })
}

#[test]
fn w3_an_http_socket_beyond_this_machine_needs_tls_and_authentication() {
    block_on(async {
        let database = sqlite();
        let gateways = Gateways { http_listen: vec![Listen::Tcp("0.0.0.0:0".into())], ..Gateways::default() };
        let operators = OperatorConfig { authentication: Some(false), ..OperatorConfig::default() };
        let open = Config { operators, ..config(&database.url, gateways.clone()) };
        let refused = Running::start(open).await.map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("TLS and no authentication"), "{refused}");
        // Without a mode, credentials are required as soon as other machines can connect over HTTP.
        let folder = tempfile::tempdir().unwrap();
        let bootstrap = Bootstrap::File(folder.path().join("key"));
        let operators = OperatorConfig { bootstrap, ..OperatorConfig::default() };
        let insecure =
            |gateways| Config { operators: operators.clone(), insecure: true, ..config(&database.url, gateways) };
        // The host that a stranger names is not where others are sent.
        let refused = Running::start(insecure(gateways.clone())).await.map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("--authzen-url"), "{refused}");
        let authzen = Authzen { url: "https://rolecall.example".into(), ..Authzen::default() };
        let server = Running::start(insecure(Gateways { authzen, ..gateways })).await.unwrap();
        assert!(server.authentication);
        server.stop().await;
    });
}

#[test]
fn an_address_in_use_names_its_flag() {
    block_on(async {
        let database = sqlite();
        let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = Listen::Tcp(taken.local_addr().unwrap().to_string());
        let gateways = Gateways { http_listen: vec![listen], ..Gateways::default() };
        let refused = Running::start(config(&database.url, gateways)).await.map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("in use") && refused.contains("--http-listen"), "{refused}");
    });
}

#[test]
fn w3_certificates_and_user_ids_are_credentials_over_http_too() {
    block_on(async {
        let (database, folder, ca) = (sqlite(), tempfile::tempdir().unwrap(), Ca::new("root"));
        let own = std::fs::metadata(folder.path()).unwrap().uid();
        let open = Server::start(database.url.clone(), Default::default()).await;
        for operator in [format!("uid:{own}"), "dns:billing.example".into()] {
            open.operator(&operator, "Owner").await;
        }
        open.stop().await;
        let file = |name: &str| folder.path().join(name);
        let (server_identity, client_identity) = (ca.issue(&[NAME]), ca.issue(&["billing.example"]));
        std::fs::write(file("cert.pem"), &server_identity.certificate).unwrap();
        std::fs::write(file("key.pem"), &server_identity.key).unwrap();
        std::fs::write(file("ca.pem"), &ca.certificate).unwrap();
        let tls = TlsFiles {
            certificate: file("cert.pem"),
            key: file("key.pem"),
            client_ca: Some(file("ca.pem")),
            client_certificate_required: false,
            poll: Duration::from_secs(60),
        };
        let http_listen = vec![Listen::Tcp("127.0.0.1:0".into()), Listen::Unix(file("http.sock"))];
        let gateways = Gateways { http_listen, ..Gateways::default() };
        let running = Running::start(Config { tls: Some(tls), ..config(&database.url, gateways) }).await.unwrap();
        let tcp = running.http_addresses[0].to_string();
        let over_tls = async |config: ClientConfig| -> Answer {
            let stream = TcpStream::connect(&tcp).await.unwrap();
            let stream = TlsConnector::from(Arc::new(config)).connect(NAME.try_into().unwrap(), stream).await.unwrap();
            let body = question().to_string();
            send_over(stream, request("POST", "/access/v1/evaluation", &[], body)).await
        };
        for protocols in [vec![], vec![b"h2".to_vec(), b"http/1.1".to_vec()]] {
            let mut stranger = ca.client_config();
            stranger.alpn_protocols = protocols.clone();
            assert_eq!(over_tls(stranger).await.reason(), "CREDENTIALS_MISSING");
            let mut known = ca.client_config_with(&client_identity);
            known.alpn_protocols = protocols;
            let answer = over_tls(known).await;
            assert_eq!(
                (answer.status, &answer.json()["context"]["reason"]),
                (200, &json!("ORG_NOT_FOUND")),
                "{answer:?}"
            );
        }
        let answer = ask(&running.http_addresses[1], "evaluation", &[], &question()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        // The description names the protocol.
        let described =
            send(&running.http_addresses[1], request("GET", "/.well-known/authzen-configuration", &[], "")).await;
        assert_eq!(described.json()["policy_decision_point"], "https://rolecall.example");
        running.stop().await;
        assert!(!file("http.sock").exists());
    });
}

#[test]
fn http_sockets_do_not_serve_grpc_and_grpc_sockets_do_not_serve_authzen() {
    block_on(async {
        let database = sqlite();
        let configured = |config| Config { gateways: http(Gateways::default()), ..config };
        let server = Server::start_configured(database.url.clone(), configured).await;
        for path in [
            "/rolecall.v1.CheckService/Check",
            "/grpc.health.v1.Health/Check",
            "/",
            "/access/v1",
            "/access/v1/evaluation/",
        ] {
            let answer = send(&server.http_address(), request("POST", path, &[], crate::raw::framed(0, b""))).await;
            assert_eq!(answer.status, 404, "{path}: {answer:?}");
        }
        let wrong_method = send(&server.http_address(), request("GET", "/access/v1/evaluation", &[], "")).await;
        assert_eq!((wrong_method.status, wrong_method.header("allow")), (405, "POST"), "{wrong_method:?}");
        let headers = [("content-type", "application/json")];
        let refused = server.raw().await.send("access/v1/evaluation", &headers, question().to_string().into()).await;
        assert_eq!(refused.unwrap_err().code(), tonic::Code::Unimplemented);
        server.stop().await;
    });
}

/// Returns a server with these limits, and its HTTP address.
async fn limited(database: &str, connections: ConnectionLimits) -> (Server, String) {
    let configured = |config| Config { gateways: http(Gateways::default()), connections, ..config };
    let server = Server::start_configured(database.into(), configured).await;
    let address = server.http_address().to_string();
    (server, address)
}

#[test]
fn slow_large_and_idle_requests_are_bounded() {
    block_on(async {
        let (database, short, limits) = (sqlite(), Duration::from_millis(100), ConnectionLimits::default());
        // A client that sends nothing is closed.
        let (server, address) = limited(&database.url, ConnectionLimits { handshake: short, ..limits }).await;
        let mut stream = TcpStream::connect(&address).await.unwrap();
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 0);
        server.stop().await;
        // A body that does not arrive in time.
        let (server, address) = limited(&database.url, ConnectionLimits { body: short, ..limits }).await;
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = "POST /access/v1/evaluation HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408");
        server.stop().await;
        // A connection without a next request is closed.
        let (server, address) = limited(&database.url, ConnectionLimits { idle: short, ..limits }).await;
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = "GET /.well-known/authzen-configuration HTTP/1.1\r\nhost: a\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        server.stop().await;
        // A head that is too large.
        let (server, _) = limited(&database.url, limits).await;
        let large = "x".repeat(17 << 10);
        let refused = send(&server.http_address(), request("GET", "/", &[("x-large", &large)], "")).await;
        assert_eq!(refused.status, 431);
        server.stop().await;
    });
}

#[test]
fn an_overload_is_503_and_says_when_to_try_again() {
    block_on(async {
        let database = sqlite();
        let connections = ConnectionLimits { call_bytes: 1, ..ConnectionLimits::default() };
        let gateways = http(Gateways::default());
        let running = Running::start(Config { connections, ..config(&database.url, gateways) }).await.unwrap();
        let refused = ask(&running.http_addresses[0], "evaluation", &[("x-request-id", "7")], &question()).await;
        assert_eq!((refused.status, &*refused.reason()), (503, "OVERLOADED"), "{refused:?}");
        assert_eq!((refused.header("retry-after"), refused.header("x-request-id")), ("1", "7"));
        running.stop().await;
    });
}

#[test]
fn one_connection_answers_many_requests_and_ends_when_the_server_stops() {
    block_on(async {
        let database = sqlite();
        let configured = |config| Config { gateways: http(Gateways::default()), ..config };
        let server = Server::start_configured(database.url.clone(), configured).await;
        let project = server.single();
        project.permission("view").await;
        project.role("Viewer").await;
        project.grant("Default", "Viewer", &["view"]).await;
        project.org("acme", "Default").await;
        project.add("acme", "ann", &roles(&["Viewer"])).await;
        let stream = TcpStream::connect(server.http_address().to_string()).await.unwrap();
        let (mut sender, connection) = handshake::<_, Full<bytes::Bytes>>(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        for number in 0..100 {
            // A change shows at once.
            if number == 50 {
                let request = wire::BlockUserRequest { user_id: "ann".into(), ..Default::default() };
                server.block_user(request).await.unwrap();
            }
            sender.ready().await.unwrap();
            let body = question().to_string();
            let answer = sender.send_request(request("POST", "/access/v1/evaluation", &[], body)).await.unwrap();
            let json: serde_json::Value =
                serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
            assert_eq!(json["decision"], number < 50, "{number}: {json}");
        }
        // The client holds the connection open. The server does not wait for it.
        server.stop().await;
        connection.await.unwrap().unwrap();
        drop(sender);
    });
}
