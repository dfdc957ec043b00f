//! AuthZEN: who may ask, and what evaluations answer.

use rolecall::authzen::Authzen;
use rolecall::server::{Config, Gateways};
use rolecall::wire::{self, ApiKeyScope, Environment};
use serde_json::{Value, json};

use crate::client::{Answer, ask, request, send};
use crate::fixture::roles;
use crate::guarded::{Guarded, http, on_both};
use crate::server::Server;

/// Ann may see the invoices of acme, and eve is only a member.
pub async fn shop(server: &Server) {
    let shop = server.single();
    for permission in ["invoices.view", "invoices.pay"] {
        shop.permission(permission).await;
    }
    shop.role("Billing").await;
    shop.grant("Default", "Billing", &["invoices.view", "invoices.pay"]).await;
    for org in ["acme", "globex"] {
        shop.org(org, "Default").await;
        shop.add(org, "ann", &roles(&["Billing"])).await;
    }
    shop.add("acme", "eve", &roles(&["Member"])).await;
}

pub fn on_shop(test: impl AsyncFn(&Guarded)) {
    on_both(Gateways::default(), shop, test);
}

pub fn question(user: &str, permission: &str, org: &str) -> Value {
    json!({
        "subject": { "type": "user", "id": user },
        "action": { "name": permission },
        "resource": { "type": "org", "id": org },
    })
}

impl Guarded {
    pub async fn ask(&self, endpoint: &str, body: &Value) -> Answer {
        self.ask_with(&self.authorization, endpoint, body).await
    }

    pub async fn ask_with(&self, authorization: &str, endpoint: &str, body: &Value) -> Answer {
        ask(&self.server.http_address(), endpoint, &[("authorization", authorization)], body).await
    }

    /// Returns the credentials of an operator who has no permission any more.
    pub async fn blocked_operator(&self) -> String {
        let (project, user_id) = ("workspace".to_owned(), "blocked".to_owned());
        let add = wire::AddMemberRequest {
            project: project.clone(),
            org_id: "team".into(),
            user_id: user_id.clone(),
            roles: roles(&["Admin"]),
            ..Default::default()
        };
        self.calling("MembershipService/AddMember", add).await;
        let key = self.key(&user_id, ApiKeyScope::default()).await;
        let block = wire::BlockUserRequest { project, user_id, ..Default::default() };
        self.calling("UserService/BlockUser", block).await;
        key
    }

    /// Returns the credentials of a new key of an operator.
    async fn key(&self, operator: &str, scope: ApiKeyScope) -> String {
        let request = wire::CreateApiKeyRequest {
            display_name: "test".into(),
            operator: operator.into(),
            environment: Environment::Live.into(),
            scope: Some(scope),
            ..Default::default()
        };
        let answer = self.calling("ApiKeyService/CreateApiKey", request).await;
        let created: wire::CreateApiKeyResponse = prost::Message::decode(answer).unwrap();
        format!("Bearer {}", created.token)
    }

    /// Calls a method of gRPC as the owner.
    pub async fn calling(&self, method: &str, request: impl prost::Message) -> bytes::Bytes {
        let headers = [("authorization", &*self.authorization)];
        let message = crate::raw::framed(0, &request.encode_to_vec());
        self.server.raw().await.send(&format!("rolecall.v1.{method}"), &headers, message).await.unwrap()
    }
}

