//! The feed of sidecars: what it sends, and when a follower needs a snapshot.

use std::collections::BTreeSet;

use prost::Message;
use rolecall::engine::Token;
use rolecall::grpc::generated::replication::replication_service_client::ReplicationServiceClient;
use rolecall::wire;
use rolecall::wire::replication::read_snapshot_response::Frame;
use rolecall::wire::replication::{FollowRequest, ReadSnapshotRequest, Revision};
use tonic::Code;

use crate::contract::shop;
use crate::operators::may_ann_see_invoices;
use crate::refusals::Details;
use crate::server::{Server, on_both};
use crate::sidecar::{Sidecar, at_least};

/// Returns the bytes of everything that a sidecar is fed with.
async fn fed(server: &Server) -> Vec<u8> {
    let mut client = ReplicationServiceClient::new(server.channel.clone());
    let request = ReadSnapshotRequest { version: 1, projects: Vec::new() };
    let mut frames = client.read_snapshot(request).await.unwrap().into_inner();
    let mut bytes = Vec::new();
    while let Some(frame) = frames.message().await.unwrap() {
        bytes.extend(frame.encode_to_vec());
    }
    let token = Token::decode(&server.token().await).unwrap();
    let commits = server.app().store.commits_since(rolecall::domain::Revision::default(), 1).await.unwrap();
    let first = commits[0].revision;
    let after = Revision { store_id: token.store_id, number: first.number, tag: first.tag, time_micros: 0 };
    let request = FollowRequest { version: 1, projects: Vec::new(), after: Some(after), ..Default::default() };
    let mut frames = client.follow(request).await.unwrap().into_inner();
    let mut number = 0;
    while number < token.number {
        let frame = frames.message().await.unwrap().unwrap();
        number = frame.after + frame.commits.len() as u64;
        bytes.extend(frame.encode_to_vec());
    }
    bytes
}

#[test]
fn a_sidecar_gets_no_texts_for_people_no_addresses_and_no_keys() {
    on_both(async |server| {
        const SECRET: &str = "CONFIDENTIAL";
        let secret = || SECRET.to_string();
        shop(server).await;
        let shop = server.single();
        let names = wire::CreateOrgRequest {
            org_id: "initech".into(),
            display_name: secret(),
            metadata: secret(),
            reason: secret(),
            ..Default::default()
        };
        server.create_org(names).await.unwrap();
        let role = wire::CreateRoleRequest { name: "Viewer".into(), description: secret(), ..Default::default() };
        server.create_role(role).await.unwrap();
        let permission =
            wire::CreatePermissionRequest { name: "a.b".into(), description: secret(), ..Default::default() };
        server.create_permission(permission).await.unwrap();
        let mapping =
            wire::CreateRoleMappingRequest { name: "Gold".into(), description: secret(), ..Default::default() };
        server.create_role_mapping(mapping).await.unwrap();
        let project = wire::CreateProjectRequest {
            key: "second".into(),
            display_name: secret(),
            environment: wire::Environment::Test.into(),
            ..Default::default()
        };
        server.create_project(project).await.unwrap();
        let invitation = wire::CreateInvitationRequest {
            org_id: "acme".into(),
            email: format!("{SECRET}@acme.example"),
            roles: vec!["Member".into()],
            ..Default::default()
        };
        server.create_invitation(invitation).await.unwrap();
        let operator = server.operator(SECRET, "Owner").await;
        shop.add("initech", "peter", &crate::fixture::roles(&["Viewer"])).await;

        let bytes = fed(server).await;
        let contains = |text: &str| {
            let folded = bytes.to_ascii_uppercase();
            folded.windows(text.len()).any(|window| window == text.to_ascii_uppercase().as_bytes())
        };
        for needed in ["initech", "peter", "Viewer", "a.b", "Gold", "second"] {
            assert!(contains(needed), "{needed}");
        }
        for unneeded in [SECRET, ".example", "workspace", &operator[..16], "team.manage"] {
            assert!(!contains(unneeded), "{unneeded}");
        }
    });
}

#[test]
fn a_follower_learns_that_it_needs_a_snapshot() {
    on_both(async |server| {
        shop(server).await;
        let token = Token::decode(&server.token().await).unwrap();
        let mut client = ReplicationServiceClient::new(server.channel.clone());
        let mut follow = async |number: u64, tag: u32, store_id: u32| {
            let after = Some(Revision { store_id, number, tag, time_micros: 0 });
            let request = FollowRequest { version: 1, projects: Vec::new(), after, ..Default::default() };
            let mut frames = client.follow(request).await?.into_inner();
            frames.message().await
        };
        for (number, tag, store_id) in [
            (token.number, !token.tag, token.store_id),
            (token.number, token.tag, !token.store_id),
            (token.number + 5, token.tag, token.store_id),
            (2, !token.tag, token.store_id),
        ] {
            let status = follow(number, tag, store_id).await.unwrap_err();
            assert_eq!((status.code(), &*status.reason()), (Code::FailedPrecondition, "REVISION_OF_ANOTHER_HISTORY"));
        }
        let frame = follow(token.number, token.tag, token.store_id).await.unwrap().unwrap();
        assert!(frame.commits.is_empty() && frame.age_millis.is_some());

        let mut client = ReplicationServiceClient::new(server.channel.clone());
        let unknown = ReadSnapshotRequest { version: 1, projects: vec!["nowhere".into()] };
        assert_eq!(client.read_snapshot(unknown).await.unwrap_err().reason(), "PROJECT_NOT_FOUND");
        for version in [0, 2] {
            let request = ReadSnapshotRequest { version, projects: Vec::new() };
            assert_eq!(client.read_snapshot(request).await.unwrap_err().code(), Code::InvalidArgument);
        }
        let mut frames =
            client.read_snapshot(ReadSnapshotRequest { version: 1, projects: vec!["deserted".into()] }).await.unwrap();
        let mut projects = BTreeSet::new();
        while let Some(frame) = frames.get_mut().message().await.unwrap() {
            if let Some(Frame::Changes(changes)) = frame.frame {
                projects.insert(changes.project);
            }
        }
        assert_eq!(projects.len(), 1);
    });
}

#[test]
fn a_follower_behind_the_kept_history_reads_a_new_snapshot() {
    on_both(async |server| {
        shop(server).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("copy");
        let sidecar = Sidecar::start(server, None, &[], Some(file.clone())).await;
        let before = Token::decode(&server.token().await).unwrap();
        sidecar.running.stop().await;
        server.single().org("later", "").await;
        server.single().org("latest", "").await;
        // Of the history only the newest commit stays. A restarted server does not have the others in memory.
        while server.app().store.delete_old_history(rolecall::clock::now()).await.unwrap() {}
        let server = server.restarted().await;
        let mut client = ReplicationServiceClient::new(server.channel.clone());
        let after = Revision { store_id: before.store_id, number: before.number, tag: before.tag, time_micros: 0 };
        let request = FollowRequest { version: 1, projects: Vec::new(), after: Some(after), ..Default::default() };
        let refused = match client.follow(request).await {
            Err(status) => status,
            Ok(frames) => frames.into_inner().message().await.unwrap_err(),
        };
        assert_eq!(refused.reason(), "REVISION_TOO_OLD");
        let sidecar = Sidecar::start(&server, None, &[], Some(file)).await;
        let token = server.token().await;
        let ask = wire::CheckRequest { consistency: at_least(&token), ..may_ann_see_invoices("latest") };
        let decision = sidecar.check(ask).await.unwrap().decision();
        assert_eq!(decision, wire::Decision::NotAMember, "the org is there");
        sidecar.running.stop().await;
        server.stop().await;
    });
}
