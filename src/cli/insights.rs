//! `rolecall insights`: how many orgs and members does a project have, and how many orgs are active?

use clap::Parser;
use comfy_table::Cell;
use serde::Serialize;

use super::answer::{Answer, EXIT_CODES};
use super::client::{Client, ServerArgs};
use super::table::{plain, table, text};
use super::trouble::Trouble;
use crate::grpc::generated::insights_service_client::InsightsServiceClient;
use crate::wire::{GetInsightsRequest, GetInsightsResponse};

const AFTER_LONG_HELP: &str = "\
Exit codes: 0 answered; 2 no answer, with the reason on stderr.

An org is active on a UTC day when a check allowed something to a member with a visible role. The checks of this command
line do not count.

JSON (--json), one object:
  project                     what was asked about
  orgs, visible_members, internal_members, pending_invitations
                              numbers; a user counts in each org
  daily_active_orgs, weekly_active_orgs, monthly_active_orgs
                              the orgs that were active today, in the last 7 and in the last 30 days
  revision, evaluated_at      the state and the time of the answer

Example:
  rolecall insights";

#[derive(Parser)]
#[command(after_help = EXIT_CODES, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Serialize)]
struct Shown {
    project: String,
    #[serde(flatten)]
    answer: GetInsightsResponse,
}

pub async fn run(args: Args) -> Result<(), Trouble> {
    let client = Client::connect(args.client).await?;
    let request = GetInsightsRequest { project: client.project(), consistency: None };
    let answer = client.ask(InsightsServiceClient::new(client.channel()).get_insights(request)).await?;
    client.show(&Shown { project: client.project(), answer })
}

impl Answer for Shown {
    fn text(&self) -> String {
        let mut rows = table([plain(&self.project), "NUMBER".into()]);
        for (name, number) in [
            ("orgs", self.answer.orgs),
            ("visible members", self.answer.visible_members),
            ("internal members", self.answer.internal_members),
            ("pending invitations", self.answer.pending_invitations),
            ("active orgs today", self.answer.daily_active_orgs),
            ("active orgs in 7 days", self.answer.weekly_active_orgs),
            ("active orgs in 30 days", self.answer.monthly_active_orgs),
        ] {
            rows.add_row([Cell::new(name), Cell::new(number)]);
        }
        text(rows)
    }
}
