//! The arguments of `rolecall subscribe`, and their command lines.

use clap::{ArgGroup, Parser, ValueEnum};

use crate::cli::client::ServerArgs;
use crate::cli::shell;
use crate::cli::trouble::Trouble;
use crate::wire::{self, DisabledRoleStrategy};

const USAGE: &str = "\
rolecall subscribe [OPTIONS] <ORG> <MAPPING>
       rolecall subscribe [OPTIONS] <ORG> --to-default";

const AFTER_HELP: &str = "\
Exit codes: 0 moved, or it would be; 1 refused, nothing was changed; 2 no answer (wrong usage, no server, an unknown \
org), with the reason on stderr.";

const AFTER_LONG_HELP: &str = "\
Exit codes:
  0  moved; with --dry-run: it would be
  1  refused, and nothing was changed: members hold roles that would be disabled and no strategy is given, or the impact
     is not the one that --impact names; stderr says what to do
  2  no answer: wrong usage, no server, an unknown org or role mapping; the reason is on stderr

JSON (--json), one object:
  project, org_id             what was moved
  from, role_mapping          the role mappings before and after
  dry_run                     true if nothing was changed
  impact                      what changes, as rolecall.v1.Impact: digest, orgs, members, invitations,
                              members_losing_at_least, roles (role, given, removed, suspended, reactivated),
                              grants_gained, grants_lost, at_least_lost, manages_lost and orgs_left_ownerless (each total
                              and first), sample (only with --dry-run: org_id, user_id, roles_given, roles_removed,
                              roles_suspended, roles_reactivated, permissions_gained, permissions_lost)
  command                     with --dry-run: the command that moves the org, and is refused if the impact has changed
  revision                    the state that was written or previewed

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
    pub org_id: String,

    /// The name of the role mapping to move it to.
    #[arg(value_name = "MAPPING")]
    pub role_mapping: Option<String>,

    /// Moves it to the project's default role mapping instead.
    #[arg(long)]
    pub to_default: bool,

    /// Shows what would change for members, and changes nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// What happens to members who hold a role that is disabled there. If not given: suspend with --fallback-role, remap
    /// with --remap or --default-replacement, else reject.
    #[arg(long, value_enum, value_name = "STRATEGY")]
    pub on_disabled: Option<Strategy>,

    /// With suspend: the fallback role that they hold meanwhile.
    #[arg(long, value_name = "ROLE")]
    pub fallback_role: Option<String>,

    /// With remap: replaces the role OLD by NEW; can be given several times. OLD ends at the first `=`. Use
    /// --default-replacement for a role with `=` in its name.
    #[arg(long, value_name = "OLD=NEW", value_parser = replacement)]
    pub remap: Vec<Replacement>,

    /// With remap: replaces all roles that --remap does not name.
    #[arg(long, value_name = "ROLE")]
    pub default_replacement: Option<String>,

    /// The reason, for the history.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// The digest that a dry run showed. The move is refused if the impact has changed since.
    #[arg(long, value_name = "DIGEST", conflicts_with = "dry_run")]
    pub impact: Option<String>,

    #[command(flatten)]
    pub client: ServerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Strategy {
    /// The move is refused; the error names the roles.
    Reject,
    /// Members keep the role. It grants nothing until the org is on a plan that enables it.
    Suspend,
    /// Members get another role instead, for good.
    Remap,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Replacement {
    pub role: String,
    pub to: String,
}

fn replacement(text: &str) -> Result<Replacement, String> {
    match text.split_once('=') {
        Some((role, to)) if !role.is_empty() && !to.is_empty() => Ok(Replacement { role: role.into(), to: to.into() }),
        _ => Err("write OLD=NEW, as in \"Billing Manager=Member\"".into()),
    }
}

impl Args {
    /// Returns the strategy of the request. `None` if the arguments name none.
    pub fn on_disabled(&self) -> Result<Option<wire::OnDisabled>, Trouble> {
        let remaps = !self.remap.is_empty() || self.default_replacement.is_some();
        let strategy = match (self.on_disabled, self.fallback_role.is_some(), remaps) {
            (None, false, false) => return Ok(None),
            (Some(given), false, false) => given,
            (None | Some(Strategy::Suspend), true, false) => Strategy::Suspend,
            (None | Some(Strategy::Remap), false, true) => Strategy::Remap,
            _ => {
                let what = "--fallback-role needs `--on-disabled suspend`; --remap and --default-replacement need \
                            `--on-disabled remap`";
                return Err(Trouble::new(what, "choose one of the two"));
            }
        };
        let replacement = |Replacement { role, to }: &Replacement| wire::RoleReplacement {
            role: role.clone(),
            replacement: to.clone(),
        };
        Ok(Some(wire::OnDisabled {
            strategy: match strategy {
                Strategy::Reject => DisabledRoleStrategy::Reject,
                Strategy::Suspend => DisabledRoleStrategy::Suspend,
                Strategy::Remap => DisabledRoleStrategy::Remap,
            } as i32,
            replacements: self.remap.iter().map(replacement).collect(),
            default_replacement: self.default_replacement.clone().unwrap_or_default(),
            fallback_role: self.fallback_role.clone().unwrap_or_default(),
        }))
    }

    /// Returns the command that applies what a dry run showed. It names the role mapping: by then another one may be the
    /// default.
    pub fn apply_command(&self, role_mapping: &str, digest: &str) -> String {
        let role_mapping = Some(role_mapping.into());
        Self { role_mapping, to_default: false, dry_run: false, impact: Some(digest.into()), ..self.clone() }.command()
    }

    /// Returns the command line with these arguments.
    pub fn command(&self) -> String {
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
        // A name that begins with a dash must follow `--`. No flag can follow it.
        let words = match names.iter().any(|name| name.starts_with('-')) {
            true => [flags, vec!["--".into()], names].concat(),
            false => [names, flags].concat(),
        };
        let words: Vec<String> = words.iter().map(|word| shell::word(word)).collect();
        format!("rolecall subscribe {}", words.join(" "))
    }
}
