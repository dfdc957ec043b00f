//! `rolecall invitations`: who is invited to an org?

use clap::Parser;
use comfy_table::Cell;
use serde::Serialize;

use super::answer::{Answer, EXIT_CODES};
use super::client::{Client, PAGE_SIZE, Page, ServerArgs};
use super::table::{names, plain, table, text};
use super::trouble::Trouble;
use crate::grpc::generated::invitation_service_client::InvitationServiceClient;
use crate::wire::{ErrorReason, Invitation, ListInvitationsRequest};

const AFTER_LONG_HELP: &str = "\
Exit codes: 0 answered, also for an org without invitations; 2 no answer, with the reason on stderr.

JSON (--json), one object:
  project, org_id    what was asked about
  invitations        oldest first: invitation_id, email, roles (highest first), state, create_time, expire_time,
                     acceptable (true or false), unacceptable_reason, inviter_user_id, accepted_user_id, settle_time
  revision           the state that the last page was read at

Example:
  rolecall invitations --org acme";

#[derive(Parser)]
#[command(after_help = EXIT_CODES, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// The id of the org.
    #[arg(long = "org", value_name = "ORG")]
    org_id: String,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Serialize)]
struct Invitations {
    project: String,
    org_id: String,
    invitations: Vec<Invitation>,
    revision: String,
}

pub async fn run(args: Args) -> Result<(), Trouble> {
    let client = Client::connect(args.client).await?;
    let invitations = client.all("invitations", async |page_token| {
        let request = ListInvitationsRequest {
            project: client.project(),
            org_id: args.org_id.clone(),
            page_size: PAGE_SIZE,
            page_token,
            ..Default::default()
        };
        let page = client.ask(InvitationServiceClient::new(client.channel()).list_invitations(request)).await?;
        Ok(Page { entries: page.invitations, next_page_token: page.next_page_token, revision: page.revision })
    });
    let (invitations, revision) = invitations.await?;
    let answer = Invitations { project: client.project(), org_id: args.org_id, invitations, revision };
    if answer.invitations.is_empty() {
        client.note(&format!("`{}` has no invitations", plain(&answer.org_id)));
    }
    client.show(&answer)
}

impl Answer for Invitations {
    fn text(&self) -> String {
        let mut rows = table(["EMAIL", "ROLES", "STATE", "EXPIRES", "ID"].map(String::from));
        for invitation in &self.invitations {
            rows.add_row([
                Cell::new(plain(&invitation.email)),
                Cell::new(names(&invitation.roles)),
                Cell::new(state(invitation)),
                Cell::new(expiry(invitation)),
                Cell::new(&invitation.invitation_id),
            ]);
        }
        text(rows)
    }
}

/// Returns `accepted`, or `pending (ROLE_DISABLED)` if it cannot be accepted now.
fn state(invitation: &Invitation) -> String {
    let state = invitation.state().as_str_name().trim_start_matches("INVITATION_STATE_").to_lowercase();
    match invitation.unacceptable_reason() {
        ErrorReason::Unspecified => state,
        reason => format!("{state} ({})", reason.as_str_name()),
    }
}

/// Returns the expiry to the second.
pub fn expiry(invitation: &Invitation) -> String {
    let Some(mut time) = invitation.expire_time else { return String::new() };
    time.nanos = 0;
    time.to_string()
}
