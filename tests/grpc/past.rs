//! Checks as of the past, and what changed a decision: A3.

use std::time::Duration;

use prost::Message;
use rolecall::domain::Time;
use rolecall::engine::Token;
use rolecall::wire::{self, Decision, timestamp};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::contract::{requests, shop};
use crate::fixture::{after, temporary, wait_until};
use crate::operators::{self, Caller};
use crate::raw::framed;
use crate::refusals::Details;
use crate::server::{Server, on_both};

const PROJECTS: [&str; 3] = ["default", "deserted", "sandbox"];
const ORGS: [&str; 3] = ["acme", "globex", "nova"];
const USERS: [&str; 4] = ["ann", "bea", "olga", "zoe"];
const PERMISSIONS: [&str; 2] = ["invoices.view", "invoices.pay"];

fn asking(org: &str, user: &str, permission: &str) -> wire::CheckRequest {
    wire::CheckRequest {
        org_id: org.into(),
        user_id: user.into(),
        question: Some(wire::check_request::Question::Permission(permission.into())),
        ..Default::default()
    }
}

fn changing(check: &wire::CheckRequest) -> wire::ExplainChangeRequest {
    wire::ExplainChangeRequest::decode(&*check.encode_to_vec()).unwrap()
}

/// All questions of the test.
fn questions() -> Vec<wire::CheckRequest> {
    let mut all = Vec::new();
    for project in PROJECTS {
        for org in ORGS {
            for user in USERS {
                for permission in PERMISSIONS {
                    all.push(wire::CheckRequest { project: project.into(), ..asking(org, user, permission) });
                }
            }
        }
    }
    all
}

/// The decision, or the reason of an error.
fn said(answer: Result<wire::CheckResponse, Status>) -> Result<Decision, String> {
    answer.map(|answer| answer.decision()).map_err(|status| status.reason())
}

/// The answers to all questions at a revision.
struct Then {
    token: String,
    time: Time,
    answers: Vec<Result<Decision, String>>,
}

async fn ask_all(
    server: &Server,
    with: impl Fn(wire::CheckRequest) -> wire::CheckRequest,
) -> Vec<Result<Decision, String>> {
    let mut answers = Vec::new();
    for question in questions() {
        answers.push(said(server.check(with(question)).await));
    }
    answers
}

fn number(token: &str) -> u64 {
    Token::decode(token).unwrap().number
}

#[test]
fn a3_a_check_as_of_the_past_answers_as_it_did_then_and_every_change_of_a_decision_is_found() {
    on_both(async |server| {
        shop(server).await;
        let raw = server.raw().await;
        let mut past: Vec<Then> = Vec::new();
        // Every write of the contract, with what it leads to: renames, remaps, deletions and their purge.
        for (method, request) in requests(server).await {
            let _ = raw.send(method, &[], framed(0, &request)).await;
            let token = server.token().await;
            if past.last().is_some_and(|last| last.token == token) {
                continue;
            }
            let time = rolecall::clock::now();
            let answers = ask_all(server, |question| question).await;
            // The purger may have written meanwhile.
            if server.token().await == token {
                past.push(Then { token, time, answers });
            }
        }
        server.settled().await;
        assert!(past.len() > 20, "{}", past.len());
        for then in past.iter().step_by(5).chain(past.last()) {
            let as_of_revision = |question| wire::CheckRequest { as_of_revision: then.token.clone(), ..question };
            assert_eq!(ask_all(server, as_of_revision).await, then.answers, "{}", number(&then.token));
            let as_of_time = Some(timestamp(then.time));
            let as_of_time = |question| wire::CheckRequest { as_of_time, ..question };
            assert_eq!(ask_all(server, as_of_time).await, then.answers, "{:?}", then.time);
        }

        let mut found = 0;
        for (at, question) in questions().iter().enumerate() {
            let answers: Vec<_> = past.iter().map(|then| then.answers[at].clone()).collect();
            let Some(Ok(now)) = answers.last() else { continue };
            let request =
                wire::ExplainChangeRequest { as_of_revision: past.last().unwrap().token.clone(), ..changing(question) };
            let change = server.explain_change(request).await.unwrap();
            assert_eq!(change.decision(), *now, "{question:?}");
            let Some(before) = answers.iter().rposition(|answer| *answer != Ok(*now)) else { continue };
            found += 1;
            let event = change.event.clone().expect("the decision was another one before");
            let (after, until) = (number(&past[before].token), number(&past[before + 1].token));
            assert!((after + 1..=until).contains(&number(&event.revision)), "{question:?}: {event:?}");
            if after + 1 == until {
                let expected = answers[before].clone().unwrap_or_default();
                assert_eq!(change.decision_before(), expected, "{question:?}: {event:?}");
            }
            if !change.revision_before.is_empty() {
                let before = wire::CheckRequest { as_of_revision: change.revision_before.clone(), ..question.clone() };
                assert_eq!(
                    said(server.check(before).await).unwrap_or_default(),
                    change.decision_before(),
                    "{question:?}"
                );
            }
            // The change is one between the revision before and its own.
            let then = wire::CheckRequest { as_of_revision: event.revision.clone(), ..question.clone() };
            assert_eq!(said(server.check(then).await), Ok(*now), "{question:?}");
        }
        assert!(found > 10, "{found}");
    });
}

