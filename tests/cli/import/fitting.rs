//! Entries that the server would refuse do not stop an import.

use std::fs;

use serde_json::{Value, json};

use super::existing::{Shop, has};
use super::{import, rows::members};
use crate::run::Server;

#[test]
fn names_and_descriptions_that_the_server_would_refuse_are_misfits() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[""; 0]);
    let role =
        |id: &str| json!({ "role_id": id, "permissions": [{ "resource_id": "docs", "actions": ["read", "x "] }] });
    let long = "a".repeat(1_100);
    let policy = json!({
        "roles": [role("Stytch_Admin"), role("stytch_admin"), role("stytch_member"), role(" lead")],
        "resources": [{ "resource_id": "docs", "description": long, "actions": ["read", "x "] }],
    });
    fs::write(folder.path().join("policy"), policy.to_string()).unwrap();
    let member =
        |id: &str, role: &str| json!({ "member_id": id, "organization_id": "acme", "roles": [{ "role_id": role }] });
    let all = json!({ "members": [member("ann", "stytch_admin"), member("bob", " lead")] });
    fs::write(folder.path().join("members"), all.to_string()).unwrap();
    let args = ["stytch", "policy", "members", "--project", "moved", "--environment", "test", "--apply"];
    let (code, says) = import(folder.path(), &server, &args);
    assert_eq!(code, Some(0), "{says}");
    has(
        &says,
        &[
            "descriptions that are too long: cut (1): resource docs",
            "permissions with names that are not allowed: not imported (1): \"docs::x \" must not begin or end",
            "roles with names that are not allowed: not imported (1): \" lead\" must not begin or end",
            "roles with the name of another role, perhaps in another case: not imported (1): Stytch_Admin",
            "members with roles that do not exist: not imported (1):  lead of bob in acme",
            "Imported 1 org and 1 member into",
        ],
    );
    assert_eq!(members(folder.path(), &server, "moved", "acme"), ["ann: stytch_admin, stytch_member"]);

    // Terraform names permissions in a list, and an override may have the name of the default role mapping.
    let role = json!({ "permissions": ["read"], "description": long });
    let roles = json!({
        "permissions": [{ "name": "read" }, { "name": "read" }],
        "roles": { "Owner": role, "Member": {} },
        "role_hierarchy": ["Owner", "Member"],
        "default_role": "Member",
        "default_owner_role": "Owner",
    });
    let mut terraform = json!({ "resource": {
        "propelauth_roles_and_permissions": { "x": roles },
        "propelauth_role_permissions_override": { "y": { "name": "default", "roles": {} } },
    } });
    let mut run = |change: &dyn Fn(&mut Value)| {
        change(&mut terraform["resource"]["propelauth_roles_and_permissions"]["x"]);
        fs::write(folder.path().join("tf.json"), terraform.to_string()).unwrap();
        import(folder.path(), &server, &["propelauth", "tf.json", "--project", "other", "--json"])
    };
    let (code, says) = run(&|_| {});
    assert_eq!(code, Some(0), "{says}");
    has(&says, &["listed twice: the first one is used", "role Owner", "role mappings with the name of another one"]);
    let (code, says) = run(&|roles| roles["default_role"] = "Nobody".into());
    assert_eq!(code, Some(2), "{says}");
    has(&says, &["`default_role` is `Nobody`, which is none of the roles", "next: correct the files"]);
}

#[test]
fn an_import_of_nothing_but_misfits_fails() {
    let shop = Shop::start("SINGLE_ROLE", &[]);
    let rows = "acme,ann,Nobody,\nacme,bob,Nobody,\n";
    // The org is new.
    shop.rows(rows, &["--apply"]);
    for args in [&[][..], &["--apply"], &["--json"]] {
        let (code, says) =
            import(shop.folder(), &shop.server, &[&["csv", "a.csv", "--project", "shop"], args].concat());
        assert_eq!(code, Some(2), "{says}");
        has(&says, &["roles that do not exist", "Nobody of ann", "error: nothing in the files could be imported"]);
        assert!(!says.contains("imported already"), "{says}");
    }
    shop.rows("acme,cid,Member,\n", &["--apply"]);
    let says = shop.rows("acme,ann,Nobody,\nacme,cid,Member,\n", &["--apply"]);
    has(&says, &["Everything but the misfits is imported already"]);
}

#[test]
fn a_call_ends_before_it_is_too_large_for_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[""; 0]);
    let name = |number: usize| format!("{number:0>128}");
    let roles: Vec<Value> = (0..49).map(|number| json!({ "role_id": name(number) })).collect();
    fs::write(folder.path().join("policy"), json!({ "roles": roles }).to_string()).unwrap();
    // More than the 16 MiB of one request.
    let member = |number: usize| json!({ "member_id": number.to_string(), "organization_id": "acme", "roles": roles });
    let all: Vec<Value> = (0..2_600).map(member).collect();
    fs::write(folder.path().join("members"), json!({ "members": all }).to_string()).unwrap();
    let args = ["stytch", "policy", "members", "--project", "moved", "--environment", "test", "--apply"];
    let (code, says) = import(folder.path(), &server, &args);
    assert!(code == Some(0) && says.contains("and 2,600 members"), "{says}");
}
