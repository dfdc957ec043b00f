//! Traces of the binary, as a collector receives them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::wire::{CheckRequest, Consistency, CreateOrgRequest, check_request, consistency::Requirement};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::run::{PATIENCE, Server, rolecall};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Keeps the spans that it receives.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans;
        let spans = resources.into_iter().flat_map(|it| it.scope_spans).flat_map(|it| it.spans);
        self.0.lock().unwrap().extend(spans);
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

    /// Waits until the trace of the test has these spans. Returns them by name.
    async fn trace(&self, names: &[&str]) -> BTreeMap<String, Span> {
        let began = Instant::now();
        loop {
            let spans = self.0.lock().unwrap().clone();
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
        self.0.lock().unwrap().len()
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
