//! Traces of the binary, as a collector receives them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::wire::{CheckRequest, Consistency, CreateOrgRequest, check_request, consistency::Requirement};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::run::{PATIENCE, Server, both, output, rolecall, serve};
use crate::support::certificates::{Ca, Identity};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Keeps the spans that it receives, and with which token they came.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    token: Arc<Mutex<Option<String>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let token = request.metadata().get("authorization").map(|token| token.to_str().unwrap().into());
        *self.token.lock().unwrap() = token;
        let resources = request.into_inner().resource_spans;
        let spans = resources.into_iter().flat_map(|it| it.scope_spans).flat_map(|it| it.spans);
        self.spans.lock().unwrap().extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Returns a collector and its URL.
    async fn start() -> (Self, String) {
        let (collector, listener) = (Self::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = TraceServiceServer::new(collector.clone());
        let serving = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, url)
    }

    /// Returns a collector with TLS, and its URL.
    async fn start_with_tls(identity: &Identity) -> (Self, String) {
        let (collector, listener) = (Self::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (acceptor, service) = (identity.acceptor(), TraceServiceServer::new(collector.clone()));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A client that does not trust it ends the handshake.
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let service = TowerToHyperService::new(service.clone());
                let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(http2.serve_connection(TokioIo::new(stream), service));
            }
        });
        (collector, url)
    }

    /// Waits until the trace of the test has these spans. Returns them by name.
    async fn trace(&self, names: &[&str]) -> BTreeMap<String, Span> {
        let began = Instant::now();
        loop {
            let spans = self.spans.lock().unwrap().clone();
            let of_trace = spans.into_iter().filter(|span| hex(&span.trace_id) == TRACE);
            let by_name: BTreeMap<String, Span> = of_trace.map(|span| (span.name.clone(), span)).collect();
            if names.iter().all(|name| by_name.contains_key(*name)) {
                return by_name;
            }
            assert!(began.elapsed() < PATIENCE, "{names:?} are expected, and {:?} have come", by_name.keys());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn len(&self) -> usize {
        self.spans.lock().unwrap().len()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn connect(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

fn in_trace<T>(message: T, sampled: bool) -> Request<T> {
    let mut request = Request::new(message);
    let header = format!("00-{TRACE}-{CALLER}-{:02x}", u8::from(sampled));
    request.metadata_mut().insert("traceparent", header.parse().unwrap());
    request
}

fn check(requirement: Requirement) -> CheckRequest {
    CheckRequest {
        org_id: "acme".into(),
        user_id: "ann".into(),
        question: Some(check_request::Question::Permission("invoices.view".into())),
        consistency: Some(Consistency { requirement: Some(requirement) }),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_write_has_its_steps_and_the_log_has_its_id() {
    let (collector, url) = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--otlp-endpoint", &url, "--trace-sample-ratio", "0", "--log", "debug"];
    let mut server = Server::start(folder.path(), &flags);
    let mut orgs = OrgServiceClient::new(connect(&server.address).await);
    let create = || CreateOrgRequest { org_id: "acme".into(), ..Default::default() };
    // Neither is sampled: the caller says no, and chance never says yes.
    orgs.create_org(in_trace(CreateOrgRequest { org_id: "unsampled".into(), ..Default::default() }, false))
        .await
        .unwrap();
    orgs.create_org(CreateOrgRequest { org_id: "no-parent".into(), ..Default::default() }).await.unwrap();
    orgs.create_org(in_trace(create(), true)).await.unwrap();

    let method = "rolecall.v1.OrgService/CreateOrg";
    let steps = ["begin", "decide", "persist", "commit"];
    let spans = collector.trace(&[&[method, "queue", "group"], &steps[..]].concat()).await;
    let parent = |name: &str| hex(&spans[name].parent_span_id);
    assert_eq!(parent(method), CALLER);
    for name in ["queue", "group"] {
        assert_eq!(parent(name), hex(&spans[method].span_id), "{name}");
    }
    for name in steps {
        assert_eq!(parent(name), hex(&spans["group"].span_id), "{name}");
    }
    assert_eq!(collector.len(), spans.len(), "a call that is not sampled has no span");
    let attributes: Vec<&str> = spans[method].attributes.iter().map(|it| it.key.as_str()).collect();
    for name in ["rpc.system.name", "rpc.method", "rpc.response.status_code"] {
        assert!(attributes.contains(&name), "{name} is not in {attributes:?}");
    }

    orgs.create_org(in_trace(create(), true)).await.unwrap_err();
    let logged =
        |server: &Server| server.logs().lines().any(|line| line.contains("call failed") && line.contains(TRACE));
    server.wait_for("the failed call is logged with its trace", logged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_sidecar_goes_on_in_its_upstream() {
    let (collector, url) = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--otlp-endpoint", &url, "--trace-sample-ratio", "0"];
    let server = Server::start(folder.path(), &flags);
    let mut command = rolecall(folder.path());
    command
        .args(["sidecar", "--listen", "127.0.0.1:0", "--no-snapshot-file", "--upstream", &server.address])
        .args(["--http-listen", "127.0.0.1:0"])
        .args(flags);
    let sidecar = Server::listening(&mut command);
    let mut checks = CheckServiceClient::new(connect(&sidecar.address).await);
    // It asks the upstream for the newest revision.
    let began = Instant::now();
    while checks.check(in_trace(check(Requirement::Latest(true)), true)).await.is_err() {
        assert!(began.elapsed() < PATIENCE, "the sidecar does not follow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let upstream = "rolecall.replication.v1.ReplicationService/ReadRevision";
    let spans = collector.trace(&["rolecall.v1.CheckService/Check", upstream]).await;
    assert!(!spans[upstream].parent_span_id.is_empty());

    // A sidecar does not search, which is an error of the server: 501.
    assert_eq!(post(&sidecar.http_address(), "/access/v1/search/subject").await, 501);
    let spans = collector.trace(&["POST /access/v1/search/subject"]).await;
    let refused = &spans["POST /access/v1/search/subject"];
    assert_eq!(refused.status.as_ref().unwrap().code(), StatusCode::Error);
    assert_eq!((&*attribute(refused, "http.response.status_code"), &*attribute(refused, "error.type")), ("501", "501"));
}

/// Sends a request of HTTP in the trace of the test, and returns its status.
async fn post(address: &str, path: &str) -> u16 {
    let body = r#"{"subject":{"type":"user","id":"ann"},"action":{"name":"invoices.view"},"resource":{"type":"org","id":"acme"}}"#;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         traceparent: 00-{TRACE}-{CALLER}-01\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Returns an attribute as text. Empty if the span has none.
fn attribute(span: &Span, key: &str) -> String {
    let value = span.attributes.iter().find(|it| it.key == key).and_then(|it| it.value.clone()?.value);
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        None => String::new(),
        Some(other) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_span_of_an_http_call_has_the_route_and_no_project() {
    let (collector, url) = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--otlp-endpoint", &url, "--trace-sample-ratio", "0", "--http-listen", "127.0.0.1:0"];
    let server = Server::start(folder.path(), &flags);
    let to = server.http_address();
    assert_eq!(post(&to, "/access/v1/evaluation").await, 200);
    assert_eq!(post(&to, "/projects/nowhere/access/v1/evaluation").await, 404);
    assert_eq!(post(&to, "/projects/nowhere/made/up").await, 404);

    let names = ["POST /access/v1/evaluation", "POST /projects/{project}/access/v1/evaluation", "POST"];
    let spans = collector.trace(&names).await;
    for (name, path, status) in [
        (names[0], "/access/v1/evaluation", "200"),
        (names[1], "/projects/REDACTED/access/v1/evaluation", "404"),
        (names[2], "/projects/REDACTED/made/up", "404"),
    ] {
        let span = &spans[name];
        assert_eq!(hex(&span.parent_span_id), CALLER, "{name}");
        assert_eq!(span.kind(), SpanKind::Server, "{name}");
        // Only the faults of a server are errors.
        assert_eq!(span.status.clone().unwrap_or_default().code(), StatusCode::Unset, "{name}");
        for (key, expected) in [
            ("http.request.method", "POST"),
            ("http.route", name.trim_start_matches("POST").trim_start()),
            ("http.response.status_code", status),
            ("url.path", path),
            ("url.scheme", "http"),
            ("error.type", ""),
            ("rpc.system.name", ""),
        ] {
            assert_eq!(attribute(span, key), expected, "{name}: {key}");
        }
        assert!(!format!("{span:?}").contains("nowhere"), "{span:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_with_tls_and_a_token_is_reached() {
    let ca = Ca::new("ca");
    let (collector, url) = Collector::start_with_tls(&ca.issue(&["127.0.0.1"])).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, &ca.certificate).unwrap();
    let other = folder.path().join("other.pem");
    std::fs::write(&other, Ca::new("other").certificate).unwrap();
    let start = |endpoint: &[(&str, &str)], ca: (&str, &Path)| {
        let mut command = serve(folder.path());
        command.args(["--listen", "127.0.0.1:0", "--trace-sample-ratio", "0"]).env(ca.0, ca.1);
        Server::listening(command.envs(endpoint.iter().copied()))
    };
    let create = async |server: &Server, org_id: &str| {
        let mut orgs = OrgServiceClient::new(connect(&server.address).await);
        orgs.create_org(in_trace(CreateOrgRequest { org_id: org_id.into(), ..Default::default() }, true))
            .await
            .unwrap();
    };
    let method = "rolecall.v1.OrgService/CreateOrg";

    // Its own CA, and those of the system.
    let own = [("ROLECALL_OTLP_ENDPOINT", &*url), ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret")];
    let of_all = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url)];
    for (number, (endpoint, ca, token)) in [
        (&own[..], ("ROLECALL_OTLP_CA", &*file), Some("Bearer secret")),
        (&of_all, ("OTEL_EXPORTER_OTLP_CERTIFICATE", &file), None),
        (&of_all, ("SSL_CERT_FILE", &file), None),
    ]
    .into_iter()
    .enumerate()
    {
        let server = start(endpoint, ca);
        create(&server, &format!("org-{number}")).await;
        collector.trace(&[method]).await;
        assert_eq!(collector.token.lock().unwrap().as_deref(), token, "{ca:?}");
        assert!(!server.logs().contains("secret"), "{}", server.logs());
        server.stop();
        collector.spans.lock().unwrap().clear();
    }

    let mut distrusting = start(&of_all, ("ROLECALL_OTLP_CA", &other));
    create(&distrusting, "org-9").await;
    distrusting.wait_for("it is logged", |server| server.logs().contains("traces cannot be exported"));
    assert!(distrusting.logs().contains("invalid peer certificate"), "{}", distrusting.logs());
    assert_eq!(collector.len(), 0);
}

#[test]
fn a_collector_that_cannot_be_used_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, headers, said) in [
        (&["--otlp-endpoint", "127.0.0.1:4317"][..], "", "must be `https://HOST:PORT`"),
        (&["--otlp-endpoint", "https://127.0.0.1:1", "--otlp-ca", "missing.pem"], "", "give a PEM file with --otlp-ca"),
        (&["--otlp-endpoint", "http://127.0.0.1:1", "--otlp-ca", "missing.pem"], "", "write `https://`"),
        (&["--otlp-endpoint", "http://127.0.0.1:1"], "Bearer secret", "OTEL_EXPORTER_OTLP_HEADERS is not"),
    ] {
        for command in [&["serve"][..], &["sidecar", "--upstream", "127.0.0.1:1", "--no-snapshot-file"]] {
            let mut command_line = rolecall(folder.path());
            command_line.args(command).args(arguments).env("OTEL_EXPORTER_OTLP_HEADERS", headers);
            let refused = output(&mut command_line);
            let printed = both(&refused);
            assert_eq!(refused.status.code(), Some(1), "{arguments:?}: {printed}");
            assert!(printed.contains(said) && !printed.contains("secret"), "{arguments:?}: {printed}");
        }
    }
    assert!(!folder.path().join("rolecall.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_its_collector_serves_and_says_once_that_spans_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut server =
        Server::start(folder.path(), &["--otlp-endpoint", "http://127.0.0.1:1", "--trace-sample-ratio", "1"]);
    let mut orgs = OrgServiceClient::new(connect(&server.address).await);
    orgs.create_org(CreateOrgRequest { org_id: "acme".into(), ..Default::default() }).await.unwrap();
    server.wait_for("it is logged", |server| server.logs().contains("traces cannot be exported"));
}
