//! `rolecall export`: writes the configuration of a project as a YAML document.

use std::path::{Path, PathBuf};

use clap::Parser;

use super::convert;
use super::document::{Document, SCHEMA_FILE};
use crate::cli::answer;
use crate::cli::client::{Client, ServerArgs};
use crate::cli::trouble::{BUG, Trouble};
use crate::grpc::generated::configuration_service_client::ConfigurationServiceClient;
use crate::wire::GetConfigurationRequest;

const AFTER_HELP: &str = "Exit codes: 0 written; 2 no answer, with the reason on stderr.";

#[derive(Parser)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Writes to this file. If not given, to the standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Writes the JSON schema of documents instead, for editors. Asks no server.
    #[arg(long)]
    schema: bool,

    #[command(flatten)]
    client: ServerArgs,
}

pub async fn run(args: Args) -> Result<(), Trouble> {
    let text = match args.schema {
        true => Document::schema().map_err(|error| Trouble::new(error, BUG))?,
        false => exported(args.client).await?,
    };
    write(args.output.as_deref(), &text)
}

async fn exported(args: ServerArgs) -> Result<String, Trouble> {
    let client = Client::connect(args).await?;
    let mut service = ConfigurationServiceClient::new(client.channel()).max_decoding_message_size(usize::MAX);
    let request = GetConfigurationRequest { project: client.project(), ..Default::default() };
    let answer = client.ask(service.get_configuration(request)).await?;
    let document = convert::document(&client.project(), answer.configuration.unwrap_or_default());
    if client.is_json() {
        // It is YAML too, so the other commands read it.
        let json = serde_json::to_string_pretty(&document);
        return json.map(|json| json + "\n").map_err(|error| Trouble::new(error.to_string(), BUG));
    }
    let yaml = document.to_yaml().map_err(|error| Trouble::new(error, BUG))?;
    Ok(head(&document.project) + &yaml)
}

/// Returns the comments above an exported document.
fn head(project: &str) -> String {
    format!(
        "# yaml-language-server: $schema={SCHEMA_FILE}\n\
         # The configuration of the Rolecall project `{project}`, as `rolecall export` writes it.\n\
         # `rolecall plan FILE` shows what this file would change, `rolecall apply FILE` changes it.\n\
         # Roles are listed from the highest to the lowest. Built-in permissions (rolecall::...) need no entry.\n\
         # To rename something, change its `name` and add `renamed_from: OLD NAME`.\n"
    )
}

/// Writes to a file, or to the standard output.
pub fn write(output: Option<&Path>, text: &str) -> Result<(), Trouble> {
    match output {
        None => answer::write(text).map(|_| ()),
        Some(path) => std::fs::write(path, text).map_err(|error| {
            Trouble::new(format!("{} cannot be written: {error}", path.display()), "check the path and its permissions")
        }),
    }
}
