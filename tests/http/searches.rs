//! AuthZEN's searches.

use serde_json::json;

use crate::authzen::{on_shop, question};
use crate::fixture::row;

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
