//! RoleService.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::clock;
use crate::domain::commands::command::{
    BatchCreateRoles, CreateRole, DeleteRole, NewRole, Place, ReorderRoles, UpdateRole,
};
use crate::domain::model::id::RoleId;
use crate::domain::rules::role::{position, role_order_etag, visible_order};
use crate::domain::rules::visibility::Visibility;
use crate::domain::{Command, OrgId, PermissionName, RoleMappingName, RoleName, UserId};
use crate::grpc::app::App;
use crate::grpc::generated::role_service_server::RoleService;
use crate::grpc::mask::Mask;
use crate::grpc::page::{Page, Scope};
use crate::grpc::read::Reading;
use crate::grpc::services::Reply;
use crate::grpc::write::respond;
use crate::grpc::{convert, page, status};
use crate::limits::{DESCRIPTION_BYTES_MAX, NAMES_MAX};
use crate::wire::{self, create_role_request::Placement, storage::outcome::Outcome};

pub struct RoleApi(pub Arc<App>);

#[tonic::async_trait]
impl RoleService for RoleApi {
    async fn create_role(&self, request: Request<wire::CreateRoleRequest>) -> Reply<wire::CreateRoleResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = self.create(&request)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Role(role) => CreateRoleResponse { role: Some(role) })
    }

    async fn batch_create_roles(
        &self,
        request: Request<wire::BatchCreateRolesRequest>,
    ) -> Reply<wire::BatchCreateRolesResponse> {
        let (metadata, _, request) = request.into_parts();
        convert::bulk("roles", request.roles.len(), self.0.limits.bulk_rows)?;
        let new = |(row, new): (usize, &wire::RoleSpec)| self.new_role(&row_path(row), new);
        let roles = request.roles.iter().enumerate().map(new).collect::<Result<_, _>>()?;
        let command =
            Command::BatchCreateRoles(BatchCreateRoles { project: convert::project(&request.project)?, roles });
        let answered = self.0.write(&metadata, &request, command, &row_path).await?;
        respond!(answered, Outcome::RolesCreated(created) => BatchCreateRolesResponse { created: created.created })
    }

    async fn get_role(&self, request: Request<wire::GetRoleRequest>) -> Reply<wire::GetRoleResponse> {
        let (_, extensions, request) = request.into_parts();
        let project = convert::project(&request.project)?;
        let name = convert::role("name", &request.name)?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &project).await?;
        let id = reading.project.role(&name).map_err(reading.refused(Visibility::All))?;
        let role = wire::role(&reading.project, id, position(&reading.project, id), Visibility::All);
        Ok(Response::new(wire::GetRoleResponse { role: Some(role), revision: reading.revision() }))
    }

    async fn list_roles(&self, request: Request<wire::ListRolesRequest>) -> Reply<wire::ListRolesResponse> {
        let (_, extensions, request) = request.into_parts();
        let project = convert::project(&request.project)?;
        let arguments = ["ListRoles", project.as_str(), &request.viewer_user_id, &request.org_id];
        let page = Page::read(&arguments, request.page_size, &request.page_token)?;
        let viewer = viewing(&request)?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &project).await?;
        match viewer {
            None => all_roles(&reading, &page),
            Some((org_id, viewer)) => roles_for(&reading, &page, &org_id, &viewer),
        }
        .map(Response::new)
    }

    async fn update_role(&self, request: Request<wire::UpdateRoleRequest>) -> Reply<wire::UpdateRoleResponse> {
        let (metadata, _, request) = request.into_parts();
        let answered = self.0.write(&metadata, &request, self.update(&request)?, &status::no_rows).await?;
        respond!(answered, Outcome::Role(role) => UpdateRoleResponse { role: Some(role) })
    }

    async fn reorder_roles(&self, request: Request<wire::ReorderRolesRequest>) -> Reply<wire::ReorderRolesResponse> {
        let (metadata, _, request) = request.into_parts();
        // A project has no more roles.
        convert::at_most("role_order", request.role_order.len(), convert::roles_max(&self.0.limits))?;
        let command = Command::ReorderRoles(ReorderRoles {
            project: convert::project(&request.project)?,
            roles: convert::names("role_order", &request.role_order, RoleName::parse)?,
            etag: convert::etag(&request.etag),
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::RolesReordered(order) => ReorderRolesResponse { etag: order.etag })
    }

    async fn delete_role(&self, request: Request<wire::DeleteRoleRequest>) -> Reply<wire::DeleteRoleResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = Command::DeleteRole(DeleteRole {
            project: convert::project(&request.project)?,
            name: convert::role("name", &request.name)?,
            etag: convert::etag(&request.etag),
            replacement: convert::optional(&request.replacement, |name| convert::role("replacement", name))?,
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Deleted(deleted) => DeleteRoleResponse { migrated_members: deleted.affected })
    }
}

/// Returns the org and the viewer for whom roles are listed. `None` if there is no viewer.
fn viewing(request: &wire::ListRolesRequest) -> Result<Option<(OrgId, UserId)>, Status> {
    match (request.org_id.is_empty(), convert::viewer(&request.viewer_user_id)?) {
        (true, None) => Ok(None),
        (true, Some(_)) => Err(status::invalid("org_id", "must be given with `viewer_user_id`")),
        (false, None) => Err(status::invalid("org_id", "must not be given without `viewer_user_id`")),
        (false, Some(viewer)) => Ok(Some((convert::org_id(&request.org_id)?, viewer))),
    }
}

