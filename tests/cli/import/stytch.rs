//! Stytch: answers equal those of `performAuthorizationCheck` of the package `stytch` for Node.

use std::collections::BTreeSet;
use std::fs;

use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::wire::check_request::Question;
use rolecall::wire::{CheckRequest, Decision};
use serde_json::{Map, Value, json};

use super::{Asked, Dice, compare, import, members, sdk};
use crate::lifecycle::channel;
use crate::run::Server;

const ACTIONS: [&str; 5] = ["create", "read", "update", "delete", "*"];

struct Permission {
    resource_id: String,
    actions: Vec<String>,
}

struct PolicyRole {
    role_id: String,
    permissions: Vec<Permission>,
}

/// The function of the SDK. `sdk.cjs` calls the original.
fn is_authorized(
    policy: &[PolicyRole],
    subject: (&str, &[String]),
    org_id: &str,
    resource_id: &str,
    action: &str,
) -> bool {
    let (subject_org, subject_roles) = subject;
    if subject_org != org_id {
        return false;
    }
    let roles = policy.iter().filter(|role| subject_roles.contains(&role.role_id));
    roles.flat_map(|role| &role.permissions).any(|permission| {
        let matching_action = permission.actions.iter().any(|it| it == action || it == "*");
        matching_action && resource_id == permission.resource_id
    })
}

fn policy(dice: &mut Dice) -> (Vec<PolicyRole>, Vec<String>, Value) {
    let resources: Vec<String> =
        (0..6).map(|number| format!("documents{number}")).chain(["stytch.member".into()]).collect();
    let names = (0..6).map(|number| format!("role_{number}")).chain(["stytch_admin".into(), "stytch_member".into()]);
    let roles: Vec<PolicyRole> = names
        .map(|role_id| {
            let mut permissions = Vec::new();
            for resource_id in &resources {
                if dice.once_in(2) {
                    let once_in = |action: &str| if action == "*" { 5 } else { 3 };
                    let actions = ACTIONS.iter().filter(|action| dice.once_in(once_in(action)));
                    let actions = actions.map(|&action| action.to_string()).collect();
                    permissions.push(Permission { resource_id: resource_id.clone(), actions });
                }
            }
            PolicyRole { role_id, permissions }
        })
        .collect();
    let role = |role: &PolicyRole| {
        let permission = |it: &Permission| json!({ "resource_id": it.resource_id, "actions": it.actions });
        let permissions: Vec<Value> = role.permissions.iter().map(permission).collect();
        json!({ "role_id": role.role_id, "description": "a role", "permissions": permissions })
    };
    let resource = |id: &String| json!({ "resource_id": id, "description": "a resource", "actions": ACTIONS });
    let policy = json!({
        "roles": roles.iter().map(role).collect::<Vec<_>>(),
        "resources": resources.iter().map(resource).collect::<Vec<_>>(),
        "scopes": [],
    });
    (roles, resources, json!({ "status_code": 200, "request_id": "r", "policy": policy }))
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_import_of_stytch_answers_equal_those_of_its_sdk() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[""; 0]);
    let mut dice = Dice(5);
    let (policy, resources, policy_json) = policy(&mut dice);
    let org_count = (members() / 20).max(10);
    let org_id = |number: usize| format!("organization-{number}");
    let organization =
        |number| json!({ "organization_id": org_id(number), "organization_name": "An org", "trusted_metadata": {} });
    let organizations: Vec<Value> = (0..org_count).map(organization).collect();
    let (mut all, mut pages) = (Vec::new(), Vec::new());
    for number in 0..members() {
        let (org, member_id) = (org_id(dice.below(org_count)), format!("member-{number}"));
        let roles: BTreeSet<usize> = (0..dice.below(4)).map(|_| dice.below(policy.len())).collect();
        let mut held: Vec<String> = roles.into_iter().map(|role| policy[role].role_id.clone()).collect();
        let role = |id: &String| json!({ "role_id": id, "sources": [{ "type": "direct_assignment", "details": {} }] });
        let roles: Vec<Value> = held.iter().map(role).collect();
        pages.push(json!({ "organization_id": org, "member_id": member_id, "status": "active", "email_address": "a@a.example", "roles": roles }));
        // Every session has it.
        held.push("stytch_member".into());
        all.push((org, member_id, held));
    }
    let by_sign_in = json!({ "role_id": "stytch_admin", "sources": [{ "type": "sso_connection", "details": {} }] });
    pages.push(
        json!({ "organization_id": org_id(0), "member_id": "signs-in", "status": "active", "roles": [by_sign_in] }),
    );
    pages.push(json!({ "organization_id": org_id(0), "member_id": "gone", "status": "deleted", "roles": [] }));
    let mut by_id = Map::new();
    by_id.insert(org_id(0), organization(0));
    let page = |members: &[Value]| json!({ "members": members, "organizations": by_id }).to_string() + "\n";
    let members_text: String = pages.chunks(1_000).map(page).collect();
    for (name, text) in [
        ("policy.json", policy_json.to_string()),
        ("organizations.json", json!({ "organizations": organizations }).to_string()),
        ("members.json", members_text),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let args = ["stytch", "policy.json", "organizations.json", "members.json", "--project", "moved"];
    let (code, says) = import(folder.path(), &server, &[&args[..], &["--apply", "--environment", "live"]].concat());
    assert_eq!(code, Some(0), "{says}");
    assert!(
        says.contains("roles that depend on how a member signs in: not imported (1): stytch_admin of signs-in"),
        "{says}"
    );
    assert!(says.contains("members who are not active: not imported (1): gone (deleted)"), "{says}");

    let asked =
        |(org, member, roles): &(String, String, Vec<String>), org_id: String, resource: &str, action: &str| Asked {
            expected: is_authorized(&policy, (org, roles), &org_id, resource, action),
            org_id,
            user_id: member.clone(),
            question: Question::Permission(format!("{resource}::{action}")),
        };
    let ask = |_| {
        let member = dice.of(&all);
        let asked_org = if dice.once_in(20) { org_id(dice.below(org_count)) } else { member.0.clone() };
        let (resource, action) = (dice.of(&resources), dice.of(&ACTIONS));
        asked(member, asked_org, resource, action)
    };
    let questions: Vec<Asked> = (0..members()).map(ask).collect();
    let dump = ["stytch", "policy.json", "members.json"];
    sdk::compare(folder.path(), &dump, &questions);
    compare(&server, "moved", questions).await;

    // The documented difference: an action that the policy does not list is unknown, where the wildcard grants it at Stytch.
    let mut client = CheckServiceClient::new(channel(&server).await);
    let export = |member: &(String, _, _)| {
        let resource = dice.of(&resources);
        asked(member, member.0.clone(), resource, "export")
    };
    let questions: Vec<Asked> = all.iter().take(100).map(export).collect();
    sdk::compare(folder.path(), &dump, &questions);
    let by_wildcard = questions.iter().filter(|it| it.expected).count();
    for it in questions {
        let request = CheckRequest {
            project: "moved".into(),
            org_id: it.org_id,
            user_id: it.user_id,
            question: Some(it.question),
            ..Default::default()
        };
        let answer = client.check(request).await.unwrap().into_inner();
        assert_eq!((answer.allowed, answer.decision()), (false, Decision::UnknownPermission));
    }
    assert!((1..100).contains(&by_wildcard), "{by_wildcard} of 100 prove little");
    let (code, says) = import(folder.path(), &server, &args);
    assert!(code == Some(0) && says.contains("Everything but the misfits is imported already"), "{says}");
}
