//! `rolecall migrate`.

use clap::Parser;

use crate::server;

#[derive(Parser)]
pub struct Args {
    /// The database: `sqlite://FILE` (created if missing) or `postgres://USER@HOST/NAME`.
    #[arg(
        long,
        env = "ROLECALL_DATABASE",
        default_value = "sqlite://rolecall.db",
        value_name = "URL",
        hide_env_values = true
    )]
    database: String,
}

pub async fn run(args: Args) -> Result<(), String> {
    server::migrate(&args.database).await.map_err(|error| error.to_string())?;
    println!("the database has the tables of rolecall {}", env!("CARGO_PKG_VERSION"));
    Ok(())
}
