//! CSV files and tuples of OpenFGA. An import that was interrupted continues.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::import;
use crate::run::{Server, both, output, rolecall};

pub fn members(folder: &Path, server: &Server, project: &str, org: &str) -> Vec<String> {
    let asked =
        output(rolecall(folder).args(["members", org, "--json", "--project", project, "--server", &server.address]));
    let answer: Value = serde_json::from_str(&both(&asked)).unwrap();
    let role = |it: &Value| match it["expire_time"].as_str() {
        Some(time) => format!("{} until {time}", it["role"].as_str().unwrap()),
        None => it["role"].as_str().unwrap().to_string(),
    };
    let member = |it: &Value| {
        let roles: Vec<String> = it["roles"].as_array().unwrap().iter().map(role).collect();
        format!("{}: {}", it["user_id"].as_str().unwrap(), roles.join(", "))
    };
    answer["members"].as_array().unwrap().iter().map(member).collect()
}

#[test]
fn a_csv_file_is_imported_and_continued() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[""; 0]);
    let file = |text: &str| fs::write(folder.path().join("a.csv"), text).unwrap();
    let run = |more: &[&str]| import(folder.path(), &server, &[&["csv", "a.csv"], more].concat());
    file("org_id,user_id,role\nacme,ann,Owner\nacme,bob,Member\n");
    let (code, says) = run(&["--apply"]);
    assert!(code == Some(0) && says.contains("Imported 1 org and 2 members"), "{says}");
    // What is there stays, what is new is added, and what differs is set.
    file(
        "user_id,org_id,role,expires\nann,acme,Owner,\nbob,acme,Admin,\ncid,globex,Member,2999-01-31T12:00:00Z\n\
         dan,acme,Member,2001-01-31T12:00:00Z\neve,acme,Nobody,\nfay,acme,Owner,\nfay,acme,Member,\n",
    );
    let (code, says) = run(&["--json"]);
    let plan: Value = serde_json::from_str(&says).unwrap();
    assert_eq!(code, Some(0), "{says}");
    assert_eq!(plan["members"], json!({ "new": 1, "changed": 1, "present": 1 }), "{says}");
    assert_eq!(plan["orgs"], json!({ "new": 1, "changed": 0, "present": 1 }), "{says}");
    let (code, says) = run(&["--apply"]);
    assert_eq!(code, Some(0), "{says}");
    for misfit in
        ["roles that have expired", "roles that do not exist: not imported (1): Nobody of eve", "Member + Owner of fay"]
    {
        assert!(says.contains(misfit), "{misfit}\n{says}");
    }
    assert_eq!(members(folder.path(), &server, "default", "acme"), ["ann: Owner", "bob: Admin"]);
    assert_eq!(members(folder.path(), &server, "default", "globex"), ["cid: Member until 2999-01-31T12:00:00Z"]);
    let (code, says) = run(&["--apply"]);
    assert!(code == Some(0) && says.contains("Everything but the misfits is imported already"), "{says}");
    // The server keeps microseconds.
    file("org_id,user_id,role,expires\nglobex,cid,Member,2999-12-31T12:00:00.123456789Z\n");
    assert!(run(&["--apply"]).1.contains("0 orgs and 1 member "));
    let (code, says) = run(&["--apply"]);
    assert!(code == Some(0) && says.contains("Everything is imported already"), "{says}");
    file("org_id,user_id,role\nacme,ann,Owner\n");
    let (code, says) = run(&["--project", "nowhere"]);
    assert!(code == Some(2) && says.contains("`nowhere` does not exist"), "{says}");
}

#[test]
fn tuples_of_openfga_are_imported_by_a_convention() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[""; 0]);
    let tuple =
        |user: &str, relation: &str, object: &str| json!({ "user": user, "relation": relation, "object": object });
    let all = [
        tuple("user:ann", "owner", "organization:acme"),
        tuple("user:bob", "Member", "organization:acme"),
        tuple("user:bob", "viewer", "document:1"),
        tuple("team:a#member", "owner", "organization:acme"),
        tuple("user:*", "Member", "organization:acme"),
        json!({ "user": "user:cid", "relation": "Member", "object": "organization:acme", "condition": { "name": "office" } }),
    ];
    let keyed: Vec<Value> = all.iter().map(|key| json!({ "key": key, "timestamp": "2026-01-01T00:00:00Z" })).collect();
    let yaml = "- user: user:ann\n  relation: owner\n  object: organization:acme\n- user: user:bob\n  relation: Member\n  object: organization:acme\n";
    let files = [
        ("read.json", json!({ "tuples": keyed, "continuation_token": "" }).to_string()),
        ("simple.json", json!(all).to_string()),
        ("tuples.yaml", yaml.to_string()),
    ];
    for (at, (name, text)) in files.into_iter().enumerate() {
        fs::write(folder.path().join(name), text).unwrap();
        let (code, says) = import(folder.path(), &server, &["openfga", name, "--relation", "owner=Owner", "--apply"]);
        assert_eq!(code, Some(0), "{says}");
        assert_eq!(says.contains("Everything but the misfits is imported already"), at == 1, "{says}");
        assert_eq!(says.contains("Everything is imported already"), at == 2, "{says}");
        assert_eq!(
            says.contains("tuples with a condition: not imported (1): user:cid Member organization:acme"),
            at < 2,
            "{says}"
        );
        assert_eq!(
            says.contains("tuples of groups, wildcards and other types of users: not imported (2)"),
            at < 2,
            "{says}"
        );
    }
    assert_eq!(members(folder.path(), &server, "default", "acme"), ["ann: Owner", "bob: Member"]);
    // More nodes than the reader of YAML allows by default.
    let tuple = |number| format!("- user: user:{number}\n  relation: Member\n  object: organization:large\n");
    fs::write(folder.path().join("large.yaml"), (0..40_000).map(tuple).collect::<String>()).unwrap();
    let (code, says) = import(folder.path(), &server, &["openfga", "large.yaml", "--json"]);
    assert!(code == Some(0) && says.contains("\"new\": 40000"), "{says}");
}
