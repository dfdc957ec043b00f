//! The command line: `rolecall serve`, `rolecall migrate`, `rolecall health`.

mod health;
mod migrate;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Roles and permissions for products that sell to organizations, answered over gRPC.
#[derive(Parser)]
#[command(name = "rolecall", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the API until told to stop (SIGTERM or Ctrl-C).
    Serve(serve::Args),
    /// Brings a database to the tables of this version, and exits.
    Migrate(migrate::Args),
    /// Asks a running server whether it serves; exits with 0 if so, for probes.
    Health(health::Args),
}

/// Runs the command line: 0 when done, 1 with one line that says what failed, 2 for wrong usage.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("the runtime cannot start: {error}")),
    };
    let done = match cli.command {
        Command::Serve(args) => runtime.block_on(serve::run(args)),
        Command::Migrate(args) => runtime.block_on(migrate::run(args)),
        Command::Health(args) => runtime.block_on(health::run(args)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

fn failed(why: &str) -> ExitCode {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    anstream::eprintln!("{red}error:{red:#} {why}");
    ExitCode::FAILURE
}
