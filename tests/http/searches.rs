//! AuthZEN's searches.

use std::sync::Arc;

use rolecall::authzen::Authzen;
use rolecall::authzen::actions::Actions;
use rolecall::server::Gateways;
use serde_json::{Value, json};

use crate::authzen::{on_shop, question, shop};
use crate::fixture::row;
use crate::guarded::{Guarded, on_both};

/// Returns what a search finds in pages of one result, and the number of pages.
async fn pages(shop: &Guarded, search: &str, mut asked: Value) -> (Vec<Value>, usize) {
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
}

#[test]
fn pages_of_searches_join_to_the_whole() {
    on_shop(async |shop| {
        let add = |user: String| row("acme", &user, crate::fixture::add(&["Billing"]));
        let rows = (0..7).map(|number| add(format!("user-{number}"))).collect();
        shop.calling("MembershipService/BatchWriteMembers", shop.server.single().writing(rows)).await;
        let pages = |search| pages(shop, search, question("ann", "invoices.view", "acme"));
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
fn evaluations_and_searches_read_actions_by_the_same_file() {
    let file = "
actions:
  - { action: GET, permission: invoices.view }
  - { action: POST, properties: { paid: true }, permission: invoices.pay }
  - { action: POST, properties: { paid: false }, permission: invoices.view }
";
    let authzen = Authzen { actions: Arc::new(Actions::parse(file).unwrap()), ..Authzen::default() };
    on_both(Gateways { authzen, ..Gateways::default() }, shop, async |shop| {
        let asked = |action: &Value| {
            let mut asked = question("ann", "", "acme");
            asked["action"] = action.clone();
            asked
        };
        let found = [
            json!({ "name": "POST", "properties": { "paid": true } }),
            json!({ "name": "GET" }),
            json!({ "name": "POST", "properties": { "paid": false } }),
        ];
        assert_eq!(pages(shop, "action", asked(&Value::Null)).await, (found.to_vec(), 3));
        for action in &found {
            assert_eq!(shop.ask("evaluation", &asked(action)).await.json()["decision"], true, "{action}");
            let users = json!([{ "type": "user", "id": "ann" }]);
            assert_eq!(shop.ask("search/subject", &asked(action)).await.json()["results"], users, "{action}");
            assert_eq!(pages(shop, "resource", asked(action)).await.1, 2, "{action}");
        }
        let unpaid = json!({ "name": "POST", "properties": {} });
        assert_eq!(shop.ask("evaluation", &asked(&unpaid)).await.json()["decision"], false);
        let malformed = asked(&json!({ "name": "POST", "properties": ["paid"] }));
        let refused = shop.ask("evaluation", &malformed).await;
        assert_eq!((refused.status, refused.json()["error"]["field"].clone()), (400, json!("action.properties")));
        let mut several = malformed;
        several["evaluations"] = json!([{}, { "action": found[0] }]);
        let all = shop.ask("evaluations", &several).await.json();
        assert_eq!(all["evaluations"][0]["context"]["error"]["field"], "action.properties");
        assert_eq!(all["evaluations"][1]["decision"], true);
    });
}
