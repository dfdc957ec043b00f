//! `rolecall recover`: lets an operator in again if nobody can sign in (W9).

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Parser;

use super::database::DatabaseArgs;
use crate::server;

#[derive(Parser)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,

    /// A new file for the key. If not given, the key is printed to the terminal.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// Why, for the history.
    #[arg(long, default_value = "recover")]
    reason: String,
}

pub async fn run(args: Args) -> Result<(), String> {
    let database = args.database.url_after_warning()?;
    if args.key_file.is_none() && !std::io::stdout().is_terminal() {
        return Err("the output is no terminal, so others may read it; name a new file with --key-file".into());
    }
    let recovered = async { server::recover(&database, &args.reason).await.map_err(|error| error.to_string()) };
    match &args.key_file {
        Some(path) => {
            server::workspace::write_token(path, recovered, |why| why).await?;
            println!("the key of the operator `bootstrap` is in {}; it lasts 24 hours", path.display());
        }
        None => {
            let token = recovered.await?;
            println!("the key of the operator `bootstrap`, for 24 hours; it is not shown again:\n{token}");
        }
    }
    println!(
        "next: with the key in ROLECALL_KEY or ROLECALL_KEY_FILE, `rolecall operators add` and `rolecall keys create`"
    );
    Ok(())
}
