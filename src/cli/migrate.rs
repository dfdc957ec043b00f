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
    let database = args.database.url_after_warning()?;
    server::migrate(&database).await.map_err(|error| error.to_string())?;
    println!("the database has the tables of rolecall {}", env!("CARGO_PKG_VERSION"));
    Ok(())
}
