//! The choices after a refused move: what can happen to members with roles that would be disabled.

use std::collections::HashSet;

use tonic::Status;

use super::args::{Args, Replacement, Strategy};
use crate::cli::client::{Client, PAGE_SIZE, Page, roles_in_question};
use crate::cli::table::{names, plain};
use crate::cli::trouble::Trouble;
use crate::grpc::generated::project_service_client::ProjectServiceClient;
use crate::grpc::generated::role_service_client::RoleServiceClient;
use crate::wire;

/// Roles that are replaced one by one. More of them get one default replacement.
const REMAPS_MAX: usize = 3;

/// Returns the choices, each with a command that previews it.
pub async fn choices(client: &Client, args: &Args, status: &Status) -> String {
    let held = roles_in_question(status);
    match known(client).await {
        Ok((default_role, internal)) => commands(args, &held, &default_role, &internal),
        // The refusal is reported even if the choices cannot be read.
        Err(_) => format!("choose what happens to members who hold {} with --on-disabled; see --help", names(&held)),
    }
}

/// Returns the default role, which is visible and enabled in every role mapping, and the internal roles.
async fn known(client: &Client) -> Result<(String, HashSet<String>), Trouble> {
    let request = wire::GetProjectRequest { project: client.project(), ..Default::default() };
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

pub fn commands(args: &Args, held: &[String], default_role: &str, internal: &HashSet<String>) -> String {
    let base = Args { dry_run: true, impact: None, fallback_role: None, default_replacement: None, ..args.clone() };
    let suspend = Args { on_disabled: Some(Strategy::Suspend), remap: Vec::new(), ..base.clone() };
    let (held_internal, visible): (Vec<String>, Vec<String>) =
        held.iter().cloned().partition(|role| internal.contains(role));
    let mut text = String::from("choose what happens to members who hold such a role; each command is a preview:");
    let mut add = |says: String, args: &Args| text.push_str(&format!("\n# {says}\n{}", args.command()));
    add("they keep the role, which grants nothing until the org is on a plan that enables it".into(), &suspend);
    if !visible.is_empty() {
        let fallback_role = Args { fallback_role: Some(default_role.into()), ..suspend };
        add(format!("the same, and meanwhile they hold {}", plain(default_role)), &fallback_role);
    }
    // An internal role needs an internal replacement, which nobody can guess.
    if held_internal.is_empty() && !visible.is_empty() {
        // --remap cannot name a role with `=` in its name.
        let remap = if visible.len() <= REMAPS_MAX && !visible.iter().any(|role| role.contains('=')) {
            let more = visible.into_iter().map(|role| Replacement { role, to: default_role.into() });
            Args { remap: args.remap.iter().cloned().chain(more).collect(), ..base }
        } else {
            Args { default_replacement: Some(default_role.into()), ..base }
        };
        let remap = Args { on_disabled: Some(Strategy::Remap), ..remap };
        add(format!("they get {} instead, for good", plain(default_role)), &remap);
    }
    text
}
