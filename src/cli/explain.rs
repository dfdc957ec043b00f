//! `rolecall explain`: why is a check answered as it is?

use anstyle::AnsiColor;
use clap::Parser;
use serde::Serialize;

use super::answer::{Answer, EXIT_CODES};
use super::check::{Asked, Question, why};
use super::client::{Client, ServerArgs};
use super::log::line;
use super::since::AsOf;
use super::table::plain;
use super::trouble::Trouble;
use super::who_can::shown;
use crate::grpc::generated::audit_service_client::AuditServiceClient;
use crate::grpc::generated::check_service_client::CheckServiceClient;
use crate::wire::{
    self, Decision, ExplainChangeRequest, ExplainChangeResponse, ExplainResponse, ExplainedRole, MemberRoleState,
    consistency,
};

const USAGE: &str = "\
rolecall explain [OPTIONS] --org <ORG> <USER> <PERMISSION>
       rolecall explain [OPTIONS] --org <ORG> <USER> <PERMISSION>... <--all|--any>
       rolecall explain [OPTIONS] --org <ORG> <USER> <--role <ROLE>|--at-least <ROLE>>";

const AFTER_LONG_HELP: &str = "\
Exit codes: 0 answered, allowed or denied; 2 no answer, with the reason on stderr.

JSON (--json), one object:
  project, org_id, user_id    what was asked about
  permission, role, at_least_role, all_of, any_of
                              the question: one of them; the last two are lists
  allowed, decision           as in `rolecall check`
  roles                       the recorded roles, highest first: role (as in `rolecall who-can`), grants (would it allow this
                              if it were live?) and fallback_role_grants
  role_mapping, role_mapping_etag
                              the plan of the org
  allowed_on, allowed_on_total
                              the plans on which the user's roles would allow it; the first 100, and how many
  permissions                 with --all and --any: the decision on each permission alone
  revision, evaluated_at      the state and the time of the answer
  change                      with --change: decision_before, and event (as in `rolecall log`) or expire_time

Examples:
  rolecall explain bob billing.manage --org globex
  rolecall explain bob billing.manage --org globex --as-of 7d
  rolecall explain bob billing.manage --org globex --change";

#[derive(Parser)]
#[command(override_usage = USAGE, after_help = EXIT_CODES, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    #[command(flatten)]
    asked: Asked,

    /// Also shows what changed the decision last: a write, or the expiry of a role.
    #[arg(long)]
    change: bool,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Serialize)]
struct Explained {
    project: String,
    org_id: String,
    user_id: String,
    #[serde(flatten)]
    question: Question,
    #[serde(flatten)]
    answer: ExplainResponse,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<ExplainChangeResponse>,
}

pub async fn run(args: Args) -> Result<(), Trouble> {
    let question = args.asked.question()?;
    let client = Client::connect(args.client).await?;
    let (org_id, user_id) = (args.asked.org_id, args.asked.user_id);
    let as_of = AsOf::fields(args.asked.as_of.as_ref());
    let (as_of_revision, as_of_time) = as_of.clone();
    let request = wire::ExplainRequest {
        project: client.project(),
        org_id: org_id.clone(),
        user_id: user_id.clone(),
        question: Some(question.clone().into()),
        as_of_revision,
        as_of_time,
        consistency: None,
    };
    let answer = client.ask(CheckServiceClient::new(client.channel()).explain(request)).await?;
    let change = match args.change {
        false => None,
        true => {
            let (as_of_revision, as_of_time) = as_of;
            let requirement = Some(consistency::Requirement::AtLeast(answer.revision.clone()));
            let request = ExplainChangeRequest {
                project: client.project(),
                org_id: org_id.clone(),
                user_id: user_id.clone(),
                question: Some(question.clone().into()),
                as_of_revision,
                as_of_time,
                consistency: Some(wire::Consistency { requirement }),
            };
            Some(client.ask(AuditServiceClient::new(client.channel()).explain_change(request)).await?)
        }
    };
    client.show(&Explained { project: client.project(), org_id, user_id, question, answer, change })
}