#[test]
fn a3_the_expiry_of_a_role_changes_a_decision_too() {
    on_both(async |server| {
        shop(server).await;
        let expiry = after(Duration::from_secs(3));
        let add = wire::AddMemberRequest {
            org_id: "acme".into(),
            user_id: "tim".into(),
            roles: vec![temporary("Admin", expiry)],
            ..Default::default()
        };
        let added = server.add_member(add).await.unwrap().revision;
        let question = wire::CheckRequest {
            question: Some(wire::check_request::Question::Role("Admin".into())),
            ..asking("acme", "tim", "")
        };
        // However slow this machine is: as of the revision at which the role was given.
        let earlier = wire::CheckRequest { as_of_revision: added, ..question.clone() };
        let change = server.explain_change(changing(&earlier)).await.unwrap();
        assert_eq!((change.decision(), change.decision_before()), (Decision::Allowed, Decision::NotAMember));
        assert_eq!(change.event.unwrap().kind, "AddMember");
        wait_until(&expiry).await;
        let change = server.explain_change(changing(&question)).await.unwrap();
        assert_eq!((change.decision(), change.decision_before()), (Decision::RoleExpired, Decision::Allowed));
        assert_eq!((change.expire_time, change.event), (Some(expiry), None));
        // On to the change before.
        let until = change.expire_time.map(|mut time| {
            time.nanos -= 1_000;
            time
        });
        let before =
            server.explain_change(wire::ExplainChangeRequest { as_of_time: until, ..changing(&question) }).await;
        assert_eq!(before.unwrap().event.unwrap().kind, "AddMember");
        assert!(server.check(earlier.clone()).await.unwrap().allowed, "roles are judged by the clock of the revision");
        let never = server.explain_change(changing(&asking("acme", "nobody", "invoices.view"))).await.unwrap();
        assert_eq!(
            (never.decision(), never.event.map(|event| event.kind)),
            (Decision::NotAMember, Some("CreateOrg".into()))
        );
    });
}

