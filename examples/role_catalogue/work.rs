//! The steps with the catalogue, over gRPC.

use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::HumanCount;
use rolecall::grpc::generated::check_service_client::CheckServiceClient;
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

use crate::catalogue::Catalogue;

const ORG: &str = "company";
const MAPPING: &str = "Catalogue";
const DUPLICATE: &str = "Duplicate";
/// Rows per bulk write.
const ROWS_MAX: usize = 10_000;
/// Calls at the same time. The server commits waiting writes together.
const AT_ONCE: usize = 64;
/// One of so many roles is checked.
const CHECK_EVERY: usize = 20;

pub struct Work<'a> {
    catalogue: &'a Catalogue,
    channel: Channel,
    project: String,
}

impl<'a> Work<'a> {
    pub async fn start(catalogue: &'a Catalogue, channel: Channel) -> Result<Self, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let project = format!("role-catalogue-{:x}", now.as_micros());
        let request = wire::CreateProjectRequest {
            key: project.clone(),
            environment: wire::Environment::Test as i32,
            ..Default::default()
        };
        ProjectServiceClient::new(channel.clone()).create_project(request).await.map_err(refused)?;
        Ok(Self { catalogue, channel, project })
    }

    /// Creates permissions, roles, one mapping with all grants, and an org in which a user with the name of each role holds it.
    pub async fn load(&self) -> Result<String, String> {
        let mut client = PermissionServiceClient::new(self.channel.clone());
        for names in self.catalogue.permissions.chunks(ROWS_MAX) {
            let spec = |name: &String| wire::PermissionSpec { name: name.clone(), ..Default::default() };
            let permissions = names.iter().map(spec).collect();
            let project = self.project.clone();
            let request = wire::BatchCreatePermissionsRequest { project, permissions, ..Default::default() };
            client.batch_create_permissions(request).await.map_err(refused)?;
        }
        let mut creating = JoinSet::new();
        for name in self.catalogue.roles.keys() {
            if creating.len() == AT_ONCE {
                finished(creating.join_next().await)?;
            }
            let mut client = RoleServiceClient::new(self.channel.clone());
            let request =
                wire::CreateRoleRequest { project: self.project.clone(), name: name.clone(), ..Default::default() };
            creating.spawn(async move { client.create_role(request).await.map(|_| ()) });
        }
        while !creating.is_empty() {
            finished(creating.join_next().await)?;
        }
        let mut client = RoleMappingServiceClient::new(self.channel.clone());
        let (project, name) = (self.project.clone(), MAPPING.to_owned());
        let request = wire::CreateRoleMappingRequest { project, name, ..Default::default() };
        client.create_role_mapping(request).await.map_err(refused)?;
        for edits in self.edits() {
            let (project, name) = (self.project.clone(), MAPPING.to_owned());
            let request = wire::UpdateRoleMappingRequest { project, name, edits, ..Default::default() };
            client.update_role_mapping(request).await.map_err(refused)?;
        }
        self.members().await?;
        Ok(format!("{} grants", HumanCount(self.catalogue.grants() as u64)))
    }

    /// Splits the grants into calls with at most 20,000 edits and names each.
    fn edits(&self) -> Vec<Vec<wire::GrantEdit>> {
        let mut calls = vec![Vec::new()];
        let mut rows = 0;
        for (role, permissions) in &self.catalogue.roles {
            let permissions: Vec<String> = permissions.iter().cloned().collect();
            for names in permissions.chunks(ROWS_MAX) {
                if rows + names.len() + 1 > 2 * ROWS_MAX {
                    calls.push(Vec::new());
                    rows = 0;
                }
                rows += names.len() + 1;
                let edit = wire::GrantEdit { role: role.clone(), add: names.to_vec(), remove: Vec::new() };
                calls.last_mut().into_iter().for_each(|call| call.push(edit.clone()));
            }
        }
        calls
    }

    async fn members(&self) -> Result<(), String> {
        let (project, role_mapping) = (self.project.clone(), MAPPING.to_owned());
        let org = wire::CreateOrgRequest { project, org_id: ORG.into(), role_mapping, ..Default::default() };
        OrgServiceClient::new(self.channel.clone()).create_org(org).await.map_err(refused)?;
        let row = |name: &String| wire::MemberWrite {
            org_id: ORG.into(),
            user_id: name.clone(),
            write: Some(wire::member_write::Write::Add(wire::RoleAssignments {
                roles: vec![wire::RoleAssignment { role: name.clone(), ..Default::default() }],
            })),
        };
        let names: Vec<&String> = self.catalogue.roles.keys().collect();
        for names in names.chunks(ROWS_MAX) {
            let rows = names.iter().map(|name| row(name)).collect();
            let request = wire::BatchWriteMembersRequest { project: self.project.clone(), rows, ..Default::default() };
            MembershipServiceClient::new(self.channel.clone()).batch_write_members(request).await.map_err(refused)?;
        }
        Ok(())
    }

