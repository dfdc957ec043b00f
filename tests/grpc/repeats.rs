//! Repeated requests (A4), and what a commit records (A1).

use std::sync::Arc;

use futures_util::future::join_all;
use prost::Message;
use rolecall::wire;
use tonic::Request;

use crate::contract::{Contract, requests, shop};
use crate::fixture::roles;
use crate::refusals::refused;
use crate::server::on_both;

/// The fields that the responses of all writes have.
#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(string, tag = "100")]
    revision: String,
    #[prost(bool, tag = "101")]
    replayed: bool,
}

/// The impact in such a response.
#[derive(Clone, PartialEq, Message)]
struct Impact {
    #[prost(bytes = "vec", tag = "102")]
    impact: Vec<u8>,
}

fn creating(org_id: &str, request_id: &str) -> wire::CreateOrgRequest {
    wire::CreateOrgRequest { org_id: org_id.into(), request_id: request_id.into(), ..Default::default() }
}

fn by<T>(actor: &'static str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("rolecall-actor", actor.parse().unwrap());
    request
}

#[test]
fn a4_a_repeat_of_any_write_returns_the_first_answer_and_changes_nothing() {
    let contract = Contract::read();
    let writes: Vec<&str> = contract.writes().map(|method| method.path.as_str()).collect();
    on_both(async |server| {
        shop(server).await;
        let raw = server.raw().await;
        let mut first_answers = Vec::new();
        let mut repeated = std::collections::BTreeSet::new();
        for (method, request) in requests(server).await {
            // Requests without a request id only show another form of a `oneof`.
            if !writes.contains(&method) || !String::from_utf8_lossy(&request).contains("request-") {
                continue;
            }
            let before = server.settled().await;
            let first = raw.call(method, &request).await.unwrap_or_else(|status| panic!("{method}: {status:?}"));
            assert_eq!(server.callers_commits_since(before).await.len(), 1, "{method} is one commit");
            assert!(!Answer::decode(first.clone()).unwrap().replayed, "{method}");
            first_answers.push((method, request, first));
            repeated.insert(method);
        }
        assert_eq!(repeated.len(), writes.len(), "every write is repeated");
        // A restarted server repeats the first answers too.
        let server = {
            repeats_all(server, &first_answers).await;
            server.restarted().await
        };
        repeats_all(&server, &first_answers).await;
    });
}

async fn repeats_all(server: &crate::server::Server, first_answers: &[(&str, Vec<u8>, bytes::Bytes)]) {
    let raw = server.raw().await;
    for (method, request, first) in first_answers {
        let again = server.storing_nothing(raw.call(method, request)).await.unwrap();
        // A token is returned once (W6).
        let mut first = first.clone();
        if let Ok(created) = wire::CreateApiKeyResponse::decode(first.clone())
            && !created.token.is_empty()
            && method.ends_with("CreateApiKey")
        {
            first = wire::CreateApiKeyResponse { token: String::new(), ..created }.encode_to_vec().into();
        }
        // Equal byte for byte, except for `replayed` before the impact.
        let impact = Impact::decode(first.clone()).unwrap().encode_to_vec();
        assert!(impact.len() > 32, "{method} returns its impact");
        let marked = [first.strip_suffix(&*impact).unwrap(), &b"\xa8\x06\x01"[..], &impact].concat();
        assert_eq!(again, marked, "{method}");
        assert!(Answer::decode(again).unwrap().replayed);
    }
}

#[test]
fn a4_another_body_with_the_same_request_id_is_refused() {
    on_both(async |server| {
        let project = server.single();
        server.create_org(creating("acme", "once")).await.unwrap();
        server
            .storing_nothing(async {
                let differing = [
                    creating("globex", "once"),
                    wire::CreateOrgRequest { display_name: "Acme".into(), ..creating("acme", "once") },
                    wire::CreateOrgRequest { reason: "because".into(), ..creating("acme", "once") },
                ];
                for request in differing {
                    let refused = refused(server.create_org(request).await, "REQUEST_ID_REUSED");
                    assert_eq!(refused.fields(), ["request_id"]);
                }
                // A call of another RPC is another request, whatever its body.
                let member = wire::AddMemberRequest { request_id: "once".into(), ..project.adding("acme", "ann", &[]) };
                refused(server.add_member(member).await, "REQUEST_ID_REUSED");
                let permission =
                    wire::CreatePermissionRequest { name: "p".into(), request_id: "once".into(), ..Default::default() };
                refused(server.create_permission(permission).await, "REQUEST_ID_REUSED");
            })
            .await;
    });
}