#[test]
fn a3_what_is_no_past_or_no_longer_kept_is_refused() {
    on_both(async |server| {
        shop(server).await;
        let token = server.token().await;
        let refused = async |request: wire::CheckRequest| {
            let check = server.check(request.clone()).await.unwrap_err();
            let change = server.explain_change(changing(&request)).await.unwrap_err();
            assert_eq!((check.code(), check.reason()), (change.code(), change.reason()));
            (check.code(), check.reason(), check.fields())
        };
        let question = || asking("acme", "ann", "invoices.view");
        let invalid = |field: &str| (Code::InvalidArgument, "INVALID_FIELD".to_string(), vec![field.to_string()]);
        let now = || Some(timestamp(rolecall::clock::now()));
        let both = wire::CheckRequest { as_of_revision: token.clone(), as_of_time: now(), ..question() };
        assert_eq!(refused(both).await, invalid("as_of_time"));
        let future = Some(timestamp(rolecall::clock::now().plus_seconds(600)));
        assert_eq!(refused(wire::CheckRequest { as_of_time: future, ..question() }).await, invalid("as_of_time"));
        let malformed = wire::CheckRequest { as_of_revision: "yesterday".into(), ..question() };
        assert_eq!(refused(malformed).await, invalid("as_of_revision"));
        let other = Token { tag: 1, ..Token::decode(&token).unwrap() }.encode();
        let (code, reason, _) = refused(wire::CheckRequest { as_of_revision: other, ..question() }).await;
        assert_eq!((code, &*reason), (Code::FailedPrecondition, "REVISION_OF_ANOTHER_HISTORY"));
        let before_all = Some(timestamp(Time(0)));
        let (code, reason, _) = refused(wire::CheckRequest { as_of_time: before_all, ..question() }).await;
        assert_eq!((code, &*reason), (Code::NotFound, "PROJECT_NOT_FOUND"));

        let before = now();
        server.single().org("later", "").await;
        while server.app().store.delete_old_history(rolecall::clock::now()).await.unwrap() {}
        for request in [
            wire::CheckRequest { as_of_time: before, ..question() },
            wire::CheckRequest {
                as_of_revision: Token { number: 1, tag: 1, ..Token::decode(&token).unwrap() }.encode(),
                ..question()
            },
            wire::CheckRequest { as_of_revision: token, ..question() },
        ] {
            let status = server.check(request.clone()).await.unwrap_err();
            assert_eq!((status.code(), &*status.reason()), (Code::FailedPrecondition, "REVISION_TOO_OLD"));
            let oldest = status.get_error_details().error_info().unwrap().metadata["oldest_revision"].clone();
            assert!(server.check(wire::CheckRequest { as_of_revision: oldest, ..question() }).await.is_ok());
            assert_eq!(server.explain_change(changing(&request)).await.unwrap_err().reason(), "REVISION_TOO_OLD");
        }
        // What was changed before the kept history is not known.
        let unknown = server.explain_change(changing(&question())).await.unwrap();
        assert_ne!(unknown.decision(), Decision::Unspecified);
        assert_eq!((unknown.event, unknown.expire_time, unknown.decision_before), (None, None, 0));
    });
}

#[test]
fn a3_w2_the_past_needs_the_permission_to_view_the_audit() {
    operators::on_both(async |server| {
        shop(server).await;
        let checker = Caller::operator(server, "checker", "ReadOnly").await;
        let take = wire::UpdateRoleMappingRequest {
            project: "workspace".into(),
            name: "Default".into(),
            edits: vec![wire::GrantEdit { role: "ReadOnly".into(), add: vec![], remove: vec!["audit.view".into()] }],
            ..Default::default()
        };
        server.update_role_mapping(take).await.unwrap();
        let question = asking("acme", "ann", "invoices.view");
        let past = wire::CheckRequest { as_of_time: Some(timestamp(rolecall::clock::now())), ..question.clone() };
        // Allowed calls of the connection are remembered. They say nothing about the past.
        for _ in 0..2 {
            checker.check(question.clone()).await.unwrap();
            let refused = checker.check(past.clone()).await.unwrap_err();
            assert_eq!((refused.code(), &*refused.reason()), (Code::PermissionDenied, "OPERATOR_PERMISSION_MISSING"));
            assert_eq!(refused.detail("permission"), "audit.view");
        }
        let explain = wire::ExplainRequest::decode(&*past.encode_to_vec()).unwrap();
        let refused = checker.call::<wire::ExplainResponse>("CheckService/Explain", &explain).await.unwrap_err();
        assert_eq!(refused.detail("permission"), "audit.view");
        let asked = changing(&question);
        let refused =
            checker.call::<wire::ExplainChangeResponse>("AuditService/ExplainChange", &asked).await.unwrap_err();
        assert_eq!(refused.detail("permission"), "audit.view");
    });
}

