//! Stories: a product and its customers, as calls that anybody can make with grpcurl. Each story runs on both databases.

mod delegation;
mod downgrade;
mod first_customers;
mod like_stripe;
mod logged;
mod mars_and_earth;
mod operators;
mod people;
mod staff;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::run::{Server, grpcurl, output};
use crate::support::postgres;

/// Runs a story on a new SQLite database. Skips it if grpcurl is missing.
fn on_sqlite(story: fn(Story<'_>)) {
    run("sqlite://rolecall.db", story);
}

/// The same on PostgreSQL. Skips it if PostgreSQL is missing.
async fn on_postgres(story: fn(Story<'_>)) {
    if let Some(database) = postgres::database().await {
        run(&database, story);
    }
}

fn run(database: &str, story: fn(Story<'_>)) {
    let Some(grpcurl) = grpcurl() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--database", database]);
    story(Story { server: &server, grpcurl: &grpcurl, project: None, key: None });
}

/// Runs a story on a server where every call needs a key, with these operator roles. The story has the bootstrap key.
fn run_with_keys(database: &str, roles: &str, story: fn(Story<'_>)) {
    let Some(grpcurl) = grpcurl() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("first.key");
    let args = ["--database", database, "--auth", "required", "--operator-roles", roles];
    let args = args.map(OsStr::new).into_iter().chain([OsStr::new("--bootstrap-key-file"), file.as_os_str()]);
    let server = Server::start(folder.path(), &args.collect::<Vec<_>>());
    let key = std::fs::read_to_string(file).unwrap();
    story(Story { server: &server, grpcurl: &grpcurl, project: None, key: Some(key.trim()) });
}

/// A server with a new store, and grpcurl to call it.
#[derive(Clone, Copy)]
struct Story<'a> {
    server: &'a Server,
    grpcurl: &'a Path,
    /// The key of the project of all calls. `None` is `default`.
    project: Option<&'a str>,
    /// The API key of all calls. `None` sends none.
    key: Option<&'a str>,
}

/// A step of a story. A failure prints its text.
struct Step<'a> {
    story: Story<'a>,
    text: String,
}

/// A call and its answer.
struct Called {
    /// The text of the step, the call and the answer. A failure prints it.
    context: String,
    answer: Result<Value, String>,
}

impl<'a> Story<'a> {
    /// The same story in another project.
    fn of(self, project: &'a str) -> Self {
        Self { project: Some(project), ..self }
    }

    /// The same story with another API key.
    fn by(self, key: &'a str) -> Self {
        Self { key: Some(key), ..self }
    }

    fn step(self, text: &str) -> Step<'a> {
        Step { story: self, text: text.into() }
    }

    /// Checks a permission, and asserts the decision.
    #[track_caller]
    fn may(self, user_id: &str, org_id: &str, permission: &str, decision: &str) {
        self.check(user_id, org_id, "permission", permission, decision);
    }

    /// The same for another question: `role`, `at_least_role`.
    #[track_caller]
    fn check(self, user_id: &str, org_id: &str, question: &str, name: &str, decision: &str) {
        self.step(&format!("May {user_id} in {org_id} do {name}? {decision}."))
            .call("CheckService/Check", json!({"org_id": org_id, "user_id": user_id, question: name}))
            .answers(json!({"decision": format!("DECISION_{decision}")}));
    }
}

impl Story<'_> {
    /// Returns what a user may do to a target, or to members in general: a line for each role that it manages.
    #[track_caller]
    fn manageable(self, org_id: &str, acting_user_id: &str, target_user_id: Option<&str>) -> Vec<String> {
        let mut body = json!({"org_id": org_id, "acting_user_id": acting_user_id});
        body["target_user_id"] = json!(target_user_id);
        let step = self.step(&format!("What may {acting_user_id} do to {}?", target_user_id.unwrap_or("members")));
        let answer = step.call("MembershipService/ListManageableRoles", body).works();
        let roles = answer["roles"].as_array().cloned().unwrap_or_default();
        let mut lines = Vec::new();
        for role in roles {
            let may = ["invite", "give", "take"].into_iter().filter(|may| role[*may] == true).collect::<Vec<_>>();
            if !may.is_empty() {
                lines.push(format!("{}: {}", role["role"].as_str().unwrap(), may.join(", ")));
            }
        }
        lines.extend((answer["remove"] == true).then(|| "remove".into()));
        lines
    }
}

impl Step<'_> {
    fn call(self, method: &str, mut body: Value) -> Called {
        let method = format!("rolecall.v1.{method}");
        if let (Some(project), Some(body)) = (self.story.project, body.as_object_mut()) {
            body.insert("project".into(), project.into());
        }
        let body = body.to_string();
        let header = self.story.key.map(|key| format!("authorization: Bearer {key}"));
        let header = header.iter().flat_map(|header| ["-H", header]);
        let args = ["-plaintext", "-d", &body, &self.story.server.address, &method];
        let finished = output(Command::new(self.story.grpcurl).args(header).args(args));
        let (stdout, stderr) = (String::from_utf8_lossy(&finished.stdout), String::from_utf8_lossy(&finished.stderr));
        let context = format!("{}\n{method} {body}\n{stdout}{stderr}", self.text);
        let answer = match finished.status.success() {
            true => Ok(serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{context}\nno JSON: {error}"))),
            false => Err(stderr.into()),
        };
        Called { context, answer }
    }
}

impl Called {
    #[track_caller]
    fn works(self) -> Value {
        let Self { context, answer } = self;
        answer.unwrap_or_else(|_| panic!("this should have worked:\n{context}"))
    }

    /// Asserts that the call works and that the answer contains all of `expected`. Lists must be complete.
    #[track_caller]
    fn answers(self, expected: Value) -> Value {
        let context = self.context.clone();
        let answer = self.works();
        assert!(contains(&answer, &expected), "the answer should contain {expected}:\n{context}");
        answer
    }

    /// Asserts that the call is refused because the operator lacks this permission.
    #[track_caller]
    fn lacks(self, permission: &str) {
        let context = self.context.clone();
        let error = self.answer.as_ref().err().cloned().unwrap_or_default().replace("\": ", "\":");
        assert!(
            error.contains(&format!("\"permission\":\"{permission}\"")),
            "`{permission}` should be missing:\n{context}"
        );
        self.refused_with("OPERATOR_PERMISSION_MISSING", &format!("`{permission}`"));
    }

    /// Asserts that the call is refused with this reason, and that the message contains `says`.
    #[track_caller]
    fn refused_with(self, reason: &str, says: &str) {
        let context = self.context.clone();
        let error = self.refused();
        let reasons = error.replace("\"reason\": ", "\"reason\":");
        assert!(reasons.contains(&format!("\"reason\":\"{reason}\"")), "the reason should be {reason}:\n{context}");
        let message = error.lines().find(|line| line.trim_start().starts_with("Message:")).unwrap_or_default();
        assert!(message.contains(says), "the message should contain `{says}`:\n{context}");
    }

    /// Asserts that the call is refused. Returns the whole error.
    #[track_caller]
    fn refused(self) -> String {
        let Self { context, answer } = self;
        let Err(error) = answer else { panic!("this should have been refused:\n{context}") };
        error
    }
}

fn contains(answer: &Value, expected: &Value) -> bool {
    match (answer, expected) {
        (Value::Object(answer), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| answer.get(key).is_some_and(|answer| contains(answer, value)))
        }
        (Value::Array(answer), Value::Array(expected)) => {
            answer.len() == expected.len() && answer.iter().zip(expected).all(|(answer, value)| contains(answer, value))
        }
        (answer, expected) => answer == expected,
    }
}
