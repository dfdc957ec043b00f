//! RoleService.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::clock;
use crate::domain::commands::command::{Command, CreateRole, DeleteRole, Place, ReorderRoles, UpdateRole};
use crate::domain::{OrgId, RoleMappingName, RoleName, UserId};
use crate::grpc::app::App;
use crate::grpc::generated::role_service_server::RoleService;
use crate::grpc::mask::Mask;
use crate::grpc::page::{Page, fitting};
use crate::grpc::write::unexpected;
use crate::grpc::{convert, page, status};
use crate::limits::{DESCRIPTION_BYTES_MAX, NAMES_MAX};
use crate::store::{After, ListRoles, RoleRow};
use crate::wire::{self, create_role_request::Placement, storage::outcome::Outcome};

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
            impact: answered.impact,
        }))
    }

    async fn get_role(
        &self,
        request: Request<wire::GetRoleRequest>,
    ) -> Result<Response<wire::GetRoleResponse>, Status> {
        let request = request.get_ref();
        let project = convert::project(&request.project)?;
        let name = convert::role("name", &request.name)?;
        let found = self.0.store.get_role(&project, &name).await.map_err(self.0.unread(&project))?;
        let revision = self.0.token(found.revision);
        Ok(Response::new(wire::GetRoleResponse { role: Some(shown(&found.value)), revision }))
    }

    async fn list_roles(
        &self,
        request: Request<wire::ListRolesRequest>,
    ) -> Result<Response<wire::ListRolesResponse>, Status> {
        let request = request.get_ref();
        let project = convert::project(&request.project)?;
        let arguments = ["ListRoles", project.as_str(), &request.viewer_user_id, &request.org_id];
        let page = Page::read(&arguments, request.page_size, &request.page_token)?;
        let viewer = viewing(request)?;
        // To an end user a place tells nothing of roles that it does not see.
        let after = match (&viewer, &page.after) {
            (Some(_), Some(name)) => Some(After::Role(RoleName::parse(name).map_err(|_| status::page_token())?)),
            _ => page.place()?.map(|(rank, id)| After::Place(rank, id)),
        };
        let for_viewer = viewer.is_some();
        let ask = ListRoles { project: project.clone(), after, limit: page.limit, viewer, now: clock::now() };
        let list = self.0.store.list_roles(ask).await.map_err(self.0.unread(&project))?;
        let found = list.page;
        // An etag counts what is hidden: roles that were created, and changes of whether one manages an internal role.
        let etag = |role: wire::Role| if for_viewer { wire::Role { etag: String::new(), ..role } } else { role };
        let (roles, last) = fitting(&found.rows, found.more, |row| etag(shown(row)));
        let last = last.map(|row| match for_viewer {
            true => row.role.name.to_string(),
            false => page::place(row.role.rank, row.id),
        });
        Ok(Response::new(wire::ListRolesResponse {
            next_page_token: page.next_token(found.scope, last.as_deref())?,
            roles,
            etag: list.role_order_etag,
            revision: self.0.token(found.revision),
        }))
    }

    async fn update_role(
        &self,
        request: Request<wire::UpdateRoleRequest>,
    ) -> Result<Response<wire::UpdateRoleResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let answered = self.0.write(&metadata, &request, self.update(&request)?, &status::no_rows).await?;
        let Outcome::Role(role) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::UpdateRoleResponse {
            role: Some(role),
            revision: answered.revision,
            replayed: answered.replayed,
            impact: answered.impact,
        }))
    }

    async fn reorder_roles(
        &self,
        request: Request<wire::ReorderRolesRequest>,
    ) -> Result<Response<wire::ReorderRolesResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        // A project has no more, so that more is never an order.
        convert::at_most("role_order", request.role_order.len(), convert::roles_max(&self.0.limits))?;
        let command = Command::ReorderRoles(ReorderRoles {
            project: convert::project(&request.project)?,
            roles: convert::names("role_order", &request.role_order, RoleName::parse)?,
            etag: convert::etag(&request.etag),
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        let Outcome::RolesReordered(order) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::ReorderRolesResponse {
            etag: order.etag,
            revision: answered.revision,
            replayed: answered.replayed,
            impact: answered.impact,
        }))
    }

    async fn delete_role(
        &self,
        request: Request<wire::DeleteRoleRequest>,
    ) -> Result<Response<wire::DeleteRoleResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let command = Command::DeleteRole(DeleteRole {
            project: convert::project(&request.project)?,
            name: convert::role("name", &request.name)?,
            etag: convert::etag(&request.etag),
            replacement: convert::optional(&request.replacement, |name| convert::role("replacement", name))?,
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        let Outcome::Deleted(deleted) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::DeleteRoleResponse {
            migrated_members: deleted.affected,
            revision: answered.revision,
            replayed: answered.replayed,
            impact: answered.impact,
        }))
    }
}

/// For whom roles are listed: an end user in an org.
fn viewing(request: &wire::ListRolesRequest) -> Result<Option<(OrgId, UserId)>, Status> {
    match (request.org_id.is_empty(), convert::viewer(&request.viewer_user_id)?) {
        (true, None) => Ok(None),
        (true, Some(_)) => Err(status::invalid("org_id", "must be given with `viewer_user_id`")),
        (false, None) => Err(status::invalid("org_id", "must not be given without `viewer_user_id`")),
        (false, Some(viewer)) => Ok(Some((convert::org_id(&request.org_id)?, viewer))),
    }
}

fn shown(row: &RoleRow) -> wire::Role {
    wire::role(row.id, &row.role, row.position, &row.manages)
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

    /// The roles that a role manages. A project has no more, so that more are never a list of them.
    fn manages(&self, field: &str, names: &[String]) -> Result<Vec<RoleName>, Status> {
        convert::at_most(field, names.len(), convert::roles_max(&self.0.limits))?;
        convert::names(field, names, RoleName::parse)
    }
}
