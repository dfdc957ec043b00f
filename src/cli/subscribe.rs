//! `rolecall subscribe`: moves an org to a role mapping (a plan), or says what that would do.

mod choices;

use clap::{ArgGroup, Parser, ValueEnum};
use serde::Serialize;
use tonic::{Code, Status};

use super::Failed;
use super::answer::Answer;
use super::client::{Client, ServerArgs, Trouble, reason};
use super::impact::Impact;
use super::table::plain;
use crate::grpc::generated::subscription_service_client::SubscriptionServiceClient;
use crate::server::shell;
use crate::wire::{self, DisabledRoleStrategy, subscribe_org_request::Target};

const USAGE: &str = "\
rolecall subscribe [OPTIONS] <ORG> <MAPPING>
       rolecall subscribe [OPTIONS] <ORG> --to-default";

const AFTER_HELP: &str = "\
Exit codes: 0 moved, or it would be; 1 refused, nothing was changed; 2 no answer (wrong usage, no server, an unknown \
org), with the reason on stderr.";

const AFTER_LONG_HELP: &str = "\
Exit codes:
  0  moved; with --dry-run: it would be
  1  refused, and nothing was changed: members hold roles that would be disabled for them and nothing is said of them, or
     the impact is another than --impact says; what to do is on the standard error output
  2  no answer: wrong usage, no server, an unknown org or role mapping; the reason is on the standard error output

JSON (--json), one object:
  project, org_id             what was moved
  from, role_mapping          the role mappings before and after
  dry_run                     whether it was only looked at
  impact                      what it does to members, in the words of rolecall.v1.Impact: digest, orgs, members,
                              members_losing_at_least, roles (role, given, ended, suspended, reactivated), grants_gained,
                              grants_lost, at_least_lost, manages_lost and orgs_left_ownerless (each total and first),
                              sample (org_id, user_id, roles_given, roles_removed, roles_suspended, roles_reactivated,
                              permissions_gained, permissions_lost)
  command                     with --dry-run: what moves the org with this impact, and is refused with another
  revision                    the state that it was written as, or looked at in

Examples:
  rolecall subscribe acme Free --dry-run
  rolecall subscribe acme Free --on-disabled suspend --fallback-role Member
  rolecall subscribe acme --to-default --on-disabled remap --remap Admin=Member";

#[derive(Clone, Parser)]
#[command(
    override_usage = USAGE,
    after_help = AFTER_HELP,
    after_long_help = AFTER_LONG_HELP,
    group(ArgGroup::new("target").required(true).args(["role_mapping", "to_default"])),
)]
pub struct Args {
    /// The id of the org.
    #[arg(value_name = "ORG")]
    org_id: String,

    /// The name of the role mapping to move it to.
    #[arg(value_name = "MAPPING")]
    role_mapping: Option<String>,

    /// Moves it to the project's default role mapping instead.
    #[arg(long)]
    to_default: bool,

    /// Says what it would do to members, and changes nothing.
    #[arg(long)]
    dry_run: bool,

    /// What becomes of members who hold a role that is disabled there. If not given, it is what --fallback-role or --remap need,
    /// else reject.
    #[arg(long, value_enum, value_name = "STRATEGY")]
    on_disabled: Option<Strategy>,

    /// With suspend: the role that they hold meanwhile.
    #[arg(long, value_name = "ROLE")]
    fallback_role: Option<String>,

    /// With remap: which role takes the place of which; can be given several times. The first `=` ends OLD: a role that
    /// has one in its name is left to --default-replacement.
    #[arg(long, value_name = "OLD=NEW", value_parser = replacement)]
    remap: Vec<Replacement>,

    /// With remap: the role that takes the place of all that --remap does not name.
    #[arg(long, value_name = "ROLE")]
    default_replacement: Option<String>,

    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// The digest that a dry run showed: if the impact would be another by now, the move is refused.
    #[arg(long, value_name = "DIGEST", conflicts_with = "dry_run")]
    impact: Option<String>,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Strategy {
    /// The move is refused, and says whom it would touch.
    Reject,
    /// They keep the role, which grants nothing until the org is on a plan that has it.
    Suspend,
    /// They get another role in its place, for good.
    Remap,
}

/// One role that takes the place of another.
#[derive(Clone, Debug, PartialEq)]
struct Replacement {
    role: String,
    to: String,
}

fn replacement(text: &str) -> Result<Replacement, String> {
    match text.split_once('=') {
        Some((role, to)) if !role.is_empty() && !to.is_empty() => Ok(Replacement { role: role.into(), to: to.into() }),
        _ => Err("say OLD=NEW, as in \"Billing Manager=Member\"".into()),
    }
}

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
    let on_disabled = on_disabled(&args)?;
    let client = Client::connect(args.client.clone()).await?;
    let mut subscriptions = SubscriptionServiceClient::new(client.channel());
    let request = wire::GetSubscriptionRequest { project: client.project(), org_id: args.org_id.clone() };
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
        Err(silence) => return Err(silence.of_a_write(args.dry_run).into()),
    };
    let impact = Impact::from(answer.impact.unwrap_or_default());
    let role_mapping = answer.subscription.unwrap_or_default().role_mapping;
    let moved = Subscribed {
        project: client.project(),
        org_id: args.org_id.clone(),
        from: before.subscription.unwrap_or_default().role_mapping,
        dry_run: args.dry_run,
        command: args.dry_run.then(|| args.deed(&role_mapping, &impact.digest)),
        role_mapping,
        impact,
        revision: answer.revision,
    };
    Ok(client.show(&moved)?)
}

