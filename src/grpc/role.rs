//! RoleService.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::page::Page;
use super::services::role_service_server::RoleService;
use super::write::unexpected;
use super::{App, convert, status};
use crate::domain::RoleMappingName;
use crate::domain::command::{Command, CreateRole, Place};
use crate::limits::DESCRIPTION_BYTES_MAX;
use crate::wire::{self, create_role_request::Placement, outcome::Outcome};

pub struct RoleApi(pub Arc<App>);

#[tonic::async_trait]
impl RoleService for RoleApi {
    async fn create_role(
        &self,
        request: Request<wire::CreateRoleRequest>,
    ) -> Result<Response<wire::CreateRoleResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let command = self.create(&request)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        let Outcome::Role(role) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::CreateRoleResponse {
            role: Some(role),
            revision: answered.revision,
            replayed: answered.replayed,
        }))
    }
}

impl RoleApi {
    fn create(&self, request: &wire::CreateRoleRequest) -> Result<Command, Status> {
        convert::at_most("disabled_in", request.disabled_in.len(), self.0.limits.bulk_rows)?;
        Ok(Command::CreateRole(CreateRole {
            project: convert::project(&request.project)?,
            name: convert::role("name", &request.name)?,
            description: convert::text("description", &request.description, DESCRIPTION_BYTES_MAX)?,
            internal: request.internal,
            place: match &request.placement {
                None => Place::Last,
                Some(Placement::Above(name)) => Place::Above(convert::role("above", name)?),
                Some(Placement::Below(name)) => Place::Below(convert::role("below", name)?),
            },
            disabled_in: convert::names("disabled_in", &request.disabled_in, RoleMappingName::parse)?,
        }))
    }
}
