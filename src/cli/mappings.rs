//! `rolecall mappings`: the role mappings of a project, one of them, two compared.

mod diff;
mod list;
mod show;

use clap::Subcommand;
use serde::Serialize;

use super::client::Trouble;
use crate::wire;

/// The exit codes of all three, for their help.
const EXIT_CODES: &str = "Exit codes: 0 answered; 2 no answer, with the reason on the standard error output.";

#[derive(Subcommand)]
pub enum Command {
    /// Lists the role mappings of a project, with how many orgs use each.
    List(list::Args),
    /// Shows what each role grants in a role mapping.
    Show(show::Args),
    /// Compares two role mappings, role by role.
    Diff(diff::Args),
}

pub async fn run(command: Command) -> Result<(), Trouble> {
    match command {
        Command::List(args) => list::run(args).await,
        Command::Show(args) => show::run(args).await,
        Command::Diff(args) => diff::run(args).await,
    }
}

/// A role mapping in JSON.
#[derive(Serialize)]
struct RoleMapping {
    name: String,
    description: String,
    is_default: bool,
    subscriber_count: i32,
    grant_count: i32,
    disabled_roles: Vec<String>,
    aliases: Vec<String>,
    create_time: Option<String>,
    etag: String,
}

impl From<wire::RoleMapping> for RoleMapping {
    fn from(mapping: wire::RoleMapping) -> Self {
        Self {
            name: mapping.name,
            description: mapping.description,
            is_default: mapping.is_default,
            subscriber_count: mapping.subscriber_count,
            grant_count: mapping.grant_count,
            disabled_roles: mapping.disabled_roles,
            aliases: mapping.aliases,
            create_time: mapping.create_time.map(|at| at.to_string()),
            etag: mapping.etag,
        }
    }
}
