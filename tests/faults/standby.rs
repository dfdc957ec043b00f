//! A server whose connections lead to a primary and to a standby that lags, as behind a pooler that balances reads.

use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::server::{Listen, Running};
use rolecall::wire::{self, Decision, check_request::Question, consistency::Requirement};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::database::serve;
use crate::support::cluster::{CUT, Cluster, psql};
use crate::support::proxy::Proxy;

/// Membership changes. By hand more are tried: `ROLECALL_TEST_CHANGES=2000`.
const CHANGES: usize = 200;

async fn start(database: String) -> (Running, Channel) {
    let server = serve(&database).await.unwrap();
    let Listen::Tcp(address) = &server.addresses[0] else { unreachable!("the test listens on TCP") };
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    (server, channel)
}

#[tokio::test(flavor = "multi_thread")]
async fn k4_a_server_that_also_reads_a_standby_is_never_wrong() {
    let Some(primary) = Cluster::start(&["recovery_min_apply_delay = 300"]) else { return };
    let (writing, channel) = start(primary.url()).await;
    let standby = primary.standby();
    let proxy = Proxy::to(primary.port).await;
    let (reading, checking) = start(format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port)).await;
    // From now on every second connection leads to the standby.
    proxy.lead_in_turn(&[standby.port, primary.port]);
    psql(&primary.url(), CUT);
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
