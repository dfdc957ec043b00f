//! Sends a command as a client does.

use rolecall::domain::Command;
use rolecall::domain::commands::command::{self, OnDisabled, Place, SubscribeTo, Write};
use rolecall::grpc::generated::{
    membership_service_client::MembershipServiceClient, org_service_client::OrgServiceClient,
    permission_service_client::PermissionServiceClient, project_service_client::ProjectServiceClient,
    role_mapping_service_client::RoleMappingServiceClient, role_service_client::RoleServiceClient,
    subscription_service_client::SubscriptionServiceClient, user_service_client::UserServiceClient,
};
use rolecall::wire::{self, batch_subscribe_orgs_request, create_role_request, member_write, subscribe_org_request};
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::processes::CALL_MAX;

/// Sends a command, with its name as request id and as reason. Returns the revision of the answer.
pub async fn send(channel: Channel, command: &Command, name: &str) -> Result<String, Status> {
    let (request_id, reason) = (name.to_owned(), name.to_owned());
    macro_rules! call {
        ($client:ident $method:ident $request:ident { $($field:ident: $value:expr),* $(,)? }) => {{
            let request = wire::$request { $($field: $value,)* request_id, reason, ..Default::default() };
            let mut request = Request::new(request);
            request.set_timeout(CALL_MAX);
            $client::new(channel).$method(request).await.map(|answer| answer.into_inner().revision)
        }};
    }
    match command.clone() {
        Command::CreateProject(it) => call!(ProjectServiceClient create_project CreateProjectRequest {
            key: it.key.to_string(),
            environment: wire::Environment::Live as i32,
        }),
        Command::CreatePermissions(it) => call!(PermissionServiceClient create_permission CreatePermissionRequest {
            project: it.project.to_string(),
            name: it.permissions[0].name.to_string(),
        }),
        Command::DeletePermission(it) => call!(PermissionServiceClient delete_permission DeletePermissionRequest {
            project: it.project.to_string(),
            name: it.name.to_string(),
        }),
        Command::CreateRole(it) => call!(RoleServiceClient create_role CreateRoleRequest {
            project: it.project.to_string(),
            name: it.name.to_string(),
            placement: placement(it.place),
        }),
        Command::DeleteRole(it) => call!(RoleServiceClient delete_role DeleteRoleRequest {
            project: it.project.to_string(),
            name: it.name.to_string(),
            replacement: text(it.replacement),
        }),
        Command::CreateRoleMapping(it) => {
            call!(RoleMappingServiceClient create_role_mapping CreateRoleMappingRequest {
                project: it.project.to_string(),
                name: it.name.to_string(),
                duplicate_of: text(it.duplicate_of),
            })
        }
        Command::UpdateRoleMapping(it) => {
            call!(RoleMappingServiceClient update_role_mapping UpdateRoleMappingRequest {
                project: it.project.to_string(),
                name: it.name.to_string(),
                edits: it.edits.grants.iter().map(grant_edit).collect(),
                enable_roles: texts(&it.edits.enable),
                disable_roles: texts(&it.edits.disable),
                on_disabled: on_disabled(&it.on_disabled),
            })
        }
        Command::DeleteRoleMapping(it) => {
            call!(RoleMappingServiceClient delete_role_mapping DeleteRoleMappingRequest {
                project: it.project.to_string(),
                name: it.name.to_string(),
                move_subscribers_to: text(it.move_subscribers_to),
                on_disabled: on_disabled(&it.on_disabled),
            })
        }
        Command::CreateOrg(it) => call!(OrgServiceClient create_org CreateOrgRequest {
            project: it.project.to_string(),
            org_id: it.org_id.to_string(),
            role_mapping: text(it.role_mapping),
            creator_user_id: text(it.creator),
            reuse_deleted_id: it.reuse_deleted_id,
        }),
        Command::DeleteOrg(it) => call!(OrgServiceClient delete_org DeleteOrgRequest {
            project: it.project.to_string(),
            org_id: it.org_id.to_string(),
        }),
        Command::SubscribeOrg(it) => call!(SubscriptionServiceClient subscribe_org SubscribeOrgRequest {
            project: it.project.to_string(),
            org_id: it.org_id.to_string(),
            target: Some(match it.to {
                SubscribeTo::RoleMapping(name) => subscribe_org_request::Target::RoleMapping(name.to_string()),
                SubscribeTo::Default => subscribe_org_request::Target::ToDefault(true),
            }),
            on_disabled: on_disabled(&it.on_disabled),
        }),
        Command::BatchSubscribeOrgs(it) => {
            call!(SubscriptionServiceClient batch_subscribe_orgs BatchSubscribeOrgsRequest {
                project: it.project.to_string(),
                org_ids: texts(&it.org_ids),
                target: Some(match it.to {
                    SubscribeTo::RoleMapping(name) => {
                        batch_subscribe_orgs_request::Target::RoleMapping(name.to_string())
                    }
                    SubscribeTo::Default => batch_subscribe_orgs_request::Target::ToDefault(true),
                }),
                on_disabled: on_disabled(&it.on_disabled),
            })
        }
        Command::WriteMember(it) => {
            let (project, row) = (it.project.to_string(), it.row);
            let (org_id, user_id) = (row.org_id.to_string(), row.user_id.to_string());
            match &row.write {
                Write::Add(roles) => call!(MembershipServiceClient add_member AddMemberRequest {
                    project: project, org_id: org_id, user_id: user_id, roles: assignments(roles).roles,
                }),
                Write::Set(roles) => call!(MembershipServiceClient set_member_roles SetMemberRolesRequest {
                    project: project, org_id: org_id, user_id: user_id, roles: assignments(roles).roles,
                    allow_ownerless: it.allow_ownerless,
                }),
                Write::Remove => call!(MembershipServiceClient remove_member RemoveMemberRequest {
                    project: project, org_id: org_id, user_id: user_id, allow_ownerless: it.allow_ownerless,
                }),
            }
        }
        Command::BatchWriteMembers(it) => {
            call!(MembershipServiceClient batch_write_members BatchWriteMembersRequest {
                project: it.project.to_string(),
                rows: it.rows.iter().map(member_write).collect(),
                allow_ownerless: it.allow_ownerless,
            })
        }
        Command::BlockUser(it) => call!(UserServiceClient block_user BlockUserRequest {
            project: it.project.to_string(),
            user_id: it.user_id.to_string(),
        }),
        Command::UnblockUser(it) => call!(UserServiceClient unblock_user UnblockUserRequest {
            project: it.project.to_string(),
            user_id: it.user_id.to_string(),
        }),
        Command::DeleteUser(it) => call!(UserServiceClient delete_user DeleteUserRequest {
            project: it.project.to_string(),
            user_id: it.user_id.to_string(),
        }),
        other => panic!("no client sends {other:?}"),
    }
}

