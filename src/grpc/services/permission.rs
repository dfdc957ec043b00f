//! PermissionService.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::domain::PermissionName;
use crate::domain::commands::command::{Command, CreatePermissions, DeletePermission, NewPermission, UpdatePermission};
use crate::domain::model::id::PermissionId;
use crate::grpc::app::App;
use crate::grpc::generated::permission_service_server::PermissionService;
use crate::grpc::mask::Mask;
use crate::grpc::page::{Page, fitting};
use crate::grpc::write::unexpected;
use crate::grpc::{convert, status};
use crate::limits::DESCRIPTION_BYTES_MAX;
use crate::store::PermissionRow;
use crate::wire::{self, storage::outcome::Outcome};

pub struct PermissionApi(pub Arc<App>);

#[tonic::async_trait]
impl PermissionService for PermissionApi {
    async fn create_permission(
        &self,
        request: Request<wire::CreatePermissionRequest>,
    ) -> Result<Response<wire::CreatePermissionResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let permissions = vec![new_permission("", &request.name, &request.description)?];
        let command = CreatePermissions { project: convert::project(&request.project)?, permissions, batch: false };
        let command = Command::CreatePermissions(command);
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        let Outcome::Permission(permission) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::CreatePermissionResponse {
            permission: Some(permission),
            revision: answered.revision,
            replayed: answered.replayed,
            impact: answered.impact,
        }))
    }

    async fn batch_create_permissions(
        &self,
        request: Request<wire::BatchCreatePermissionsRequest>,
    ) -> Result<Response<wire::BatchCreatePermissionsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        convert::bulk("permissions", request.permissions.len(), self.0.limits.bulk_rows)?;
        let new =
            |(row, new): (usize, &wire::PermissionSpec)| new_permission(&row_path(row), &new.name, &new.description);
        let permissions = request.permissions.iter().enumerate().map(new).collect::<Result<_, _>>()?;
        let command = CreatePermissions { project: convert::project(&request.project)?, permissions, batch: true };
        let command = Command::CreatePermissions(command);
        let answered = self.0.write(&metadata, &request, command, &row_path).await?;
        let Outcome::PermissionsCreated(created) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::BatchCreatePermissionsResponse {
            created: created.created,
            revision: answered.revision,
            replayed: answered.replayed,
            impact: answered.impact,
        }))
    }

    async fn get_permission(
        &self,
        request: Request<wire::GetPermissionRequest>,
    ) -> Result<Response<wire::GetPermissionResponse>, Status> {
        let request = request.get_ref();
        let project = convert::project(&request.project)?;
        let name = convert::permission("name", &request.name)?;
        let found = self.0.store.get_permission(&project, &name).await.map_err(self.0.unread(&project))?;
        let revision = self.0.token(found.revision);
        Ok(Response::new(wire::GetPermissionResponse { permission: Some(wire::permission(&found.value)), revision }))
    }

    async fn list_permissions(
        &self,
        request: Request<wire::ListPermissionsRequest>,
    ) -> Result<Response<wire::ListPermissionsResponse>, Status> {
        let request = request.get_ref();
        let project = convert::project(&request.project)?;
        let page = Page::read(&["ListPermissions", project.as_str()], request.page_size, &request.page_token)?;
        let after = page.after_number()?.and_then(PermissionId::new);
        let found =
            self.0.store.list_permissions(&project, after, page.limit).await.map_err(self.0.unread(&project))?;
        let shown = |row: &PermissionRow| wire::permission(&row.permission);
        let (permissions, last) = fitting(&found.rows, found.more, shown);
        let last = last.map(|row| row.id.number().to_string());
        Ok(Response::new(wire::ListPermissionsResponse {
            next_page_token: page.next_token(found.scope.in_any_order(), last.as_deref())?,
            permissions,
            revision: self.0.token(found.revision),
        }))
    }

    async fn update_permission(
        &self,
        request: Request<wire::UpdatePermissionRequest>,
    ) -> Result<Response<wire::UpdatePermissionResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let answered = self.0.write(&metadata, &request, update(&request)?, &status::no_rows).await?;
        let Outcome::Permission(permission) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::UpdatePermissionResponse {
            permission: Some(permission),
            revision: answered.revision,
            replayed: answered.replayed,
            impact: answered.impact,
        }))
    }

    async fn delete_permission(
        &self,
        request: Request<wire::DeletePermissionRequest>,
    ) -> Result<Response<wire::DeletePermissionResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let command = Command::DeletePermission(DeletePermission {
            project: convert::project(&request.project)?,
            name: convert::permission("name", &request.name)?,
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        let Outcome::Deleted(deleted) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::DeletePermissionResponse {
            removed_grants: deleted.affected,
            revision: answered.revision,
            replayed: answered.replayed,
            impact: answered.impact,
        }))
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
