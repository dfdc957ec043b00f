//! `rolecall check`: may a user do something in an org?

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Parser};
use serde::Serialize;
use tonic::Status;

use super::answer::Answer;
use super::client::{Client, ServerArgs, suggestion};
use super::since::AsOf;
use super::table::plain;
use super::trouble::Trouble;
use crate::grpc::generated::check_service_client::CheckServiceClient;
use crate::grpc::generated::permission_service_client::PermissionServiceClient;
use crate::grpc::generated::role_service_client::RoleServiceClient;
use crate::wire::{self, CheckResponse, Decision};

/// How long a denial waits for a suggestion.
const SUGGESTION_TIMEOUT: Duration = Duration::from_secs(1);

const USAGE: &str = "\
rolecall check [OPTIONS] --org <ORG> <USER> <PERMISSION>
       rolecall check [OPTIONS] --org <ORG> <USER> <PERMISSION>... <--all|--any>
       rolecall check [OPTIONS] --org <ORG> <USER> <--role <ROLE>|--at-least <ROLE>>";

const AFTER_HELP: &str = "\
Exit codes: 0 allowed; 1 denied; 2 no answer (wrong usage, no server, an unknown project), with the reason on stderr.";

const AFTER_LONG_HELP: &str = "\
Exit codes:
  0  allowed
  1  denied
  2  no answer: wrong usage, no server, an unknown project; the reason is on stderr

JSON (--json), one object:
  project, org_id, user_id    what was asked about
  permission, role, at_least_role, all_of, any_of
                              the question: one of them; the last two are lists
  allowed                     true or false
  decision                    a name of rolecall.v1.Decision, as in \"DECISION_ROLE_DISABLED\"
  suggestion                  the known name nearest to an unknown one; absent for none
  revision, evaluated_at      the state and the time of the answer

Examples:
  rolecall check bob billing.manage --org globex
  rolecall check bob --org globex --at-least Admin
  rolecall check bob reports.view reports.export --all --org globex && echo yes";

#[derive(Parser)]
#[command(
    override_usage = USAGE,
    after_help = AFTER_HELP,
    after_long_help = AFTER_LONG_HELP,
)]
pub struct Args {
    #[command(flatten)]
    asked: Asked,

    #[command(flatten)]
    client: ServerArgs,
}

/// What a check asks.
#[derive(clap::Args)]
#[command(group(ArgGroup::new("question").required(true).args(["permissions", "role", "at_least"])))]
pub struct Asked {
    /// The id of the user.
    #[arg(value_name = "USER")]
    pub user_id: String,

    /// The name of a permission; several with --all or --any.
    #[arg(value_name = "PERMISSION")]
    permissions: Vec<String>,

    /// The id of the org.
    #[arg(long = "org", value_name = "ORG")]
    pub org_id: String,

    /// Asks whether the user has this role and it is live.
    #[arg(long)]
    role: Option<String>,

    /// Asks whether the user has this role or a higher one and it is live.
    #[arg(long, value_name = "ROLE")]
    at_least: Option<String>,

    /// Asks for all of the permissions.
    #[arg(long, conflicts_with_all = ["role", "at_least", "any"])]
    all: bool,

    /// Asks for any one of the permissions.
    #[arg(long, conflicts_with_all = ["role", "at_least"])]
    any: bool,

    /// Asks about the past: as of a time such as `2026-11-29T10:00:00Z`, some time ago such as `2h` or `7d`, or a revision.
    #[arg(long, value_name = "TIME|REVISION")]
    pub as_of: Option<AsOf>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    Permission(String),
    Role(String),
    AtLeastRole(String),
    AllOf(Vec<String>),
    AnyOf(Vec<String>),
}

#[derive(Serialize)]
struct Checked {
    project: String,
    org_id: String,
    user_id: String,
    #[serde(flatten)]
    question: Question,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<String>,
    #[serde(flatten)]
    answer: CheckResponse,
}

