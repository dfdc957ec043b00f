//! `rolecall orgs`: in which orgs is a user, and what may the user do there?

use clap::Parser;
use comfy_table::Cell;
use serde::Serialize;

use super::answer::{Answer, EXIT_CODES};
use super::client::{Client, PAGE_SIZE, Page, ServerArgs};
use super::table::{plain, table, text};
use super::trouble::Trouble;
use super::who_can::shown;
use crate::grpc::generated::membership_service_client::MembershipServiceClient;
use crate::wire::{ListUserMembershipsRequest, Member, MembershipView};

const AFTER_LONG_HELP: &str = "\
Exit codes: 0 answered, also for a user without orgs; 2 no answer, with the reason on stderr.

JSON (--json), one object:
  project, user_id    what was asked about
  memberships         by org id, as in `rolecall who-can`, with access: role_mapping (the plan of the org), at_least_roles
                      (highest first) and permissions
  revision            the state that the last page was read at

Example:
  rolecall orgs bob";

#[derive(Parser)]
#[command(after_help = EXIT_CODES, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// The id of the user.
    #[arg(value_name = "USER")]
    user_id: String,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Serialize)]
struct Orgs {
    project: String,
    user_id: String,
    memberships: Vec<Member>,
    revision: String,
}

pub async fn run(args: Args) -> Result<(), Trouble> {
    let client = Client::connect(args.client).await?;
    let memberships = client.all("orgs", async |page_token| {
        let request = ListUserMembershipsRequest {
            project: client.project(),
            user_id: args.user_id.clone(),
            view: MembershipView::Full.into(),
            page_size: PAGE_SIZE,
            page_token,
            ..Default::default()
        };
        let page = client.ask(MembershipServiceClient::new(client.channel()).list_user_memberships(request)).await?;
        Ok(Page { entries: page.memberships, next_page_token: page.next_page_token, revision: page.revision })
    });
    let (memberships, revision) = memberships.await?;
    let answer = Orgs { project: client.project(), user_id: args.user_id, memberships, revision };
    if answer.memberships.is_empty() {
        client.note(&format!("`{}` is in no org", plain(&answer.user_id)));
    }
    client.show(&answer)
}

impl Answer for Orgs {
    fn text(&self) -> String {
        let mut rows = table(["ORG", "PLAN", "ROLES", "PERMISSIONS"].map(String::from));
        for member in &self.memberships {
            let roles: Vec<String> = member.roles.iter().map(shown).collect();
            let access = member.access.clone().unwrap_or_default();
            rows.add_row([
                Cell::new(plain(&member.org_id)),
                Cell::new(plain(&access.role_mapping)),
                Cell::new(roles.join(", ")),
                Cell::new(access.permissions.len()),
            ]);
        }
        text(rows)
    }
}
