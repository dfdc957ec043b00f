//! `rolecall completions`.

use std::io::{ErrorKind, Write, stdout};

use clap::{Command, Parser};
use clap_complete::Shell;

#[derive(Parser)]
pub struct Args {
    /// The shell that reads the completions.
    shell: Shell,
}

/// Prints the completions of all commands.
pub fn run(args: Args, mut commands: Command) -> Result<(), String> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut commands, "rolecall", &mut script);
    match stdout().write_all(&script) {
        // The reader has seen enough, as `head` has.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| format!("the completions cannot be written: {error}")),
    }
}
