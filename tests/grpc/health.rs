//! Health, reflection, TCP and unix sockets, and shutdown.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rolecall::wire;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

use rolecall::grpc::generated::org_service_client::OrgServiceClient;

use crate::contract::Contract;
use crate::refusals::explained;
use crate::server::on_both;

/// Returns the status of the whole server and then of each service.
async fn statuses(channel: &Channel, services: &[String]) -> Vec<ServingStatus> {
    let mut health = HealthClient::new(channel.clone());
    let mut statuses = Vec::new();
    for service in [String::new()].iter().chain(services) {
        let request = HealthCheckRequest { service: service.clone() };
        statuses.push(health.check(request).await.unwrap().into_inner().status());
    }
    statuses
}

#[test]
fn every_service_is_serving_over_both_sockets() {
    let services = Contract::read().services;
    assert_eq!(services.len(), 16);
    on_both(async |server| {
        for channel in [server.channel.clone(), server.unix_channel().await] {
            assert_eq!(statuses(&channel, &services).await, [ServingStatus::Serving; 17]);
            let mut health = HealthClient::new(channel);
            let unknown = HealthCheckRequest { service: "rolecall.v1.NoService".into() };
            let status = health.check(unknown).await.unwrap_err();
            assert_eq!(status.code(), Code::NotFound);
            explained(&status, "CALL_FAILED");
            let unknown = HealthCheckRequest { service: "rolecall.v1.NoService".into() };
            let mut watch = health.watch(unknown).await.unwrap().into_inner();
            assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);
            let next = tokio::time::timeout(Duration::from_millis(300), watch.message()).await;
            assert!(next.is_err(), "the watch stays open: {next:?}");
        }
    });
}

#[test]
fn a_write_over_one_socket_is_read_over_the_other() {
    on_both(async |server| {
        let mut unix = OrgServiceClient::new(server.unix_channel().await);
        let request = wire::CreateOrgRequest { org_id: "acme".into(), ..Default::default() };
        unix.create_org(request.clone()).await.unwrap();
        let read = wire::GetOrgRequest { org_id: "acme".into(), ..Default::default() };
        assert_eq!(server.get_org(read).await.unwrap().org.unwrap().org_id, "acme");
        explained(&unix.create_org(request).await.unwrap_err(), "ORG_ALREADY_EXISTS");
    });
}

#[test]
fn without_the_database_only_services_that_need_it_are_not_serving() {
    let services = Contract::read().services;
    on_both(async |server| {
        let info = async || server.get_server_info(wire::GetServerInfoRequest {}).await.unwrap();
        let before = info().await;
        assert_eq!((before.database_away_since, before.lag_revisions), (None, 0));
        assert!(before.schema_version.starts_with('m'), "{}", before.schema_version);
        server.app().store.clone().close().await;
        let expected: Vec<ServingStatus> = std::iter::once("")
            .chain(services.iter().map(String::as_str))
            .map(|service| match service {
                "" | "rolecall.v1.CheckService" | "rolecall.v1.ServerService" => ServingStatus::Serving,
                _ => ServingStatus::NotServing,
            })
            .collect();
        let deadline = Instant::now() + Duration::from_secs(10);
        while statuses(&server.channel, &services).await != expected {
            assert!(Instant::now() < deadline, "{:?}", statuses(&server.channel, &services).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let away_since = info().await.database_away_since.unwrap();
        assert!(away_since.seconds >= before.start_time.unwrap().seconds, "{away_since}");
    });
}

#[test]
fn a_stopping_server_is_not_serving_and_finishes_calls_in_flight() {
    on_both(async |server| {
        let mut watches = Vec::new();
        for service in ["", "rolecall.v1.CheckService", "rolecall.v1.OrgService"] {
            let request = HealthCheckRequest { service: service.into() };
            let mut watch = HealthClient::new(server.channel.clone()).watch(request).await.unwrap().into_inner();
            assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
            watches.push(watch);
        }
        // A write is in flight when the server begins to stop.
        let blocking_write = server.app().store.begin_write().await.unwrap();
        let request = wire::CreateOrgRequest { org_id: "acme".into(), ..Default::default() };
        let in_flight = async {
            let answer = server.create_org(request).await;
            assert_eq!(answer.unwrap().org.unwrap().org_id, "acme");
        };
        let watching = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let stopping = server.stop();
            let notified = async {
                for mut watch in watches {
                    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
                }
                assert!(tokio::net::TcpStream::connect(&server.address).await.is_err(), "new connections are refused");
                blocking_write.rollback().await;
            };
            tokio::join!(stopping, notified);
        };
        let began = Instant::now();
        tokio::join!(in_flight, watching);
        assert!(began.elapsed() < Duration::from_secs(4), "the server waited for the drain deadline");
        assert!(!server.socket.exists(), "the socket file is deleted");
        assert!(server.create_org(wire::CreateOrgRequest::default()).await.is_err());
    });
}

/// Lists the services by a version of reflection.
macro_rules! listed_by {
    ($version:ident, $server:ident) => {{
        use $version::server_reflection_client::ServerReflectionClient;
        use $version::server_reflection_request::MessageRequest;
        use $version::server_reflection_response::MessageResponse;
        let ask = $version::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new($server.channel.clone());
        let mut answers = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
        match answers.message().await.unwrap().unwrap().message_response.unwrap() {
            MessageResponse::ListServicesResponse(list) => list.service.into_iter().map(|it| it.name).collect(),
            other => panic!("{other:?}"),
        }
    }};
}

#[test]
fn reflection_lists_every_service_in_both_versions() {
    let mut expected: BTreeSet<String> = Contract::read().services.into_iter().collect();
    expected.insert("grpc.health.v1.Health".into());
    on_both(async |server| {
        let listed: [BTreeSet<String>; 2] = [listed_by!(v1, server), listed_by!(v1alpha, server)];
        assert!(listed.iter().all(|listed| expected.is_subset(listed)), "{listed:?}");
    });
}

#[test]
fn reflection_knows_the_details_of_errors() {
    on_both(async |server| {
        use v1::server_reflection_request::MessageRequest;
        use v1::server_reflection_response::MessageResponse;
        let mut client = v1::server_reflection_client::ServerReflectionClient::new(server.channel.clone());
        for symbol in ["google.rpc.ErrorInfo", "google.rpc.QuotaFailure", "rolecall.v1.Decision"] {
            let ask = v1::ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::FileContainingSymbol(symbol.into())),
            };
            let mut answers = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
            let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
            assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{symbol}: {answer:?}");
        }
    });
}
