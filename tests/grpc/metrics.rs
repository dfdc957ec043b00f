//! The page of metrics: its counts are those of the client.

mod documents;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::limits::Limits;
use rolecall::server::{Config, Listen, MetricsListen};
use rolecall::wire::{
    self, BatchCheckRequest, CheckItem, CheckRequest, Decision, NumberedCheck, StreamCheckRequest, WatchRequest,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Status;

use crate::contract::shop;
use crate::operators::{Caller, may_ann_see_invoices};
use crate::server::Server;
use crate::sidecar::Sidecar;
use crate::support;

/// The test fails if what it waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
const CHECK: &str = "rolecall.v1.CheckService/Check";
const BATCH_CHECK: &str = "rolecall.v1.CheckService/BatchCheck";
const STREAM_CHECK: &str = "rolecall.v1.CheckService/StreamCheck";

/// Values by name and labels, as they are in the text.
type Values = BTreeMap<String, f64>;

/// Runs a test on both databases, on a server that serves metrics.
fn on_both(test: impl AsyncFn(&Server)) {
    support::on_both(async |database| {
        let metrics = MetricsListen::At(Listen::Tcp("127.0.0.1:0".into()));
        test(&Server::start_configured(database.url.clone(), |config| Config { metrics, ..config }).await).await;
    });
}

/// Asks for a page of the listener of metrics. Returns the status line and the body.
async fn get(address: &Listen, path: &str) -> (String, String) {
    let Listen::Tcp(address) = address else { panic!("{address} is no TCP address") };
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

async fn page(address: &Listen) -> String {
    let (status, page) = get(address, "/metrics").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    page
}

fn values(page: &str) -> Values {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.into(), value.parse().unwrap()))
        .collect()
}

impl Server {
    async fn values(&self) -> Values {
        values(&page(&self.metrics()).await)
    }
}

/// Returns what has grown of the metrics whose names begin with this.
fn grown(before: &Values, after: &Values, name: &str) -> Values {
    let of_name = after.iter().filter(|(key, _)| key.starts_with(name));
    let grown = of_name.map(|(key, value)| (key.clone(), value - before.get(key).unwrap_or(&0.0)));
    grown.filter(|(_, by)| *by != 0.0).collect()
}

fn call(method: &str, code: &str) -> String {
    format!(
        "rpc_server_call_duration_seconds_count{{rpc_system_name=\"grpc\",rpc_method=\"{method}\",\
         rpc_response_status_code=\"{code}\"}}"
    )
}

/// Counts what the client sees.
#[derive(Default)]
struct Counted {
    calls: Values,
    decisions: Values,
}

impl Counted {
    fn call(&mut self, method: &str, code: &str) {
        *self.calls.entry(call(method, code)).or_default() += 1.0;
    }

    fn decision(&mut self, method: &str, decision: Decision) {
        let decision = decision.as_str_name().trim_start_matches("DECISION_");
        let key = format!("rolecall_decisions_total{{rpc_method=\"{method}\",decision=\"{decision}\"}}");
        *self.decisions.entry(key).or_default() += 1.0;
    }

    fn check(&mut self, answer: Result<wire::CheckResponse, Status>, otherwise: &str) {
        match answer {
            Ok(answer) => {
                self.call(CHECK, "OK");
                self.decision(CHECK, answer.decision());
            }
            Err(_) => self.call(CHECK, otherwise),
        }
    }
}

fn asking(org_id: &str, user_id: &str, permission: &str) -> CheckRequest {
    let question = Some(wire::check_request::Question::Permission(permission.into()));
    CheckRequest { org_id: org_id.into(), user_id: user_id.into(), question, ..Default::default() }
}

