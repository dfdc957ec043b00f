//! `rolecall access`: what may a user do in an org?

use clap::Parser;
use comfy_table::Cell;
use serde::Serialize;

use super::answer::{Answer, EXIT_CODES};
use super::client::{Client, ServerArgs};
use super::table::{names, plain, table, text};
use super::trouble::Trouble;
use super::who_can::shown;
use crate::grpc::generated::check_service_client::CheckServiceClient;
use crate::wire::{GetAccessRequest, GetAccessResponse};

const AFTER_LONG_HELP: &str = "\
Exit codes: 0 answered; 2 no answer, with the reason on stderr: for example, the user is not a member.

JSON (--json), one object:
  project, org_id, user_id    what was asked about
  roles                       the assigned roles, highest first, as in `rolecall who-can`
  access                      role_mapping (the plan of the org), at_least_roles (highest first) and permissions
  revision, evaluated_at      the state and the time of the answer

Example:
  rolecall access bob --org globex";

#[derive(Parser)]
#[command(after_help = EXIT_CODES, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// The id of the user.
    #[arg(value_name = "USER")]
    user_id: String,

    /// The id of the org.
    #[arg(long = "org", value_name = "ORG")]
    org_id: String,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Serialize)]
struct Shown {
    project: String,
    org_id: String,
    user_id: String,
    #[serde(flatten)]
    answer: GetAccessResponse,
}

pub async fn run(args: Args) -> Result<(), Trouble> {
    let client = Client::connect(args.client).await?;
    let request = GetAccessRequest {
        project: client.project(),
        org_id: args.org_id.clone(),
        user_id: args.user_id.clone(),
        ..Default::default()
    };
    let answer = client.ask(CheckServiceClient::new(client.channel()).get_access(request)).await?;
    client.show(&Shown { project: client.project(), org_id: args.org_id, user_id: args.user_id, answer })
}

impl Answer for Shown {
    fn text(&self) -> String {
        let access = self.answer.access.clone().unwrap_or_default();
        let roles: Vec<String> = self.answer.roles.iter().map(shown).collect();
        let mut rows = table([plain(&self.user_id), format!("in {}", plain(&self.org_id))]);
        for (name, value) in [
            ("plan", plain(&access.role_mapping)),
            ("roles", roles.join(", ")),
            ("at least", names(&access.at_least_roles)),
            ("permissions", access.permissions.iter().map(|name| plain(name)).collect::<Vec<_>>().join("\n")),
        ] {
            rows.add_row([Cell::new(name), Cell::new(value)]);
        }
        text(rows)
    }
}
