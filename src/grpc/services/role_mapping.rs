//! RoleMappingService.

use std::collections::BTreeSet;
use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::domain::commands::command::{
    CreateRoleMapping, DeleteRoleMapping, GrantEdit, PromoteRoleMapping, RoleMappingEdits, UpdateRoleMapping,
};
use crate::domain::model::id::RoleMappingId;
use crate::domain::rules::mapping_rows::RoleDiff;
use crate::domain::rules::visibility::Visibility;
use crate::domain::{Command, OrgId, PermissionName, Project, RoleMappingName, RoleName};
use crate::grpc::app::App;
use crate::grpc::generated::role_mapping_service_server::RoleMappingService;
use crate::grpc::mask::Mask;
use crate::grpc::on_disabled::on_disabled;
use crate::grpc::page::{Page, Scope};
use crate::grpc::services::Reply;
use crate::grpc::write::{respond, unexpected};
use crate::grpc::{convert, page, status};
use crate::limits::{DESCRIPTION_BYTES_MAX, Limits, NAMES_MAX};
use crate::wire::resource::texts;
use crate::wire::{self, storage::outcome::Outcome};

pub struct RoleMappingApi(pub Arc<App>);

#[tonic::async_trait]
impl RoleMappingService for RoleMappingApi {
    async fn create_role_mapping(
        &self,
        request: Request<wire::CreateRoleMappingRequest>,
    ) -> Reply<wire::CreateRoleMappingResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = self.create(&request)?;
        let answered = self.0.write(&metadata, &request, command, &|row| format!("subscribe_org_ids[{row}]")).await?;
        respond!(answered, Outcome::RoleMapping(role_mapping) => CreateRoleMappingResponse { role_mapping: Some(role_mapping) })
    }

    async fn update_role_mapping(
        &self,
        request: Request<wire::UpdateRoleMappingRequest>,
    ) -> Reply<wire::UpdateRoleMappingResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = self.update(&request)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::RoleMapping(role_mapping) => UpdateRoleMappingResponse { role_mapping: Some(role_mapping) })
    }

    async fn promote_role_mapping(
        &self,
        request: Request<wire::PromoteRoleMappingRequest>,
    ) -> Reply<wire::PromoteRoleMappingResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = Command::PromoteRoleMapping(PromoteRoleMapping {
            project: convert::project(&request.project)?,
            name: convert::role_mapping("name", &request.name)?,
        });
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::RoleMapping(role_mapping) => PromoteRoleMappingResponse { role_mapping: Some(role_mapping) })
    }

    async fn get_role_mapping(
        &self,
        request: Request<wire::GetRoleMappingRequest>,
    ) -> Reply<wire::GetRoleMappingResponse> {
        let (_, extensions, request) = request.into_parts();
        let project = convert::project(&request.project)?;
        let name = convert::role_mapping("name", &request.name)?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &project).await?;
        let id = reading.project.role_mapping(&name).map_err(reading.refused(Visibility::All))?;
        let role_mapping = Some(wire::role_mapping(&reading.project, id));
        Ok(Response::new(wire::GetRoleMappingResponse { role_mapping, revision: reading.revision() }))
    }

    async fn list_role_mappings(
        &self,
        request: Request<wire::ListRoleMappingsRequest>,
    ) -> Reply<wire::ListRoleMappingsResponse> {
        let (_, extensions, request) = request.into_parts();
        let project = convert::project(&request.project)?;
        let page = Page::read(&["ListRoleMappings", project.as_str()], request.page_size, &request.page_token)?;
        let after: Option<u32> = page.after_number()?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &project).await?;
        let ids = reading.project.role_mappings.entries().map(|(id, _)| id);
        let rest = ids.skip_while(|id: &RoleMappingId| Some(id.number()) <= after);
        let (role_mappings, last) = page.fill(rest, |&id| wire::role_mapping(&reading.project, id));
        let last = last.map(|id| id.number().to_string());
        Ok(Response::new(wire::ListRoleMappingsResponse {
            next_page_token: page.next_token(reading.scope(), last.as_deref())?,
            role_mappings,
            revision: reading.revision(),
        }))
    }

    async fn list_role_mapping_roles(
        &self,
        request: Request<wire::ListRoleMappingRolesRequest>,
    ) -> Reply<wire::ListRoleMappingRolesResponse> {
        let (_, extensions, request) = request.into_parts();
        let project = convert::project(&request.project)?;
        let name = convert::role_mapping("name", &request.name)?;
        convert::at_most("roles", request.roles.len(), NAMES_MAX)?;
        let only = convert::names("roles", &request.roles, RoleName::parse)?;
        let mut arguments = vec!["ListRoleMappingRoles", project.as_str(), name.as_str()];
        arguments.extend(only.iter().map(RoleName::as_str));
        let page = Page::read(&arguments, request.page_size, &request.page_token)?;
        let after = page.place()?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &project).await?;
        let project = &reading.project;
        let refused = reading.refused(Visibility::All);
        let id = project.role_mapping(&name).map_err(&refused)?;
        let only = only.iter().map(|name| project.role(name)).collect::<Result<BTreeSet<_>, _>>().map_err(&refused)?;
        let mapping = project.role_mappings.get(id).ok_or_else(unexpected)?;
        let rest = project.roles_after(after).iter().filter(|role| only.is_empty() || only.contains(role));
        let (roles, last) = page.fill(rest, |&&role| wire::RoleGrants {
            role: project.role_name(role).to_string(),
            enabled: mapping.enabled(role),
            permissions: mapping.row(role).map_or_else(Vec::new, |row| texts(&project.permission_names(row))),
        });
        let last = last.map(|&role| page::place(project, role));
        let scope = Scope { role_order: project.record.role_order_version.into(), ..reading.scope() };
        Ok(Response::new(wire::ListRoleMappingRolesResponse {
            next_page_token: page.next_token(scope.naming(id.number()), last.as_deref())?,
            roles,
            revision: reading.revision(),
        }))
    }

    async fn delete_role_mapping(
        &self,
        request: Request<wire::DeleteRoleMappingRequest>,
    ) -> Reply<wire::DeleteRoleMappingResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = delete(&request, &self.0.limits)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        respond!(answered, Outcome::Deleted(deleted) => DeleteRoleMappingResponse { moved_orgs: deleted.affected })
    }

    async fn diff_role_mappings(
        &self,
        request: Request<wire::DiffRoleMappingsRequest>,
    ) -> Reply<wire::DiffRoleMappingsResponse> {
        let (_, extensions, request) = request.into_parts();
        let project = convert::project(&request.project)?;
        let left = convert::role_mapping("left", &request.left)?;
        let right = convert::role_mapping("right", &request.right)?;
        let only_different = request.only_different;
        let kind = if only_different { "different" } else { "all" };
        let arguments = ["DiffRoleMappings", project.as_str(), left.as_str(), right.as_str(), kind];
        let page = Page::read(&arguments, request.page_size, &request.page_token)?;
        let after = page.place()?;
        let reading = self.0.reading(&extensions, request.consistency.as_ref(), &project).await?;
        let project = &reading.project;
        let found = |name| {
            let id = project.role_mapping(name).map_err(reading.refused(Visibility::All))?;
            project.role_mappings.get(id).map(|mapping| (id.number(), mapping)).ok_or_else(unexpected)
        };
        let ((left_id, left), (right_id, right)) = (found(&left)?, found(&right)?);
        let diffs = project.roles_after(after).iter().map(|&role| project.role_diff(role, left, right));
        let rest = diffs.filter(|diff| !only_different || diff.is_different());
        let (roles, last) = page.fill(rest, |diff| shown_diff(project, diff, only_different));
        let last = last.map(|diff| page::place(project, diff.role));
        let scope = Scope { role_order: project.record.role_order_version.into(), ..reading.scope() };
        Ok(Response::new(wire::DiffRoleMappingsResponse {
            next_page_token: page.next_token(scope.naming(left_id).naming(right_id), last.as_deref())?,
            roles,
            revision: reading.revision(),
        }))
    }
}

