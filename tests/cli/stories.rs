//! Stories: what people do with a product that asks here, by calls that anybody can make with grpcurl. Each reads from top
//! to bottom, and is told on both databases.

mod delegation;
mod downgrade;
mod first_customers;
mod like_stripe;
mod mars_and_earth;
mod staff;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::run::{Server, grpcurl, output};
use crate::support::postgres;

/// Tells a story on a fresh SQLite database; not where grpcurl is missing.
fn on_sqlite(tell: fn(Story<'_>)) {
    begin("sqlite://rolecall.db", tell);
}

/// The same on PostgreSQL; not where that is missing.
async fn on_postgres(tell: fn(Story<'_>)) {
    if let Some(database) = postgres::database().await {
        begin(&database, tell);
    }
}

fn begin(database: &str, tell: fn(Story<'_>)) {
    let Some(grpcurl) = grpcurl() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--database", database]);
    tell(Story { server: &server, grpcurl: &grpcurl, project: None });
}

/// A server with a fresh store, and grpcurl to call it.
#[derive(Clone, Copy)]
struct Story<'a> {
    server: &'a Server,
    grpcurl: &'a Path,
    /// The key of the project that is meant; none for `default`.
    project: Option<&'a str>,
}

/// What is about to be done, for whoever reads why it failed.
struct Step<'a> {
    story: Story<'a>,
    says: String,
}

/// What was called and answered.
struct Called {
    /// Says, call and answer, for whoever reads why it failed.
    told: String,
    answer: Result<Value, String>,
}

impl<'a> Story<'a> {
    /// The same, of another project.
    fn of(self, project: &'a str) -> Self {
        Self { project: Some(project), ..self }
    }

    fn tell(self, says: &str) -> Step<'a> {
        Step { story: self, says: says.into() }
    }

    /// A check, and the decision that it must be answered with.
    #[track_caller]
    fn may(self, user_id: &str, org_id: &str, permission: &str, decision: &str) {
        self.check(user_id, org_id, "permission", permission, decision);
    }

    /// The same of another question: `role`, `at_least_role`.
    #[track_caller]
    fn check(self, user_id: &str, org_id: &str, question: &str, name: &str, decision: &str) {
        self.tell(&format!("May {user_id} in {org_id} do {name}? {decision}."))
            .call("CheckService/Check", json!({"org_id": org_id, "user_id": user_id, question: name}))
            .answers(json!({"decision": format!("DECISION_{decision}")}));
    }
}

impl Story<'_> {
    /// What somebody may do to another, or to members in general: a line for each role with which anything may be done.
    #[track_caller]
    fn manageable(self, org_id: &str, acting_user_id: &str, target_user_id: Option<&str>) -> Vec<String> {
        let mut body = json!({"org_id": org_id, "acting_user_id": acting_user_id});
        body["target_user_id"] = json!(target_user_id);
        let step = self.tell(&format!("What may {acting_user_id} do to {}?", target_user_id.unwrap_or("members")));
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
        let args = ["-plaintext", "-d", &body, &self.story.server.address, &method];
        let removed = output(Command::new(self.story.grpcurl).args(args));
        let (stdout, stderr) = (String::from_utf8_lossy(&removed.stdout), String::from_utf8_lossy(&removed.stderr));
        let told = format!("{}\n{method} {body}\n{stdout}{stderr}", self.says);
        let answer = match removed.status.success() {
            true => Ok(serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{told}\nno JSON: {error}"))),
            false => Err(stderr.into()),
        };
        Called { told, answer }
    }
}

impl Called {
    #[track_caller]
    fn works(self) -> Value {
        let Self { told, answer } = self;
        answer.unwrap_or_else(|_| panic!("this should have worked:\n{told}"))
    }

    /// It works, and the answer holds all of this; lists are complete.
    #[track_caller]
    fn answers(self, expected: Value) -> Value {
        let told = self.told.clone();
        let answer = self.works();
        assert!(holds(&answer, &expected), "the answer should hold {expected}:\n{told}");
        answer
    }

    /// It does not work: the error has this reason, and its message says this.
    #[track_caller]
    fn refused_with(self, reason: &str, says: &str) {
        let told = self.told.clone();
        let error = self.refused();
        let reasons = error.replace("\"reason\": ", "\"reason\":");
        assert!(reasons.contains(&format!("\"reason\":\"{reason}\"")), "the reason should be {reason}:\n{told}");
        let message = error.lines().find(|line| line.trim_start().starts_with("Message:")).unwrap_or_default();
        assert!(message.contains(says), "the message should say `{says}`:\n{told}");
    }

    /// It does not work; returns all that the error says.
    #[track_caller]
    fn refused(self) -> String {
        let Self { told, answer } = self;
        let Err(error) = answer else { panic!("this should have been refused:\n{told}") };
        error
    }
}

fn holds(answer: &Value, expected: &Value) -> bool {
    match (answer, expected) {
        (Value::Object(answer), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| answer.get(key).is_some_and(|answer| holds(answer, value)))
        }
        (Value::Array(answer), Value::Array(expected)) => {
            answer.len() == expected.len() && answer.iter().zip(expected).all(|(answer, value)| holds(answer, value))
        }
        (answer, expected) => answer == expected,
    }
}
