//! The command line. `serve`, `migrate`, `recover`, `backup` and `restore` open a database. All other commands are clients of a running server.

mod access;
mod answer;
mod backup;
mod bench;
mod check;
mod client;
mod completions;
mod configuration;
mod connect;
mod database;
mod demo;
mod duration;
mod explain;
mod gateway;
mod health;
mod impact;
mod import;
mod in_flight;
mod insights;
mod invitations;
mod invite;
mod key;
mod keys;
mod log;
mod man;
mod manageable;
mod mappings;
mod members;
mod migrate;
mod operators;
mod orgs;
mod progress;
mod recover;
mod restore;
mod serve;
mod shell;
mod sidecar;
mod since;
mod subscribe;
mod table;
mod traces;
mod trouble;
mod who_can;
mod whoami;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use trouble::Failed;

/// Roles and permissions for products that sell to organizations, answered over gRPC.
#[derive(Parser)]
#[command(name = "rolecall", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the API until SIGTERM or Ctrl-C.
    Serve(Box<serve::Args>),
    /// Answers checks beside an application, from a copy of what a server has, also while no server is there.
    Sidecar(Box<sidecar::Args>),
    /// Creates or updates the tables of a database, and exits.
    Migrate(migrate::Args),
    /// Writes all data of a database to a file, also beside a running server. Needs the database.
    Backup(backup::Args),
    /// Restores a backup into an empty database; with --check only shows what it holds.
    Restore(restore::Args),
    /// Moves in from PropelAuth, Stytch, OpenFGA or a CSV file; shows a plan, and writes it with --apply.
    #[command(subcommand)]
    Import(import::Command),
    /// Asks a running server whether it serves; exits with 0 if so, for probes.
    Health(health::Args),
    /// Asks a running server whether a user may do something in an org; the exit code is the answer.
    Check(check::Args),
    /// Explains the answer of `check`: the user's roles, what each grants, and which plan would allow it.
    Explain(explain::Args),
    /// Shows what a user may do in an org: roles, the roles reached by "at least", permissions.
    Access(access::Args),
    /// Lists the members of an org with their roles.
    Members(members::Args),
    /// Lists the orgs of a user, with the user's roles and the plan of each.
    Orgs(orgs::Args),
    /// Shows how many orgs and members a project has, and how many orgs are active.
    Insights(insights::Args),
    /// Invites an e-mail address to an org. Sends no mail.
    Invite(invite::Args),
    /// Lists the invitations of an org.
    Invitations(invitations::Args),
    /// Shows what happened: writes and refused calls, the newest last; with --follow also what happens next.
    Log(log::Args),
    /// Asks a running server who in an org has a permission.
    WhoCan(who_can::Args),
    /// Asks a running server which roles a user may give and take in an org.
    Manageable(manageable::Args),
    /// Moves an org to a role mapping (a plan), and shows what changes for its members; with --dry-run only shows it.
    Subscribe(subscribe::Args),
    /// Creates, lists and archives the API keys of operators.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Lists, adds and removes operators: the people and services that call this API.
    #[command(subcommand)]
    Operators(operators::Command),
    /// Shows who the server takes you for, and what you may do.
    Whoami(whoami::Args),
    /// Lets an operator in again if nobody can sign in: creates a key that lasts 24 hours. Needs the database.
    Recover(recover::Args),
    /// Shows and compares role mappings (plans) of a running server.
    #[command(subcommand)]
    Mappings(mappings::Command),
    /// Writes the configuration of a project (permissions, roles, role mappings, settings) as a YAML document.
    Export(configuration::export::Args),
    /// Shows what a document would change in its project, and for whom; the exit code says whether it would.
    Plan(configuration::plan::Args),
    /// Changes a project until it is as a document says.
    Apply(configuration::apply::Args),
    /// Checks what a document decides about given orgs and members, without a server.
    Test(configuration::policy::Args),
    /// Writes the names of permissions and roles as constants of a programming language.
    Gen(configuration::generate::Args),
    /// Measures how many checks a server answers: its own with generated data, or a running one.
    Bench(Box<bench::Args>),
    /// Prints the completions of a shell: `source <(rolecall completions bash)`.
    Completions(completions::Args),
    /// Writes the manual pages into a folder. The Debian package has them.
    #[command(hide = true)]
    Man(man::Args),
    /// The server that `bench --against-echo` compares with.
    #[command(hide = true)]
    BenchEcho(bench::echo::Args),
    /// Measures any gRPC server with ready-made requests: benches/peers compares other products with it.
    #[command(hide = true)]
    BenchReplay(bench::replay::Args),
}