#[test]
fn a4_request_ids_of_different_projects_are_independent() {
    on_both(async |server| {
        let project = |key: &str| wire::CreateProjectRequest {
            key: key.into(),
            environment: wire::Environment::Live.into(),
            request_id: "1".into(),
            ..Default::default()
        };
        let org = |project: &str| wire::CreateOrgRequest { project: project.into(), ..creating("acme", "2") };
        let keys = ["shop", "forum"];
        for key in keys {
            assert!(!server.create_project(project(key)).await.unwrap().replayed, "{key}");
            assert!(!server.create_org(org(key)).await.unwrap().replayed, "{key}");
        }
        // An empty name means `default`.
        assert!(!server.create_org(org("")).await.unwrap().replayed);
        refused(server.create_org(org("default")).await, "REQUEST_ID_REUSED");
        let server = server.restarted().await;
        for key in keys {
            assert!(server.create_project(project(key)).await.unwrap().replayed, "{key}");
            assert!(server.create_org(org(key)).await.unwrap().replayed, "{key}");
            let request = wire::CreateOrgRequest { request_id: "1".into(), ..org(key) };
            refused(server.create_org(request).await, "REQUEST_ID_REUSED");
            // A repeated deletion still finds the first answer.
            let deleting = wire::DeleteProjectRequest {
                project: key.into(),
                confirm: key.into(),
                force: true,
                request_id: "3".into(),
                ..Default::default()
            };
            assert!(!server.delete_project(deleting.clone()).await.unwrap().replayed);
            assert!(server.delete_project(deleting).await.unwrap().replayed);
        }
    });
}

#[test]
fn a4_request_ids_of_different_callers_are_independent() {
    on_both(async |server| {
        let first = server.create_org(by("support", creating("", "once"))).await.unwrap();
        let second = server.create_org(by("billing", creating("", "once"))).await.unwrap();
        let third = server.create_org(creating("", "once")).await.unwrap();
        let ids = [&first, &second, &third].map(|answer| answer.org.as_ref().unwrap().org_id.clone());
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        let again = server.create_org(by("billing", creating("", "once"))).await.unwrap();
        assert_eq!(again, wire::CreateOrgResponse { replayed: true, ..second });
    });
}

#[test]
fn a4_concurrent_repeats_are_one_commit_and_all_return_its_answer() {
    on_both(async |server| {
        let before = server.head().await;
        let answers = join_all((0..24).map(|_| server.create_org(creating("", "once")))).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(server.head().await.number, before.number + 1);
        assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
        assert!(answers.iter().all(|answer| answer.org == answers[0].org && answer.revision == answers[0].revision));
    });
}

#[test]
fn a4_of_different_concurrent_requests_with_one_id_one_is_committed() {
    on_both(async |server| {
        let before = server.head().await;
        let orgs: Vec<String> = (0..12).map(|number| format!("org-{number}")).collect();
        let answers = join_all(orgs.iter().map(|org| server.create_org(creating(org, "once")))).await;
        assert_eq!(server.head().await.number, before.number + 1);
        let (done, other): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(done.len(), 1);
        for answer in other {
            refused(answer, "REQUEST_ID_REUSED");
        }
    });
}

#[test]
fn a4_a_refused_write_is_not_remembered() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let setting = wire::SetMemberRolesRequest {
            request_id: "once".into(),
            ..project.setting("acme", "ann", &roles(&["Admin"]))
        };
        server
            .storing_nothing(async {
                refused(server.set_member_roles(setting.clone()).await, "MEMBER_NOT_FOUND");
                refused(server.set_member_roles(setting.clone()).await, "MEMBER_NOT_FOUND");
            })
            .await;
        project.add("acme", "ann", &[]).await;
        assert!(!server.set_member_roles(setting.clone()).await.unwrap().replayed);
        assert!(server.set_member_roles(setting).await.unwrap().replayed);
    });
}

