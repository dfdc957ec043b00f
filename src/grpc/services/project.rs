//! ProjectService.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::domain::commands::command::{ConvertRoleStructure, CreateProject, DeleteProject, UpdateProject};
use crate::domain::model::project::RoleStructure;
use crate::domain::model::template::{B2B, TEMPLATES, Template};
use crate::domain::{Command, Project, RoleName};
use crate::grpc::app::App;
use crate::grpc::caller::Caller;
use crate::grpc::generated::project_service_server::ProjectService;
use crate::grpc::layers::calls;
use crate::grpc::mask::Mask;
use crate::grpc::page::{Page, Scope};
use crate::grpc::services::Reply;
use crate::grpc::write::respond;
use crate::grpc::{convert, status};
use crate::limits::DISPLAY_NAME_BYTES_MAX;
use crate::wire::{self, storage::outcome::Outcome};

pub struct ProjectApi(pub Arc<App>);

#[tonic::async_trait]
impl ProjectService for ProjectApi {
    async fn create_project(&self, request: Request<wire::CreateProjectRequest>) -> Reply<wire::CreateProjectResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = create(&request)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Project(project) => CreateProjectResponse { project: Some(project) })
    }

    async fn get_project(&self, request: Request<wire::GetProjectRequest>) -> Reply<wire::GetProjectResponse> {
        let (_, extensions, request) = request.into_parts();
        let key = convert::project(&request.project)?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &key).await?;
        let project = Some(wire::project(&reading.project));
        Ok(Response::new(wire::GetProjectResponse { project, revision: reading.revision() }))
    }

    async fn list_projects(&self, request: Request<wire::ListProjectsRequest>) -> Reply<wire::ListProjectsResponse> {
        let (_, extensions, request) = request.into_parts();
        let page = Page::read(&["ListProjects"], request.page_size, &request.page_token)?;
        let published = self.0.at(request.consistency.as_ref(), extensions.get().copied()).await?;
        let caller = calls::caller();
        // A key sees only projects of its environment (W6.d).
        let environment = caller.as_ref().and_then(Caller::key).map(|(_, key)| key.environment);
        let seen = |project: &&Arc<Project>| environment.is_none_or(|own| project.record.environment == own);
        let mut projects: Vec<_> = published.state.projects().filter(seen).collect();
        projects.sort_unstable_by_key(|project| &project.record.key);
        let after = page.after.as_deref().unwrap_or_default();
        let rest = projects.into_iter().skip_while(|project| project.record.key.as_str() <= after);
        let (projects, last) = page.fill(rest, |project| wire::project(project));
        Ok(Response::new(wire::ListProjectsResponse {
            next_page_token: page.next_token(Scope::default(), last.map(|project| project.record.key.as_str()))?,
            projects,
            revision: published.token.to_string(),
        }))
    }

    async fn update_project(&self, request: Request<wire::UpdateProjectRequest>) -> Reply<wire::UpdateProjectResponse> {
        let (metadata, _, request) = request.into_parts();
        let answered = self.0.write(&metadata, &request, update(&request)?, &status::no_rows).await?;
        respond!(answered, Outcome::Project(project) => UpdateProjectResponse { project: Some(project) })
    }

    async fn convert_role_structure(
        &self,
        request: Request<wire::ConvertRoleStructureRequest>,
    ) -> Reply<wire::ConvertRoleStructureResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = self.convert(&request)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Project(project) => ConvertRoleStructureResponse { project: Some(project) })
    }

    async fn delete_project(&self, request: Request<wire::DeleteProjectRequest>) -> Reply<wire::DeleteProjectResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = Command::DeleteProject(DeleteProject {
            project: convert::key("project", &request.project)?,
            etag: convert::etag(&request.etag),
            confirm: request.confirm.clone(),
            force: request.force,
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Deleted(deleted) => DeleteProjectResponse { deleted_orgs: deleted.affected })
    }

    async fn list_templates(&self, request: Request<wire::ListTemplatesRequest>) -> Reply<wire::ListTemplatesResponse> {
        let request = request.get_ref();
        let page = Page::read(&["ListTemplates"], request.page_size, &request.page_token)?;
        let after = page.after.as_deref().unwrap_or_default();
        let rest = TEMPLATES.iter().filter(|template| template.name > after);
        let (templates, last) = page.fill(rest, |template| shown_template(template));
        let last = last.map(|template| template.name);
        Ok(Response::new(wire::ListTemplatesResponse {
            next_page_token: page.next_token(Scope::default(), last)?,
            templates,
            revision: self.0.engine.load().token.to_string(),
        }))
    }
}

