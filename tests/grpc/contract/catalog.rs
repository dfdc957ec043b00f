//! Requests of projects, permissions and roles.

use prost::Message;
use rolecall::wire::{self, create_role_request::Placement};

use super::Sent;
use crate::fixture::{mask, texts};

fn request_id(id: &str) -> String {
    format!("request-{id}")
}

fn at_least(token: &str) -> Option<wire::Consistency> {
    Some(wire::Consistency { requirement: Some(wire::consistency::Requirement::AtLeast(token.into())) })
}

fn new_role(name: &str, placement: Placement) -> wire::CreateRoleRequest {
    wire::CreateRoleRequest {
        project: "default".into(),
        name: name.into(),
        description: "Reads.".into(),
        placement: Some(placement),
        disabled_in: texts(&["Paid"]),
        request_id: request_id(name),
        reason: "because".into(),
        ..Default::default()
    }
}

/// Returns the requests whose results later requests may use.
pub fn first(token: &str) -> Vec<Sent> {
    vec![
        (
            "rolecall.v1.ProjectService/CreateProject",
            wire::CreateProjectRequest {
                key: "shop-test".into(),
                display_name: "Shop".into(),
                environment: wire::Environment::Test.into(),
                role_structure: wire::RoleStructure::MultiRole.into(),
                template: "empty".into(),
                reuse_deleted_key: true,
                owner_role: "Boss".into(),
                request_id: request_id("project"),
                reason: "because".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.ProjectService/GetProject",
            wire::GetProjectRequest { project: "default".into(), consistency: at_least(token) }.encode_to_vec(),
        ),
        (
            "rolecall.v1.ProjectService/ListProjects",
            wire::ListProjectsRequest { page_size: 10, consistency: at_least(token), ..Default::default() }
                .encode_to_vec(),
        ),
        (
            "rolecall.v1.PermissionService/CreatePermission",
            wire::CreatePermissionRequest {
                project: "default".into(),
                name: "reports.view".into(),
                description: "Sees reports.".into(),
                request_id: request_id("permission"),
                reason: "because".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.PermissionService/BatchCreatePermissions",
            wire::BatchCreatePermissionsRequest {
                project: "default".into(),
                permissions: vec![wire::PermissionSpec { name: "reports.edit".into(), description: "Edits.".into() }],
                request_id: request_id("permissions"),
                reason: "because".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.PermissionService/GetPermission",
            wire::GetPermissionRequest {
                project: "default".into(),
                name: "invoices.view".into(),
                consistency: at_least(token),
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.PermissionService/ListPermissions",
            wire::ListPermissionsRequest {
                project: "default".into(),
                page_size: 10,
                consistency: at_least(token),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.RoleService/ReorderRoles",
            wire::ReorderRolesRequest {
                project: "default".into(),
                role_order: texts(&["Owner", "Admin", "Billing Manager", "Member", "Guest"]),
                request_id: request_id("order"),
                reason: "because".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        ("rolecall.v1.RoleService/CreateRole", new_role("Viewer", Placement::Below("Admin".into())).encode_to_vec()),
        ("rolecall.v1.RoleService/CreateRole", new_role("Auditor", Placement::Above("Admin".into())).encode_to_vec()),
        (
            "rolecall.v1.RoleService/BatchCreateRoles",
            wire::BatchCreateRolesRequest {
                project: "default".into(),
                roles: vec![wire::RoleSpec {
                    name: "Reporter".into(),
                    description: "Reports.".into(),
                    internal: true,
                    disabled_in: texts(&["Default"]),
                    manages: Vec::new(),
                    grants: vec![wire::RoleSpecGrants {
                        role_mapping: "Default".into(),
                        permissions: texts(&["rolecall::can_invite"]),
                    }],
                }],
                request_id: request_id("new-roles"),
                reason: "because".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.RoleService/GetRole",
            wire::GetRoleRequest { project: "default".into(), name: "Owner".into(), consistency: at_least(token) }
                .encode_to_vec(),
        ),
        (
            "rolecall.v1.RoleService/ListRoles",
            wire::ListRolesRequest {
                project: "default".into(),
                page_size: 10,
                viewer_user_id: "ann".into(),
                org_id: "acme".into(),
                consistency: at_least(token),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.ProjectService/ListTemplates",
            wire::ListTemplatesRequest { page_size: 10, ..Default::default() }.encode_to_vec(),
        ),
    ]
}

/// Returns the requests that rename and delete.
pub fn last() -> Vec<Sent> {
    vec![
        (
            "rolecall.v1.ProjectService/UpdateProject",
            wire::UpdateProjectRequest {
                project: "default".into(),
                resource: Some(wire::Project {
                    display_name: "The shop".into(),
                    default_role: "Member".into(),
                    default_owner_role: "Owner".into(),
                    ..Default::default()
                }),
                update_mask: mask(&["display_name", "default_role", "default_owner_role"]),
                request_id: request_id("project-update"),
                reason: "because".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.PermissionService/UpdatePermission",
            wire::UpdatePermissionRequest {
                project: "default".into(),
                name: "invoices.pay".into(),
                resource: Some(wire::Permission {
                    name: "invoices.settle".into(),
                    description: "Settles invoices.".into(),
                    ..Default::default()
                }),
                update_mask: mask(&["name", "description", "aliases"]),
                request_id: request_id("permission-update"),
                reason: "because".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.PermissionService/DeletePermission",
            wire::DeletePermissionRequest {
                project: "default".into(),
                name: "invoices.view".into(),
                request_id: request_id("permission-deletion"),
                reason: "because".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.RoleService/UpdateRole",
            wire::UpdateRoleRequest {
                project: "default".into(),
                name: "Billing Manager".into(),
                resource: Some(wire::Role {
                    name: "Accountant".into(),
                    description: "Keeps the books.".into(),
                    ..Default::default()
                }),
                update_mask: mask(&["name", "description", "internal", "aliases", "manages"]),
                request_id: request_id("role-update"),
                reason: "because".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.RoleService/DeleteRole",
            wire::DeleteRoleRequest {
                project: "default".into(),
                name: "Guest".into(),
                replacement: "Billing Manager".into(),
                request_id: request_id("role-deletion"),
                reason: "because".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.ProjectService/ConvertRoleStructure",
            wire::ConvertRoleStructureRequest {
                project: "deserted".into(),
                role_structure: wire::RoleStructure::SingleRole.into(),
                role_order: texts(&["Owner", "Admin", "Member"]),
                request_id: request_id("conversion"),
                reason: "because".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "rolecall.v1.ProjectService/DeleteProject",
            wire::DeleteProjectRequest {
                project: "deserted".into(),
                confirm: "deserted".into(),
                request_id: request_id("project-deletion"),
                reason: "because".into(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
    ]
}
