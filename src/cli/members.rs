//! `rolecall members`: who is in an org?

use clap::Parser;
use serde::Serialize;

use super::answer::{Answer, EXIT_CODES};
use super::client::{Client, PAGE_SIZE, Page, ServerArgs};
use super::table::plain;
use super::trouble::Trouble;
use super::who_can::user_table;
use crate::grpc::generated::membership_service_client::MembershipServiceClient;
use crate::wire::{ListMembersRequest, Member};

const AFTER_LONG_HELP: &str = "\
Exit codes: 0 answered, also for an org without members; 2 no answer, with the reason on stderr.

JSON (--json), one object:
  project, org_id    what was asked about
  members            by user id, as in `rolecall who-can`
  revision           the state that the last page was read at

Example:
  rolecall members globex --role Owner";

#[derive(Parser)]
#[command(after_help = EXIT_CODES, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// The id of the org.
    org_id: String,

    /// Only members who hold this role, suspended or not.
    #[arg(long)]
    role: Option<String>,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Serialize)]
struct Members {
    project: String,
    org_id: String,
    members: Vec<Member>,
    revision: String,
}

pub async fn run(args: Args) -> Result<(), Trouble> {
    let client = Client::connect(args.client).await?;
    let members = client.all("members", async |page_token| {
        let request = ListMembersRequest {
            project: client.project(),
            org_id: args.org_id.clone(),
            role: args.role.clone().unwrap_or_default(),
            page_size: PAGE_SIZE,
            page_token,
            ..Default::default()
        };
        let page = client.ask(MembershipServiceClient::new(client.channel()).list_members(request)).await?;
        Ok(Page { entries: page.members, next_page_token: page.next_page_token, revision: page.revision })
    });
    let (members, revision) = members.await?;
    let answer = Members { project: client.project(), org_id: args.org_id, members, revision };
    if answer.members.is_empty() {
        client.note(&format!("`{}` has no such members", plain(&answer.org_id)));
    }
    client.show(&answer)
}

impl Answer for Members {
    fn text(&self) -> String {
        user_table(&self.members)
    }
}