impl ProjectApi {
    fn convert(&self, request: &wire::ConvertRoleStructureRequest) -> Result<Command, Status> {
        let to = match wire::RoleStructure::try_from(request.role_structure) {
            Ok(wire::RoleStructure::SingleRole) => RoleStructure::SingleRole,
            Ok(wire::RoleStructure::MultiRole) => RoleStructure::MultiRole,
            _ => return Err(status::invalid("role_structure", "must be a value of RoleStructure")),
        };
        match (to, request.role_order.is_empty()) {
            (RoleStructure::SingleRole, true) => {
                return Err(status::invalid("role_order", "must name all roles, highest first"));
            }
            (RoleStructure::MultiRole, false) => {
                return Err(status::invalid("role_order", "must be empty: roles of MULTI_ROLE have no order"));
            }
            _ => {}
        }
        // A project has no more roles.
        convert::at_most("role_order", request.role_order.len(), convert::roles_max(&self.0.limits))?;
        Ok(Command::ConvertRoleStructure(ConvertRoleStructure {
            project: convert::project(&request.project)?,
            etag: convert::etag(&request.etag),
            to,
            order: convert::names("role_order", &request.role_order, RoleName::parse)?,
            allow_ownerless: request.allow_ownerless,
        }))
    }
}

fn shown_template(template: &Template) -> wire::Template {
    wire::Template {
        name: template.name.into(),
        description: template.description.into(),
        roles: template.roles.iter().map(|role| role.name.into()).collect(),
        permissions: template.permissions().map(|(name, _)| name.into()).collect(),
        role_mappings: vec![template.role_mapping.0.into()],
    }
}

fn create(request: &wire::CreateProjectRequest) -> Result<Command, Status> {
    let environment = convert::environment(request.environment)?;
    let role_structure = match wire::RoleStructure::try_from(request.role_structure) {
        Ok(wire::RoleStructure::Unspecified | wire::RoleStructure::SingleRole) => RoleStructure::SingleRole,
        Ok(wire::RoleStructure::MultiRole) => RoleStructure::MultiRole,
        Err(_) => return Err(status::invalid("role_structure", "is unknown to this version")),
    };
    let name = if request.template.is_empty() { B2B.name } else { &request.template };
    let Some(template) = Template::named(name) else {
        return Err(status::invalid("template", "must be empty or a template of `ListTemplates`"));
    };
    if template.single_role && role_structure == RoleStructure::MultiRole {
        let template = template.name;
        return Err(status::invalid("role_structure", format!("must be SINGLE_ROLE for the template `{template}`")));
    }
    let owner_role = convert::optional(&request.owner_role, |text| convert::role("owner_role", text))?;
    if owner_role.is_some() && template.roles.len() > 1 {
        return Err(status::invalid("owner_role", "must be empty unless `template` is `empty`"));
    }
    Ok(Command::CreateProject(CreateProject {
        key: convert::key("key", &request.key)?,
        display_name: convert::text("display_name", &request.display_name, DISPLAY_NAME_BYTES_MAX)?,
        environment,
        role_structure,
        reuse_deleted_key: request.reuse_deleted_key,
        template,
        owner_role,
    }))
}

fn update(request: &wire::UpdateProjectRequest) -> Result<Command, Status> {
    let project = convert::project(&request.project)?;
    let updatable = ["display_name", "default_role", "default_owner_role"];
    let mask = Mask::read("update_mask", request.update_mask.as_ref(), &updatable)?;
    let nothing = wire::Project::default();
    let new = request.resource.as_ref().unwrap_or(&nothing);
    Ok(Command::UpdateProject(UpdateProject {
        project,
        etag: convert::etag(&request.etag),
        display_name: mask.take("display_name", !new.display_name.is_empty(), || {
            convert::text("resource.display_name", &new.display_name, DISPLAY_NAME_BYTES_MAX)
        })?,
        default_role: mask.take("default_role", !new.default_role.is_empty(), || {
            convert::role("resource.default_role", &new.default_role)
        })?,
        default_owner_role: mask.take("default_owner_role", !new.default_owner_role.is_empty(), || {
            convert::role("resource.default_owner_role", &new.default_owner_role)
        })?,
        allow_ownerless: request.allow_ownerless,
    }))
}
