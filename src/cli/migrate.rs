//! `rolecall migrate`.

use clap::Parser;

use super::database::DatabaseArgs;
use crate::server;

#[derive(Parser)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
}

pub async fn run(args: Args) -> Result<(), String> {
    let database = args.database.url()?;
    if let Some(warning) = database.warning {
        eprintln!("warning: {warning}");
    }
    server::migrate(&database.url).await.map_err(|error| error.to_string())?;
    println!("the database has the tables of rolecall {}", env!("CARGO_PKG_VERSION"));
    Ok(())
}
