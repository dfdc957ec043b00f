//! Files that are refused, and what the error says about them.

use std::fs;

use serde_json::json;

use super::import;
use crate::run::Server;

const TUPLE: &str = r#"{"user": "user:ann", "relation": "Member", "object": "organization:acme"}"#;

#[test]
fn a_file_that_is_not_as_expected_is_refused_in_words_of_its_format() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[""; 0]);
    fs::create_dir(folder.path().join("folder")).unwrap();
    let lone_override = json!({ "resource": { "propelauth_role_permissions_override": { "x": { "name": "Pro" } } } });
    let lone_override = lone_override.to_string();
    let utf16: Vec<u8> = "\u{FEFF}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&str, &[u8], &str); 24] = [
        // Read by position, this would give the org `user-x` the user `org-y`.
        ("csv", b"user_id,org_id,role,caf\xe9\nuser-x,org-y,Member,\n", "line 1 is not UTF-8"),
        ("csv", b"org_id,user_id,role\na,b\xe9,Member\n", "line 2 is not UTF-8"),
        ("csv", b"org_id,user_id,role\na,b\n", "line 2 has 2 fields, and the first line names 3 columns"),
        ("csv", b"org_id,user_id,role,expiry\na,b,Member,\n", "it names `expiry`"),
        ("csv", b"user_id,org_id\na,b\n", "it does not name `role`"),
        ("csv", b"foo;bar\n", "it names `foo;bar`"),
        ("csv", b"org_id,user_id,role,expires\na,b,Member,soon\n", "`soon` in line 2 is no time"),
        ("csv", b"", "it is empty"),
        ("csv", b"org_id,user_id,role\n", "the files hold no orgs, members"),
        ("openfga", b"[]", "the files hold no orgs, members"),
        ("openfga", b"", "it is empty"),
        ("openfga", br#"[{"user": 7}]"#, "must be an object with `tuples`, or a list of tuples"),
        ("openfga", b"- user: 7\n", "must be an object with `tuples`, or a list of tuples"),
        ("propelauth", br#"{"users": []}"#, "the files hold no orgs, members"),
        ("propelauth", br#"{"values": {"root_module": {}}}"#, "no resource `propelauth_roles_and_permissions`"),
        ("propelauth", lone_override.as_bytes(), "the override `Pro`, but not the resource"),
        ("propelauth", b"[1]", "invalid type: list, expected an object with `orgs`, `users`"),
        ("propelauth", br#"{"users": {}}"#, "invalid type: object, expected a list"),
        ("propelauth", br#"{"users": ["#, "it ends too early, in line 1"),
        ("propelauth", b"users", "it is no JSON: "),
        ("propelauth", &utf16, "it is UTF-16; save it as UTF-8"),
        ("stytch", br#"{"organizations": 1}"#, "expected a list, or an object with one entry for each id"),
        ("stytch", br#"{"organizations": {"o": {}}}"#, "missing field `organization_id`"),
        (
            "stytch",
            br#"{"members": [{"member_id": "m", "organization_id": "o", "roles": ["a"]}]}"#,
            "invalid type: string \"a\", expected a role with `role_id`",
        ),
    ];
    for (command, text, why) in cases {
        fs::write(folder.path().join("file"), text).unwrap();
        let (code, says) = import(folder.path(), &server, &[command, "file", "--apply"]);
        assert!(code == Some(2) && says.contains(why), "{command} {why}\n{says}");
        for word in ["struct", "enum", "sequence", "a map", "deserialize"] {
            assert!(!says.contains(word), "{word}: {says}");
        }
    }
    for command in ["csv", "openfga", "propelauth", "stytch"] {
        let (code, says) = import(folder.path(), &server, &[command, "folder"]);
        assert!(code == Some(2) && says.contains("`folder` cannot be read"), "{command} {says}");
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[""; 0]);
    let yaml = "- user: user:ann\n  relation: Member\n  object: organization:acme\n";
    let member = json!({ "orgs": [{ "org_id": "acme", "name": "Acme" }] }).to_string();
    for (command, text) in [
        ("csv", "org_id,user_id,role\nacme,ann,Member\n"),
        ("openfga", &*format!("[{TUPLE}]")),
        ("openfga", yaml),
        ("propelauth", &*member),
    ] {
        fs::write(folder.path().join("file"), format!("\u{FEFF}{text}")).unwrap();
        let (code, says) = import(folder.path(), &server, &[command, "file", "--json"]);
        assert!(code == Some(0) && says.contains("\"new\": 1"), "{command} {says}");
    }
}
