//! OrgService.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::page::Page;
use super::services::org_service_server::OrgService;
use super::write::unexpected;
use super::{App, convert, status};
use crate::domain::OrgId;
use crate::domain::command::{Command, CreateOrg};
use crate::limits::{DISPLAY_NAME_BYTES_MAX, METADATA_BYTES_MAX};
use crate::wire::{self, messages::outcome::Outcome};

pub struct OrgApi(pub Arc<App>);

#[tonic::async_trait]
impl OrgService for OrgApi {
    async fn create_org(
        &self,
        request: Request<wire::CreateOrgRequest>,
    ) -> Result<Response<wire::CreateOrgResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let command = create(&request)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        let Outcome::Org(org) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::CreateOrgResponse {
            org: Some(org),
            revision: answered.revision,
            replayed: answered.replayed,
        }))
    }

    async fn get_org(&self, request: Request<wire::GetOrgRequest>) -> Result<Response<wire::GetOrgResponse>, Status> {
        let request = request.get_ref();
        let project = convert::project(&request.project)?;
        let org_id = convert::org_id(&request.org_id)?;
        let found = self.0.store.get_org(&project, &org_id).await.map_err(self.0.unread(&project))?;
        let org = wire::org(&found.value.profile, &found.value.role_mapping);
        Ok(Response::new(wire::GetOrgResponse { org: Some(org), revision: self.0.token(found.revision) }))
    }

    async fn list_orgs(
        &self,
        request: Request<wire::ListOrgsRequest>,
    ) -> Result<Response<wire::ListOrgsResponse>, Status> {
        let request = request.get_ref();
        let project = convert::project(&request.project)?;
        let mapping = convert::optional(&request.role_mapping, |name| convert::role_mapping("role_mapping", name))?;
        let arguments = ["ListOrgs", project.as_str(), &request.role_mapping];
        let page = Page::read(&arguments, request.page_size, &request.page_token)?;
        let after = page.after.as_deref().map(OrgId::stored);
        let found = self
            .0
            .store
            .list_orgs(&project, mapping.as_ref(), after, page.limit)
            .await
            .map_err(self.0.unread(&project))?;
        let last = found.rows.last().filter(|_| found.more).map(|row| row.profile.org_id.as_str());
        Ok(Response::new(wire::ListOrgsResponse {
            next_page_token: page.next_token(last),
            orgs: found.rows.iter().map(|row| wire::org(&row.profile, &row.role_mapping)).collect(),
            revision: self.0.token(found.revision),
        }))
    }

    async fn update_org(
        &self,
        _: Request<wire::UpdateOrgRequest>,
    ) -> Result<Response<wire::UpdateOrgResponse>, Status> {
        Err(Status::unimplemented("being built"))
    }

    async fn delete_org(
        &self,
        _: Request<wire::DeleteOrgRequest>,
    ) -> Result<Response<wire::DeleteOrgResponse>, Status> {
        Err(Status::unimplemented("being built"))
    }
}

fn create(request: &wire::CreateOrgRequest) -> Result<Command, Status> {
    Ok(Command::CreateOrg(CreateOrg {
        project: convert::project(&request.project)?,
        // Ids in the order of their time keep the index of the table compact.
        org_id: convert::optional(&request.org_id, convert::org_id)?
            .unwrap_or_else(|| OrgId::stored(uuid::Uuid::now_v7().to_string())),
        display_name: convert::text("display_name", &request.display_name, DISPLAY_NAME_BYTES_MAX)?,
        metadata: convert::text("metadata", &request.metadata, METADATA_BYTES_MAX)?,
        role_mapping: convert::optional(&request.role_mapping, |name| convert::role_mapping("role_mapping", name))?,
        creator: None,
        reuse_deleted_id: false,
    }))
}
