//! Log lines on stderr.

use tracing_subscriber::EnvFilter;

/// These crates log routine work at `info`. A filter can name them to see it. The pool logs each attempt to reach a server that
/// is refused; the store logs the outcome.
const QUIET: &str = "sea_orm_migration=warn,sqlx=warn,sqlx_core::pool=off";

/// Starts logging. `filter` has the syntax of `RUST_LOG`.
pub fn start(filter: &str, json: bool) -> Result<(), String> {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}"))
        .map_err(|error| format!("`--log {filter}` is no filter: {error}"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if json {
        lines.json().try_init()
    } else {
        lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).with_target(false).try_init()
    };
    started.map_err(|error| format!("logging cannot start: {error}"))
}
