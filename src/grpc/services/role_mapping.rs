//! RoleMappingService.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::domain::commands::command::{
    Command, CreateRoleMapping, DeleteRoleMapping, GrantEdit, PromoteRoleMapping, RoleMappingEdits, UpdateRoleMapping,
};
use crate::domain::model::etag::etag;
use crate::domain::model::id::RoleMappingId;
use crate::domain::{OrgId, PermissionName, RoleMappingName, RoleName};
use crate::grpc::app::App;
use crate::grpc::generated::role_mapping_service_server::RoleMappingService;
use crate::grpc::mask::Mask;
use crate::grpc::on_disabled::on_disabled;
use crate::grpc::page::{Page, fitting};
use crate::grpc::write::unexpected;
use crate::grpc::{convert, page, status};
use crate::limits::{DESCRIPTION_BYTES_MAX, Limits, NAMES_MAX};
use crate::store::{DiffRoleMappings, DiffRow, GrantsRow, RoleMappingRow};
use crate::wire::resource::{RoleMappingParts, texts};
use crate::wire::{self, storage::outcome::Outcome};

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
            impact: answered.impact,
        }))
    }

    async fn update_role_mapping(
        &self,
        request: Request<wire::UpdateRoleMappingRequest>,
    ) -> Result<Response<wire::UpdateRoleMappingResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let command = self.update(&request)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        let Outcome::RoleMapping(role_mapping) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::UpdateRoleMappingResponse {
            role_mapping: Some(role_mapping),
            revision: answered.revision,
            replayed: answered.replayed,
            impact: answered.impact,
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
            impact: answered.impact,
        }))
    }

    async fn get_role_mapping(
        &self,
        request: Request<wire::GetRoleMappingRequest>,
    ) -> Result<Response<wire::GetRoleMappingResponse>, Status> {
        let request = request.get_ref();
        let project = convert::project(&request.project)?;
        let name = convert::role_mapping("name", &request.name)?;
        convert::at_most("roles", request.roles.len(), NAMES_MAX)?;
        let only = convert::names("roles", &request.roles, RoleName::parse)?;
        let mut arguments = vec!["GetRoleMapping", project.as_str(), name.as_str()];
        arguments.extend(only.iter().map(RoleName::as_str));
        let page = Page::read(&arguments, request.page_size, &request.page_token)?;
        let after = page.place()?;
        let store = &self.0.store;
        let found =
            store.get_role_mapping(&project, &name, &only, after, page.limit).await.map_err(self.0.unread(&project))?;
        let (rows, last) = fitting(&found.value.rows, found.value.more, shown_row);
        let last = last.map(|row| page::place(row.rank, row.role_id));
        Ok(Response::new(wire::GetRoleMappingResponse {
            role_mapping: Some(shown(&found.value.role_mapping)),
            next_page_token: page.next_token(found.scope, last.as_deref())?,
            rows,
            revision: self.0.token(found.revision),
        }))
    }

    async fn list_role_mappings(
        &self,
        request: Request<wire::ListRoleMappingsRequest>,
    ) -> Result<Response<wire::ListRoleMappingsResponse>, Status> {
        let request = request.get_ref();
        let project = convert::project(&request.project)?;
        let page = Page::read(&["ListRoleMappings", project.as_str()], request.page_size, &request.page_token)?;
        let after = page.after_number()?.and_then(RoleMappingId::new);
        let found =
            self.0.store.list_role_mappings(&project, after, page.limit).await.map_err(self.0.unread(&project))?;
        let (role_mappings, last) = fitting(&found.rows, found.more, shown);
        let last = last.map(|row| row.id.number().to_string());
        Ok(Response::new(wire::ListRoleMappingsResponse {
            next_page_token: page.next_token(found.scope.in_any_order(), last.as_deref())?,
            role_mappings,
            revision: self.0.token(found.revision),
        }))
    }

    async fn delete_role_mapping(
        &self,
        request: Request<wire::DeleteRoleMappingRequest>,
    ) -> Result<Response<wire::DeleteRoleMappingResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let command = delete(&request, &self.0.limits)?;
        let answered = self.0.write(&metadata, &request, command, &status::no_rows).await?;
        let Outcome::Deleted(deleted) = answered.outcome else { return Err(unexpected()) };
        Ok(Response::new(wire::DeleteRoleMappingResponse {
            moved_orgs: deleted.affected,
            revision: answered.revision,
            replayed: answered.replayed,
            impact: answered.impact,
        }))
    }

    async fn diff_role_mappings(
        &self,
        request: Request<wire::DiffRoleMappingsRequest>,
    ) -> Result<Response<wire::DiffRoleMappingsResponse>, Status> {
        let request = request.get_ref();
        let project = convert::project(&request.project)?;
        let left = convert::role_mapping("left", &request.left)?;
        let right = convert::role_mapping("right", &request.right)?;
        let only_different = request.only_different;
        let kind = if only_different { "different" } else { "all" };
        let arguments = ["DiffRoleMappings", project.as_str(), left.as_str(), right.as_str(), kind];
        let page = Page::read(&arguments, request.page_size, &request.page_token)?;
        let (after, limit) = (page.place()?, page.limit);
        let ask = DiffRoleMappings { project: project.clone(), left, right, only_different, after, limit };
        let found = self.0.store.diff_role_mappings(ask).await.map_err(self.0.unread(&project))?;
        let (roles, last) = fitting(&found.rows, found.more, shown_diff);
        let last = last.map(|row| page::place(row.rank, row.role_id));
        Ok(Response::new(wire::DiffRoleMappingsResponse {
            next_page_token: page.next_token(found.scope, last.as_deref())?,
            roles,
            revision: self.0.token(found.revision),
        }))
    }
}

fn shown(row: &RoleMappingRow) -> wire::RoleMapping {
    wire::role_mapping(RoleMappingParts {
        name: &row.name,
        description: &row.description,
        is_default: row.is_default,
        disabled_roles: &row.disabled_roles,
        grant_count: row.grant_count,
        create_time: row.create_time,
        aliases: &row.aliases,
        etag: etag(row.id.number(), row.version),
        subscribers: row.subscribers,
    })
}

fn shown_row(row: &GrantsRow) -> wire::RoleGrants {
    wire::RoleGrants { role: row.role.to_string(), enabled: row.enabled, permissions: texts(&row.permissions) }
}

fn shown_diff(row: &DiffRow) -> wire::RoleDiff {
    wire::RoleDiff {
        role: row.role.to_string(),
        enabled_left: row.enabled_left,
        enabled_right: row.enabled_right,
        only_left: texts(&row.only_left),
        only_right: texts(&row.only_right),
        both: texts(&row.both),
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

    /// Grants added and removed count as rows, one each (P7).
    fn edits(
        &self,
        edits: &[wire::GrantEdit],
        enable: &[String],
        disable: &[String],
    ) -> Result<RoleMappingEdits, Status> {
        let rows = edits.iter().map(|edit| 1 + edit.add.len() + edit.remove.len()).sum::<usize>();
        convert::at_most("edits", rows + enable.len() + disable.len(), self.0.limits.bulk_rows.saturating_mul(2))?;
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