#[test]
fn a3_an_event_shows_the_changes_of_the_question_also_of_a_large_commit() {
    on_both(async |server| {
        shop(server).await;
        // More changes than are read at once.
        let names = |number: usize| format!("reports.{number:03}");
        let permissions = (0..450).map(|number| wire::PermissionSpec { name: names(number), ..Default::default() });
        let create = wire::BatchCreatePermissionsRequest { permissions: permissions.collect(), ..Default::default() };
        server.batch_create_permissions(create).await.unwrap();
        let question = asking("acme", "ann", &names(200));
        let change = server.explain_change(changing(&question)).await.unwrap();
        assert_eq!(change.decision_before(), Decision::UnknownPermission);
        let event = change.event.unwrap();
        assert_eq!((&*event.kind, event.changes_total), ("BatchCreatePermissions", 450));

        let add =
            |number: usize| crate::fixture::row("acme", &format!("user-{number}"), crate::fixture::add(&["Member"]));
        let rows =
            (0..300).map(add).chain([crate::fixture::row("globex", "user-250", crate::fixture::add(&["Member"]))]);
        let write = wire::BatchWriteMembersRequest { rows: rows.collect(), ..Default::default() };
        server.batch_write_members(write).await.unwrap();
        let change = server.explain_change(changing(&asking("acme", "user-250", "invoices.view"))).await.unwrap();
        assert_eq!(change.decision_before(), Decision::NotAMember);
        let event = change.event.unwrap();
        assert_eq!(event.changes_total, 301);
        let about: Vec<_> = event.changes.iter().map(|it| (&*it.org_id, &*it.user_id)).collect();
        assert_eq!(about, [("acme", "user-250")], "only the changes of the question are shown");
    });
}

#[test]
fn a3_s5_the_past_of_a_project_begins_with_its_creation() {
    on_both(async |server| {
        shop(server).await;
        let create = wire::CreateProjectRequest {
            key: "shop".into(),
            environment: wire::Environment::Live.into(),
            reuse_deleted_key: true,
            ..Default::default()
        };
        let question = |token: &str| wire::CheckRequest {
            project: "shop".into(),
            as_of_revision: token.into(),
            ..asking("acme", "olga", "rolecall::can_invite")
        };
        server.create_project(create.clone()).await.unwrap();
        let org = wire::CreateOrgRequest {
            project: "shop".into(),
            org_id: "acme".into(),
            creator_user_id: "olga".into(),
            ..Default::default()
        };
        let owned = server.create_org(org).await.unwrap().revision;
        assert_eq!(said(server.check(question(&owned)).await), Ok(Decision::Allowed));
        let delete = wire::DeleteProjectRequest {
            project: "shop".into(),
            confirm: "shop".into(),
            force: true,
            ..Default::default()
        };
        server.delete_project(delete).await.unwrap();
        // The project that was deleted last can still be asked about.
        assert_eq!(said(server.check(question(&owned)).await), Ok(Decision::Allowed));
        server.create_project(create).await.unwrap();
        assert_eq!(said(server.check(question(&owned)).await), Err("PROJECT_NOT_FOUND".into()));
        let change = server.explain_change(changing(&question(""))).await.unwrap();
        assert_eq!((change.decision(), change.decision_before), (Decision::OrgNotFound, 0));
        assert_eq!(change.event.unwrap().kind, "CreateProject");
    });
}

#[test]
fn a3_w6_keys_for_one_org_or_for_checks_only_do_not_ask_about_the_past() {
    operators::on_both(async |server| {
        shop(server).await;
        let root = Caller::operator(server, "root", "Owner").await;
        for (org_id, checks_only) in [("acme", false), ("", true)] {
            let scope = wire::ApiKeyScope {
                project: if org_id.is_empty() { String::new() } else { "default".into() },
                org_id: org_id.into(),
                checks_only,
                ..Default::default()
            };
            let create = wire::CreateApiKeyRequest {
                display_name: "scoped".into(),
                environment: wire::Environment::Live.into(),
                scope: Some(scope),
                ..Default::default()
            };
            let caller = Caller::new(server, &root.create_key(create).await.unwrap().token).await;
            let question = asking("acme", "ann", "invoices.view");
            caller.check(question.clone()).await.unwrap();
            let past = wire::CheckRequest { as_of_time: Some(timestamp(rolecall::clock::now())), ..question.clone() };
            assert_eq!(caller.check(past).await.unwrap_err().reason(), "API_KEY_SCOPE");
            let change = changing(&question);
            let refused = caller.call::<wire::ExplainChangeResponse>("AuditService/ExplainChange", &change).await;
            assert_eq!(refused.unwrap_err().reason(), "API_KEY_SCOPE");
        }
    });
}