fn text(name: Option<impl ToString>) -> String {
    name.map(|name| name.to_string()).unwrap_or_default()
}

fn texts(names: &[impl ToString]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn placement(place: Place) -> Option<create_role_request::Placement> {
    match place {
        Place::Last => None,
        Place::Above(role) => Some(create_role_request::Placement::Above(role.to_string())),
        Place::Below(role) => Some(create_role_request::Placement::Below(role.to_string())),
    }
}

fn grant_edit(edit: &command::GrantEdit) -> wire::GrantEdit {
    wire::GrantEdit { role: edit.role.to_string(), add: texts(&edit.add), remove: texts(&edit.remove) }
}

fn on_disabled(strategy: &OnDisabled) -> Option<wire::OnDisabled> {
    use wire::DisabledRoleStrategy::{Remap, Suspend};
    match strategy {
        OnDisabled::Reject => None,
        OnDisabled::Suspend { fallback_role } => Some(wire::OnDisabled {
            strategy: Suspend as i32,
            fallback_role: text(fallback_role.as_ref()),
            ..Default::default()
        }),
        OnDisabled::Remap { default_replacement, .. } => Some(wire::OnDisabled {
            strategy: Remap as i32,
            default_replacement: text(default_replacement.as_ref()),
            ..Default::default()
        }),
    }
}

fn assignments(roles: &[command::RoleAssignment]) -> wire::RoleAssignments {
    let role = |it: &command::RoleAssignment| wire::RoleAssignment { role: it.role.to_string(), ..Default::default() };
    wire::RoleAssignments { roles: roles.iter().map(role).collect() }
}

fn member_write(row: &command::MemberWrite) -> wire::MemberWrite {
    let write = match &row.write {
        Write::Add(roles) => member_write::Write::Add(assignments(roles)),
        Write::Set(roles) => member_write::Write::Set(assignments(roles)),
        Write::Remove => member_write::Write::Remove(wire::Removal {}),
    };
    wire::MemberWrite { org_id: row.org_id.to_string(), user_id: row.user_id.to_string(), write: Some(write) }
}
