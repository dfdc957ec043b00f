//! A sidecar answers what checks need over HTTP, and names its servers for the rest.

use std::sync::Arc;
use std::time::Duration;

use rolecall::limits::Limits;
use rolecall::server::sidecar::{RunningSidecar, SidecarConfig};
use rolecall::server::{ConnectionLimits, Gateways, Listen, MetricsListen};
use rolecall::sidecar::upstream::{Client, Connect, Credentials, client};
use serde_json::json;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::client::{ask, request, send};
use crate::envoy;
use crate::fixture::roles;
use crate::guarded::http;
use crate::server::on_both;

struct Upstream(String);

#[tonic::async_trait]
impl Connect for Upstream {
    fn address(&self) -> &str {
        &self.0
    }

    async fn connect(&self) -> Result<Client, String> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.0)).unwrap();
        Ok(client(endpoint.connect().await.map_err(|error| error.to_string())?, Credentials(None)))
    }
}

fn config(server: &str, gateways: Gateways) -> SidecarConfig {
    SidecarConfig {
        follows: rolecall::sidecar::Config {
            upstreams: vec![Arc::new(Upstream(server.into()))],
            projects: Vec::new(),
            file: None,
        },
        listen: vec![Listen::Tcp("127.0.0.1:0".into())],
        metrics: MetricsListen::Off,
        gateways,
        socket_mode: 0o600,
        uids: None,
        staleness_max: None,
        refuses_stale: false,
        connections: ConnectionLimits::default(),
        batch_check_items: Limits::default().batch_check_items,
        drain: Duration::from_secs(5),
    }
}

async fn grpc(sidecar: &RunningSidecar) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", sidecar.addresses[0])).unwrap();
    endpoint.connect().await.unwrap()
}

#[test]
fn a_sidecar_evaluates_and_searches_for_actions() {
    on_both(async |server| {
        let shop = server.single();
        shop.permission("view").await;
        shop.role("Viewer").await;
        shop.grant("Default", "Viewer", &["view"]).await;
        shop.org("acme", "Default").await;
        shop.add("acme", "ann", &roles(&["Viewer"])).await;
        let gateways = http(envoy::gateways(envoy::MAPPING));
        let sidecar = RunningSidecar::start(config(&server.address, gateways)).await.unwrap();
        assert_eq!(envoy::health(grpc(&sidecar).await).await, Ok(ServingStatus::Serving));
        let address = &sidecar.http_addresses[0];
        let asked = json!({
            "subject": { "type": "user", "id": "ann" },
            "action": { "name": "view" },
            "resource": { "type": "org", "id": "acme" },
        });
        assert_eq!(ask(address, "evaluation", &[], &asked).await.json()["decision"], true);
        let all = ask(address, "evaluations", &[], &json!({ "evaluations": [asked] })).await.json();
        assert_eq!(all["evaluations"][0]["decision"], true);
        assert_eq!(ask(address, "search/action", &[], &asked).await.json()["results"], json!([{ "name": "view" }]));
        for search in ["subject", "resource"] {
            let refused = ask(address, &format!("search/{search}"), &[], &asked).await;
            assert_eq!((refused.status, &*refused.reason()), (501, "SIDECAR_READ_ONLY"), "{search}");
            assert!(refused.json()["error"]["message"].as_str().unwrap().contains(&server.address));
        }
        let described = send(address, request("GET", "/.well-known/authzen-configuration", &[], "")).await.json();
        assert_eq!(described["access_evaluation_endpoint"], "http://rolecall.example/access/v1/evaluation");
        assert!(
            described.get("search_subject_endpoint").is_none() && described.get("search_action_endpoint").is_some()
        );
        sidecar.stop().await;
    });
}

#[test]
fn a_sidecar_that_is_too_old_answers_neither_yes_nor_no() {
    on_both(async |server| {
        let gateways = http(envoy::gateways(envoy::MAPPING));
        let stale = SidecarConfig {
            staleness_max: Some(Duration::ZERO),
            refuses_stale: true,
            ..config(&server.address, gateways)
        };
        let sidecar = RunningSidecar::start(stale).await.unwrap();
        assert_eq!(envoy::health(grpc(&sidecar).await).await, Ok(ServingStatus::NotServing));
        let asked = json!({
            "subject": { "type": "user", "id": "ann" },
            "action": { "name": "view" },
            "resource": { "type": "org", "id": "acme" },
        });
        for (endpoint, body) in [("evaluation", &asked), ("evaluations", &json!({ "evaluations": [asked] }))] {
            let refused = ask(&sidecar.http_addresses[0], endpoint, &[], body).await;
            assert_eq!((refused.status, &*refused.reason()), (503, "STATE_TOO_OLD"), "{refused:?}");
            assert_eq!(refused.header("retry-after"), "1");
            assert!(refused.json().get("decision").is_none());
        }
        sidecar.stop().await;
    });
}

#[test]
fn an_http_socket_of_a_sidecar_must_be_local() {
    on_both(async |server| {
        let gateways = Gateways { http_listen: vec![Listen::Tcp("0.0.0.0:0".into())], ..Gateways::default() };
        let refused =
            RunningSidecar::start(config(&server.address, gateways)).await.map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("only this machine"), "{refused}");
        let with_uids = SidecarConfig {
            uids: Some(vec![0]),
            listen: vec![Listen::Unix(tempfile::tempdir().unwrap().path().join("r.sock"))],
            ..config(&server.address, http(Gateways::default()))
        };
        assert!(RunningSidecar::start(with_uids).await.is_err(), "user ids are not known over TCP");
    });
}
