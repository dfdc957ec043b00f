//! The SDKs of other products: their packages from npm, which `sdk.cjs` calls.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use rolecall::wire::check_request::Question;
use serde_json::{Value, json};

use super::Asked;
use crate::run::both;
use crate::support::postgres::skipped;

/// Asks the SDK everything, and compares. `args` are the product and the files of its dump.
pub fn compare(folder: &Path, args: &[&str], asked: &[Asked]) {
    let Some(packages) = env::var_os("ROLECALL_TEST_SDKS") else {
        return skipped("SDKs of PropelAuth and Stytch not found; install them and set ROLECALL_TEST_SDKS");
    };
    let packages =
        Path::new(&packages).join("node_modules").canonicalize().expect("ROLECALL_TEST_SDKS has node_modules");
    fs::write(folder.join("questions"), asked.iter().map(|it| as_json(it).to_string() + "\n").collect::<String>())
        .unwrap();
    let mut node = Command::new("node");
    node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/import/sdk.cjs")).args(args).arg("questions");
    node.env("NODE_PATH", packages).current_dir(folder);
    let done = node.output().expect("node can be run");
    assert!(done.status.success(), "{}", both(&done));
    let answers = String::from_utf8(done.stdout).unwrap();
    assert_eq!(answers.lines().count(), asked.len());
    for (it, answer) in asked.iter().zip(answers.lines()) {
        assert_eq!(answer, it.expected.to_string(), "the SDK: {}", as_json(it));
    }
}

fn as_json(asked: &Asked) -> Value {
    let (kind, argument) = match &asked.question {
        Question::Role(role) => ("role", json!(role)),
        Question::AtLeastRole(role) => ("at_least_role", json!(role)),
        Question::Permission(permission) => ("permission", json!(permission)),
        Question::AllOf(list) => ("all_of", json!(list.permissions)),
        other => panic!("no SDK answers {other:?}"),
    };
    json!({ "org_id": asked.org_id, "user_id": asked.user_id, kind: argument })
}
