//! AuthZEN's settings: the accepted types, the project and the description.

use rolecall::authzen::Authzen;
use rolecall::server::Gateways;
use rolecall::wire::Environment;
use serde_json::json;

use crate::authzen::{question, shop};
use crate::client::{request, send};
use crate::fixture::roles;
use crate::guarded::on_both;
use crate::server::Server;

#[test]
fn types_and_the_project_are_settings_and_the_description_says_where_to_ask() {
    let authzen = Authzen {
        project: "multi".into(),
        subject_types: vec!["user".into()],
        resource_types: vec!["org".into(), "team".into()],
        url: "https://pdp.example/".into(),
        ..Authzen::default()
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
        let mut at_bad_revision = asked.clone();
        at_bad_revision["options"] = json!({ "at_least": "?" });
        for endpoint in ["evaluation", "search/subject", "search/resource", "search/action"] {
            assert_eq!(guarded.ask_with(&key, endpoint, &asked).await.status, 403, "{endpoint}");
            // Nor does it hide what is wrong with the request.
            let refused = guarded.ask(endpoint, &at_bad_revision).await;
            assert_eq!(refused.status, 400, "{endpoint}: {refused:?}");
            assert_eq!(refused.json()["error"]["field"], "options.at_least", "{endpoint}");
        }
        asked["subject"] = json!({ "id": "ann" });
        for endpoint in ["evaluation", "search/subject", "search/resource", "search/action"] {
            let refused = guarded.ask(endpoint, &asked).await;
            assert_eq!(refused.status, 400, "{endpoint}: {refused:?}");
            assert_eq!(refused.json()["error"]["field"], "subject.type", "{endpoint}");
        }
        let all = json!({ "evaluations": [asked] });
        assert_eq!(guarded.ask_with(&key, "evaluations", &all).await.status, 403);
    });
}