fn all_roles(reading: &Reading, page: &Page) -> Result<wire::ListRolesResponse, Status> {
    let project = &reading.project;
    let rest = project.roles_after(page.place()?);
    let first = project.role_order.len() - rest.len();
    let show = |&(position, &id): &(usize, &RoleId)| wire::role(project, id, position, Visibility::All);
    let (roles, last) = page.fill((first..).zip(rest), show);
    let last = last.map(|(_, &id)| page::place(project, id));
    let scope = Scope { role_order: project.record.role_order_version.into(), ..reading.scope() };
    Ok(wire::ListRolesResponse {
        next_page_token: page.next_token(scope, last.as_deref())?,
        roles,
        etag: role_order_etag(project),
        revision: reading.revision(),
    })
}

/// Lists the visible roles for a viewer. Its page tokens hold the name of a visible role: a rank would reveal internal
/// roles (I2.e).
fn roles_for(
    reading: &Reading,
    page: &Page,
    org_id: &OrgId,
    viewer: &UserId,
) -> Result<wire::ListRolesResponse, Status> {
    let project = &reading.project;
    let org = project.org_or_refusal(org_id).map_err(reading.refused(Visibility::VisibleOnly))?;
    // Check the viewer first: a user who is not a member must not learn which names exist.
    reading.view(org, viewer, clock::now())?;
    let visible = project.role_order.iter().filter(|&&role| project.is_visible(role)).enumerate();
    let start = match &page.after {
        None => 0,
        Some(name) => {
            let after = project.role_named(name);
            let mut visible = visible.clone();
            let after = visible.find(|(_, role)| Some(**role) == after);
            after.ok_or_else(status::page_token)?.0 + 1
        }
    };
    let show = |&(position, &id): &(usize, &RoleId)| wire::role(project, id, position, Visibility::VisibleOnly);
    let (roles, last) = page.fill(visible.skip(start), show);
    let last = last.map(|(_, &id)| project.role_name(id));
    let scope = Scope { org: org.record.profile.create_time.0, role_order: visible_order(project), ..reading.scope() };
    Ok(wire::ListRolesResponse {
        next_page_token: page.next_token(scope, last.as_ref().map(RoleName::as_str))?,
        roles,
        etag: String::new(),
        revision: reading.revision(),
    })
}

impl RoleApi {
    fn create(&self, request: &wire::CreateRoleRequest) -> Result<Command, Status> {
        convert::at_most("disabled_in", request.disabled_in.len(), NAMES_MAX)?;
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
            manages: self.manages("manages", &request.manages)?,
        }))
    }

    /// Reads a row of BatchCreateRoles.
    fn new_role(&self, row: &str, new: &wire::RoleSpec) -> Result<NewRole, Status> {
        let field = |name: &str| format!("{row}{name}");
        convert::at_most(&field("disabled_in"), new.disabled_in.len(), NAMES_MAX)?;
        convert::at_most(&field("grants"), new.grants.len(), NAMES_MAX)?;
        let grants = new.grants.iter().enumerate().map(|(at, grants)| {
            let field = |name: &str| format!("{row}grants[{at}].{name}");
            let role_mapping = convert::role_mapping(&field("role_mapping"), &grants.role_mapping)?;
            Ok((role_mapping, convert::names(&field("permissions"), &grants.permissions, PermissionName::parse)?))
        });
        Ok(NewRole {
            name: convert::role(&field("name"), &new.name)?,
            description: convert::text(&field("description"), &new.description, DESCRIPTION_BYTES_MAX)?,
            internal: new.internal,
            disabled_in: convert::names(&field("disabled_in"), &new.disabled_in, RoleMappingName::parse)?,
            manages: self.manages(&field("manages"), &new.manages)?,
            grants: grants.collect::<Result<_, Status>>()?,
        })
    }

    fn update(&self, request: &wire::UpdateRoleRequest) -> Result<Command, Status> {
        let project = convert::project(&request.project)?;
        let name = convert::role("name", &request.name)?;
        let updatable = ["name", "description", "internal", "aliases", "manages"];
        let mask = Mask::read("update_mask", request.update_mask.as_ref(), &updatable)?;
        let nothing = wire::Role::default();
        let new = request.resource.as_ref().unwrap_or(&nothing);
        Ok(Command::UpdateRole(UpdateRole {
            project,
            name,
            etag: convert::etag(&request.etag),
            new_name: mask.take("name", !new.name.is_empty(), || convert::role("resource.name", &new.name))?,
            description: mask.take("description", !new.description.is_empty(), || {
                convert::text("resource.description", &new.description, DESCRIPTION_BYTES_MAX)
            })?,
            internal: mask.take("internal", new.internal, || Ok(new.internal))?,
            aliases: mask.take("aliases", !new.aliases.is_empty(), || {
                convert::aliases("resource.aliases", &new.aliases, RoleName::parse)
            })?,
            manages: mask
                .take("manages", !new.manages.is_empty(), || self.manages("resource.manages", &new.manages))?,
        }))
    }

    /// Reads the roles that a role manages.
    fn manages(&self, field: &str, names: &[String]) -> Result<Vec<RoleName>, Status> {
        convert::at_most(field, names.len(), convert::roles_max(&self.0.limits))?;
        convert::names(field, names, RoleName::parse)
    }
}

fn row_path(row: usize) -> String {
    format!("roles[{row}].")
}
