//! ProjectService.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::page::Page;
use super::services::project_service_server::ProjectService;
use super::write::unexpected;
use super::{App, convert, status};
use crate::domain::ProjectKey;
use crate::domain::command::{Command, CreateProject};
use crate::domain::project::{Environment, RoleStructure};
use crate::limits::DISPLAY_NAME_BYTES_MAX;
use crate::store::ProjectRow;
use crate::wire::{self, messages::outcome::Outcome};

pub struct ProjectApi(pub Arc<App>);

#[tonic::async_trait]
impl ProjectService for ProjectApi {
    async fn create_project(
        &self,
        request: Request<wire::CreateProjectRequest>,
    ) -> Result<Response<wire::CreateProjectResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let command = create(&request)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        let Outcome::Project(project) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::CreateProjectResponse {
            project: Some(project),
            revision: answered.revision,
            replayed: answered.replayed,
        }))
    }

    async fn get_project(
        &self,
        request: Request<wire::GetProjectRequest>,
    ) -> Result<Response<wire::GetProjectResponse>, Status> {
        let key = convert::project(&request.get_ref().project)?;
        let found = self.0.store.get_project(&key).await.map_err(self.0.unread(&key))?;
        let revision = self.0.token(found.revision);
        Ok(Response::new(wire::GetProjectResponse { project: Some(shown(&found.value)), revision }))
    }

    async fn list_projects(
        &self,
        request: Request<wire::ListProjectsRequest>,
    ) -> Result<Response<wire::ListProjectsResponse>, Status> {
        let request = request.get_ref();
        let page = Page::read(&["ListProjects"], request.page_size, &request.page_token)?;
        let after = page.after.as_deref().map(ProjectKey::stored);
        let found = self
            .0
            .store
            .list_projects(after, page.limit)
            .await
            .map_err(|error| status::read(error, &mut |_, _| None))?;
        let last = found.rows.last().filter(|_| found.more).map(|row| row.record.key.as_str());
        Ok(Response::new(wire::ListProjectsResponse {
            next_page_token: page.next_token(last),
            projects: found.rows.iter().map(shown).collect(),
            revision: self.0.token(found.revision),
        }))
    }

    async fn update_project(
        &self,
        _: Request<wire::UpdateProjectRequest>,
    ) -> Result<Response<wire::UpdateProjectResponse>, Status> {
        Err(Status::unimplemented("being built"))
    }

    async fn delete_project(
        &self,
        _: Request<wire::DeleteProjectRequest>,
    ) -> Result<Response<wire::DeleteProjectResponse>, Status> {
        Err(Status::unimplemented("being built"))
    }

    async fn list_templates(
        &self,
        _: Request<wire::ListTemplatesRequest>,
    ) -> Result<Response<wire::ListTemplatesResponse>, Status> {
        Err(Status::unimplemented("being built"))
    }
}

fn shown(row: &ProjectRow) -> wire::Project {
    wire::project(row.id, &row.record, &row.default_role, &row.default_owner_role, &row.default_role_mapping)
}

fn create(request: &wire::CreateProjectRequest) -> Result<Command, Status> {
    let environment = match wire::Environment::try_from(request.environment) {
        Ok(wire::Environment::Test) => Environment::Test,
        Ok(wire::Environment::Live) => Environment::Live,
        _ => return Err(status::invalid("environment", "must be ENVIRONMENT_TEST or ENVIRONMENT_LIVE")),
    };
    let role_structure = match wire::RoleStructure::try_from(request.role_structure) {
        Ok(wire::RoleStructure::Unspecified | wire::RoleStructure::SingleRole) => RoleStructure::SingleRole,
        Ok(wire::RoleStructure::MultiRole) => RoleStructure::MultiRole,
        Err(_) => return Err(status::invalid("role_structure", "is unknown to this version")),
    };
    if !matches!(request.template.as_str(), "" | "b2b") {
        return Err(status::invalid("template", "must be empty or `b2b`"));
    }
    if request.key.is_empty() {
        return Err(status::invalid("key", "must not be empty"));
    }
    Ok(Command::CreateProject(CreateProject {
        key: ProjectKey::parse(&request.key).map_err(|why| status::invalid("key", why))?,
        display_name: convert::text("display_name", &request.display_name, DISPLAY_NAME_BYTES_MAX)?,
        environment,
        role_structure,
        reuse_deleted_key: request.reuse_deleted_key,
    }))
}
