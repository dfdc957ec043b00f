//! The published cases of AuthZEN (`data/README.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rolecall::authzen::Authzen;
use rolecall::authzen::actions::Actions;
use rolecall::server::Gateways;
use serde_json::{Value, json};

use crate::client::{Answer, request, send};
use crate::fixture::roles;
use crate::guarded::{Guarded, on_both};
use crate::server::Server;

/// It wants the `type` of the default resource and the `id` of another one joined. The certification text (3.2.7) says that a
/// resource replaces the default one as a whole.
const AGAINST_THE_CERTIFICATION: &str = "authzen-pdp-evaluations-batch-with-default-value-merging";

/// Deleting record-1 is allowed only with the property `soft`.
const ACTIONS: &str = "actions: [{ action: delete, properties: { soft: true }, permission: archive }]";

fn gateways() -> Gateways {
    // The type `spaceship` must be unknown.
    let authzen = Authzen {
        subject_types: vec!["user".into()],
        resource_types: vec!["record".into()],
        actions: Arc::new(Actions::parse(ACTIONS).unwrap()),
        ..Authzen::default()
    };
    Gateways { authzen, ..Gateways::default() }
}

/// Stores what the cases expect. The scenario's rule that an administrator may write archived records is a role here: bob is
/// Writer of record-2.
async fn records(server: &Server) {
    let project = server.single();
    for permission in ["read", "write", "delete", "archive"] {
        project.permission(permission).await;
    }
    for (role, permissions) in [("Writer", &["read", "write", "archive"][..]), ("Reader", &["read"])] {
        project.role(role).await;
        project.grant("Default", role, permissions).await;
    }
    for (org, alice, bob) in [("record-1", "Writer", "Reader"), ("record-2", "Reader", "Writer")] {
        project.org(org, "Default").await;
        project.add(org, "alice", &roles(&[alice])).await;
        project.add(org, "bob", &roles(&[bob])).await;
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn is(case: &Value, flag: &str) -> bool {
    case[flag].as_bool().unwrap()
}

async fn ask(guarded: &Guarded, case: &Value, body: &str) -> Answer {
    let name = case["name"].as_str().unwrap();
    let mut headers = vec![("content-type", case["content_type"].as_str().unwrap())];
    if is(case, "x_request_id") {
        headers.push(("x-request-id", name));
    }
    let mut authorization = guarded.authorization.clone();
    if is(case, "bad_auth") {
        let last = authorization.pop().unwrap();
        authorization.push(if last == 'A' { 'B' } else { 'A' });
    }
    if !is(case, "no_auth") {
        headers.push(("authorization", &authorization));
    }
    let path = format!("/access/v1/{}", case["endpoint"].as_str().unwrap());
    let request = request(case["method"].as_str().unwrap(), &path, &headers, body.to_owned());
    send(&guarded.server.http_address(), request).await
}

/// Returns why a case of the conformance suite fails.
async fn judge(guarded: &Guarded, case: &Value) -> Option<String> {
    let body = case["body"].as_str().unwrap();
    let answer = ask(guarded, case, body).await;
    let wrong = |what: &str| Some(format!("{what}: {answer:?}"));
    if !case["statuses"].as_array().unwrap().contains(&json!(answer.status)) {
        return wrong("status");
    }
    if answer.status == 401 && !answer.header("www-authenticate").starts_with("Bearer") {
        return wrong("no challenge");
    }
    if answer.status != 200 {
        return None;
    }
    if answer.header("content-type") != "application/json" {
        return wrong("content type");
    }
    if is(case, "x_request_id") && answer.header("x-request-id") != case["name"] {
        return wrong("request id");
    }
    let mut got = answer.json();
    let expected = &case["expected"];
    let endpoint = case["endpoint"].as_str().unwrap();
    if endpoint == "evaluation" || is(case, "single") {
        let expected = expected.get("decision");
        if !got["decision"].is_boolean() || expected.is_some_and(|expected| *expected != got["decision"]) {
            return wrong("decision");
        }
        if got.get("evaluations").is_some() {
            return wrong("evaluations");
        }
    } else if endpoint == "evaluations" {
        if got.get("decision").is_some() || !fits(expected, &got) {
            return wrong("evaluations");
        }
    } else {
        let mut body: Value = serde_json::from_str(body).unwrap();
        let mut results = got["results"].as_array()?.clone();
        let mut pages = 1;
        while is(case, "paginate") && got["page"]["next_token"] != "" {
            body["page"] = json!({ "token": got["page"]["next_token"] });
            got = ask(guarded, case, &body.to_string()).await.json();
            results.extend(got["results"].as_array()?.iter().cloned());
            pages += 1;
        }
        if is(case, "paginate") && pages == 1 {
            return wrong("one page");
        }
        if !fits(expected, &json!({ "results": results })) {
            return wrong("results");
        }
    }
    if is(case, "repeat") && ask(guarded, case, case["body"].as_str().unwrap()).await.json() != got {
        return wrong("not the same when repeated");
    }
    None
}

/// Returns true if an answer has what is expected. Results may have more, unless none is expected.
fn fits(expected: &Value, got: &Value) -> bool {
    match expected {
        Value::Null => true,
        Value::String(text) if text == "<any>" => !got.is_null(),
        Value::String(text) if text == "<boolean>" => got.is_boolean(),
        Value::Object(members) => members.iter().all(|(name, expected)| match (name.as_str(), expected, &got[name]) {
            ("results", Value::Array(expected), Value::Array(got)) => {
                expected.iter().all(|one| got.contains(one)) && expected.is_empty() <= got.is_empty()
            }
            (_, Value::Array(expected), Value::Array(got)) => {
                expected.len() == got.len() && expected.iter().zip(got).all(|(expected, got)| fits(expected, got))
            }
            (_, expected, got) => fits(expected, got),
        }),
        other => other == got,
    }
}

#[test]
fn the_cases_of_the_conformance_suite_pass() {
    on_both(gateways(), records, async |guarded| {
        let (mut core, mut failed) = (0, Vec::new());
        for case in lines(include_str!("data/oidf-cases.jsonl")) {
            core += usize::from(is(&case, "core"));
            if let Some(why) = judge(guarded, &case).await {
                failed.push((case["name"].as_str().unwrap().to_owned(), why));
            }
        }
        assert_eq!(core, 117);
        let names: Vec<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, [AGAINST_THE_CERTIFICATION], "{failed:#?}");
    });
}

#[test]
fn the_cases_of_the_certification_pass() {
    on_both(gateways(), records, async |guarded| {
        let (mut cases, mut failed, mut token) = (0, Vec::new(), Value::Null);
        for mut case in lines(include_str!("data/certification-cases.jsonl")) {
            cases += 1;
            if case["request"]["page"]["token"].is_string() {
                case["request"]["page"]["token"] = token.clone();
            }
            let path = format!("/access/v1/{}", case["endpoint"].as_str().unwrap());
            let authorization = [("authorization", &*guarded.authorization)];
            let request = request("POST", &path, &authorization, case["request"].to_string());
            let answer = send(&guarded.server.http_address(), request).await;
            if let Some(next) = answer.json()["page"].get("next_token") {
                token = next.clone();
            }
            if case["status"] != answer.status || !fits(&case["response"], &answer.json()) {
                failed.push((case["title"].as_str().unwrap().to_owned(), answer));
            }
        }
        assert_eq!(cases, 50);
        assert!(failed.is_empty(), "{failed:#?}");
    });
}

/// Stores the members of the interoperability scenario. Each set of permissions is a role.
async fn documents(server: &Server) {
    let project = server.single();
    for permission in ["view", "edit", "delete"] {
        project.permission(permission).await;
    }
    let (mut known_roles, mut orgs) = (BTreeSet::new(), BTreeMap::<&str, Vec<(&str, &str)>>::new());
    for line in include_str!("data/search-fixture.tsv").lines().filter(|line| !line.starts_with('#')) {
        let [org, user, permissions] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        orgs.entry(org).or_default().push((user, permissions));
        if known_roles.insert(permissions) {
            project.role(permissions).await;
            project.grant("Default", permissions, &permissions.split(',').collect::<Vec<_>>()).await;
        }
    }
    for (org, members) in orgs {
        project.org(org, "Default").await;
        for (user, role) in members {
            project.add(org, user, &roles(&[role])).await;
        }
    }
}

#[test]
fn searches_return_all_results_of_the_interoperability_scenario_and_no_others() {
    on_both(gateways(), documents, async |guarded| {
        let set = |results: &Value| -> BTreeSet<String> {
            results.as_array().unwrap().iter().map(Value::to_string).collect()
        };
        let mut asked = 0;
        for (endpoint, text) in [
            ("subject", include_str!("data/search-subject.json")),
            ("resource", include_str!("data/search-resource.json")),
            ("action", include_str!("data/search-action.json")),
        ] {
            let cases: Value = serde_json::from_str(text).unwrap();
            for case in cases["evaluation"].as_array().unwrap() {
                let path = format!("/access/v1/search/{endpoint}");
                let authorization = [("authorization", &*guarded.authorization)];
                let request = request("POST", &path, &authorization, case["request"].to_string());
                let answer = send(&guarded.server.http_address(), request).await.json();
                assert_eq!(set(&answer["results"]), set(&case["expected"]["results"]), "{case}");
                asked += 1;
            }
        }
        assert_eq!(asked, 198);
    });
}
