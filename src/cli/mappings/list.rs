//! `rolecall mappings list`.

use clap::Parser;
use comfy_table::{Cell, CellAlignment, Color};
use serde::Serialize;

use crate::cli::answer::{Answer, EXIT_CODES};
use crate::cli::client::{Client, PAGE_SIZE, Page, ServerArgs};
use crate::cli::table::{names, plain, table, text};
use crate::cli::trouble::Trouble;
use crate::grpc::generated::role_mapping_service_client::RoleMappingServiceClient;
use crate::wire::{ListRoleMappingsRequest, RoleMapping};

const AFTER_LONG_HELP: &str = "\
Exit codes: 0 answered; 2 no answer, with the reason on stderr.

JSON (--json), one object:
  project          what was asked about
  role_mappings    oldest first: name, description, is_default, subscriber_count (orgs), grant_count, disabled_roles,
                   aliases (old names), create_time, etag
  revision         the state that the last page was read at";

#[derive(Parser)]
#[command(after_help = EXIT_CODES, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Serialize)]
struct Mappings {
    project: String,
    role_mappings: Vec<RoleMapping>,
    revision: String,
}

pub async fn run(args: Args) -> Result<(), Trouble> {
    let client = Client::connect(args.client).await?;
    let mappings = client.all("role mappings", async |page_token| {
        let request = ListRoleMappingsRequest {
            project: client.project(),
            page_size: PAGE_SIZE,
            page_token,
            ..Default::default()
        };
        let page = client.ask(RoleMappingServiceClient::new(client.channel()).list_role_mappings(request)).await?;
        Ok(Page { entries: page.role_mappings, next_page_token: page.next_page_token, revision: page.revision })
    });
    let (role_mappings, revision) = mappings.await?;
    client.show(&Mappings { project: client.project(), role_mappings, revision })
}

impl Answer for Mappings {
    fn text(&self) -> String {
        let headings = ["NAME", "DEFAULT", "ORGS", "GRANTS", "DISABLED ROLES", "DESCRIPTION"];
        let mut rows = table(headings.map(String::from));
        for mapping in &self.role_mappings {
            let default = if mapping.is_default { "default" } else { "" };
            let count = |count: i32| Cell::new(count).set_alignment(CellAlignment::Right);
            rows.add_row([
                Cell::new(plain(&mapping.name)),
                Cell::new(default).fg(Color::Green),
                count(mapping.subscriber_count),
                count(mapping.grant_count),
                Cell::new(names(&mapping.disabled_roles)).fg(Color::Yellow),
                Cell::new(plain(&mapping.description)),
            ]);
        }
        text(rows)
    }
}
