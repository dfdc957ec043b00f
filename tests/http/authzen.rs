//! AuthZEN: who may ask, what is answered, and what is refused.

use rolecall::http::Authzen;
use rolecall::server::{Config, Gateways};
use rolecall::wire::{self, ApiKeyScope, Environment};
use serde_json::{Value, json};

use crate::client::{Answer, ask, request, send};
use crate::fixture::{roles, row};
use crate::guarded::{Guarded, http, on_both};
use crate::server::Server;

/// Ann may see the invoices of acme, and eve is only a member.
async fn shop(server: &Server) {
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

fn on_shop(test: impl AsyncFn(&Guarded)) {
    on_both(Gateways::default(), shop, test);
}

fn question(user: &str, permission: &str, org: &str) -> Value {
    json!({
        "subject": { "type": "user", "id": user },
        "action": { "name": permission },
        "resource": { "type": "org", "id": org },
    })
}

impl Guarded {
    async fn ask(&self, endpoint: &str, body: &Value) -> Answer {
        self.ask_with(&self.authorization, endpoint, body).await
    }

    async fn ask_with(&self, authorization: &str, endpoint: &str, body: &Value) -> Answer {
        ask(&self.server.http_address(), endpoint, &[("authorization", authorization)], body).await
    }

    /// Returns the credentials of an operator who has no permission any more.
    async fn blocked_operator(&self) -> String {
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
    async fn calling(&self, method: &str, request: impl prost::Message) -> bytes::Bytes {
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
        // The description needs no credentials, and a path that does not exist is no secret.
        let described = send(&address, request("GET", "/.well-known/authzen-configuration", &[], "")).await;
        assert_eq!(described.status, 200);

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
fn an_error_says_what_to_do() {
    on_shop(async |shop| {
        let good = question("ann", "invoices.view", "acme").to_string();
        let many = json!({ "evaluations": vec![json!({}); 10_001] }).to_string();
        let large = format!("{{\"context\": \"{}\"}}", "x".repeat(1 << 20));
        for (headers, endpoint, body, status, said) in [
            (vec![("content-type", "text/plain")], "evaluation", &*good, 415, "application/json"),
            (vec![("content-encoding", "gzip")], "evaluation", &good, 415, "must not be compressed"),
            (vec![], "evaluation", "{\"subject\": {\"type\": \"user\", \"type\": \"robot\"}}", 400, "duplicate field"),
            (vec![], "evaluation", "{\"subject\": {\"type\": \"user\", \"id\": \"\"}}", 400, "`resource` is missing"),
            (vec![], "evaluations", "{\"evaluations\": {}}", 400, "an array of evaluations"),
            (vec![], "evaluations", "{\"options\": {\"evaluations_semantic\": \"all\"}}", 400, "execute_all"),
            (vec![], "evaluations", &many, 400, "send several requests"),
            (vec![], "search/action", "{\"page\": {\"limit\": -1}}", 400, "-1"),
            (vec![], "evaluation", &large, 413, "1048576 bytes"),
        ] {
            let path = format!("/access/v1/{endpoint}");
            let headers = [headers, vec![("authorization", &*shop.authorization)]].concat();
            let refused = send(&shop.server.http_address(), request("POST", &path, &headers, body.to_owned())).await;
            let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
            assert_eq!(refused.status, status, "{refused:?}");
            assert!(message.contains(said), "{said}: {message}");
        }
        let token = json!({ "page": { "token": "?" } });
        let mut asked = question("ann", "invoices.view", "acme");
        asked["page"] = token["page"].clone();
        for search in ["subject", "resource", "action"] {
            let refused = shop.ask(&format!("search/{search}"), &asked).await;
            assert_eq!((refused.status, &*refused.reason()), (400, "PAGE_TOKEN_INVALID"), "{search}");
            assert_eq!(refused.json()["error"]["field"], "page.token");
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
fn pages_of_searches_join_to_the_whole() {
    on_shop(async |shop| {
        let add = |user: String| row("acme", &user, crate::fixture::add(&["Billing"]));
        let rows = (0..7).map(|number| add(format!("user-{number}"))).collect();
        shop.calling("MembershipService/BatchWriteMembers", shop.server.single().writing(rows)).await;
        let pages = async |search: &str| {
            let mut asked = question("ann", "invoices.view", "acme");
            asked["page"] = json!({ "limit": 1 });
            let (mut results, mut pages) = (Vec::new(), 0);
            loop {
                let answer = shop.ask(&format!("search/{search}"), &asked).await.json();
                results.extend(answer["results"].as_array().unwrap().iter().cloned());
                assert_eq!(answer["page"]["count"], 1);
                pages += 1;
                let token = answer["page"]["next_token"].as_str().unwrap().to_owned();
                if token.is_empty() {
                    return (results, pages);
                }
                asked["page"]["token"] = token.into();
            }
        };
        let users = ["ann", "user-0", "user-1", "user-2", "user-3", "user-4", "user-5", "user-6"];
        assert_eq!(pages("subject").await, (users.map(|id| json!({ "type": "user", "id": id })).to_vec(), 8));
        assert_eq!(
            pages("resource").await,
            (["acme", "globex"].map(|id| json!({ "type": "org", "id": id })).to_vec(), 2)
        );
        assert_eq!(
            pages("action").await,
            (["invoices.pay", "invoices.view"].map(|name| json!({ "name": name })).to_vec(), 2)
        );
    });
}

#[test]
fn what_is_unknown_has_no_results() {
    on_shop(async |shop| {
        for (user, permission, org, searches) in [
            ("ann", "invoices.fly", "acme", &["subject", "resource"][..]),
            ("ann", "invoices.view", "initech", &["subject", "action"]),
            ("zoe", "invoices.view", "acme", &["resource", "action"]),
        ] {
            for search in searches {
                let answer = shop.ask(&format!("search/{search}"), &question(user, permission, org)).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                assert_eq!(answer.json()["results"], json!([]), "{search} {user} {permission} {org}");
            }
        }
    });
}

#[test]
fn types_and_the_project_are_settings_and_the_description_says_where_to_ask() {
    let authzen = Authzen {
        project: "multi".into(),
        subject_types: vec!["user".into()],
        resource_types: vec!["org".into(), "team".into()],
        url: "https://pdp.example/".into(),
    };
    let fill = async |server: &Server| {
        shop(server).await;
        let other = server.multi_in(Environment::Live).await;
        other.permission("fly").await;
        other.role("Pilot").await;
        other.grant("Default", "Pilot", &["fly"]).await;
        other.org("acme", "Default").await;
        other.add("acme", "ann", &roles(&["Pilot"])).await;
    };
    on_both(Gateways { authzen, ..Gateways::default() }, fill, async |guarded| {
        let mut asked = question("ann", "fly", "acme");
        assert_eq!(guarded.ask("evaluation", &asked).await.json()["decision"], true);
        for (part, kind, known) in
            [("resource", "team", true), ("resource", "file", false), ("subject", "robot", false)]
        {
            let before = asked.clone();
            asked[part]["type"] = kind.into();
            let one = guarded.ask("evaluation", &asked).await.json();
            let all = guarded.ask("evaluations", &json!({ "evaluations": [asked] })).await.json();
            assert_eq!(one["decision"], known, "{kind}");
            assert_eq!(all["evaluations"][0], one);
            assert_eq!(one["context"]["reason"], if known { "ALLOWED" } else { "UNKNOWN_TYPE" });
            for search in ["subject", "resource", "action"] {
                let found = guarded.ask(&format!("search/{search}"), &asked).await.json();
                assert_eq!(found["results"].as_array().unwrap().len(), usize::from(known), "{search} {kind}");
            }
            asked = before;
        }
        let address = guarded.server.http_address();
        let headers = [("authorization", &*guarded.authorization)];
        let path = "/projects/default/access/v1/evaluation";
        let body = question("ann", "invoices.view", "acme").to_string();
        assert_eq!(send(&address, request("POST", path, &headers, body)).await.json()["decision"], true);

        let describe = async |path: &str| send(&address, request("GET", path, &[], "")).await;
        let own = describe("/.well-known/authzen-configuration").await.json();
        assert_eq!(own["policy_decision_point"], "https://pdp.example");
        assert_eq!(own["access_evaluation_endpoint"], "https://pdp.example/access/v1/evaluation");
        assert_eq!(own["search_action_endpoint"], "https://pdp.example/access/v1/search/action");
        let other = describe("/.well-known/authzen-configuration/projects/shop").await.json();
        assert_eq!(other["policy_decision_point"], "https://pdp.example/projects/shop");
        assert_eq!(other["access_evaluations_endpoint"], "https://pdp.example/projects/shop/access/v1/evaluations");
        assert_eq!(describe("/.well-known/authzen-configuration/projects/No").await.status, 400);
    });
}

#[test]
fn w2_a_type_that_is_not_accepted_does_not_replace_the_permission() {
    let authzen = Authzen { resource_types: vec!["org".into()], ..Default::default() };
    on_both(Gateways { authzen, ..Gateways::default() }, shop, async |guarded| {
        let mut asked = question("ann", "invoices.view", "acme");
        asked["resource"]["type"] = "file".into();
        let key = guarded.blocked_operator().await;
        for endpoint in ["evaluation", "search/subject", "search/resource", "search/action"] {
            assert_eq!(guarded.ask_with(&key, endpoint, &asked).await.status, 403, "{endpoint}");
        }
        assert_eq!(guarded.ask_with(&key, "evaluations", &json!({ "evaluations": [asked] })).await.status, 403);
    });
}

#[test]
fn an_unknown_project_is_an_error_and_no_decision() {
    crate::support::on_both(async |database| {
        let configured = |config| Config { gateways: http(Gateways::default()), ..config };
        let server = Server::start_configured(database.url.clone(), configured).await;
        let one = question("ann", "invoices.view", "acme");
        for (project, status, reason) in [("nowhere", 404, "PROJECT_NOT_FOUND"), ("No", 400, "INVALID_FIELD")] {
            for (endpoint, body) in [
                ("evaluation", &one),
                ("evaluations", &json!({ "evaluations": [one] })),
                ("search/subject", &one),
                ("search/resource", &one),
                ("search/action", &one),
            ] {
                let path = format!("/projects/{project}/access/v1/{endpoint}");
                let refused = send(&server.http_address(), request("POST", &path, &[], body.to_string())).await;
                assert_eq!((refused.status, &*refused.reason()), (status, reason), "{path}: {refused:?}");
                assert!(refused.json().get("decision").is_none());
            }
        }
        server.stop().await;
    });
}