#[test]
fn metrics_agree_with_what_the_client_counted() {
    on_both(async |server| {
        shop(server).await;
        let (mut counted, before) = (Counted::default(), server.values().await);
        for _ in 0..5 {
            counted.check(server.check(may_ann_see_invoices("acme")).await, "");
        }
        for (org_id, user_id, permission) in
            [("acme", "olga", "invoices.view"), ("acme", "nobody", "invoices.view"), ("acme", "ann", "nothing")]
        {
            counted.check(server.check(asking(org_id, user_id, permission)).await, "");
        }
        let elsewhere = CheckRequest { project: "nowhere".into(), ..may_ann_see_invoices("acme") };
        counted.check(server.check(elsewhere).await, "NOT_FOUND");
        counted.check(server.check(asking("", "ann", "invoices.view")).await, "INVALID_ARGUMENT");

        let users = ["ann", "", "nobody", "ann"];
        let items = users.map(|user_id| CheckItem {
            org_id: "acme".into(),
            user_id: user_id.into(),
            permission: "invoices.view".into(),
        });
        for _ in 0..3 {
            let request = BatchCheckRequest { items: items.to_vec(), ..Default::default() };
            let answer = server.batch_check(request).await.unwrap();
            counted.call(BATCH_CHECK, "OK");
            assert_eq!(answer.errors_total, 1);
            answer
                .decisions()
                .filter(|it| *it != Decision::Unspecified)
                .for_each(|it| counted.decision(BATCH_CHECK, it));
        }

        let check = |number, user_id| {
            let check = Some(asking("acme", user_id, "invoices.view"));
            NumberedCheck { number, check }
        };
        let request = StreamCheckRequest { checks: vec![check(1, "ann"), check(2, ""), check(3, "nobody")] };
        let mut client = CheckServiceClient::new(server.channel.clone());
        let mut stream = client.stream_check(tokio_stream::once(request)).await.unwrap().into_inner();
        while let Some(answer) = stream.message().await.unwrap() {
            let decided = answer.answers.iter().filter(|answer| answer.error.is_none());
            decided.for_each(|answer| counted.decision(STREAM_CHECK, answer.decision()));
        }
        counted.call(STREAM_CHECK, "OK");

        let org = || wire::CreateOrgRequest { org_id: "new".into(), ..Default::default() };
        server.create_org(org()).await.unwrap();
        counted.call("rolecall.v1.OrgService/CreateOrg", "OK");
        server.create_org(org()).await.unwrap_err();
        counted.call("rolecall.v1.OrgService/CreateOrg", "ALREADY_EXISTS");
        let raw = server.raw().await;
        raw.call("rolecall.v1.OrgService/NoSuchMethod", &[]).await.unwrap_err();
        counted.call("_OTHER", "UNIMPLEMENTED");
        let stranger = Caller::new(server, "rc_live_made_up").await;
        stranger
            .call::<wire::ListOrgsResponse>("OrgService/ListOrgs", &wire::ListOrgsRequest::default())
            .await
            .unwrap_err();
        counted.call("rolecall.v1.OrgService/ListOrgs", "UNAUTHENTICATED");

        let after = server.values().await;
        assert_eq!(grown(&before, &after, "rpc_server_call_duration_seconds_count"), counted.calls);
        assert_eq!(grown(&before, &after, "rolecall_decisions_total"), counted.decisions);
        for (name, by) in [
            (format!("rolecall_check_errors_total{{rpc_method=\"{BATCH_CHECK}\"}}"), 3.0),
            (format!("rolecall_check_errors_total{{rpc_method=\"{STREAM_CHECK}\"}}"), 1.0),
            (format!("rolecall_batch_checks_count{{rpc_method=\"{BATCH_CHECK}\"}}"), 3.0),
            (format!("rolecall_batch_checks_sum{{rpc_method=\"{BATCH_CHECK}\"}}"), 12.0),
            (format!("rolecall_batch_checks_sum{{rpc_method=\"{STREAM_CHECK}\"}}"), 3.0),
            ("rolecall_writes_total{outcome=\"accepted\"}".into(), 1.0),
            ("rolecall_writes_total{outcome=\"refused\"}".into(), 1.0),
            ("rolecall_commits_total".into(), 1.0),
            ("rolecall_commit_changes_count".into(), 1.0),
            ("rolecall_commit_changes_sum".into(), 1.0),
            ("rolecall_revision".into(), 1.0),
            ("rolecall_write_group_commands_count".into(), 2.0),
            ("rolecall_state_entries{kind=\"org\"}".into(), 1.0),
            ("rolecall_unauthenticated_calls_total".into(), 1.0),
            ("rolecall_database_operation_duration_seconds_count{operation=\"commit\"}".into(), 1.0),
        ] {
            assert_eq!(after[&name] - before[&name], by, "{name}");
        }
        assert_eq!(after["rolecall_database_up"], 1.0);
        assert!(after["process_resident_memory_bytes"] > 1e6);
    });
}

