//! `rolecall man`.

use std::path::PathBuf;

use clap::{Command, Parser};

#[derive(Parser)]
pub struct Args {
    /// An existing folder.
    folder: PathBuf,
}

/// Writes one manual page for each command: `rolecall.1`, `rolecall-serve.1` and so on.
pub fn run(args: &Args, commands: Command) -> Result<(), String> {
    clap_mangen::generate_to(commands, &args.folder)
        .map_err(|error| format!("the manual pages cannot be written to `{}`: {error}", args.folder.display()))
}
