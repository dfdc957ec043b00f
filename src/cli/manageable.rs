//! `rolecall manageable`: which roles may a user give and take in an org?

use clap::Parser;
use comfy_table::{Cell, Color};
use serde::Serialize;

use super::answer::Answer;
use super::client::{Client, PAGE_SIZE, Page, ServerArgs};
use super::table::{plain, table, text};
use super::trouble::Trouble;
use crate::grpc::generated::membership_service_client::MembershipServiceClient;
use crate::wire::{ListManageableRolesRequest, ManageableRole};

const AFTER_LONG_HELP: &str = "\
Exit codes: 0 answered, also with nothing; 2 no answer, with the reason on stderr.

JSON (--json), one object:
  project, org_id, acting_user_id    what was asked about
  target_user_id                     whose roles would be changed; absent if nobody was named
  roles                              highest first: role, invite, give, take (true or false), expire_time_max (the latest
                                     expiry that can be given; absent if there is none, or if give is false)
  remove                             true if the target (if not named: any member) may be removed from the org
  revision                           the state that the last page was read at

Examples:
  rolecall manageable globex mia
  rolecall manageable globex mia bob";

#[derive(Parser)]
#[command(
    after_help = "Exit codes: 0 answered, also with nothing; 2 no answer, with the reason on stderr.",
    after_long_help = AFTER_LONG_HELP,
)]
pub struct Args {
    /// The id of the org.
    #[arg(value_name = "ORG")]
    org_id: String,

    /// The id of the user who would give and take roles: a member of the org.
    #[arg(value_name = "USER")]
    acting_user_id: String,

    /// The id of the user whose roles would be changed. If not given, the answer is about members in general.
    #[arg(value_name = "TARGET")]
    target_user_id: Option<String>,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Serialize)]
struct Manageable {
    project: String,
    org_id: String,
    acting_user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_user_id: Option<String>,
    roles: Vec<ManageableRole>,
    remove: bool,
    revision: String,
}

pub async fn run(args: Args) -> Result<(), Trouble> {
    let client = Client::connect(args.client).await?;
    let mut remove = false;
    let roles = client.all("roles", async |page_token| {
        let request = ListManageableRolesRequest {
            project: client.project(),
            org_id: args.org_id.clone(),
            acting_user_id: args.acting_user_id.clone(),
            target_user_id: args.target_user_id.clone().unwrap_or_default(),
            page_size: PAGE_SIZE,
            page_token,
            consistency: None,
        };
        let page = client.ask(MembershipServiceClient::new(client.channel()).list_manageable_roles(request)).await?;
        remove = page.remove;
        Ok(Page { entries: page.roles, next_page_token: page.next_page_token, revision: page.revision })
    });
    let (roles, revision) = roles.await?;
    client.show(&Manageable {
        project: client.project(),
        org_id: args.org_id,
        acting_user_id: args.acting_user_id,
        target_user_id: args.target_user_id,
        roles,
        remove,
        revision,
    })
}

impl Answer for Manageable {
    fn text(&self) -> String {
        // Only a user with temporary roles gives roles with a latest expiry.
        let expires = self.roles.iter().any(|role| role.expire_time_max.is_some());
        let headings = ["ROLE", "INVITE", "GIVE", "TAKE"].into_iter().chain(expires.then_some("AT MOST UNTIL"));
        let mut rows = table(headings.map(String::from));
        for role in &self.roles {
            let expiry = role.expire_time_max.map(|time| time.to_string()).unwrap_or_default();
            let cells = [Cell::new(plain(&role.role)), may(role.invite), may(role.give), may(role.take)];
            rows.add_row(cells.into_iter().chain(expires.then(|| Cell::new(expiry))));
        }
        let whom = self.target_user_id.as_deref().unwrap_or("members");
        let may = if self.remove { "may" } else { "may not" };
        let (who, org) = (plain(&self.acting_user_id), plain(&self.org_id));
        format!("{}{who} {may} remove {} from {org}\n", text(rows), plain(whom))
    }
}

fn may(may: bool) -> Cell {
    match may {
        true => Cell::new("yes").fg(Color::Green),
        false => Cell::new("no").fg(Color::DarkGrey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manageable(target: Option<&str>, expiry: Option<&str>, remove: bool) -> Manageable {
        let role = |name: &str, may: bool, expiry: Option<&str>| ManageableRole {
            role: name.into(),
            invite: may,
            give: may,
            take: may,
            expire_time_max: expiry.map(|time| time.parse().unwrap()),
        };
        Manageable {
            project: "default".into(),
            org_id: "acme".into(),
            acting_user_id: "ben".into(),
            target_user_id: target.map(String::from),
            roles: vec![role("Admin", false, None), role("Member", true, expiry)],
            remove,
            revision: "r".into(),
        }
    }

    fn lines(manageable: &Manageable) -> Vec<String> {
        let plain = anstream::adapter::strip_str(&manageable.text()).to_string();
        plain.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn each_role_has_what_may_be_done_with_it() {
        assert_eq!(
            lines(&manageable(None, None, true)),
            [
                "ROLE    INVITE  GIVE  TAKE",
                "Admin   no      no    no",
                "Member  yes     yes   yes",
                "ben may remove members from acme"
            ]
        );
    }

    #[test]
    fn a_latest_expiry_has_a_column() {
        let lines = lines(&manageable(Some("max"), Some("2027-01-01T00:00:00Z"), false));
        assert_eq!(lines[2], "Member  yes     yes   yes   2027-01-01T00:00:00Z");
        assert_eq!(lines[3], "ben may not remove max from acme");
    }
}
