//! `rolecall mappings diff`.

use clap::Parser;
use comfy_table::{Cell, CellAlignment, Color};
use serde::Serialize;

use crate::cli::answer::{Answer, EXIT_CODES};
use crate::cli::client::{Client, PAGE_SIZE, Page, ServerArgs};
use crate::cli::table::{enabled, names, plain, table, text};
use crate::cli::trouble::Trouble;
use crate::grpc::generated::role_mapping_service_client::RoleMappingServiceClient;
use crate::wire::{DiffRoleMappingsRequest, RoleDiff};

const AFTER_LONG_HELP: &str = "\
Exit codes: 0 answered, also if they differ; 2 no answer, with the reason on stderr.

JSON (--json), one object:
  project, left, right    what was asked about
  roles                   in the order of the roles: role, enabled_left, enabled_right, and the names of permissions
                          only_left, only_right, both; roles that do not differ only with --all
  revision                the state that the last page was read at";

#[derive(Parser)]
#[command(after_help = EXIT_CODES, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// The name of a role mapping.
    left: String,

    /// The name of the role mapping to compare it with.
    right: String,

    /// Shows roles that do not differ, too.
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    client: ServerArgs,
}

#[derive(Serialize)]
struct Diff {
    project: String,
    left: String,
    right: String,
    roles: Vec<RoleDiff>,
    revision: String,
}

pub async fn run(args: Args) -> Result<(), Trouble> {
    let client = Client::connect(args.client).await?;
    let roles = client.all("roles", async |page_token| {
        let request = DiffRoleMappingsRequest {
            project: client.project(),
            left: args.left.clone(),
            right: args.right.clone(),
            // `true` would leave out what both sides grant, which the table counts.
            only_different: false,
            page_size: PAGE_SIZE,
            page_token,
            ..Default::default()
        };
        let mut mappings = RoleMappingServiceClient::new(client.channel()).max_decoding_message_size(usize::MAX);
        let page = client.ask(mappings.diff_role_mappings(request)).await?;
        let entries = page.roles.into_iter().filter(|role| args.all || role.differs()).collect();
        Ok(Page { entries, next_page_token: page.next_page_token, revision: page.revision })
    });
    let (roles, revision) = roles.await?;
    let diff = Diff { project: client.project(), left: args.left, right: args.right, roles, revision };
    if diff.roles.is_empty() {
        client.note(&format!(
            "`{}` and `{}` do not differ; --all shows every role",
            plain(&diff.left),
            plain(&diff.right)
        ));
    }
    client.show(&diff)
}

impl RoleDiff {
    fn differs(&self) -> bool {
        self.enabled_left != self.enabled_right || !self.only_left.is_empty() || !self.only_right.is_empty()
    }
}

impl Answer for Diff {
    fn text(&self) -> String {
        let (left, right) = (plain(&self.left), plain(&self.right));
        let headings = [
            "ROLE".into(),
            format!("IN {left}"),
            format!("IN {right}"),
            format!("ONLY IN {left}"),
            format!("ONLY IN {right}"),
            "BOTH".into(),
        ];
        let mut rows = table(headings);
        for role in &self.roles {
            rows.add_row([
                Cell::new(plain(&role.role)),
                enabled(role.enabled_left),
                enabled(role.enabled_right),
                Cell::new(names(&role.only_left)).fg(Color::Red),
                Cell::new(names(&role.only_right)).fg(Color::Green),
                Cell::new(role.both.len()).set_alignment(CellAlignment::Right),
            ]);
        }
        text(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(role: &str, only_right: &[&str], enabled_right: bool) -> RoleDiff {
        RoleDiff {
            role: role.into(),
            enabled_left: true,
            enabled_right,
            only_left: Vec::new(),
            only_right: only_right.iter().map(|name| name.to_string()).collect(),
            both: vec!["reports.view".into(), "reports.list".into()],
        }
    }

    #[test]
    fn a_diff_says_by_role_what_is_where_in_colours() {
        let roles = vec![role("Owner", &["sso.configure", "reports.export"], true), role("Guest", &[], false)];
        let diff = Diff { project: "".into(), left: "Free".into(), right: "Paid".into(), roles, revision: "".into() };
        let text = diff.text();
        assert!(text.contains("\u{1b}[38;5;10msso.configure, reports.export"), "{text:?}");
        assert!(text.contains("\u{1b}[38;5;11mdisabled"), "{text:?}");
        let plain = anstream::adapter::strip_str(&text).to_string();
        let lines: Vec<Vec<&str>> = plain
            .lines()
            .map(|line| line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect())
            .collect();
        assert_eq!(lines[0], ["ROLE", "IN Free", "IN Paid", "ONLY IN Free", "ONLY IN Paid", "BOTH"]);
        assert_eq!(lines[1], ["Owner", "enabled", "enabled", "sso.configure, reports.export", "2"]);
        assert_eq!(lines[2], ["Guest", "enabled", "disabled", "2"]);
    }

    #[test]
    fn a_role_differs_by_what_it_grants_and_by_whether_it_is_enabled() {
        assert!(role("Owner", &["a"], true).differs());
        assert!(role("Owner", &[], false).differs());
        assert!(!role("Owner", &[], true).differs());
    }
}
