//! Writes what a plan says. Running an import again continues where it stopped: the next plan no longer has what is done.

use std::sync::Arc;

use super::contents::{Contents, Member, Role};
use super::plan::Plan;
use crate::cli::client::Client;
use crate::cli::configuration;
use crate::cli::in_flight::in_flight;
use crate::cli::progress::bar;
use crate::cli::trouble::{Failed, Trouble};
use crate::grpc::generated::membership_service_client::MembershipServiceClient;
use crate::grpc::generated::org_service_client::OrgServiceClient;
use crate::wire::{
    BatchWriteMembersRequest, CreateOrgRequest, MemberWrite, RoleAssignment, RoleAssignments, member_write,
};

/// Members of one call.
const ROWS: usize = 10_000;
/// Calls in flight: while one commits, the next is decoded.
const CALLS: usize = 3;
/// Orgs that are created at a time. The server commits them in groups.
const ORG_CALLS: usize = 128;

/// Writes everything, in an order in which each step finds what it refers to.
pub async fn apply(
    client: &Arc<Client>,
    contents: Contents,
    plan: &mut Plan,
    environment_given: bool,
) -> Result<(), Failed> {
    if plan.creates_project() && !environment_given {
        let what = format!("the project `{}` does not exist", client.project());
        return Err(Trouble::new(what, "say with --environment test or live which kind of project to create").into());
    }
    if let Some((document, planned)) = plan.configuration.take() {
        configuration::apply::apply(client, &document, planned, "import".into()).await?;
    }
    let contents = Arc::new(contents);
    let again =
        |trouble: Trouble| Trouble { next: format!("{}; run the import again to continue", trouble.next), ..trouble };
    orgs(client, &contents, &plan.new_orgs).await.map_err(again)?;
    let new = std::mem::take(&mut plan.new_members);
    let changed = std::mem::take(&mut plan.changed_members);
    let progress = bar("members", (new.len() + changed.len()) as u64);
    members(client, &contents, new, (member_write::Write::Add, false), &progress).await.map_err(again)?;
    members(client, &contents, changed, (member_write::Write::Set, true), &progress).await.map_err(again)?;
    progress.finish_and_clear();
    Ok(())
}

async fn orgs(client: &Arc<Client>, contents: &Contents, orgs: &[usize]) -> Result<(), Trouble> {
    let progress = bar("orgs", orgs.len() as u64);
    in_flight(ORG_CALLS, 0..orgs.len() as u64, |number| {
        let org = contents.orgs[orgs[number as usize]].clone();
        let request = CreateOrgRequest {
            project: client.project(),
            org_id: org.id,
            display_name: org.display_name,
            metadata: org.metadata,
            role_mapping: org.role_mapping,
            reason: "import".into(),
            ..Default::default()
        };
        let (client, progress) = (client.clone(), progress.clone());
        async move {
            client.ask(OrgServiceClient::new(client.channel()).create_org(request)).await?;
            progress.inc(1);
            Ok(())
        }
    })
    .await?;
    progress.finish_and_clear();
    Ok(())
}

async fn members(
    client: &Arc<Client>,
    contents: &Arc<Contents>,
    members: Vec<Member>,
    (write, permanent): (fn(RoleAssignments) -> member_write::Write, bool),
    progress: &indicatif::ProgressBar,
) -> Result<(), Trouble> {
    let members = Arc::new(members);
    in_flight(CALLS, 0..members.len().div_ceil(ROWS) as u64, |number| {
        let (client, contents, members) = (client.clone(), contents.clone(), members.clone());
        let progress = progress.clone();
        async move {
            let first = number as usize * ROWS;
            let chunk = &members[first..(first + ROWS).min(members.len())];
            let row = |member: &Member| MemberWrite {
                org_id: contents.orgs[member.org].id.clone(),
                user_id: member.user_id.clone(),
                write: Some(write(assigned(&contents, member, permanent))),
            };
            let request = BatchWriteMembersRequest {
                project: client.project(),
                rows: chunk.iter().map(row).collect(),
                // An org without an owner in the files has none here either.
                allow_ownerless: true,
                reason: "import".into(),
                ..Default::default()
            };
            client.ask(MembershipServiceClient::new(client.channel()).batch_write_members(request)).await?;
            progress.inc(chunk.len() as u64);
            Ok(())
        }
    })
    .await
}

/// Returns the roles of a member. `permanent` ends the expiry of roles that the member has until a time.
fn assigned(contents: &Contents, member: &Member, permanent: bool) -> RoleAssignments {
    let role = |role: &Role| RoleAssignment {
        role: role.name.clone(),
        expire_time: role.expire_time(),
        permanent: permanent && role.expiry.is_none(),
    };
    RoleAssignments { roles: contents.roles(member.roles).iter().map(role).collect() }
}
