//! Who may watch, and what they see: W2, W6.

use rolecall::wire::{self, ApiKeyScope, Environment, WatchRequest, WatchResponse};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status, Streaming};

use crate::fixture::{Project, roles};
use crate::operators::on_both;
use crate::refusals::{Details, refused};
use crate::server::Server;
use crate::watch::{all_said, next};

/// Watches with a key. The first message is taken.
pub async fn watch(server: &Server, token: &str, request: WatchRequest) -> Result<Streaming<WatchResponse>, Status> {
    let mut request = Request::new(request);
    let authorization = MetadataValue::try_from(format!("Bearer {token}")).unwrap();
    request.metadata_mut().insert("authorization", authorization);
    let mut stream = server.watch(request).await?;
    next(&mut stream).await?;
    Ok(stream)
}

/// Returns what a watch says until its end, and the error that ends it. `None` if no error does.
async fn rest(mut stream: Streaming<WatchResponse>) -> (Vec<String>, Option<Status>) {
    let mut said = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(message)) => said.extend(all_said(&message.changes)),
            Ok(None) => return (said, None),
            Err(status) => return (said, Some(status)),
        }
    }
}

async fn archive(server: &Server, api_key_id: &str) {
    let request = wire::ArchiveApiKeyRequest { api_key_id: api_key_id.into(), ..Default::default() };
    server.archive_api_key(request).await.unwrap();
}

#[test]
fn w6_a_watch_ends_when_its_key_is_archived_or_its_operator_removed() {
    on_both(async |server| {
        server.operator("root", "Owner").await;
        let (id, token) = server.key("root", Environment::Live, ApiKeyScope::default()).await;
        let stream = watch(server, &token, WatchRequest::default()).await.unwrap();
        archive(server, &id).await;
        let (_, status) = rest(stream).await;
        let status = status.unwrap();
        assert_eq!((status.code(), &*status.reason()), (Code::Unauthenticated, "API_KEY_ARCHIVED"));
        assert_eq!(watch(server, &token, WatchRequest::default()).await.unwrap_err().code(), Code::Unauthenticated);

        let dev = server.operator("dev", "Developer").await;
        let stream = watch(server, &dev, WatchRequest::default()).await.unwrap();
        Project { server, key: "workspace" }.remove("team", "dev").await;
        let status = rest(stream).await.1.unwrap();
        assert_eq!((status.code(), &*status.reason()), (Code::Unauthenticated, "API_KEY_ARCHIVED"));
    });
}

#[test]
fn w6_a_key_of_one_org_sees_only_its_org_until_the_org_is_deleted() {
    on_both(async |server| {
        let project = server.single();
        project.permission("see").await;
        project.mapping("Paid").await;
        project.org("acme", "").await;
        project.org("globex", "Paid").await;
        project.add("acme", "ann", &roles(&["Member"])).await;
        server.operator("root", "Owner").await;
        let scope = ApiKeyScope { project: "default".into(), org_id: "acme".into(), ..Default::default() };
        let (_, token) = server.key("root", Environment::Live, scope).await;
        for other in ["", "globex"] {
            let request = WatchRequest { org_id: other.into(), ..Default::default() };
            refused(watch(server, &token, request).await, "API_KEY_SCOPE");
        }
        let of_acme = WatchRequest { org_id: "acme".into(), ..Default::default() };
        let mut stream = watch(server, &token, of_acme.clone()).await.unwrap();
        let block = async |user: &str| {
            let request = wire::BlockUserRequest { user_id: user.into(), ..Default::default() };
            server.block_user(request).await.unwrap();
        };
        project.add("globex", "eve", &roles(&["Member"])).await;
        project.add("acme", "bob", &roles(&["Member"])).await;
        block("ann").await;
        // No member of acme: its id is not shown.
        block("eve").await;
        project.grant("Default", "Member", &["see"]).await;
        let (mut said, head) = (Vec::new(), server.head().await.number);
        let number = |message: &WatchResponse| rolecall::engine::Token::decode(&message.revision).unwrap().number;
        loop {
            let message = next(&mut stream).await.unwrap();
            said.extend(all_said(&message.changes));
            if number(&message) >= head {
                break;
            }
        }
        let expected = [
            "AddMember MEMBER acme bob",
            "BlockUser MEMBER acme ann",
            "BlockUser ORG acme",
            "UpdateRoleMapping ORG acme",
        ];
        assert_eq!(said, expected);
        project.delete_org("acme").await;
        let (said, status) = rest(stream).await;
        assert_eq!(said, ["DeleteOrg ORG acme"]);
        assert_eq!(status.unwrap().reason(), "API_KEY_SCOPE");
        refused(watch(server, &token, of_acme).await, "API_KEY_SCOPE");
    });
}

#[test]
fn w6_a_watch_of_a_deleted_project_ends_after_its_deletion() {
    on_both(async |server| {
        server.multi().await;
        server.operator("root", "Owner").await;
        let request = || WatchRequest { project: "multi".into(), ..Default::default() };
        let live = server.key("root", Environment::Live, ApiKeyScope::default()).await.1;
        refused(watch(server, &live, request()).await, "API_KEY_ENVIRONMENT");
        let scope = ApiKeyScope { project: "multi".into(), ..Default::default() };
        let token = server.key("root", Environment::Test, scope).await.1;
        refused(watch(server, &token, WatchRequest::default()).await, "API_KEY_ENVIRONMENT");
        let stream = watch(server, &token, request()).await.unwrap();
        let free = server.watch(request()).await.unwrap();
        let delete =
            wire::DeleteProjectRequest { project: "multi".into(), confirm: "multi".into(), ..Default::default() };
        server.delete_project(delete).await.unwrap();
        for stream in [stream, free] {
            let (said, status) = rest(stream).await;
            assert_eq!((said, status.map(|status| status.reason())), (vec!["DeleteProject PROJECT".to_string()], None));
        }
        refused(server.watch(request()).await, "PROJECT_NOT_FOUND");
    });
}

#[test]
fn w8_watching_the_workspace_needs_two_permissions() {
    on_both(async |server| {
        let request = || WatchRequest { project: "workspace".into(), ..Default::default() };
        let owner = server.operator("root", "Owner").await;
        let mut stream = watch(server, &owner, request()).await.unwrap();
        let dev = server.operator("dev", "Developer").await;
        let refused = watch(server, &dev, request()).await.unwrap_err();
        assert_eq!(refused.reason(), "OPERATOR_PERMISSION_MISSING");
        let mut said = Vec::new();
        while said.is_empty() {
            said = all_said(&next(&mut stream).await.unwrap().changes);
        }
        assert_eq!(said, ["AddMember MEMBER team dev"]);
    });
}
