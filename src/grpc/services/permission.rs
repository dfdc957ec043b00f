//! PermissionService.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::domain::commands::command::{CreatePermissions, DeletePermission, NewPermission, UpdatePermission};
use crate::domain::model::id::PermissionId;
use crate::domain::rules::visibility::Visibility;
use crate::domain::{Command, PermissionName};
use crate::grpc::app::App;
use crate::grpc::generated::permission_service_server::PermissionService;
use crate::grpc::mask::Mask;
use crate::grpc::page::Page;
use crate::grpc::services::Reply;
use crate::grpc::write::respond;
use crate::grpc::{convert, status};
use crate::limits::DESCRIPTION_BYTES_MAX;
use crate::wire::{self, storage::outcome::Outcome};

pub struct PermissionApi(pub Arc<App>);

#[tonic::async_trait]
impl PermissionService for PermissionApi {
    async fn create_permission(
        &self,
        request: Request<wire::CreatePermissionRequest>,
    ) -> Reply<wire::CreatePermissionResponse> {
        let (metadata, _, request) = request.into_parts();
        let permissions = vec![new_permission("", &request.name, &request.description)?];
        let command = CreatePermissions { project: convert::project(&request.project)?, permissions, batch: false };
        let command = Command::CreatePermissions(command);
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Permission(permission) => CreatePermissionResponse { permission: Some(permission) })
    }

    async fn batch_create_permissions(
        &self,
        request: Request<wire::BatchCreatePermissionsRequest>,
    ) -> Reply<wire::BatchCreatePermissionsResponse> {
        let (metadata, _, request) = request.into_parts();
        convert::bulk("permissions", request.permissions.len(), self.0.limits.bulk_rows)?;
        let new =
            |(row, new): (usize, &wire::PermissionSpec)| new_permission(&row_path(row), &new.name, &new.description);
        let permissions = request.permissions.iter().enumerate().map(new).collect::<Result<_, _>>()?;
        let command = CreatePermissions { project: convert::project(&request.project)?, permissions, batch: true };
        let command = Command::CreatePermissions(command);
        let answered = self.0.write(&metadata, &request, command, &row_path).await?;
        respond!(answered, Outcome::PermissionsCreated(created) => BatchCreatePermissionsResponse { created: created.created })
    }

    async fn get_permission(&self, request: Request<wire::GetPermissionRequest>) -> Reply<wire::GetPermissionResponse> {
        let (_, extensions, request) = request.into_parts();
        let project = convert::project(&request.project)?;
        let name = convert::permission("name", &request.name)?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &project).await?;
        let id = reading.project.permission(&name).map_err(reading.unknown(Visibility::All))?;
        let permission = reading.project.permissions.get(id).map(|permission| wire::permission(permission));
        Ok(Response::new(wire::GetPermissionResponse { permission, revision: reading.revision() }))
    }

    async fn list_permissions(
        &self,
        request: Request<wire::ListPermissionsRequest>,
    ) -> Reply<wire::ListPermissionsResponse> {
        let (_, extensions, request) = request.into_parts();
        let project = convert::project(&request.project)?;
        let page = Page::read(&["ListPermissions", project.as_str()], request.page_size, &request.page_token)?;
        let after: Option<u32> = page.after_number()?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &project).await?;
        let permissions = reading.project.permissions.entries();
        let rest = permissions.skip_while(|(id, _): &(PermissionId, _)| Some(id.number()) <= after);
        let (permissions, last) = page.fill(rest, |(_, permission)| wire::permission(permission));
        let last = last.map(|(id, _)| id.number().to_string());
        Ok(Response::new(wire::ListPermissionsResponse {
            next_page_token: page.next_token(reading.scope(), last.as_deref())?,
            permissions,
            revision: reading.revision(),
        }))
    }

    async fn update_permission(
        &self,
        request: Request<wire::UpdatePermissionRequest>,
    ) -> Reply<wire::UpdatePermissionResponse> {
        let (metadata, _, request) = request.into_parts();
        let answered = self.0.write(&metadata, &request, update(&request)?, &status::no_rows).await?;
        respond!(answered, Outcome::Permission(permission) => UpdatePermissionResponse { permission: Some(permission) })
    }

    async fn delete_permission(
        &self,
        request: Request<wire::DeletePermissionRequest>,
    ) -> Reply<wire::DeletePermissionResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = Command::DeletePermission(DeletePermission {
            project: convert::project(&request.project)?,
            name: convert::permission("name", &request.name)?,
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Deleted(deleted) => DeletePermissionResponse { removed_grants: deleted.affected })
    }
}

fn row_path(row: usize) -> String {
    format!("permissions[{row}].")
}

fn new_permission(path: &str, name: &str, description: &str) -> Result<NewPermission, Status> {
    Ok(NewPermission {
        name: convert::permission(&format!("{path}name"), name)?,
        description: convert::text(&format!("{path}description"), description, DESCRIPTION_BYTES_MAX)?,
    })
}

fn update(request: &wire::UpdatePermissionRequest) -> Result<Command, Status> {
    let project = convert::project(&request.project)?;
    let name = convert::permission("name", &request.name)?;
    let mask = Mask::read("update_mask", request.update_mask.as_ref(), &["name", "description", "aliases"])?;
    let nothing = wire::Permission::default();
    let new = request.resource.as_ref().unwrap_or(&nothing);
    Ok(Command::UpdatePermission(UpdatePermission {
        project,
        name,
        new_name: mask.take("name", !new.name.is_empty(), || convert::permission("resource.name", &new.name))?,
        description: mask.take("description", !new.description.is_empty(), || {
            convert::text("resource.description", &new.description, DESCRIPTION_BYTES_MAX)
        })?,
        aliases: mask.take("aliases", !new.aliases.is_empty(), || {
            convert::aliases("resource.aliases", &new.aliases, PermissionName::parse)
        })?,
    }))
}
