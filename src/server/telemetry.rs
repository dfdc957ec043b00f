//! Log lines, to the standard error output.

use tracing_subscriber::EnvFilter;

/// These tell at `info` what they do all day. A filter that names them gets it all.
const QUIET: &str = "sea_orm_migration=warn,sqlx=warn";

/// Starts logging; `filter` as `RUST_LOG` has it.
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
