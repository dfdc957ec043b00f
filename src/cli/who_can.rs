//! `rolecall who-can`: who in an org has a permission?

use clap::Parser;
use comfy_table::Cell;
use serde::Serialize;

use super::answer::Answer;
use super::client::{Client, PAGE_SIZE, Page, ServerArgs};
use super::table::{plain, table, text};
use super::trouble::Trouble;
use crate::grpc::generated::membership_service_client::MembershipServiceClient;
use crate::wire::{ListMembersRequest, Member, MemberRole, MemberRoleState};

const AFTER_LONG_HELP: &str = "\
Exit codes: 0 answered, also with nobody; 2 no answer, with the reason on stderr.

JSON (--json), one object:
  project, org_id, permission    what was asked about
  members                        by user id, as rolecall.v1.Member: org_id, user_id, origin, revision, and roles, highest
                                 first: role, state, origin, expire_time (absent for a permanent role), fallback_role
                                 (held while the role is suspended; absent for none) and fallback_role_state
  revision                       the state that the last page was read at

Example:
  rolecall who-can billing.manage --org globex";

#[derive(Parser)]
#[command(
    after_help = "Exit codes: 0 answered, also with nobody; 2 no answer, with the reason on stderr.",
    after_long_help = AFTER_LONG_HELP,
)]
pub struct Args {
    /// The name of the permission.
    permission: String,

    /// The id of the org.
    #[arg(long = "org", value_name = "ORG")]
    org_id: String,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Serialize)]
struct WhoCan {
    project: String,
    org_id: String,
    permission: String,
    members: Vec<Member>,
    revision: String,
}

pub async fn run(args: Args) -> Result<(), Trouble> {
    let client = Client::connect(args.client).await?;
    let members = client.all("members", async |page_token| {
        let request = ListMembersRequest {
            project: client.project(),
            org_id: args.org_id.clone(),
            role: String::new(),
            permission: args.permission.clone(),
            page_size: PAGE_SIZE,
            page_token,
            viewer_user_id: String::new(),
            ..Default::default()
        };
        let page = client.ask(MembershipServiceClient::new(client.channel()).list_members(request)).await?;
        Ok(Page { entries: page.members, next_page_token: page.next_page_token, revision: page.revision })
    });
    let (members, revision) = members.await?;
    let who = WhoCan { project: client.project(), org_id: args.org_id, permission: args.permission, members, revision };
    if who.members.is_empty() {
        client.note(&format!("nobody in `{}` has `{}`", plain(&who.org_id), plain(&who.permission)));
    }
    client.show(&who)
}

impl Answer for WhoCan {
    fn text(&self) -> String {
        user_table(&self.members)
    }
}

/// Returns a table of users and their roles.
pub fn user_table(members: &[Member]) -> String {
    let mut rows = table(["USER", "ROLES"].map(String::from));
    for member in members {
        let roles: Vec<String> = member.roles.iter().map(shown).collect();
        rows.add_row([Cell::new(plain(&member.user_id)), Cell::new(roles.join(", "))]);
    }
    text(rows)
}

/// Returns `Admin`, `Admin (suspended, Member instead)` or `Admin (until 2027-01-01T00:00:00Z)`.
pub fn shown(role: &MemberRole) -> String {
    let state = role.state().as_str_name().trim_start_matches("MEMBER_ROLE_STATE_").to_lowercase();
    let state = (role.state() != MemberRoleState::Live).then_some(state);
    let overridden = role.fallback_role_state() == MemberRoleState::Overridden;
    let fallback_state = if overridden { ", itself overridden" } else { "" };
    let fallback_role =
        (!role.fallback_role.is_empty()).then(|| format!("{} instead{fallback_state}", plain(&role.fallback_role)));
    let expiry = role.expire_time.map(|time| format!("until {time}"));
    let notes: Vec<String> = state.into_iter().chain(fallback_role).chain(expiry).collect();
    let name = plain(&role.role);
    if notes.is_empty() { name } else { format!("{name} ({})", notes.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_shows_its_state_fallback_role_and_expiry() {
        let line = |state, expiry: Option<&str>, fallback_role: &str| {
            shown(&MemberRole {
                role: "Admin".into(),
                state: state as i32,
                expire_time: expiry.map(|expiry| expiry.parse().unwrap()),
                fallback_role: fallback_role.into(),
                ..Default::default()
            })
        };
        let role = |state, expiry| line(state, expiry, "");
        assert_eq!(role(MemberRoleState::Live, None), "Admin");
        assert_eq!(role(MemberRoleState::Live, Some("2027-01-01T00:00:00Z")), "Admin (until 2027-01-01T00:00:00Z)");
        assert_eq!(role(MemberRoleState::Suspended, None), "Admin (suspended)");
        assert_eq!(
            role(MemberRoleState::Expired, Some("2026-01-01T00:00:00Z")),
            "Admin (expired, until 2026-01-01T00:00:00Z)"
        );
        assert_eq!(line(MemberRoleState::Suspended, None, "Member"), "Admin (suspended, Member instead)");
        let overridden = MemberRole {
            role: "Admin".into(),
            state: MemberRoleState::Suspended as i32,
            fallback_role: "Member".into(),
            fallback_role_state: MemberRoleState::Overridden as i32,
            ..Default::default()
        };
        assert_eq!(shown(&overridden), "Admin (suspended, Member instead, itself overridden)");
    }
}