fn shown_diff(project: &Project, diff: &RoleDiff, only_different: bool) -> wire::RoleDiff {
    let names = |permissions| texts(&project.permission_names(permissions));
    wire::RoleDiff {
        role: project.role_name(diff.role).to_string(),
        enabled_left: diff.enabled_left,
        enabled_right: diff.enabled_right,
        only_left: names(&diff.only_left),
        only_right: names(&diff.only_right),
        both: if only_different { Vec::new() } else { names(&diff.both) },
    }
}

fn delete(request: &wire::DeleteRoleMappingRequest, limits: &Limits) -> Result<Command, Status> {
    let to = |name: &str| convert::role_mapping("move_subscribers_to", name);
    Ok(Command::DeleteRoleMapping(DeleteRoleMapping {
        project: convert::project(&request.project)?,
        name: convert::role_mapping("name", &request.name)?,
        etag: convert::etag(&request.etag),
        move_subscribers_to: convert::optional(&request.move_subscribers_to, to)?,
        on_disabled: on_disabled(request.on_disabled.as_ref(), limits)?,
    }))
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
            on_disabled: on_disabled(request.on_disabled.as_ref(), &self.0.limits)?,
        }))
    }

    fn update(&self, request: &wire::UpdateRoleMappingRequest) -> Result<Command, Status> {
        let absent = wire::RoleMapping::default();
        let given = request.resource.as_ref().unwrap_or(&absent);
        let mask = Mask::read("update_mask", request.update_mask.as_ref(), &["name", "description", "aliases"])?;
        Ok(Command::UpdateRoleMapping(UpdateRoleMapping {
            project: convert::project(&request.project)?,
            name: convert::role_mapping("name", &request.name)?,
            etag: convert::etag(&request.etag),
            new_name: mask
                .take("name", !given.name.is_empty(), || convert::role_mapping("resource.name", &given.name))?,
            description: mask.take("description", !given.description.is_empty(), || {
                convert::text("resource.description", &given.description, DESCRIPTION_BYTES_MAX)
            })?,
            aliases: mask.take("aliases", !given.aliases.is_empty(), || {
                convert::aliases("resource.aliases", &given.aliases, RoleMappingName::parse)
            })?,
            edits: self.edits(&request.edits, &request.enable_roles, &request.disable_roles)?,
            on_disabled: on_disabled(request.on_disabled.as_ref(), &self.0.limits)?,
        }))
    }

    /// Reads edits of grants. Each edit, each permission in it and each role to enable or disable counts (P7).
    fn edits(
        &self,
        edits: &[wire::GrantEdit],
        enable: &[String],
        disable: &[String],
    ) -> Result<RoleMappingEdits, Status> {
        let rows = edits.iter().map(|edit| 1 + edit.add.len() + edit.remove.len()).sum::<usize>();
        let (rows, max) = (rows + enable.len() + disable.len(), self.0.limits.bulk_rows.saturating_mul(2));
        if rows > max {
            return Err(status::too_many_edits(max, rows));
        }
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