pub async fn run(args: Args) -> Result<ExitCode, Trouble> {
    let asked = args.asked;
    let question = asked.question()?;
    let client = Client::connect(args.client).await?;
    let (as_of_revision, as_of_time) = AsOf::fields(asked.as_of.as_ref());
    let request = wire::CheckRequest {
        project: client.project(),
        org_id: asked.org_id.clone(),
        user_id: asked.user_id.clone(),
        question: Some(question.clone().into()),
        // A question of an operator is no use of the product.
        no_activity: true,
        as_of_revision,
        as_of_time,
        consistency: None,
    };
    let answer = client.ask(CheckServiceClient::new(client.channel()).check(request)).await?;
    let decision = answer.decision();
    // Do not take an unknown decision for a denial.
    if decision == Decision::Unspecified {
        let what = format!("the server answered with decision {}, which this version does not know", answer.decision);
        return Err(Trouble::new(what, "use the `rolecall` that the server was started with"));
    }
    let suggestion = match decision {
        Decision::UnknownPermission | Decision::UnknownRole => {
            tokio::time::timeout(SUGGESTION_TIMEOUT, suggested(&client, &question)).await.ok().flatten()
        }
        _ => None,
    };
    let allowed = answer.allowed;
    let (org_id, user_id) = (asked.org_id, asked.user_id);
    client.show(&Checked { project: client.project(), org_id, user_id, question, suggestion, answer })?;
    Ok(if allowed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

impl Asked {
    pub fn question(&self) -> Result<Question, Trouble> {
        if let Some(role) = &self.role {
            return Ok(Question::Role(role.clone()));
        }
        if let Some(role) = &self.at_least {
            return Ok(Question::AtLeastRole(role.clone()));
        }
        match (self.all, self.any, self.permissions.as_slice()) {
            (true, _, names) => Ok(Question::AllOf(names.to_vec())),
            (_, true, names) => Ok(Question::AnyOf(names.to_vec())),
            (_, _, [name]) => Ok(Question::Permission(name.clone())),
            (.., several) => {
                let what = format!("{} permissions are given, without --all or --any", several.len());
                Err(Trouble::new(what, "add --all to require all of them, or --any to require one"))
            }
        }
    }
}

/// Returns the known name nearest to the unknown one of the question. `None` also on errors: the denial is an answer
/// without it.
async fn suggested(client: &Client, question: &Question) -> Option<String> {
    let unknown = |answer: Result<(), Status>| answer.err().and_then(|status| suggestion(&status));
    match question {
        Question::Role(name) | Question::AtLeastRole(name) => {
            let request = wire::GetRoleRequest { project: client.project(), name: name.clone(), ..Default::default() };
            unknown(RoleServiceClient::new(client.channel()).get_role(request).await.map(|_| ()))
        }
        Question::Permission(name) => suggested_permission(client, std::slice::from_ref(name)).await,
        Question::AllOf(names) | Question::AnyOf(names) => suggested_permission(client, names).await,
    }
}

async fn suggested_permission(client: &Client, names: &[String]) -> Option<String> {
    for name in names {
        let request =
            wire::GetPermissionRequest { project: client.project(), name: name.clone(), ..Default::default() };
        if let Err(status) = PermissionServiceClient::new(client.channel()).get_permission(request).await {
            return suggestion(&status);
        }
    }
    None
}

/// The requests that ask such a question have a type of their own for it.
macro_rules! asked_by {
    ($($request:ident),*) => {$(
        impl From<Question> for wire::$request::Question {
            fn from(question: Question) -> Self {
                match question {
                    Question::Permission(name) => Self::Permission(name),
                    Question::Role(name) => Self::Role(name),
                    Question::AtLeastRole(name) => Self::AtLeastRole(name),
                    Question::AllOf(permissions) => Self::AllOf(wire::PermissionList { permissions }),
                    Question::AnyOf(permissions) => Self::AnyOf(wire::PermissionList { permissions }),
                }
            }
        }
    )*};
}
asked_by!(check_request, explain_request, explain_change_request);

impl Answer for Checked {
    fn text(&self) -> String {
        let (green, red) = (anstyle::AnsiColor::Green.on_default().bold(), anstyle::AnsiColor::Red.on_default().bold());
        if self.answer.allowed {
            return format!("{green}allowed{green:#}\n");
        }
        let decision = self.answer.decision();
        let name = decision.as_str_name().trim_start_matches("DECISION_");
        let suggested = self.suggestion.as_ref().map(|name| format!("; did you mean `{}`?", plain(name)));
        format!("{red}denied{red:#} {name}: {}{}\n", why(decision), suggested.unwrap_or_default())
    }
}

pub fn why(decision: Decision) -> &'static str {
    match decision {
        Decision::Unspecified | Decision::Allowed => "",
        Decision::NotAMember => "the user is not a member of the org",
        Decision::MissingPermission => "no role of the user in the org grants it",
        Decision::RoleDisabled => "a role of the user grants it, but is disabled in the org's role mapping",
        Decision::UserBlocked => "the user is blocked in the project",
        Decision::RoleExpired => "a role of the user grants it, but has expired",
        Decision::OrgNotFound => "the project has no such org",
        Decision::UnknownPermission => "the project has no such permission",
        Decision::UnknownRole => "the project has no such role",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(decision: Decision) -> Checked {
        Checked {
            project: "default".into(),
            org_id: "acme".into(),
            user_id: "bea".into(),
            question: Question::Permission("billing.manage".into()),
            suggestion: None,
            answer: CheckResponse {
                allowed: decision == Decision::Allowed,
                decision: decision as i32,
                ..Default::default()
            },
        }
    }

    #[test]
    fn an_answer_is_coloured() {
        assert_eq!(checked(Decision::Allowed).text(), "\u{1b}[1m\u{1b}[32mallowed\u{1b}[0m\n");
        let denied = checked(Decision::RoleDisabled).text();
        assert!(denied.starts_with("\u{1b}[1m\u{1b}[31mdenied\u{1b}[0m ROLE_DISABLED: "), "{denied:?}");
    }

    #[test]
    fn every_denial_says_why() {
        for number in 2..=9 {
            let decision = Decision::try_from(number).unwrap();
            assert!(!why(decision).is_empty(), "{decision:?}");
        }
    }

    #[test]
    fn several_permissions_need_all_or_any() {
        let asked = |permissions: &[&str], all, any| {
            let permissions = permissions.iter().map(|name| name.to_string()).collect();
            let (user_id, org_id) = ("bea".into(), "acme".into());
            Asked { user_id, permissions, org_id, role: None, at_least: None, all, any, as_of: None }.question()
        };
        let two = || vec!["a".to_string(), "b".to_string()];
        assert!(asked(&["a", "b"], false, false).unwrap_err().next.contains("--all"));
        assert_eq!(asked(&["a", "b"], true, false), Ok(Question::AllOf(two())));
        assert_eq!(asked(&["a", "b"], false, true), Ok(Question::AnyOf(two())));
        assert_eq!(asked(&["a"], false, false), Ok(Question::Permission("a".into())));
    }
}