    /// Checks every permission for the holders of some roles.
    pub async fn check(&self) -> Result<String, String> {
        let mut client = CheckServiceClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let mut checks = 0;
        for (role, granted) in self.catalogue.roles.iter().step_by(CHECK_EVERY) {
            let items = self.catalogue.permissions.iter();
            let items = items.map(|name| wire::CheckItem { permission: name.clone(), ..Default::default() });
            let defaults = Some(wire::CheckItem { org_id: ORG.into(), user_id: role.clone(), ..Default::default() });
            let (project, items) = (self.project.clone(), items.collect());
            let request = wire::BatchCheckRequest { project, items, defaults, ..Default::default() };
            let answer = client.batch_check(request).await.map_err(refused)?.into_inner();
            for (name, decision) in self.catalogue.permissions.iter().zip(&answer.decisions) {
                let allowed = *decision == wire::Decision::Allowed as i32;
                if allowed != granted.contains(name) {
                    return Err(format!("role {role}, permission {name}: {decision}"));
                }
            }
            checks += answer.decisions.len();
        }
        Ok(format!("{} checks, all answers as in the file", HumanCount(checks as u64)))
    }

    pub async fn duplicate(&self) -> Result<String, String> {
        let request = wire::CreateRoleMappingRequest {
            project: self.project.clone(),
            name: DUPLICATE.into(),
            duplicate_of: MAPPING.into(),
            ..Default::default()
        };
        let mut client = RoleMappingServiceClient::new(self.channel.clone());
        let made = client.create_role_mapping(request).await.map_err(refused)?.into_inner();
        let grants = made.role_mapping.map_or(0, |mapping| mapping.grant_count);
        if grants != self.catalogue.grants() as i32 {
            return Err(format!("{grants} grants in the duplicate"));
        }
        Ok(format!("{} grants", HumanCount(grants as u64)))
    }

    /// Removes a permission from a role in the duplicate. The diff must show this and nothing else, and all common grants.
    pub async fn compare(&self) -> Result<String, String> {
        let (role, permission) = self.some_grant()?;
        let remove = vec![permission.clone()];
        let request = wire::UpdateRoleMappingRequest {
            project: self.project.clone(),
            name: DUPLICATE.into(),
            edits: vec![wire::GrantEdit { role: role.clone(), add: Vec::new(), remove }],
            ..Default::default()
        };
        let mut client = RoleMappingServiceClient::new(self.channel.clone());
        client.update_role_mapping(request).await.map_err(refused)?;
        let different = self.diff(true).await?;
        let [only] = different.as_slice() else { return Err(format!("{} roles differ", different.len())) };
        if only.role != role || only.only_left != [permission] || !only.only_right.is_empty() {
            return Err(format!("{only:?}"));
        }
        let all = self.diff(false).await?;
        let both: usize = all.iter().map(|row| row.both.len()).sum();
        if both + 1 != self.catalogue.grants() {
            return Err(format!("{both} grants are in both"));
        }
        Ok(format!(
            "1 role of {} differs, {} grants are in both",
            HumanCount(all.len() as u64),
            HumanCount(both as u64)
        ))
    }

    async fn diff(&self, only_different: bool) -> Result<Vec<wire::RoleDiff>, String> {
        let mut client = RoleMappingServiceClient::new(self.channel.clone());
        let (mut rows, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = wire::DiffRoleMappingsRequest {
                project: self.project.clone(),
                left: MAPPING.into(),
                right: DUPLICATE.into(),
                only_different,
                consistency: None,
                page_size: 1_000,
                page_token,
            };
            let page = client.diff_role_mappings(request).await.map_err(refused)?.into_inner();
            rows.extend(page.roles);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(rows);
            }
        }
    }

    fn some_grant(&self) -> Result<(String, String), String> {
        let granting = self.catalogue.roles.iter().find_map(|(role, row)| Some((role.clone(), row.first()?.clone())));
        granting.ok_or_else(|| "no role grants anything".into())
    }

    /// Renames a role. Checks with the old name must still work.
    pub async fn rename(&self) -> Result<String, String> {
        let (old, _) = self.some_grant()?;
        let new = format!("{old} (renamed)");
        let request = wire::UpdateRoleRequest {
            project: self.project.clone(),
            name: old.clone(),
            resource: Some(wire::Role { name: new.clone(), ..Default::default() }),
            ..Default::default()
        };
        let renamed = RoleServiceClient::new(self.channel.clone()).update_role(request).await.map_err(refused)?;
        let aliases = renamed.into_inner().role.map(|role| role.aliases).unwrap_or_default();
        if aliases != [old.clone()] {
            return Err(format!("the aliases are {aliases:?}"));
        }
        let mut client = CheckServiceClient::new(self.channel.clone());
        for name in [&old, &new] {
            let request = wire::CheckRequest {
                project: self.project.clone(),
                org_id: ORG.into(),
                user_id: old.clone(),
                question: Some(wire::check_request::Question::Role(name.clone())),
                ..Default::default()
            };
            if !client.check(request).await.map_err(refused)?.into_inner().allowed {
                return Err(format!("nobody holds `{name}`"));
            }
        }
        Ok(format!("`{old}` and `{new}` are one role"))
    }
}

fn finished(done: Option<Result<Result<(), Status>, tokio::task::JoinError>>) -> Result<(), String> {
    done.unwrap_or(Ok(Ok(()))).map_err(|error| format!("a task failed: {error}"))?.map_err(refused)
}

fn refused(status: Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