/// Runs the command line. Exit codes: 0 done or allowed; 1 failed, refused or denied; 2 wrong usage, or a question without
/// an answer. Those of `plan` differ.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failed::Server(format!("the runtime cannot start: {error}")).print(),
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => serve::run(*args).await.map_err(Failed::Server),
            Command::Sidecar(args) => sidecar::run(*args).await.map_err(Failed::Server),
            Command::Migrate(args) => migrate::run(args).await.map_err(Failed::Server),
            Command::Backup(args) => backup::run(args).await.map_err(Failed::Server),
            Command::Restore(args) => restore::run(args).await.map_err(Failed::Server),
            Command::Import(command) => import::run(command).await,
            Command::Health(args) => health::run(args).await.map_err(Failed::Server),
            Command::Check(args) => return check::run(args).await.map_err(Failed::Question),
            Command::Explain(args) => explain::run(args).await.map_err(Failed::Question),
            Command::Access(args) => access::run(args).await.map_err(Failed::Question),
            Command::Members(args) => members::run(args).await.map_err(Failed::Question),
            Command::Orgs(args) => orgs::run(args).await.map_err(Failed::Question),
            Command::Insights(args) => insights::run(args).await.map_err(Failed::Question),
            Command::Invite(args) => invite::run(args).await,
            Command::Invitations(args) => invitations::run(args).await.map_err(Failed::Question),
            Command::Log(args) => log::run(args).await.map_err(Failed::Question),
            Command::WhoCan(args) => who_can::run(args).await.map_err(Failed::Question),
            Command::Manageable(args) => manageable::run(args).await.map_err(Failed::Question),
            Command::Subscribe(args) => subscribe::run(args).await,
            Command::Keys(command) => keys::run(command).await,
            Command::Operators(command) => operators::run(command).await,
            Command::Whoami(args) => whoami::run(args).await.map_err(Failed::Question),
            Command::Recover(args) => recover::run(args).await.map_err(Failed::Server),
            Command::Mappings(command) => mappings::run(command).await.map_err(Failed::Question),
            Command::Export(args) => configuration::export::run(args).await.map_err(Failed::Question),
            // 2 says that there are changes.
            Command::Plan(args) => return configuration::plan::run(args).await.map(|changes| code(changes, 2)),
            Command::Apply(args) => configuration::apply::run(args).await,
            Command::Test(args) => return configuration::policy::test(args).map(|passed| code(!passed, 1)),
            Command::Gen(args) => configuration::generate::run(args).await.map_err(Failed::Question),
            Command::Bench(args) => bench::run(*args).await,
            Command::Completions(args) => completions::run(args, Cli::command()).map_err(Failed::Server),
            Command::Man(args) => man::run(&args, Cli::command()).map_err(Failed::Server),
            Command::BenchEcho(args) => bench::echo::run(args).await.map_err(Failed::Server),
            Command::BenchReplay(args) => bench::replay::run(args).await.map_err(Failed::Question),
        }
        .map(|()| ExitCode::SUCCESS)
    });
    done.unwrap_or_else(Failed::print)
}

/// Returns the exit code of a command that says something by it.
fn code(says: bool, code: u8) -> ExitCode {
    if says { ExitCode::from(code) } else { ExitCode::SUCCESS }
}

/// Prints help, or what is wrong with the arguments. Of `plan`, 2 would say that there are changes.
fn usage(error: &clap::Error) -> ExitCode {
    let is_plan = std::env::args_os().nth(1).is_some_and(|command| command == "plan");
    // Nobody is left to tell if the terminal is gone.
    let _ = error.print();
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(if is_plan { 1 } else { 2 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_all_commands_fit_together() {
        Cli::command().debug_assert();
    }
}
