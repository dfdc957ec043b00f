//! RoleMappingService.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::page::Page;
use super::services::role_mapping_service_server::RoleMappingService;
use super::write::unexpected;
use super::{App, convert, status};
use crate::domain::command::{
    Command, CreateRoleMapping, GrantEdit, PromoteRoleMapping, RoleMappingEdits, UpdateRoleMapping,
};
use crate::domain::{OrgId, PermissionName, RoleName};
use crate::limits::DESCRIPTION_BYTES_MAX;
use crate::wire::{self, outcome::Outcome};

pub struct RoleMappingApi(pub Arc<App>);

#[tonic::async_trait]
impl RoleMappingService for RoleMappingApi {
    async fn create_role_mapping(
        &self,
        request: Request<wire::CreateRoleMappingRequest>,
    ) -> Result<Response<wire::CreateRoleMappingResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let command = self.create(&request)?;
        let answered = self.0.write(&metadata, &request, command, &|row| format!("subscribe_org_ids[{row}]")).await?;
        let Outcome::RoleMapping(role_mapping) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::CreateRoleMappingResponse {
            role_mapping: Some(role_mapping),
            revision: answered.revision,
            replayed: answered.replayed,
        }))
    }

    async fn update_role_mapping(
        &self,
        request: Request<wire::UpdateRoleMappingRequest>,
    ) -> Result<Response<wire::UpdateRoleMappingResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let command = Command::UpdateRoleMapping(UpdateRoleMapping {
            project: convert::project(&request.project)?,
            name: convert::role_mapping("name", &request.name)?,
            edits: self.edits(&request.edits, &request.enable_roles, &request.disable_roles)?,
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        let Outcome::RoleMapping(role_mapping) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::UpdateRoleMappingResponse {
            role_mapping: Some(role_mapping),
            revision: answered.revision,
            replayed: answered.replayed,
        }))
    }

    async fn promote_role_mapping(
        &self,
        request: Request<wire::PromoteRoleMappingRequest>,
    ) -> Result<Response<wire::PromoteRoleMappingResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let command = Command::PromoteRoleMapping(PromoteRoleMapping {
            project: convert::project(&request.project)?,
            name: convert::role_mapping("name", &request.name)?,
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        let Outcome::RoleMapping(role_mapping) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::PromoteRoleMappingResponse {
            role_mapping: Some(role_mapping),
            revision: answered.revision,
            replayed: answered.replayed,
        }))
    }
}

impl RoleMappingApi {
    fn create(&self, request: &wire::CreateRoleMappingRequest) -> Result<Command, Status> {
        convert::at_most("subscribe_org_ids", request.subscribe_org_ids.len(), self.0.limits.bulk_rows)?;
        Ok(Command::CreateRoleMapping(CreateRoleMapping {
            project: convert::project(&request.project)?,
            name: convert::role_mapping("name", &request.name)?,
            description: convert::text("description", &request.description, DESCRIPTION_BYTES_MAX)?,
            duplicate_of: convert::optional(&request.duplicate_of, |name| convert::role_mapping("duplicate_of", name))?,
            edits: self.edits(&request.edits, &request.enable_roles, &request.disable_roles)?,
            subscribe: convert::names("subscribe_org_ids", &request.subscribe_org_ids, OrgId::parse)?,
        }))
    }

    /// Grants added and removed count as rows, one each (P7).
    fn edits(
        &self,
        edits: &[wire::GrantEdit],
        enable: &[String],
        disable: &[String],
    ) -> Result<RoleMappingEdits, Status> {
        let rows = edits.iter().map(|edit| 1 + edit.add.len() + edit.remove.len()).sum::<usize>();
        convert::at_most("edits", rows + enable.len() + disable.len(), 2 * self.0.limits.bulk_rows)?;
        let grant = |(at, edit): (usize, &wire::GrantEdit)| {
            Ok(GrantEdit {
                role: convert::role(&format!("edits[{at}].role"), &edit.role)?,
                add: convert::names(&format!("edits[{at}].add"), &edit.add, PermissionName::parse)?,
                remove: convert::names(&format!("edits[{at}].remove"), &edit.remove, PermissionName::parse)?,
            })
        };
        Ok(RoleMappingEdits {
            grants: edits.iter().enumerate().map(grant).collect::<Result<_, Status>>()?,
            enable: convert::names("enable_roles", enable, RoleName::parse)?,
            disable: convert::names("disable_roles", disable, RoleName::parse)?,
        })
    }
}
