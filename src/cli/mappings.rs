//! `rolecall mappings`: lists, shows and compares role mappings.

mod diff;
mod list;
mod show;

use clap::Subcommand;

use super::trouble::Trouble;

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
