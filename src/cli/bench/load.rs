//! Writes a workload into a project of its own, through the API.

use std::time::Instant;

use tonic::{Response, Status};

use super::workload::{Model, Row, Workload};
use crate::cli::client::{reason, trouble};
use crate::cli::connect::Remote;
use crate::cli::in_flight::in_flight;
use crate::cli::key::Transport;
use crate::cli::progress::bar;
use crate::cli::trouble::Trouble;
use crate::grpc::generated::membership_service_client::MembershipServiceClient;
use crate::grpc::generated::org_service_client::OrgServiceClient;
use crate::grpc::generated::permission_service_client::PermissionServiceClient;
use crate::grpc::generated::project_service_client::ProjectServiceClient;
use crate::grpc::generated::role_mapping_service_client::RoleMappingServiceClient;
use crate::grpc::generated::role_service_client::RoleServiceClient;
use crate::wire::{
    BatchCreatePermissionsRequest, BatchCreateRolesRequest, BatchWriteMembersRequest, CreateOrgRequest,
    CreateProjectRequest, CreateRoleMappingRequest, DisabledRoleStrategy, Environment, ErrorReason, GetProjectRequest,
    GrantEdit, MemberWrite, OnDisabled, PermissionSpec, Project, RoleAssignment, RoleAssignments, RoleSpec,
    UpdateProjectRequest, UpdateRoleMappingRequest, member_write,
};

/// The display name of a bench's project begins with this.
const MARK: &str = "rolecall bench: ";
/// It ends with this until everything is loaded.
const UNFINISHED: &str = ", unfinished";
/// Memberships of one call.
const ROWS: u64 = 10_000;
/// Calls in flight: while one commits, the next is decoded.
const CALLS: usize = 2;
/// Orgs that are created at a time. The server commits them in groups.
const ORG_CALLS: usize = 128;

/// How long loading took.
pub struct Loaded {
    pub seconds: f64,
    pub memberships_per_second: f64,
}

/// A project on a server.
#[derive(Clone)]
pub struct Place {
    pub channel: Transport,
    pub remote: Remote,
    pub project: String,
}

impl Place {
    /// Waits for an answer. An error says what the server refused.
    pub async fn ask<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Trouble> {
        call.await.map(Response::into_inner).map_err(|status| trouble(&status, &self.remote.address))
    }
}

/// Loads a workload. Returns `None` if the project already holds it. Refuses a project that holds anything else.
pub async fn load(place: &Place, workload: &Workload) -> Result<Option<Loaded>, Trouble> {
    let mark = format!("{MARK}{}", workload.name);
    match display_name(place).await? {
        None => {}
        Some(found) if found == mark => return Ok(None),
        Some(found) => return Err(refusal(&place.project, &found)),
    }
    let began = Instant::now();
    catalogue(place, workload, format!("{mark}{UNFINISHED}")).await?;
    orgs(place, workload).await?;
    let began_members = Instant::now();
    members(place, workload).await?;
    let memberships_per_second = workload.memberships as f64 / began_members.elapsed().as_secs_f64();
    disable_roles(place, &workload.model).await?;
    let request = UpdateProjectRequest {
        project: place.project.clone(),
        resource: Some(Project { display_name: mark, ..Default::default() }),
        ..Default::default()
    };
    place.ask(ProjectServiceClient::new(place.channel.clone()).update_project(request)).await?;
    Ok(Some(Loaded { seconds: began.elapsed().as_secs_f64(), memberships_per_second }))
}

/// Returns the display name of the project. `None` if it does not exist.
async fn display_name(place: &Place) -> Result<Option<String>, Trouble> {
    let request = GetProjectRequest { project: place.project.clone(), consistency: None };
    match ProjectServiceClient::new(place.channel.clone()).get_project(request).await {
        Ok(answer) => Ok(Some(answer.into_inner().project.unwrap_or_default().display_name)),
        Err(status) if reason(&status) == ErrorReason::ProjectNotFound.as_str_name() => Ok(None),
        Err(status) => Err(trouble(&status, &place.remote.address)),
    }
}

fn refusal(project: &str, display_name: &str) -> Trouble {
    let next = "name another project with --project, or delete this one";
    match display_name.strip_prefix(MARK) {
        None => Trouble::new(
            format!("the project `{project}` was not made by `rolecall bench`, which does not touch it"),
            "name a project that does not exist with --project",
        ),
        Some(found) if found.ends_with(UNFINISHED) => {
            Trouble::new(format!("loading the project `{project}` was interrupted"), next)
        }
        Some(found) => Trouble::new(format!("the project `{project}` holds another workload: {found}"), next),
    }
}

