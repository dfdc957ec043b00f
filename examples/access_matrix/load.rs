//! Loads the matrix: a role for every different set of permissions, and all users as members of one org.

use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::ProgressBar;
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

use crate::bar;
use crate::matrix::Matrix;

/// The org of all users.
pub const ORG: &str = "company";
/// The mapping that every project starts with.
const MAPPING: &str = "Default";

/// Rows per bulk write. The server's limit is 10,000.
const ROWS_MAX: usize = 10_000;
/// Bytes of names per bulk write. The server's limit is 16 MiB per request, and a row is a few bytes longer than its names.
const BYTES_MAX: usize = 8 << 20;
/// Calls that create roles at the same time. The server commits waiting writes together.
const ROLES_AT_ONCE: usize = 64;

/// The project that contains the matrix.
pub struct Loaded {
    pub project: String,
    /// The revision that contains all of it.
    pub revision: String,
}

pub async fn load(matrix: &Matrix, channel: Channel) -> Result<Loaded, String> {
    let rows: usize = matrix.sets.iter().map(Vec::len).sum();
    let total = matrix.permissions.len() + matrix.sets.len() + rows + matrix.users.len();
    let bar = bar(total as u64, "loading");
    let revision = Loading { matrix, channel, project: project_key(), bar: &bar }.load().await;
    bar.finish_and_clear();
    revision
}

struct Loading<'a> {
    matrix: &'a Matrix,
    channel: Channel,
    project: String,
    bar: &'a ProgressBar,
}

impl Loading<'_> {
    async fn load(&self) -> Result<Loaded, String> {
        let request = wire::CreateProjectRequest {
            key: self.project.clone(),
            display_name: "Access matrix".into(),
            environment: wire::Environment::Test as i32,
            ..Default::default()
        };
        let mut projects = ProjectServiceClient::new(self.channel.clone());
        projects.create_project(request).await.map_err(refused("the project"))?;
        self.permissions().await?;
        self.roles().await?;
        self.grants().await?;
        let org = wire::CreateOrgRequest { project: self.project.clone(), org_id: ORG.into(), ..Default::default() };
        OrgServiceClient::new(self.channel.clone()).create_org(org).await.map_err(refused("the org"))?;
        let revision = self.members().await?;
        Ok(Loaded { project: self.project.clone(), revision })
    }

    async fn permissions(&self) -> Result<(), String> {
        let mut client = PermissionServiceClient::new(self.channel.clone());
        for names in chunks(&self.matrix.permissions, String::len) {
            let spec = |name: &String| wire::PermissionSpec { name: name.clone(), ..Default::default() };
            let request = wire::BatchCreatePermissionsRequest {
                project: self.project.clone(),
                permissions: names.iter().map(spec).collect(),
                ..Default::default()
            };
            client.batch_create_permissions(request).await.map_err(refused("the permissions"))?;
            self.bar.inc(names.len() as u64);
        }
        Ok(())
    }

    async fn roles(&self) -> Result<(), String> {
        let mut creating = JoinSet::new();
        for set in 0..self.matrix.sets.len() {
            if creating.len() == ROLES_AT_ONCE {
                self.created(&mut creating).await?;
            }
            let mut client = RoleServiceClient::new(self.channel.clone());
            let request =
                wire::CreateRoleRequest { project: self.project.clone(), name: role(set), ..Default::default() };
            creating.spawn(async move { client.create_role(request).await.map(|_| ()) });
        }
        while !creating.is_empty() {
            self.created(&mut creating).await?;
        }
        Ok(())
    }

    async fn created(&self, creating: &mut JoinSet<Result<(), Status>>) -> Result<(), String> {
        let done = creating.join_next().await;
        done.unwrap_or(Ok(Ok(()))).map_err(|error| format!("a task failed: {error}"))?.map_err(refused("a role"))?;
        self.bar.inc(1);
        Ok(())
    }

    /// Sends the grants as (set, permission) rows, because a set may be larger than one call may have.
    async fn grants(&self) -> Result<(), String> {
        let sets = self.matrix.sets.iter().enumerate();
        let rows: Vec<(usize, usize)> =
            sets.flat_map(|(set, row)| row.iter().map(move |&permission| (set, permission))).collect();
        let mut client = RoleMappingServiceClient::new(self.channel.clone());
        for rows in chunks(&rows, |&(_, permission)| self.matrix.permissions[permission].len()) {
            let edit = |run: &[(usize, usize)]| wire::GrantEdit {
                role: role(run[0].0),
                add: run.iter().map(|&(_, permission)| self.matrix.permissions[permission].clone()).collect(),
                remove: Vec::new(),
            };
            let request = wire::UpdateRoleMappingRequest {
                project: self.project.clone(),
                name: MAPPING.into(),
                edits: rows.chunk_by(|a, b| a.0 == b.0).map(edit).collect(),
                ..Default::default()
            };
            client.update_role_mapping(request).await.map_err(refused("the grants"))?;
            self.bar.inc(rows.len() as u64);
        }
        Ok(())
    }

    /// Returns the revision of the last write.
    async fn members(&self) -> Result<String, String> {
        let mut client = MembershipServiceClient::new(self.channel.clone());
        let mut revision = String::new();
        for users in chunks(&self.matrix.users, |user| user.id.len()) {
            let row = |user: &crate::matrix::User| wire::MemberWrite {
                org_id: ORG.into(),
                user_id: user.id.clone(),
                write: Some(wire::member_write::Write::Add(wire::RoleAssignments {
                    roles: vec![wire::RoleAssignment { role: role(user.set), ..Default::default() }],
                })),
            };
            let request = wire::BatchWriteMembersRequest {
                project: self.project.clone(),
                rows: users.iter().map(row).collect(),
                ..Default::default()
            };
            let written = client.batch_write_members(request).await.map_err(refused("the members"))?;
            revision = written.into_inner().revision;
            self.bar.inc(users.len() as u64);
        }
        Ok(revision)
    }
}

fn role(set: usize) -> String {
    format!("Set {}", set + 1)
}

/// Returns a new key, because a project's key cannot be used again.
fn project_key() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("access-matrix-{:x}", now.as_micros())
}

/// Splits rows into chunks that fit into one call.
fn chunks<T>(rows: &[T], bytes: impl Fn(&T) -> usize) -> Vec<&[T]> {
    // Tags, lengths, the name of the role and the org of a row.
    const ROW_BYTES: usize = 64;
    let mut chunks = Vec::new();
    let (mut first, mut size) = (0, 0);
    for (at, row) in rows.iter().enumerate() {
        let more = bytes(row) + ROW_BYTES;
        if at - first == ROWS_MAX || (at > first && size + more > BYTES_MAX) {
            chunks.push(&rows[first..at]);
            (first, size) = (at, 0);
        }
        size += more;
    }
    if first < rows.len() {
        chunks.push(&rows[first..]);
    }
    chunks
}

fn refused(what: &'static str) -> impl Fn(Status) -> String {
    move |status| format!("the server refused {what}: {:?}: {}", status.code(), status.message())
}