#[test]
fn a_decision_has_its_reason_and_its_revision() {
    on_shop(async |shop| {
        let revision = shop.server.token().await;
        for (user, permission, org, decision, reason) in [
            ("ann", "invoices.view", "acme", true, "ALLOWED"),
            ("eve", "invoices.view", "acme", false, "MISSING_PERMISSION"),
            ("eve", "invoices.view", "globex", false, "NOT_A_MEMBER"),
            ("ann", "invoices.view", "initech", false, "ORG_NOT_FOUND"),
            ("ann", "invoices.fly", "acme", false, "UNKNOWN_PERMISSION"),
        ] {
            let answer = shop.ask("evaluation", &question(user, permission, org)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let context = json!({ "reason": reason, "revision": revision });
            assert_eq!(answer.json(), json!({ "decision": decision, "context": context }));
        }
    });
}

#[test]
fn w3_callers_without_credentials_or_permission_get_no_decision() {
    on_shop(async |shop| {
        let asked = question("ann", "invoices.view", "acme");
        let address = shop.server.http_address();
        let unknown = ask(&address, "evaluation", &[], &asked).await;
        assert_eq!((unknown.status, &*unknown.reason()), (401, "CREDENTIALS_MISSING"));
        assert_eq!(unknown.header("www-authenticate"), "Bearer realm=\"rolecall\"");
        for (value, reason) in
            [("Basic cm9vdA==", "CREDENTIALS_MALFORMED"), ("Bearer rk_live_x", "CREDENTIALS_MALFORMED")]
        {
            let refused = shop.ask_with(value, "evaluation", &asked).await;
            assert_eq!((refused.status, &*refused.reason()), (401, reason));
            assert!(refused.header("www-authenticate").contains("error=\"invalid_token\""), "{refused:?}");
        }
        // The description needs no credentials. Every other path does, also one that does not exist.
        for (path, status) in
            [("/.well-known/authzen-configuration", 200), ("/.well-known/made-up", 404), ("/made/up", 401)]
        {
            assert_eq!(send(&address, request("GET", path, &[], "")).await.status, status, "{path}");
        }

        // A key for checks may evaluate, and not search.
        let checks_only = shop.key("root", ApiKeyScope { checks_only: true, ..Default::default() }).await;
        assert_eq!(shop.ask_with(&checks_only, "evaluation", &asked).await.json()["decision"], true);
        for search in ["subject", "resource", "action"] {
            let refused = shop.ask_with(&checks_only, &format!("search/{search}"), &asked).await;
            assert_eq!((refused.status, &*refused.reason()), (403, "API_KEY_SCOPE"), "{search}");
        }
    });
}

#[test]
fn w2_evaluations_need_checks_run_and_searches_checks_inspect() {
    on_shop(async |shop| {
        let asked = question("ann", "invoices.view", "acme");
        let all = json!({ "evaluations": [asked] });
        let key = shop.blocked_operator().await;
        for (endpoint, body, permission) in [
            ("evaluation", &asked, "checks.run"),
            ("evaluations", &all, "checks.run"),
            ("search/subject", &asked, "checks.inspect"),
            ("search/resource", &asked, "checks.inspect"),
            ("search/action", &asked, "checks.inspect"),
        ] {
            let refused = shop.ask_with(&key, endpoint, body).await;
            assert_eq!((refused.status, &*refused.reason()), (403, "OPERATOR_PERMISSION_MISSING"), "{endpoint}");
            assert!(refused.json()["error"]["message"].as_str().unwrap().contains(permission), "{refused:?}");
        }
    });
}

#[test]
fn w6_a_key_of_one_org_learns_nothing_of_others() {
    on_shop(async |shop| {
        let scope = ApiKeyScope { project: "default".into(), org_id: "acme".into(), ..Default::default() };
        let key = shop.key("root", scope).await;
        let (own, other) = (question("ann", "invoices.view", "acme"), question("ann", "invoices.view", "globex"));
        assert_eq!(shop.ask_with(&key, "evaluation", &own).await.json()["decision"], true);
        let refused = shop.ask_with(&key, "evaluation", &other).await;
        assert_eq!((refused.status, &*refused.reason()), (403, "API_KEY_SCOPE"));
        let both = shop.ask_with(&key, "evaluations", &json!({ "evaluations": [own, other] })).await.json();
        assert_eq!(both["evaluations"][0]["decision"], true);
        assert_eq!(both["evaluations"][1]["decision"], false);
        assert_eq!(both["evaluations"][1]["context"]["error"]["status"], 403);
        assert_eq!(shop.ask_with(&key, "search/resource", &own).await.status, 403);
    });
}

#[test]
fn only_an_item_of_evaluations_fails_alone() {
    on_shop(async |shop| {
        let mut nameless = question("ann", "invoices.view", "acme");
        nameless["action"] = json!({});
        let spaced = question("ann", "invoices.view", "a c m e");
        let good = question("ann", "invoices.view", "acme");
        let asked =
            json!({ "evaluations": [nameless, good, spaced, { "subject": { "type": "user", "id": "ann" } }, good] });
        let answer = shop.ask("evaluations", &asked).await.json();
        let error = |at: usize| answer["evaluations"][at]["context"]["error"].clone();
        let decisions: Vec<_> = (0..5).map(|at| answer["evaluations"][at]["decision"].clone()).collect();
        assert_eq!(decisions, [json!(false), json!(true), json!(false), json!(false), json!(true)]);
        assert_eq!(error(0)["field"], "action.name");
        assert_eq!(error(2)["field"], "resource.id");
        assert_eq!((&error(2)["status"], &error(2)["reason"]), (&json!(400), &json!("INVALID_FIELD")));
        assert_eq!(error(3)["field"], "resource");
    });
}

#[test]
fn malformed_evaluations_beyond_those_with_a_description_are_errors_too() {
    on_shop(async |shop| {
        let evaluations: Vec<Value> = (0..150).map(|_| question("ann", "invoices.view", "a c")).collect();
        let answer = shop.ask("evaluations", &json!({ "evaluations": evaluations })).await.json();
        for evaluation in answer["evaluations"].as_array().unwrap() {
            assert_eq!(evaluation["decision"], false);
            assert_eq!(evaluation["context"]["error"]["status"], 400);
        }
    });
}

#[test]
fn k4_an_answer_is_at_least_of_the_revision_that_is_asked_for() {
    on_shop(async |shop| {
        let mut asked = question("ann", "invoices.view", "acme");
        let revision = shop.server.token().await;
        let other = rolecall::engine::Token::new(1, shop.server.head().await).encode();
        for (at_least, status, reason) in
            [(&*revision, 200, ""), (&other, 400, "REVISION_OF_ANOTHER_HISTORY"), ("?", 400, "INVALID_FIELD")]
        {
            asked["options"] = json!({ "at_least": at_least });
            let mut all = json!({ "evaluations": [asked] });
            all["options"] = asked["options"].clone();
            for (endpoint, body) in [
                ("evaluation", &asked),
                ("evaluations", &asked),
                ("evaluations", &all),
                ("search/subject", &asked),
                ("search/resource", &asked),
                ("search/action", &asked),
            ] {
                let answer = shop.ask(endpoint, body).await;
                assert_eq!((answer.status, &*answer.reason()), (status, reason), "{endpoint} {at_least}: {answer:?}");
                if reason == "INVALID_FIELD" {
                    assert_eq!(answer.json()["error"]["field"], "options.at_least");
                }
            }
        }
    });
}

#[test]
fn an_unknown_project_is_an_error_and_no_decision() {
    crate::support::on_both(async |database| {
        let authzen = Authzen { subject_types: vec!["user".into()], ..Authzen::default() };
        let configured = |config| Config { gateways: http(Gateways { authzen, ..Gateways::default() }), ..config };
        let server = Server::start_configured(database.url.clone(), configured).await;
        let known = question("ann", "invoices.view", "acme");
        let mut unknown = known.clone();
        unknown["subject"]["type"] = "robot".into();
        for (project, status, reason) in [("nowhere", 404, "PROJECT_NOT_FOUND"), ("No", 400, "INVALID_FIELD")] {
            for one in [&known, &unknown] {
                for (endpoint, body) in [
                    ("evaluation", one),
                    ("evaluations", &json!({ "evaluations": [one] })),
                    ("search/subject", one),
                    ("search/resource", one),
                    ("search/action", one),
                ] {
                    let path = format!("/projects/{project}/access/v1/{endpoint}");
                    let refused = send(&server.http_address(), request("POST", &path, &[], body.to_string())).await;
                    assert_eq!((refused.status, &*refused.reason()), (status, reason), "{path}: {refused:?}");
                    assert!(refused.json().get("decision").is_none());
                }
            }
        }
        server.stop().await;
    });
}
