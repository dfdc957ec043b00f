//! What can be said of members with roles that would be disabled, as commands to paste.

use std::collections::HashSet;

use tonic::Status;

use super::{Args, Replacement, Strategy};
use crate::cli::client::{Client, PAGE_SIZE, Page, Trouble, roles_in_question};
use crate::cli::table::{names, plain};
use crate::grpc::generated::project_service_client::ProjectServiceClient;
use crate::grpc::generated::role_service_client::RoleServiceClient;
use crate::wire;

/// With more roles than this a remap names the role for all of them instead of one for each.
const REMAPS_MAX: usize = 3;

/// The choices after a refusal, each with a command that shows what it would do.
pub async fn choices(client: &Client, args: &Args, status: &Status) -> String {
    let held = roles_in_question(status);
    match known(client).await {
        Ok((default_role, internal)) => told(args, &held, &default_role, &internal),
        // The refusal stands whether or not more can be said of it.
        Err(_) => format!("say what becomes of those who hold {}, with --on-disabled; --help tells more", names(&held)),
    }
}

/// The default role, which is visible and enabled in every role mapping, and the internal roles of the project.
async fn known(client: &Client) -> Result<(String, HashSet<String>), Trouble> {
    let request = wire::GetProjectRequest { project: client.project() };
    let project = client.ask(ProjectServiceClient::new(client.channel()).get_project(request)).await?;
    let roles = client.all("roles", async |page_token| {
        let request = wire::ListRolesRequest {
            project: client.project(),
            page_size: PAGE_SIZE,
            page_token,
            ..Default::default()
        };
        let page = client.ask(RoleServiceClient::new(client.channel()).list_roles(request)).await?;
        let entries = page.roles.into_iter().filter(|role| role.internal).map(|role| role.name).collect();
        Ok(Page { entries, next_page_token: page.next_page_token, revision: page.revision })
    });
    let (internal, _) = roles.await?;
    Ok((project.project.unwrap_or_default().default_role, internal.into_iter().collect()))
}

pub(super) fn told(args: &Args, held: &[String], default_role: &str, internal: &HashSet<String>) -> String {
    let base = Args { dry_run: true, impact: None, fallback_role: None, default_replacement: None, ..args.clone() };
    let suspend = Args { on_disabled: Some(Strategy::Suspend), remap: Vec::new(), ..base.clone() };
    let (inside, visible): (Vec<String>, Vec<String>) = held.iter().cloned().partition(|role| internal.contains(role));
    let mut text =
        String::from("say what becomes of those who hold such a role; each of these shows what it would do:");
    let mut add = |says: String, args: &Args| text.push_str(&format!("\n# {says}\n{}", args.command()));
    add("they keep the role, which grants nothing until the org is on a plan that has it".into(), &suspend);
    if !visible.is_empty() {
        let fallback_role = Args { fallback_role: Some(default_role.into()), ..suspend };
        add(format!("the same, and meanwhile they hold {}", plain(default_role)), &fallback_role);
    }
    // Who takes the place of an internal role is nothing to guess.
    if inside.is_empty() && !visible.is_empty() {
        // A name with `=` cannot be said in --remap.
        let remap = if visible.len() <= REMAPS_MAX && !visible.iter().any(|role| role.contains('=')) {
            let more = visible.into_iter().map(|role| Replacement { role, to: default_role.into() });
            Args { remap: args.remap.iter().cloned().chain(more).collect(), ..base }
        } else {
            Args { default_replacement: Some(default_role.into()), ..base }
        };
        let remap = Args { on_disabled: Some(Strategy::Remap), ..remap };
        add(format!("they get {} in its place, for good", plain(default_role)), &remap);
    }
    text
}
