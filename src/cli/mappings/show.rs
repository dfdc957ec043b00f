//! `rolecall mappings show`.

use clap::Parser;
use comfy_table::Cell;
use serde::Serialize;

use crate::cli::answer::{Answer, EXIT_CODES};
use crate::cli::client::{Client, PAGE_SIZE, Page, ServerArgs};
use crate::cli::table::{enabled, names, plain, table, text};
use crate::cli::trouble::Trouble;
use crate::grpc::generated::role_mapping_service_client::RoleMappingServiceClient;
use crate::wire::{GetRoleMappingRequest, ListRoleMappingRolesRequest, RoleGrants, RoleMapping};

const AFTER_LONG_HELP: &str = "\
Exit codes: 0 answered; 2 no answer, with the reason on stderr.

JSON (--json), one object:
  project         what was asked about
  role_mapping    name, description, is_default, subscriber_count (orgs), grant_count, disabled_roles, aliases (old
                  names), create_time, etag
  rows            in the order of the roles: role, enabled, permissions
  revision        the state that the last page was read at";

#[derive(Parser)]
#[command(after_help = EXIT_CODES, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// The name of the role mapping.
    name: String,

    /// Shows only this role; can be given several times.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Serialize)]
struct Shown {
    project: String,
    role_mapping: Option<RoleMapping>,
    rows: Vec<RoleGrants>,
    revision: String,
}

pub async fn run(args: Args) -> Result<(), Trouble> {
    let client = Client::connect(args.client).await?;
    let mut mappings = RoleMappingServiceClient::new(client.channel()).max_decoding_message_size(usize::MAX);
    let request = GetRoleMappingRequest { project: client.project(), name: args.name.clone(), ..Default::default() };
    let role_mapping = client.ask(mappings.get_role_mapping(request)).await?.role_mapping;
    let rows = client.all("roles", async |page_token| {
        let request = ListRoleMappingRolesRequest {
            project: client.project(),
            name: args.name.clone(),
            roles: args.roles.clone(),
            page_size: PAGE_SIZE,
            page_token,
            consistency: None,
        };
        let mut mappings = mappings.clone();
        let page = client.ask(mappings.list_role_mapping_roles(request)).await?;
        Ok(Page { entries: page.roles, next_page_token: page.next_page_token, revision: page.revision })
    });
    let (rows, revision) = rows.await?;
    client.show(&Shown { project: client.project(), role_mapping, rows, revision })
}

impl Answer for Shown {
    fn text(&self) -> String {
        let mut rows = table(["ROLE", "ENABLED", "PERMISSIONS"].map(String::from));
        for row in &self.rows {
            rows.add_row([Cell::new(plain(&row.role)), enabled(row.enabled), Cell::new(names(&row.permissions))]);
        }
        text(rows)
    }
}