/// Creates the project with its permissions, roles and role mappings. All roles are enabled.
async fn catalogue(place: &Place, workload: &Workload, display_name: String) -> Result<(), Trouble> {
    let model = &workload.model;
    let (project, channel) = (|| place.project.clone(), || place.channel.clone());
    // It must be enabled in every mapping.
    let Some(owner) = model.enabled_roles().next() else {
        return Err(Trouble::new(
            "every role is disabled in some role mapping",
            "the role of owners must be enabled in all of them: add such a role to the workload",
        ));
    };
    let request = CreateProjectRequest {
        key: project(),
        display_name,
        environment: Environment::Test.into(),
        template: "empty".into(),
        owner_role: model.roles[owner].clone(),
        ..Default::default()
    };
    place.ask(ProjectServiceClient::new(channel()).create_project(request)).await?;

    let spec = |name: &String| PermissionSpec { name: name.clone(), ..Default::default() };
    let permissions = model.permissions.iter().map(spec).collect();
    let request = BatchCreatePermissionsRequest { project: project(), permissions, ..Default::default() };
    place.ask(PermissionServiceClient::new(channel()).batch_create_permissions(request)).await?;

    let others = model.roles.iter().enumerate().filter(|&(role, _)| role != owner);
    let roles = others.map(|(_, name)| RoleSpec { name: name.clone(), ..Default::default() }).collect();
    let request = BatchCreateRolesRequest { project: project(), roles, ..Default::default() };
    place.ask(RoleServiceClient::new(channel()).batch_create_roles(request)).await?;

    for mapping in &model.mappings {
        let edit = |(role, row): (&String, &Row)| {
            let granted = model.permissions.iter().zip(&row.grants).filter(|&(_, &granted)| granted);
            GrantEdit { role: role.clone(), add: granted.map(|(name, _)| name.clone()).collect(), remove: Vec::new() }
        };
        let edits = model.roles.iter().zip(&mapping.rows).map(edit).filter(|edit| !edit.add.is_empty()).collect();
        let request =
            CreateRoleMappingRequest { project: project(), name: mapping.name.clone(), edits, ..Default::default() };
        place.ask(RoleMappingServiceClient::new(channel()).create_role_mapping(request)).await?;
    }
    Ok(())
}

async fn orgs(place: &Place, workload: &Workload) -> Result<(), Trouble> {
    let progress = bar("orgs", workload.orgs);
    in_flight(ORG_CALLS, 0..workload.orgs, |org| {
        let place = place.clone();
        let request = CreateOrgRequest {
            project: place.project.clone(),
            org_id: workload.org_id(org),
            role_mapping: workload.model.mappings[workload.mapping(org)].name.clone(),
            ..Default::default()
        };
        let progress = progress.clone();
        async move {
            place.ask(OrgServiceClient::new(place.channel.clone()).create_org(request)).await?;
            progress.inc(1);
            Ok(())
        }
    })
    .await
}

async fn members(place: &Place, workload: &Workload) -> Result<(), Trouble> {
    let progress = bar("memberships", workload.memberships);
    in_flight(CALLS, 0..workload.memberships.div_ceil(ROWS), |call| {
        let numbers = call * ROWS..((call + 1) * ROWS).min(workload.memberships);
        let rows: Vec<MemberWrite> = numbers
            .map(|number| {
                let member = workload.member(number);
                let roles = assigned(&workload.model.roles[member.role]);
                row(member.org_id, member.user_id, member_write::Write::Add(roles))
            })
            .collect();
        let (place, progress) = (place.clone(), progress.clone());
        async move {
            let written = rows.len() as u64;
            write(&place, rows).await?;
            progress.inc(written);
            Ok(())
        }
    })
    .await
}

/// Disables roles after the members have them: a disabled role cannot be given.
async fn disable_roles(place: &Place, model: &Model) -> Result<(), Trouble> {
    for mapping in &model.mappings {
        let disabled = model.roles.iter().zip(&mapping.rows).filter(|(_, row)| row.disabled);
        let disable_roles: Vec<String> = disabled.map(|(name, _)| name.clone()).collect();
        if disable_roles.is_empty() {
            continue;
        }
        let suspend = OnDisabled { strategy: DisabledRoleStrategy::Suspend.into(), ..Default::default() };
        let request = UpdateRoleMappingRequest {
            project: place.project.clone(),
            name: mapping.name.clone(),
            disable_roles,
            on_disabled: Some(suspend),
            ..Default::default()
        };
        place.ask(RoleMappingServiceClient::new(place.channel.clone()).update_role_mapping(request)).await?;
    }
    Ok(())
}

/// Writes rows in one commit.
pub async fn write(place: &Place, rows: Vec<MemberWrite>) -> Result<(), Trouble> {
    let request =
        BatchWriteMembersRequest { project: place.project.clone(), rows, allow_ownerless: true, ..Default::default() };
    place.ask(MembershipServiceClient::new(place.channel.clone()).batch_write_members(request)).await.map(drop)
}

pub fn row(org_id: String, user_id: String, write: member_write::Write) -> MemberWrite {
    MemberWrite { org_id, user_id, write: Some(write) }
}

pub fn assigned(role: &str) -> RoleAssignments {
    RoleAssignments { roles: vec![RoleAssignment { role: role.into(), ..Default::default() }] }
}
