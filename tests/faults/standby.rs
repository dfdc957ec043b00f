//! A server whose connections lead to a primary and to a standby that lags, as behind a pooler that balances reads.

use std::time::Duration;

use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::limits::Limits;
use rolecall::server::{Config, Listen, Running};
use rolecall::wire::{self, Decision, check_request::Question, consistency::Requirement};
use sea_orm::{ConnectionTrait, Database};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::support::cluster::Cluster;
use crate::support::proxy::Proxy;

/// Ends the connections through the proxy, so that new ones are made.
const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
/// Membership changes. By hand more are tried: `ROLECALL_TEST_CHANGES=2000`.
const CHANGES: usize = 200;

async fn start(database: String) -> (Running, Channel) {
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let config = Config { database, listen, limits: Limits::default(), drain: Duration::from_secs(5) };
    let server = Running::start(config).await.unwrap();
    let Listen::Tcp(address) = &server.addresses[0] else { unreachable!("the test listens on TCP") };
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    (server, channel)
}

#[tokio::test(flavor = "multi_thread")]
async fn k4_a_server_that_also_reads_a_standby_is_never_wrong() {
    let Some(primary) = Cluster::start(&[]) else { return };
    let (writing, channel) = start(primary.url()).await;
    let standby = primary.standby(300);
    let proxy = Proxy::new(vec![primary.socket()]).await;
    let (reading, checking) = start(proxy.url("postgres")).await;
    // From now on every second connection leads to the standby.
    proxy.lead_to(vec![standby.socket(), primary.socket()]);
    let admin = Database::connect(primary.url()).await.unwrap();
    admin.execute_unprepared(CUT).await.unwrap();
    let mut orgs = OrgServiceClient::new(channel.clone());
    orgs.create_org(wire::CreateOrgRequest { org_id: "acme".into(), ..Default::default() }).await.unwrap();
    let mut members = MembershipServiceClient::new(channel);
    let mut checks = CheckServiceClient::new(checking);
    let changes = std::env::var("ROLECALL_TEST_CHANGES").ok().and_then(|number| number.parse().ok()).unwrap_or(CHANGES);
    let (mut answered, mut unavailable) = (0, 0);
    for change in 0..changes {
        let (org_id, user_id) = ("acme".to_string(), "ann".to_string());
        let added = change % 2 == 0;
        let revision = if added {
            let request = wire::AddMemberRequest { org_id, user_id, ..Default::default() };
            members.add_member(request).await.unwrap().into_inner().revision
        } else {
            let request = wire::RemoveMemberRequest { org_id, user_id, ..Default::default() };
            members.remove_member(request).await.unwrap().into_inner().revision
        };
        for requirement in [Requirement::AtLeast(revision), Requirement::Latest(true)] {
            let request = wire::CheckRequest {
                org_id: "acme".into(),
                user_id: "ann".into(),
                question: Some(Question::Role("Member".into())),
                consistency: Some(wire::Consistency { requirement: Some(requirement) }),
                ..Default::default()
            };
            let expected = if added { Decision::Allowed } else { Decision::NotAMember };
            match checks.check(request).await {
                Ok(answer) => {
                    assert_eq!(answer.into_inner().decision(), expected, "change {change}");
                    answered += 1;
                }
                Err(status) => {
                    assert_eq!(status.code(), Code::Unavailable, "change {change}: {status}");
                    unavailable += 1;
                }
            }
        }
    }
    println!("{changes} changes: {answered} right answers, {unavailable} UNAVAILABLE, 0 wrong");
    assert!(answered > 0, "no check was answered");
    reading.stop().await;
    writing.stop().await;
}
