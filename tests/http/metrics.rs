//! How calls over HTTP and of Envoy are counted.

use std::collections::BTreeMap;

use rolecall::server::{Config, Listen, MetricsListen};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::authzen::question;
use crate::client::{ask, request, send};
use crate::envoy;
use crate::guarded::http;
use crate::server::Server;
use crate::support;

/// Returns the number of calls by `system method status`, without those of Rolecall's own services and of health.
async fn counts(server: &Server) -> BTreeMap<String, u64> {
    let page = send(&server.metrics(), request("GET", "/metrics", &[], "")).await;
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    let counts = page.lines().filter_map(|line| line.strip_prefix("rpc_server_call_duration_seconds_count{"));
    let read = |line: &str| {
        let (labels, count) = line.rsplit_once("} ").unwrap();
        let values: Vec<&str> = labels.split(',').map(|label| label.split('"').nth(1).unwrap()).collect();
        (values.join(" "), count.parse().unwrap())
    };
    let of_gateways = |call: &String| !["grpc rolecall.", "grpc grpc."].iter().any(|other| call.starts_with(other));
    counts.map(read).filter(|(call, _)| of_gateways(call)).collect()
}

#[test]
fn calls_over_http_and_of_envoy_have_their_method_and_their_status() {
    support::on_both(async |database| {
        let metrics = MetricsListen::At(Listen::Tcp("127.0.0.1:0".into()));
        let gateways = http(envoy::gateways(envoy::MAPPING));
        let configured = |config| Config { gateways, metrics, ..config };
        let server = Server::start_configured(database.url.clone(), configured).await;
        let address = server.http_address();
        let asked = question("ann", "invoices.view", "acme");
        let post = async |path: &str, headers: &[(&str, &str)]| {
            send(&address, request("POST", path, headers, asked.to_string())).await.status
        };
        assert_eq!(ask(&address, "evaluation", &[], &asked).await.status, 200);
        assert_eq!(post("/access/v1/evaluation", &[("authorization", "Bearer rk_live_x")]).await, 401);
        assert_eq!(post("/projects/default/access/v1/evaluation", &[]).await, 200);
        assert_eq!(post("/projects/nowhere/access/v1/evaluation", &[]).await, 404);
        assert_eq!(post("/made/up", &[]).await, 404);
        assert_eq!(send(&address, request("GET", "/access/v1/evaluation", &[], "")).await.status, 405);
        let described = "/.well-known/authzen-configuration/projects/shop";
        assert_eq!(send(&address, request("GET", described, &[], "")).await.status, 200);
        let of_envoy = envoy::request("GET", "/orgs/acme/invoices", &[], &[("sub", "ann")]);
        assert_eq!(envoy::ask(&server, of_envoy).await.unwrap(), "403 ORG_NOT_FOUND");
        let mut cut_off = TcpStream::connect(address.to_string()).await.unwrap();
        let head = "POST /access/v1/evaluation HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        cut_off.write_all(format!("{head}content-length: 100\r\n\r\n{{").as_bytes()).await.unwrap();
        cut_off.shutdown().await.unwrap();
        cut_off.read_to_end(&mut Vec::new()).await.unwrap();
        let expected = [
            "grpc _OTHER UNIMPLEMENTED",
            "grpc envoy.service.auth.v3.Authorization/Check OK",
            "http .well-known/authzen-configuration/projects/{project} OK",
            "http access/v1/evaluation CANCELLED",
            "http access/v1/evaluation OK",
            "http access/v1/evaluation UNAUTHENTICATED",
            "http access/v1/evaluation UNIMPLEMENTED",
            "http projects/{project}/access/v1/evaluation NOT_FOUND",
            "http projects/{project}/access/v1/evaluation OK",
        ];
        assert_eq!(counts(&server).await, expected.map(|call| (call.to_owned(), 1)).into());
        server.stop().await;
    });
}
