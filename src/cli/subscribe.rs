//! `rolecall subscribe`: moves an org to a role mapping (a plan), or previews the move.

mod args;
mod choices;

use serde::Serialize;
use tonic::{Code, Status};

use super::answer::Answer;
use super::client::{Client, reason};
use super::impact;
use super::table::plain;
use super::trouble::{Failed, Trouble};
use crate::grpc::generated::subscription_service_client::SubscriptionServiceClient;
use crate::wire::{self, ErrorReason, Impact, subscribe_org_request::Target};
pub use args::Args;

#[derive(Serialize)]
struct Subscribed {
    project: String,
    org_id: String,
    from: String,
    role_mapping: String,
    dry_run: bool,
    impact: Impact,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    revision: String,
}

pub async fn run(args: Args) -> Result<(), Failed> {
    let on_disabled = args.on_disabled()?;
    let client = Client::connect(args.client.clone()).await?;
    let mut subscriptions = SubscriptionServiceClient::new(client.channel());
    let request =
        wire::GetSubscriptionRequest { project: client.project(), org_id: args.org_id.clone(), ..Default::default() };
    let before = client.ask(subscriptions.get_subscription(request)).await?;
    let request = wire::SubscribeOrgRequest {
        project: client.project(),
        org_id: args.org_id.clone(),
        on_disabled,
        reason: args.reason.clone().unwrap_or_default(),
        validate_only: args.dry_run,
        impact_digest: args.impact.clone().unwrap_or_default(),
        target: Some(match args.role_mapping.clone() {
            Some(name) => Target::RoleMapping(name),
            None => Target::ToDefault(true),
        }),
        request_id: String::new(),
    };
    let answer = match client.call(subscriptions.subscribe_org(request)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(status)) => return Err(refused(&client, &args, &status).await),
        Err(trouble) => return Err(trouble.of_a_write(args.dry_run).into()),
    };
    let impact = answer.impact.unwrap_or_default();
    let role_mapping = answer.subscription.unwrap_or_default().role_mapping;
    let moved = Subscribed {
        project: client.project(),
        org_id: args.org_id.clone(),
        from: before.subscription.unwrap_or_default().role_mapping,
        dry_run: args.dry_run,
        command: args.dry_run.then(|| args.apply_command(&role_mapping, &impact.digest)),
        role_mapping,
        impact,
        revision: answer.revision,
    };
    Ok(client.show(&moved)?)
}

/// Distinguishes a refused move from a question without an answer.
async fn refused(client: &Client, args: &Args, status: &Status) -> Failed {
    let Trouble { what, next } = client.trouble(status);
    if !matches!(status.code(), Code::FailedPrecondition | Code::Aborted) {
        return Failed::Question(Trouble { what, next });
    }
    let next = match ErrorReason::from_str_name(&reason(status)) {
        Some(ErrorReason::RolesWouldBeDisabled) => choices::choices(client, args, status).await,
        Some(ErrorReason::ImpactChanged) => {
            let again = Args { impact: None, dry_run: true, ..args.clone() };
            format!("preview it again:\n{}", again.command())
        }
        _ => next,
    };
    Failed::Refused(Trouble { what, next })
}

impl Answer for Subscribed {
    fn text(&self) -> String {
        let (org, from, to) = (plain(&self.org_id), plain(&self.from), plain(&self.role_mapping));
        if self.impact.orgs == 0 && from == to {
            return format!("{org} is on {to} already: nothing changes\n");
        }
        let bold = anstyle::Style::new().bold();
        let dim = anstyle::Style::new().dimmed();
        let affected = impact::sentence(&self.impact);
        let sentence = match self.dry_run {
            true => format!("Moving {org} from {from} to {to} would affect {affected}."),
            false => format!("Moved {org} from {from} to {to}. That affected {affected}."),
        };
        let mut text = format!("{bold}{sentence}{bold:#}\n{}", impact::tables(&self.impact));
        if let Some(command) = &self.command {
            text.push_str(&format!(
                "\n{dim}# applies exactly this; it is refused if the impact has changed by then{dim:#}\n{command}\n"
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests;