#[test]
fn refused_calls_of_operators_are_counted() {
    on_both(async |server| {
        let (member, before) = (Caller::operator(server, "max", "ReadOnly").await, server.values().await);
        let request = wire::CreateOrgRequest { org_id: "new".into(), ..Default::default() };
        let refused = member.call::<wire::CreateOrgResponse>("OrgService/CreateOrg", &request).await;
        assert_eq!(refused.unwrap_err().code(), tonic::Code::PermissionDenied);
        let after = server.values().await;
        let calls = grown(&before, &after, "rpc_server_call_duration_seconds_count");
        assert_eq!(calls, Values::from([(call("rolecall.v1.OrgService/CreateOrg", "PERMISSION_DENIED"), 1.0)]));
        let denied = grown(&before, &after, "rolecall_denied_calls_total");
        assert_eq!(denied, Values::from([("rolecall_denied_calls_total".into(), 1.0)]));
    });
}

#[test]
fn a_watch_is_counted_while_it_is_open_and_is_cancelled_when_its_client_leaves() {
    on_both(async |server| {
        let streams = "rolecall_feed_streams{feed=\"watch\"}";
        let mut watch = server.watch(WatchRequest::default()).await.unwrap();
        watch.message().await.unwrap();
        assert_eq!(server.values().await[streams], 1.0);
        drop(watch);
        let began = Instant::now();
        loop {
            let values = server.values().await;
            let cancelled = values.get(&call("rolecall.v1.WatchService/Watch", "CANCELLED")).copied();
            if (values[streams], cancelled) == (0.0, Some(1.0)) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{:?} streams, {cancelled:?} cancelled", values[streams]);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn a_sidecar_counts_its_checks_and_its_connections_to_upstreams() {
    on_both(async |server| {
        shop(server).await;
        let sidecar = Sidecar::with_metrics(server).await;
        let address = sidecar.running.metrics.as_ref().unwrap().address.clone();
        sidecar.check(may_ann_see_invoices("acme")).await.unwrap();
        let began = Instant::now();
        while values(&page(&address).await)["rolecall_sidecar_following"] != 1.0 {
            assert!(began.elapsed() < PATIENCE, "it does not follow");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (of_sidecar, of_server) = (values(&page(&address).await), server.values().await);
        assert_eq!(of_sidecar[&call(CHECK, "OK")], 1.0);
        assert_eq!(of_sidecar["rolecall_sidecar_connects_total"], 1.0);
        assert_eq!(sidecar.running.sidecar.followed().as_ref(), Some(&server.address));
        for kind in ["org", "membership"] {
            let name = format!("rolecall_state_entries{{kind=\"{kind}\"}}");
            assert!(of_sidecar[&name] > 0.0, "{name}");
        }
        assert_eq!(of_server["rolecall_feed_streams{feed=\"follow\"}"], 1.0);
        sidecar.running.stop().await;
    });
}

#[test]
fn only_one_page_is_served_and_its_listener_stops_with_the_server() {
    on_both(async |server| {
        let address = server.metrics();
        let (status, body) = get(&address, "/").await;
        assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 404 Not Found", "metrics are at /metrics\n"));
        server.stop().await;
        let Listen::Tcp(address) = address else { panic!("{address} is no TCP address") };
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    });
}

#[test]
fn nothing_is_served_unless_it_is_configured() {
    support::on_both(async |database| {
        let server = Server::start(database.url.clone(), Limits::default()).await;
        assert!(!server.serves_metrics());
    });
}