/// What becomes of those with disabled roles; absent for REJECT that nobody asked for.
fn on_disabled(args: &Args) -> Result<Option<wire::OnDisabled>, Trouble> {
    let remaps = !args.remap.is_empty() || args.default_replacement.is_some();
    let strategy = match (args.on_disabled, args.fallback_role.is_some(), remaps) {
        (None, false, false) => return Ok(None),
        (Some(given), false, false) => given,
        (None | Some(Strategy::Suspend), true, false) => Strategy::Suspend,
        (None | Some(Strategy::Remap), false, true) => Strategy::Remap,
        _ => {
            let what = "--fallback-role goes with `--on-disabled suspend`, --remap and --default-replacement with `--on-disabled remap`";
            return Err(Trouble::new(what, "say one of the two"));
        }
    };
    let replacement =
        |replaced: &Replacement| wire::RoleReplacement { role: replaced.role.clone(), to: replaced.to.clone() };
    Ok(Some(wire::OnDisabled {
        strategy: match strategy {
            Strategy::Reject => DisabledRoleStrategy::Reject,
            Strategy::Suspend => DisabledRoleStrategy::Suspend,
            Strategy::Remap => DisabledRoleStrategy::Remap,
        } as i32,
        replacements: args.remap.iter().map(replacement).collect(),
        default_replacement: args.default_replacement.clone().unwrap_or_default(),
        fallback_role: args.fallback_role.clone().unwrap_or_default(),
    }))
}

/// Tells what a rule forbids from what could not be asked.
async fn refused(client: &Client, args: &Args, status: &Status) -> Failed {
    let Trouble { what, next } = client.explained(status);
    if !matches!(status.code(), Code::FailedPrecondition | Code::Aborted) {
        return Failed::Question(Trouble { what, next });
    }
    let next = match reason(status).as_str() {
        "ROLES_WOULD_BE_DISABLED" => choices::choices(client, args, status).await,
        "IMPACT_CHANGED" => {
            let again = Args { impact: None, dry_run: true, ..args.clone() };
            format!("look at it again:\n{}", again.command())
        }
        _ => next,
    };
    Failed::Refused(Trouble { what, next })
}

impl Args {
    /// The command that does what a dry run has shown, and nothing else: another role mapping may be the default by then.
    fn deed(&self, role_mapping: &str, digest: &str) -> String {
        let role_mapping = Some(role_mapping.into());
        Self { role_mapping, to_default: false, dry_run: false, impact: Some(digest.into()), ..self.clone() }.command()
    }

    /// The command line that these arguments stand for, as a shell takes it.
    fn command(&self) -> String {
        let mut flags = Vec::new();
        let mut flag = |name: &str, value: Option<&str>| {
            flags.extend(value.into_iter().flat_map(|value| shell::flag(name, value)));
        };
        let strategy = self.on_disabled.and_then(|strategy| strategy.to_possible_value());
        flag("--on-disabled", strategy.as_ref().map(|strategy| strategy.get_name()));
        flag("--fallback-role", self.fallback_role.as_deref());
        for Replacement { role, to } in &self.remap {
            flag("--remap", Some(&format!("{role}={to}")));
        }
        flag("--default-replacement", self.default_replacement.as_deref());
        flag("--reason", self.reason.as_deref());
        flag("--impact", self.impact.as_deref());
        flags.extend(self.to_default.then(|| "--to-default".into()));
        flags.extend(self.client.repeated());
        flags.extend(self.dry_run.then(|| "--dry-run".into()));
        let names: Vec<String> = [&self.org_id].into_iter().chain(&self.role_mapping).cloned().collect();
        // A name that begins with a dash is no flag only behind `--`, and behind it nothing is one.
        let words = match names.iter().any(|name| name.starts_with('-')) {
            true => [flags, vec!["--".into()], names].concat(),
            false => [names, flags].concat(),
        };
        let words: Vec<String> = words.iter().map(|word| shell::word(word)).collect();
        format!("rolecall subscribe {}", words.join(" "))
    }
}

impl Answer for Subscribed {
    fn text(&self) -> String {
        let (org, from, to) = (plain(&self.org_id), plain(&self.from), plain(&self.role_mapping));
        if self.impact.orgs == 0 && from == to {
            return format!("{org} is on {to} already: nothing changes\n");
        }
        let bold = anstyle::Style::new().bold();
        let dim = anstyle::Style::new().dimmed();
        let touched = self.impact.sentence();
        let sentence = match self.dry_run {
            true => format!("Moving {org} from {from} to {to} would touch {touched}."),
            false => format!("Moved {org} from {from} to {to}. That touched {touched}."),
        };
        let mut text = format!("{bold}{sentence}{bold:#}\n{}", self.impact.tables());
        if let Some(command) = &self.command {
            text.push_str(&format!(
                "\n{dim}# does exactly this, and nothing if it would be another by then{dim:#}\n{command}\n"
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests;
