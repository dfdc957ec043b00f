//! `rolecall invite`: invites an e-mail address to an org.

use clap::Parser;
use serde::Serialize;

use super::answer::Answer;
use super::client::{Client, ServerArgs};
use super::duration::seconds;
use super::invitations::expiry;
use super::table::{names, plain};
use super::trouble::Failed;
use crate::clock;
use crate::grpc::generated::invitation_service_client::InvitationServiceClient;
use crate::wire::{self, CreateInvitationRequest, Invitation};

const AFTER_HELP: &str = "\
Exit codes: 0 invited; 1 refused, nothing was changed; 2 no answer, with the reason on stderr.";

const AFTER_LONG_HELP: &str = "\
Exit codes: 0 invited; 1 refused, nothing was changed; 2 no answer, with the reason on stderr.

JSON (--json), one object:
  project       the key of the project
  invitation    as in `rolecall invitations`
  revision      a check with `consistency.at_least` set to it sees the invitation

Examples:
  rolecall invite dora@acme.example --org acme --role Admin
  rolecall invite dora@acme.example --org acme --expires-in 12h --replace --as ann";

#[derive(Parser)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// The e-mail address.
    #[arg(value_name = "ADDRESS")]
    email: String,

    /// The id of the org.
    #[arg(long = "org", value_name = "ORG")]
    org_id: String,

    /// A role to invite to; several in a MULTI_ROLE project. If not given, the project's default role.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,

    /// How long the invitation can be accepted, for example `7d`, `12h` or `30m`; at most 90d. If not given, 7d.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires_in: Option<i64>,

    /// Revokes a pending invitation of the address.
    #[arg(long)]
    replace: bool,

    /// The id of the user who invites: a member of the org, whose roles must allow it. If not given, an operator invites.
    #[arg(long = "as", value_name = "USER")]
    acting_user_id: Option<String>,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Serialize)]
struct Invited {
    project: String,
    invitation: Invitation,
    revision: String,
}

pub async fn run(args: Args) -> Result<(), Failed> {
    let client = Client::connect(args.client).await?;
    let request = CreateInvitationRequest {
        project: client.project(),
        org_id: args.org_id,
        email: args.email,
        roles: args.roles,
        expire_time: args.expires_in.map(|seconds| wire::timestamp(clock::now().plus_seconds(seconds))),
        replace: args.replace,
        acting_user_id: args.acting_user_id.unwrap_or_default(),
        ..Default::default()
    };
    let answer = client.write(InvitationServiceClient::new(client.channel()).create_invitation(request)).await?;
    let invitation = answer.invitation.unwrap_or_default();
    Ok(client.show(&Invited { project: client.project(), invitation, revision: answer.revision })?)
}

impl Answer for Invited {
    fn text(&self) -> String {
        let Invitation { email, org_id, roles, invitation_id, .. } = &self.invitation;
        let (email, org, roles) = (plain(email), plain(org_id), names(roles));
        let expiry = expiry(&self.invitation);
        let bold = anstyle::Style::new().bold();
        format!("{bold}Invited {email} to {org} as {roles}, until {expiry}.{bold:#}\ninvitation_id {invitation_id}\n")
    }
}
