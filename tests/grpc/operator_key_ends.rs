//! API keys: who archives them, and that they end with the membership of their operator (W6, W7).

use std::time::{Duration, Instant};

use rolecall::clock;
use rolecall::limits::EXPIRED_SECONDS;
use rolecall::wire::{self, ApiKeyScope, Environment};
use tonic::{Code, Status};

use crate::fixture::{in_an_hour, soon, temporary, wait_until};
use crate::operators::{Caller, on_both};
use crate::refusals::Details;
use crate::server::Server;

async fn archive(caller: &Caller, api_key_id: &str) -> Result<wire::ArchiveApiKeyResponse, Status> {
    let request = wire::ArchiveApiKeyRequest { api_key_id: api_key_id.into(), ..Default::default() };
    caller.call("ApiKeyService/ArchiveApiKey", &request).await
}

/// Adds an operator with a temporary role. Returns the operator as a caller with a key.
async fn temporary_operator(server: &Server, id: &str, expire_time: prost_types::Timestamp) -> Caller {
    let request = wire::AddMemberRequest {
        project: "workspace".into(),
        org_id: "team".into(),
        user_id: id.into(),
        roles: vec![temporary("Developer", expire_time)],
        ..Default::default()
    };
    server.add_member(request).await.unwrap();
    let (_, token) = server.key(id, Environment::Live, ApiKeyScope::default()).await;
    Caller::new(server, &token).await
}

#[test]
fn w7_a_key_of_another_operator_is_archived_by_those_who_may_manage_the_operator() {
    on_both(async |server| {
        let owner = Caller::operator(server, "owner", "Owner").await;
        let admin = Caller::operator(server, "admin", "Admin").await;
        let dev = Caller::operator(server, "dev", "Developer").await;
        server.operator("other-dev", "Developer").await;
        let key = async |operator: &str| server.key(operator, Environment::Live, ApiKeyScope::default()).await.0;
        for (caller, operator, reason) in [
            (&dev, "owner", "ACTING_USER_MISSING_PERMISSION"),
            (&dev, "other-dev", "ACTING_USER_MISSING_PERMISSION"),
            (&admin, "owner", "ROLE_OUT_OF_SCOPE"),
        ] {
            let id = key(operator).await;
            let before = server.head().await;
            let refused = archive(caller, &id).await.unwrap_err();
            assert_eq!((refused.code(), &*refused.reason()), (Code::PermissionDenied, reason), "{operator}");
            assert_eq!(server.head().await, before);
            archive(&owner, &id).await.unwrap();
            // Archiving it again changes nothing, and needs the same.
            assert_eq!(archive(caller, &id).await.unwrap_err().reason(), reason, "{operator}");
        }
        for (caller, operator) in [(&dev, "dev"), (&admin, "dev"), (&admin, "admin"), (&owner, "admin")] {
            let answer = archive(caller, &key(operator).await).await.unwrap();
            assert!(answer.api_key.unwrap().archive_time.is_some());
        }
    });
}

#[test]
fn w6_an_operator_who_is_added_again_after_the_role_expired_gets_no_earlier_key() {
    on_both(async |server| {
        let expiry = soon();
        let temp = temporary_operator(server, "temp", expiry).await;
        wait_until(&expiry).await;
        assert_eq!(temp.add_operator("friend", "ReadOnly").await.unwrap_err().code(), Code::PermissionDenied);
        let root = Caller::operator(server, "root", "Owner").await;
        let request = wire::CreateApiKeyRequest {
            display_name: "late".into(),
            operator: "temp".into(),
            environment: Environment::Live.into(),
            ..Default::default()
        };
        assert_eq!(root.create_key(request.clone()).await.unwrap_err().reason(), "MEMBER_NOT_FOUND");
        root.add_operator("temp", "Owner").await.unwrap();
        let refused = temp.who_am_i().await.unwrap_err();
        assert_eq!((refused.code(), &*refused.reason()), (Code::Unauthenticated, "API_KEY_ARCHIVED"));
        root.create_key(request).await.unwrap();
    });
}

#[test]
fn w6_the_system_archives_the_keys_of_operators_that_it_removes() {
    on_both(async |server| {
        temporary_operator(server, "temp", in_an_hour()).await;
        let before = server.head().await;
        let micros = (clock::now().0 - (EXPIRED_SECONDS + 60) * 1_000_000).to_string();
        let server = server.restarted_after(&format!("UPDATE temporary_roles SET expire_time = {micros}")).await;
        let began = Instant::now();
        let removal = loop {
            assert!(began.elapsed() < Duration::from_secs(60), "the role is not removed");
            match server.commits_since(before).await.pop() {
                Some(commit) => break commit,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        assert_eq!((removal.kind.as_ref(), removal.actor.as_ref()), ("RemoveExpired", "system"));
        let root = Caller::operator(&server, "root", "Owner").await;
        let request =
            wire::ListApiKeysRequest { operator: "temp".into(), include_archived: true, ..Default::default() };
        let listed: wire::ListApiKeysResponse = root.call("ApiKeyService/ListApiKeys", &request).await.unwrap();
        assert!(matches!(&listed.api_keys[..], [key] if key.archive_time.is_some()), "{:?}", listed.api_keys);
    });
}

#[test]
fn u4_a_key_for_no_activity_makes_no_org_active_and_another_one_does() {
    on_both(async |server| {
        crate::contract::shop(server).await;
        server.operator("root", "Owner").await;
        let key = async |no_activity| {
            let scope = ApiKeyScope { no_activity, ..Default::default() };
            Caller::new(server, &server.key("root", Environment::Live, scope).await.1).await
        };
        let active = async || {
            let answer = server.get_insights(wire::GetInsightsRequest::default()).await.unwrap();
            answer.weekly_active_orgs
        };
        let question = || wire::CheckRequest {
            org_id: "acme".into(),
            user_id: "olga".into(),
            question: Some(wire::check_request::Question::Permission("rolecall::can_invite".into())),
            ..Default::default()
        };
        let batch = wire::BatchCheckRequest {
            items: vec![wire::CheckItem {
                org_id: "acme".into(),
                user_id: "olga".into(),
                permission: "rolecall::can_invite".into(),
            }],
            ..Default::default()
        };
        let silent = key(true).await;
        let before = active().await;
        assert!(silent.check(question()).await.unwrap().allowed);
        let answer: wire::BatchCheckResponse = silent.call("CheckService/BatchCheck", &batch).await.unwrap();
        assert_eq!(answer.decisions, [wire::Decision::Allowed as i32]);
        assert_eq!((before, active().await), (0, 0));
        assert!(key(false).await.check(question()).await.unwrap().allowed);
        assert_eq!(active().await, 1);
    });
}
