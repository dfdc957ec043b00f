//! `rolecall whoami`: who does the server take me for?

use clap::Parser;

use super::answer::{Answer, EXIT_CODES};
use super::client::{Client, ServerArgs};
use super::keys::limits;
use super::table::{names, plain};
use super::trouble::Trouble;
use crate::grpc::generated::server_service_client::ServerServiceClient;
use crate::wire::{WhoAmIRequest, WhoAmIResponse};

#[derive(Parser)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    #[command(flatten)]
    client: ServerArgs,
}

pub async fn run(args: Args) -> Result<(), Trouble> {
    let client = Client::connect(args.client).await?;
    let answer = client.ask(ServerServiceClient::new(client.channel()).who_am_i(WhoAmIRequest {})).await?;
    client.show(&answer)
}

impl Answer for WhoAmIResponse {
    fn text(&self) -> String {
        let bold = anstyle::Style::new().bold();
        let credential = match (self.credential.as_str(), &self.api_key) {
            ("local", _) => "without credentials; the server lets local callers do everything".into(),
            ("api_key", Some(key)) => {
                let limits = limits(key);
                let limits = if limits.is_empty() { String::new() } else { format!(", only {limits}") };
                format!("by API key {} ({}){limits}", plain(&key.api_key_id), plain(&key.display_name))
            }
            ("uid", _) => "by the user id of the process".into(),
            (credential, _) => format!("by {}", plain(credential)),
        };
        let mut text = format!("{bold}{}{bold:#} {credential}\n", plain(&self.operator));
        if self.credential != "local" {
            let roles = if self.roles.is_empty() { "none".into() } else { names(&self.roles) };
            text += &format!("roles: {roles}\n");
            for permission in &self.permissions {
                text += &format!("  {}\n", plain(permission));
            }
        }
        text
    }
}