#[test]
fn a4_a_repeat_returns_the_first_answer_even_after_other_changes() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let adding = wire::AddMemberRequest { request_id: "once".into(), ..project.adding("acme", "ann", &[]) };
        let first = server.add_member(adding.clone()).await.unwrap();
        project.set("acme", "ann", &roles(&["Owner"])).await;
        project.remove("acme", "ann").await;
        let again = server.storing_nothing(server.add_member(adding)).await.unwrap();
        assert_eq!(again, wire::AddMemberResponse { replayed: true, ..first });
    });
}

#[test]
fn a4_validate_only_neither_reads_nor_stores_a_request_id() {
    on_both(async |server| {
        let preview = |request: wire::CreateOrgRequest| wire::CreateOrgRequest { validate_only: true, ..request };
        // A preview does not store the request id: the real call is the first one.
        server.storing_nothing(server.create_org(preview(creating("acme", "once")))).await.unwrap();
        let first = server.create_org(creating("acme", "once")).await.unwrap();
        assert!(!first.replayed);
        // A preview does not read it: the request is decided again, and another body is accepted.
        server
            .storing_nothing(async {
                refused(server.create_org(preview(creating("acme", "once"))).await, "ORG_ALREADY_EXISTS");
                let other = server.create_org(preview(creating("globex", "once"))).await.unwrap();
                assert!(!other.replayed);
            })
            .await;
        assert!(server.create_org(creating("acme", "once")).await.unwrap().replayed);
    });
}

#[test]
fn a4_without_a_request_id_nothing_is_remembered() {
    on_both(async |server| {
        server.create_org(creating("acme", "")).await.unwrap();
        refused(server.create_org(creating("acme", "")).await, "ORG_ALREADY_EXISTS");
    });
}

#[test]
fn a1_every_commit_records_its_actor_reason_and_method() {
    let contract = Contract::read();
    on_both(async |server| {
        shop(server).await;
        let writes: Vec<&str> = contract.writes().map(|method| method.path.as_str()).collect();
        let raw = server.raw().await;
        for (method, request) in requests(server).await {
            if !writes.contains(&method) {
                continue;
            }
            let before = server.settled().await;
            let body = crate::raw::framed(0, &request);
            raw.send(method, &[("rolecall-actor", "jane@support.example")], body).await.unwrap();
            let commits = server.callers_commits_since(before).await;
            let [commit] = &commits[..] else { panic!("{method}: {} commits", commits.len()) };
            assert_eq!(method.rsplit('/').next(), Some(&*commit.kind));
            assert_eq!(&*commit.actor, "jane@support.example");
            let reasoned = String::from_utf8_lossy(&request).contains("because");
            assert_eq!(&*commit.reason, if reasoned { "because" } else { "" });
            assert!(!commit.changes.is_empty() && commit.revision.at > before.at);
        }
        let before = server.settled().await;
        server.create_org(creating("nameless", "")).await.unwrap();
        assert_eq!(server.commits_since(before).await[0].actor, Arc::from("local"));
    });
}

#[test]
fn a1_the_first_commit_is_made_by_the_actor_system() {
    on_both(async |server| {
        let commits = server.commits_since(Default::default()).await;
        let [first, workspace @ ..] = &commits[..] else { panic!("no commit") };
        assert!(workspace.iter().all(|commit| *commit.actor == *"system"));
        assert_eq!((&*first.actor, &*first.kind, first.revision.number), ("system", "CreateProject", 1));
    });
}

#[test]
fn a1_an_actor_is_printable_and_bounded_and_not_system() {
    on_both(async |server| {
        let raw = server.raw().await;
        let body = crate::raw::framed(0, &creating("acme", "").encode_to_vec());
        for actor in ["", &"x".repeat(257), "zo\u{eb}", "a\tb", "system"] {
            let headers = [("rolecall-actor", actor)];
            let answer = raw.send("rolecall.v1.OrgService/CreateOrg", &headers, body.clone());
            let refused = refused(server.storing_nothing(answer).await, "INVALID_FIELD");
            assert_eq!(refused.fields(), ["rolecall-actor"], "{actor:?}");
        }
        let longest = "x".repeat(256);
        raw.send("rolecall.v1.OrgService/CreateOrg", &[("rolecall-actor", &longest)], body).await.unwrap();
    });
}
