//! Loads a project with a role that all members of many orgs hold, and with one large org.

use std::time::{SystemTime, UNIX_EPOCH};

use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::grpc::generated::permission_service_client::PermissionServiceClient;
use rolecall::grpc::generated::project_service_client::ProjectServiceClient;
use rolecall::grpc::generated::role_mapping_service_client::RoleMappingServiceClient;
use rolecall::grpc::generated::role_service_client::RoleServiceClient;
use rolecall::wire;
use tonic::transport::Channel;

use crate::watch::Watched;
use crate::{bar, refused};

/// The role to delete. Its replacement grants the same, so that its holders are allowed the same all the time.
pub const CLERK: &str = "Clerk";
const PERMISSION: &str = "work";
pub const BIG_ORG: &str = "big";
const ORG_MEMBERS: usize = 1_000;
const ROWS_MAX: usize = 10_000;

pub struct Loaded {
    pub project: String,
    pub memberships: usize,
    /// The members who hold the role.
    pub clerks: Watched,
}

pub async fn load(channel: Channel, clerks: usize, big: usize) -> Result<Loaded, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let project = format!("large-deletes-{:x}", now.as_micros());
    let environment = wire::Environment::Test as i32;
    let request = wire::CreateProjectRequest { key: project.clone(), environment, ..Default::default() };
    ProjectServiceClient::new(channel.clone()).create_project(request).await.map_err(refused)?;
    let request =
        wire::CreatePermissionRequest { project: project.clone(), name: PERMISSION.into(), ..Default::default() };
    PermissionServiceClient::new(channel.clone()).create_permission(request).await.map_err(refused)?;
    let request = wire::CreateRoleRequest { project: project.clone(), name: CLERK.into(), ..Default::default() };
    RoleServiceClient::new(channel.clone()).create_role(request).await.map_err(refused)?;
    let edit = |role: &str| wire::GrantEdit { role: role.into(), add: vec![PERMISSION.into()], remove: Vec::new() };
    let request = wire::UpdateRoleMappingRequest {
        project: project.clone(),
        name: "Default".into(),
        edits: vec![edit(CLERK), edit("Member")],
        ..Default::default()
    };
    RoleMappingServiceClient::new(channel.clone()).update_role_mapping(request).await.map_err(refused)?;

    let bar = bar((clerks + big) as u64, "loading");
    let rows = (0..clerks).map(|user| (format!("org-{}", user / ORG_MEMBERS), format!("u{user}"), CLERK));
    let rows = rows.chain((0..big).map(|user| (BIG_ORG.to_owned(), format!("b{user}"), "Admin")));
    let mut orgs = OrgServiceClient::new(channel.clone());
    let mut members = MembershipServiceClient::new(channel);
    let mut last_org = String::new();
    let mut batch = Vec::with_capacity(ROWS_MAX);
    for (at, (org_id, user_id, role)) in rows.enumerate() {
        if org_id != last_org {
            last_org.clone_from(&org_id);
            let (project, org_id) = (project.clone(), org_id.clone());
            let request = wire::CreateOrgRequest { project, org_id, ..Default::default() };
            orgs.create_org(request).await.map_err(refused)?;
        }
        batch.push(add(org_id, user_id, role));
        if batch.len() == ROWS_MAX || at + 1 == clerks + big {
            let rows = std::mem::take(&mut batch);
            bar.inc(rows.len() as u64);
            let request = wire::BatchWriteMembersRequest { project: project.clone(), rows, ..Default::default() };
            members.batch_write_members(request).await.map_err(refused)?;
        }
    }
    bar.finish_and_clear();
    let memberships = clerks + big;
    let clerks = Watched { project: project.clone(), users: clerks, org_members: ORG_MEMBERS, permission: PERMISSION };
    Ok(Loaded { project, memberships, clerks })
}

fn add(org_id: String, user_id: String, role: &str) -> wire::MemberWrite {
    let roles = vec![wire::RoleAssignment { role: role.into(), ..Default::default() }];
    wire::MemberWrite { org_id, user_id, write: Some(wire::member_write::Write::Add(wire::RoleAssignments { roles })) }
}
