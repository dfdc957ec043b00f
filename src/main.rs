//! The `rolecall` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    rolecall::cli::run()
}
