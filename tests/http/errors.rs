//! What AuthZEN refuses, and how it says so.

use rolecall::limits::Limits;
use rolecall::server::{Config, Gateways};
use serde_json::json;

use crate::authzen::{on_shop, question};
use crate::client::{ask, request, send};
use crate::guarded::http;
use crate::server::Server;

#[test]
fn an_error_says_what_to_do() {
    on_shop(async |shop| {
        let good = question("ann", "invoices.view", "acme").to_string();
        let many = json!({ "evaluations": vec![json!({}); 10_001] }).to_string();
        let array =
            "[{\"type\": \"user\", \"id\": \"ann\"}, {\"name\": \"view\"}, {\"type\": \"org\", \"id\": \"acme\"}]";
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
            (vec![], "evaluation", "[]", 400, "an object with `subject`"),
            (vec![], "evaluation", array, 400, "an object with `subject`"),
            (vec![], "evaluation", "{\"subject\": [\"user\", \"ann\"]}", 400, "an object with `type` and `id`"),
            (vec![], "evaluation", "{\"action\": [\"invoices.view\"]}", 400, "an object with `name`"),
            (vec![], "evaluations", "{\"evaluations\": [[]]}", 400, "an object with `subject`"),
            (vec![], "evaluations", "{\"options\": [\"execute_all\"]}", 400, "an object with `evaluations_semantic`"),
            (vec![], "evaluations", "[]", 400, "an object with `evaluations`"),
            (vec![], "search/action", "[]", 400, "an object with `subject`"),
            (vec![], "search/action", "{\"page\": [\"\", 1]}", 400, "an object with `token` and `limit`"),
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
fn a_default_that_is_too_long_is_an_error_of_each_evaluation() {
    on_shop(async |shop| {
        for (part, member, field) in
            [("subject", "id", "subject.id"), ("action", "name", "action.name"), ("resource", "id", "resource.id")]
        {
            let mut asked = question("ann", "invoices.view", "acme");
            asked[part][member] = "x".repeat(1_000_000).into();
            asked["evaluations"] = vec![json!({}); 10_000].into();
            let answer = shop.ask("evaluations", &asked).await;
            assert_eq!(answer.status, 200, "{field}");
            let json = answer.json();
            let evaluations = json["evaluations"].as_array().unwrap();
            assert_eq!(evaluations.len(), 10_000);
            for evaluation in evaluations {
                assert_eq!(evaluation["decision"], false);
                assert_eq!(evaluation["context"]["error"]["field"], field);
            }
        }
    });
}

#[test]
fn a_caller_without_permission_is_refused_before_its_evaluations_are_read() {
    on_shop(async |shop| {
        let key = shop.blocked_operator().await;
        let refused = shop.ask_with(&key, "evaluations", &json!({ "evaluations": vec![json!({}); 3] })).await;
        assert_eq!((refused.status, &*refused.reason()), (403, "OPERATOR_PERMISSION_MISSING"));
    });
}

#[test]
fn p7_a_request_has_no_more_evaluations_than_a_batch_has_items() {
    crate::support::on_both(async |database| {
        let limits = Limits { batch_check_items: 3, ..Limits::default() };
        let configured = |config| Config { limits, gateways: http(Gateways::default()), ..config };
        let server = Server::start_configured(database.url.clone(), configured).await;
        let asked = |count| json!({ "evaluations": vec![question("ann", "invoices.view", "acme"); count] });
        assert_eq!(ask(&server.http_address(), "evaluations", &[], &asked(3)).await.status, 200);
        let refused = ask(&server.http_address(), "evaluations", &[], &asked(4)).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert_eq!(refused.json()["error"]["field"], "evaluations");
        server.stop().await;
    });
}
