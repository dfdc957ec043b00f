//! Loads a project with two plans, and many orgs on the larger one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;
use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::grpc::generated::permission_service_client::PermissionServiceClient;
use rolecall::grpc::generated::project_service_client::ProjectServiceClient;
use rolecall::grpc::generated::role_mapping_service_client::RoleMappingServiceClient;
use rolecall::grpc::generated::role_service_client::RoleServiceClient;
use rolecall::wire;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::Channel;

use crate::watch::Watched;
use crate::{bar, refused};

pub const FREE: &str = "Free";
pub const PAID: &str = "Paid";
pub const ADMIN: &str = "Admin";
pub const BILLING: &str = "Billing";
pub const MEMBER: &str = "Member";
/// An Owner, two Admins, one with the role Billing, and at least one Member.
pub const ORG_MEMBERS_MIN: usize = 5;
/// Every role grants this in both plans.
const READ: &str = "read";
/// Only Owner, Admin and Billing grant this.
pub const MANAGE: &str = "manage";
const ROWS_MAX: usize = 10_000;
/// Calls at the same time. The server commits waiting writes together.
const AT_ONCE: usize = 64;
/// The lifetime of temporary roles. They do not expire while this runs.
const TEMPORARY_FOR: Duration = Duration::from_secs(365 * 24 * 3_600);

#[derive(Clone, Copy)]
pub struct Sizes {
    pub orgs: usize,
    pub org_members: usize,
    /// Orgs in which one member has a temporary role.
    pub temporary: usize,
}

pub struct Loaded {
    pub project: String,
    pub sizes: Sizes,
    pub watched: Watched,
}

/// Returns the role of the member of an org with this number.
fn role_of(member: usize) -> &'static str {
    match member {
        0 => "Owner",
        1 | 2 => ADMIN,
        3 => BILLING,
        _ => MEMBER,
    }
}

pub fn org_id(org: usize) -> String {
    format!("org-{org}")
}

pub async fn load(channel: Channel, sizes: Sizes) -> Result<Loaded, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let project = format!("plan-moves-{:x}", now.as_micros());
    create_catalogue(channel.clone(), &project).await?;
    let bar = bar((sizes.orgs * (sizes.org_members + 1)) as u64, "loading");
    let mut creating = JoinSet::new();
    for org in 0..sizes.orgs {
        if creating.len() == AT_ONCE {
            finished(creating.join_next().await)?;
        }
        let (project, org_id, role_mapping) = (project.clone(), org_id(org), PAID.to_owned());
        let request = wire::CreateOrgRequest { project, org_id, role_mapping, ..Default::default() };
        let mut client = OrgServiceClient::new(channel.clone());
        creating.spawn(async move { client.create_org(request).await.map(|_| ()) });
        bar.inc(1);
    }
    while !creating.is_empty() {
        finished(creating.join_next().await)?;
    }
    let expire_time = Timestamp { seconds: (now + TEMPORARY_FOR).as_secs() as i64, nanos: 0 };
    let mut members = MembershipServiceClient::new(channel);
    let users = sizes.orgs * sizes.org_members;
    for first in (0..users).step_by(ROWS_MAX) {
        let rows = (first..users.min(first + ROWS_MAX)).map(|user| row(user, sizes, expire_time)).collect::<Vec<_>>();
        bar.inc(rows.len() as u64);
        let request = wire::BatchWriteMembersRequest { project: project.clone(), rows, ..Default::default() };
        members.batch_write_members(request).await.map_err(refused)?;
    }
    bar.finish_and_clear();
    let watched = Watched { project: project.clone(), users, org_members: sizes.org_members, permission: READ };
    Ok(Loaded { project, sizes, watched })
}

/// Creates permissions, four roles and two plans. Paid enables all roles, Free only Owner and Member.
async fn create_catalogue(channel: Channel, project: &str) -> Result<(), String> {
    let request = wire::CreateProjectRequest {
        key: project.into(),
        environment: wire::Environment::Test as i32,
        ..Default::default()
    };
    ProjectServiceClient::new(channel.clone()).create_project(request).await.map_err(refused)?;
    let permission = |name: &str| wire::PermissionSpec { name: name.into(), ..Default::default() };
    let request = wire::BatchCreatePermissionsRequest {
        project: project.into(),
        permissions: vec![permission(READ), permission(MANAGE)],
        ..Default::default()
    };
    PermissionServiceClient::new(channel.clone()).batch_create_permissions(request).await.map_err(refused)?;
    let request = wire::CreateRoleRequest {
        project: project.into(),
        name: BILLING.into(),
        placement: Some(wire::create_role_request::Placement::Below(ADMIN.into())),
        ..Default::default()
    };
    RoleServiceClient::new(channel.clone()).create_role(request).await.map_err(refused)?;
    let edit = |role: &str, names: &[&str]| wire::GrantEdit {
        role: role.into(),
        add: names.iter().map(|name| name.to_string()).collect(),
        remove: Vec::new(),
    };
    let disabled = vec![ADMIN.to_owned(), BILLING.to_owned()];
    let paid = wire::CreateRoleMappingRequest {
        project: project.into(),
        name: PAID.into(),
        duplicate_of: "Default".into(),
        edits: vec![
            edit("Owner", &[READ, MANAGE]),
            edit(ADMIN, &[READ, MANAGE]),
            edit(BILLING, &[READ, MANAGE]),
            edit(MEMBER, &[READ]),
        ],
        ..Default::default()
    };
    let free = wire::CreateRoleMappingRequest {
        project: project.into(),
        name: FREE.into(),
        duplicate_of: PAID.into(),
        disable_roles: disabled,
        ..Default::default()
    };
    let mut client = RoleMappingServiceClient::new(channel);
    client.create_role_mapping(paid).await.map_err(refused)?;
    client.create_role_mapping(free).await.map_err(refused)?;
    Ok(())
}

/// Returns the row that adds a user to its org. In the first orgs one Member also has a temporary role.
fn row(user: usize, sizes: Sizes, expire_time: Timestamp) -> wire::MemberWrite {
    let (org, member) = (user / sizes.org_members, user % sizes.org_members);
    let role = |role: &str, expire_time| wire::RoleAssignment { role: role.into(), expire_time, ..Default::default() };
    let mut roles = vec![role(role_of(member), None)];
    if org < sizes.temporary && member == ORG_MEMBERS_MIN - 1 {
        roles.push(role(ADMIN, Some(expire_time)));
    }
    let write = Some(wire::member_write::Write::Add(wire::RoleAssignments { roles }));
    wire::MemberWrite { org_id: org_id(org), user_id: format!("u{user}"), write }
}

fn finished(created: Option<Result<Result<(), Status>, tokio::task::JoinError>>) -> Result<(), String> {
    match created {
        Some(Ok(created)) => created.map_err(refused),
        Some(Err(error)) => Err(format!("a task failed: {error}")),
        None => Ok(()),
    }
}