impl Answer for Explained {
    fn text(&self) -> String {
        let (green, red) = (AnsiColor::Green.on_default().bold(), AnsiColor::Red.on_default().bold());
        let answer = &self.answer;
        let decision = match answer.decision() {
            Decision::Allowed => format!("{green}allowed{green:#}"),
            denial => {
                let name = denial.as_str_name().trim_start_matches("DECISION_");
                format!("{red}denied{red:#} {name}: {}", why(denial))
            }
        };
        let mut branches: Vec<String> = Vec::new();
        if !answer.role_mapping.is_empty() {
            branches.push(format!("org {} on {}", plain(&self.org_id), plain(&answer.role_mapping)));
        }
        if answer.roles.is_empty() {
            branches.push("no role is recorded".into());
        }
        branches.extend(answer.roles.iter().map(|role| line(role, self.asks_about_roles())));
        for permission in &answer.permissions {
            let decision = permission.decision().as_str_name().trim_start_matches("DECISION_");
            branches.push(format!("{}: {decision}", plain(&permission.permission)));
        }
        branches.push(decision);
        if !answer.allowed && answer.allowed_on_total > 0 {
            let more = answer.allowed_on_total as usize - answer.allowed_on.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            branches.push(format!("would be allowed on: {}{more}", plain(&answer.allowed_on.join(", "))));
        }
        branches.extend(self.change.as_ref().map(changed));
        let mut text = format!("{}\n", plain(&self.user_id));
        for (at, branch) in branches.iter().enumerate() {
            let end = if at + 1 == branches.len() { "└─" } else { "├─" };
            text += &format!("{end} {branch}\n");
        }
        text
    }
}

impl Explained {
    fn asks_about_roles(&self) -> bool {
        matches!(self.question, Question::Role(_) | Question::AtLeastRole(_))
    }
}

/// Returns `role Admin (suspended): grants it, but is not live`.
fn line(explained: &ExplainedRole, about_roles: bool) -> String {
    let Some(role) = &explained.role else { return String::new() };
    let (does, does_not) = if about_roles { ("answers it", "is not it") } else { ("grants it", "does not grant it") };
    let effect = match (explained.grants, role.state() == MemberRoleState::Live) {
        (true, true) => does.to_string(),
        (true, false) => format!("{does}, but is not live"),
        (false, _) => does_not.to_string(),
    };
    let fallback_role = if explained.fallback_role_grants {
        format!("; its fallback role {} {does}", plain(&role.fallback_role))
    } else {
        String::new()
    };
    format!("role {}: {effect}{fallback_role}", shown(role))
}

/// Returns `was MISSING_PERMISSION until …`, with the event that changed it.
fn changed(change: &ExplainChangeResponse) -> String {
    let before = match change.decision_before() {
        Decision::Unspecified => "there was no project".into(),
        before => format!("was {}", before.as_str_name().trim_start_matches("DECISION_")),
    };
    match (&change.event, &change.expire_time) {
        (Some(event), _) => format!("{before} until {}", line::event(event, false).trim_end()),
        (None, Some(time)) => format!("{before} until a role expired at {time}"),
        (None, None) => "has been so in all the history that is kept".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_a_tree_from_the_user_to_the_decision() {
        let role =
            wire::MemberRole { role: "Billing".into(), state: MemberRoleState::Suspended.into(), ..Default::default() };
        let answer = ExplainResponse {
            decision: Decision::RoleDisabled.into(),
            roles: vec![ExplainedRole { role: Some(role), grants: true, fallback_role_grants: false }],
            role_mapping: "Free".into(),
            allowed_on: vec!["Paid".into()],
            allowed_on_total: 3,
            ..Default::default()
        };
        let question = Question::Permission("billing.manage".into());
        let (org_id, user_id) = ("acme".into(), "bea".into());
        let explained = Explained { project: "default".into(), org_id, user_id, question, answer, change: None };
        let text = anstream::adapter::strip_str(&explained.text()).to_string();
        let lines = [
            "bea",
            "├─ org acme on Free",
            "├─ role Billing (suspended): grants it, but is not live",
            "├─ denied ROLE_DISABLED: a role of the user grants it, but is disabled in the org's role mapping",
            "└─ would be allowed on: Paid and 2 more",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    }
}
