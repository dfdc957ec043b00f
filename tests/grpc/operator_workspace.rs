//! The workspace: what it refuses, and that nobody raises anybody (W1, W7, W8).

use rolecall::wire::{self, RoleAssignment};
use tonic::{Code, Status};

use crate::contract::shop;
use crate::fixture::{in_an_hour, mask, texts};
use crate::operators::{Caller, on_both};
use crate::refusals::Details;

fn edits(role: &str, add: &[&str]) -> wire::UpdateRoleMappingRequest {
    wire::UpdateRoleMappingRequest {
        project: "workspace".into(),
        name: "Default".into(),
        edits: vec![wire::GrantEdit { role: role.into(), add: texts(add), remove: vec![] }],
        ..Default::default()
    }
}

async fn grant(caller: &Caller, role: &str, add: &[&str]) -> Result<wire::UpdateRoleMappingResponse, Status> {
    caller.call("RoleMappingService/UpdateRoleMapping", &edits(role, add)).await
}

#[test]
fn w1_the_first_start_creates_the_workspace_and_its_org() {
    on_both(async |server| {
        let request = wire::GetProjectRequest { project: "workspace".into(), ..Default::default() };
        let workspace = server.get_project(request).await.unwrap().project.unwrap();
        assert_eq!(
            (workspace.environment(), workspace.role_structure()),
            (wire::Environment::Live, wire::RoleStructure::SingleRole)
        );
        assert_eq!((&*workspace.default_owner_role, &*workspace.default_role), ("Owner", "ReadOnly"));
        let request = wire::ListOrgsRequest { project: "workspace".into(), ..Default::default() };
        let orgs = server.list_orgs(request).await.unwrap().orgs;
        assert_eq!(orgs.iter().map(|org| &*org.org_id).collect::<Vec<_>>(), ["team"]);
        let before = server.head().await;
        let again = server.restarted().await;
        assert_eq!(again.head().await, before, "a second start writes nothing");
        let request = wire::CreateProjectRequest {
            key: "workspace".into(),
            environment: wire::Environment::Live.into(),
            ..Default::default()
        };
        assert_eq!(again.create_project(request).await.unwrap_err().reason(), "RESERVED_NAME");
        again.stop().await;
    });
}

#[test]
fn w7_operators_manage_only_roles_in_their_scope() {
    on_both(async |server| {
        let owner = Caller::operator(server, "owner", "Owner").await;
        let admin = Caller::operator(server, "admin", "Admin").await;
        let dev = Caller::operator(server, "dev", "Developer").await;
        owner.add_operator("second", "Owner").await.unwrap();
        admin.add_operator("reader", "ReadOnly").await.unwrap();
        admin.set_role("reader", "Customer Management").await.unwrap();
        for role in ["Owner", "Admin"] {
            assert_eq!(admin.add_operator("friend", role).await.unwrap_err().reason(), "ROLE_OUT_OF_SCOPE");
            assert_eq!(admin.set_role("reader", role).await.unwrap_err().reason(), "ROLE_OUT_OF_SCOPE");
        }
        assert_eq!(admin.remove_operator("owner").await.unwrap_err().reason(), "ROLE_OUT_OF_SCOPE");
        assert_eq!(admin.set_role("admin", "Owner").await.unwrap_err().reason(), "ROLE_OUT_OF_SCOPE");
        // Also in bulk, and by blocking and deleting.
        let row = wire::MemberWrite {
            org_id: "team".into(),
            user_id: "friend".into(),
            write: Some(wire::member_write::Write::Add(wire::RoleAssignments {
                roles: vec![RoleAssignment { role: "Owner".into(), ..Default::default() }],
            })),
        };
        let batch =
            wire::BatchWriteMembersRequest { project: "workspace".into(), rows: vec![row], ..Default::default() };
        let refused =
            admin.call::<wire::BatchWriteMembersResponse>("MembershipService/BatchWriteMembers", &batch).await;
        assert_eq!(refused.unwrap_err().reason(), "ROLE_OUT_OF_SCOPE");
        let block = |user: &str| wire::BlockUserRequest {
            project: "workspace".into(),
            user_id: user.into(),
            ..Default::default()
        };
        let blocked = async |user| admin.call::<wire::BlockUserResponse>("UserService/BlockUser", &block(user)).await;
        assert_eq!(blocked("owner").await.unwrap_err().reason(), "ROLE_OUT_OF_SCOPE");
        blocked("reader").await.unwrap();
        let delete =
            wire::DeleteUserRequest { project: "workspace".into(), user_id: "owner".into(), ..Default::default() };
        let refused = admin.call::<wire::DeleteUserResponse>("UserService/DeleteUser", &delete).await.unwrap_err();
        assert_eq!(refused.reason(), "ROLE_OUT_OF_SCOPE");
        // A Developer lacks team.manage, and may only leave.
        let refused = dev.add_operator("friend", "ReadOnly").await.unwrap_err();
        assert_eq!(
            (refused.reason(), refused.detail("permission")),
            ("OPERATOR_PERMISSION_MISSING".into(), "team.manage".into())
        );
        // The acting user of the workspace is the caller.
        let request = wire::AddMemberRequest {
            project: "workspace".into(),
            org_id: "team".into(),
            user_id: "friend".into(),
            acting_user_id: "owner".into(),
            ..Default::default()
        };
        let refused = admin.call::<wire::AddMemberResponse>("MembershipService/AddMember", &request).await.unwrap_err();
        assert_eq!(refused.fields(), ["acting_user_id"]);
    });
}

#[test]
fn w7_nobody_gives_a_permission_that_they_lack() {
    on_both(async |server| {
        // A role with the permissions on settings and the team, but none on billing.
        let create = wire::CreateRoleRequest {
            project: "workspace".into(),
            name: "Manager".into(),
            placement: Some(wire::create_role_request::Placement::Above("Admin".into())),
            ..Default::default()
        };
        server.create_role(create).await.unwrap();
        let request = edits("Manager", &["team.view", "team.manage", "team.settings", "orgs.view"]);
        server.update_role_mapping(request).await.unwrap();
        let owner = Caller::operator(server, "owner", "Owner").await;
        let manager = Caller::operator(server, "manager", "Manager").await;
        // Roles below, by rank, that hold more than the giver.
        for role in ["Admin", "Developer"] {
            let refused = manager.add_operator("friend", role).await.unwrap_err();
            assert_eq!((refused.code(), &*refused.reason()), (Code::PermissionDenied, "EXCEEDS_CALLER"), "{role}");
        }
        let refused = grant(&manager, "Manager", &["billing"]).await.unwrap_err();
        assert_eq!((refused.reason(), refused.detail("permission")), ("EXCEEDS_CALLER".into(), "billing".into()));
        grant(&manager, "ReadOnly", &["team.settings"]).await.unwrap();
        // An owner may give everything, also what is new.
        let permission =
            wire::CreatePermissionRequest { project: "workspace".into(), name: "pager".into(), ..Default::default() };
        manager
            .call::<wire::CreatePermissionResponse>("PermissionService/CreatePermission", &permission)
            .await
            .unwrap();
        assert_eq!(grant(&manager, "Manager", &["pager"]).await.unwrap_err().reason(), "EXCEEDS_CALLER");
        grant(&owner, "Manager", &["pager"]).await.unwrap();
        // The default role, which additions without a role give.
        let update = wire::UpdateProjectRequest {
            project: "workspace".into(),
            resource: Some(wire::Project { default_role: "Developer".into(), ..Default::default() }),
            update_mask: mask(&["default_role"]),
            ..Default::default()
        };
        let refused = manager.call::<wire::UpdateProjectResponse>("ProjectService/UpdateProject", &update).await;
        assert_eq!(refused.unwrap_err().reason(), "EXCEEDS_CALLER");
        // A replacement of a deleted role.
        let delete = wire::DeleteRoleRequest {
            project: "workspace".into(),
            name: "Member".into(),
            replacement: "Developer".into(),
            ..Default::default()
        };
        owner.add_operator("worker", "Member").await.unwrap();
        let refused = manager.call::<wire::DeleteRoleResponse>("RoleService/DeleteRole", &delete).await.unwrap_err();
        assert_eq!(refused.reason(), "EXCEEDS_CALLER");
        // An invitation, and a domain rule.
        let invite = wire::CreateInvitationRequest {
            project: "workspace".into(),
            org_id: "team".into(),
            email: "friend@acme.example".into(),
            roles: texts(&["Developer"]),
            ..Default::default()
        };
        let refused =
            manager.call::<wire::CreateInvitationResponse>("InvitationService/CreateInvitation", &invite).await;
        assert_eq!(refused.unwrap_err().reason(), "EXCEEDS_CALLER");
        let domain =
            wire::OrgDomainSpec { domain: "acme.example".into(), roles: texts(&["Developer"]), ..Default::default() };
        let domains = wire::SetOrgDomainsRequest {
            project: "workspace".into(),
            org_id: "team".into(),
            domains: vec![domain],
            ..Default::default()
        };
        let refused = manager.call::<wire::SetOrgDomainsResponse>("OrgService/SetOrgDomains", &domains).await;
        assert_eq!(refused.unwrap_err().reason(), "EXCEEDS_CALLER");
    });
}

#[test]
fn w7_the_last_owner_of_the_workspace_stays() {
    on_both(async |server| {
        let owner = Caller::operator(server, "owner", "Owner").await;
        let last = async |answer: Result<(), Status>| {
            let refused = answer.unwrap_err();
            assert_eq!((refused.code(), &*refused.reason()), (Code::FailedPrecondition, "LAST_OWNER"));
        };
        last(owner.set_role("owner", "Admin").await.map(|_| ())).await;
        last(owner.remove_operator("owner").await.map(|_| ())).await;
        let expiring = wire::SetMemberRolesRequest {
            project: "workspace".into(),
            org_id: "team".into(),
            user_id: "owner".into(),
            roles: vec![RoleAssignment { role: "Owner".into(), expire_time: Some(in_an_hour()), ..Default::default() }],
            ..Default::default()
        };
        let expired = owner.call::<wire::SetMemberRolesResponse>("MembershipService/SetMemberRoles", &expiring).await;
        last(expired.map(|_| ())).await;
        let block =
            wire::BlockUserRequest { project: "workspace".into(), user_id: "owner".into(), ..Default::default() };
        last(owner.call::<wire::BlockUserResponse>("UserService/BlockUser", &block).await.map(|_| ())).await;
        let delete =
            wire::DeleteUserRequest { project: "workspace".into(), user_id: "owner".into(), ..Default::default() };
        last(owner.call::<wire::DeleteUserResponse>("UserService/DeleteUser", &delete).await.map(|_| ())).await;
        // Also for callers without credentials.
        last(server.delete_user(delete).await.map(|_| ())).await;
        // A blocked second owner does not count, one who is not blocked does.
        owner.add_operator("second", "Owner").await.unwrap();
        owner.set_role("owner", "Admin").await.unwrap();
        let block =
            wire::BlockUserRequest { project: "workspace".into(), user_id: "second".into(), ..Default::default() };
        last(server.block_user(block).await.map(|_| ())).await;
    });
}

#[test]
fn w8_the_workspace_keeps_its_org_and_its_structure() {
    on_both(async |server| {
        shop(server).await;
        let owner = Caller::operator(server, "owner", "Owner").await;
        let (project, org_id) = (|| "workspace".to_string(), || "team".to_string());
        macro_rules! fixed {
            ($method:literal $request:ident -> $response:ident { $($field:ident: $value:expr),* }) => {
                let request = wire::$request { project: project(), $($field: $value,)* ..Default::default() };
                let refused = owner.call::<wire::$response>($method, &request).await.unwrap_err();
                assert_eq!((refused.code(), &*refused.reason()), (Code::FailedPrecondition, "WORKSPACE_FIXED"), $method);
            };
        }
        fixed!("OrgService/CreateOrg" CreateOrgRequest -> CreateOrgResponse { org_id: "other".into() });
        fixed!("OrgService/DeleteOrg" DeleteOrgRequest -> DeleteOrgResponse { org_id: org_id() });
        fixed!("SubscriptionService/SubscribeOrg" SubscribeOrgRequest -> SubscribeOrgResponse {
            org_id: org_id(), target: Some(wire::subscribe_org_request::Target::ToDefault(true))
        });
        fixed!("SubscriptionService/BatchSubscribeOrgs" BatchSubscribeOrgsRequest -> BatchSubscribeOrgsResponse {
            org_ids: vec![org_id()], target: Some(wire::batch_subscribe_orgs_request::Target::ToDefault(true))
        });
        fixed!("ProjectService/ConvertRoleStructure" ConvertRoleStructureRequest -> ConvertRoleStructureResponse {
            role_structure: wire::RoleStructure::MultiRole.into()
        });

        fixed!("MembershipService/RemoveMember" RemoveMemberRequest -> RemoveMemberResponse {
            org_id: org_id(), user_id: "owner".into(), allow_ownerless: true
        });
        for reserved in ["system", "local", "bootstrap"] {
            let refused = owner.add_operator(reserved, "ReadOnly").await.unwrap_err();
            assert_eq!((refused.reason(), refused.fields()), ("RESERVED_NAME".into(), vec!["user_id".to_string()]));
        }
    });
}

#[test]
fn w2_effects_need_their_own_permissions() {
    on_both(async |server| {
        shop(server).await;
        let dev = Caller::operator(server, "dev", "Developer").await;
        let needs = |refused: Status| (refused.reason(), refused.detail("permission"));
        let missing = |permission: &str| ("OPERATOR_PERMISSION_MISSING".to_string(), permission.to_string());
        let mapping = |name: &str| wire::CreateRoleMappingRequest { name: name.into(), ..Default::default() };
        let create = async |request| -> Result<wire::CreateRoleMappingResponse, _> {
            dev.call("RoleMappingService/CreateRoleMapping", &request).await
        };
        create(mapping("Gold")).await.unwrap();
        let moving = wire::CreateRoleMappingRequest { subscribe_org_ids: texts(&["acme"]), ..mapping("Silver") };
        assert_eq!(needs(create(moving).await.unwrap_err()), missing("orgs.role_mapping"));
        let delete = wire::DeleteRoleMappingRequest {
            name: "Paid".into(),
            move_subscribers_to: "Gold".into(),
            ..Default::default()
        };
        let refused =
            dev.call::<wire::DeleteRoleMappingResponse>("RoleMappingService/DeleteRoleMapping", &delete).await;
        assert_eq!(needs(refused.unwrap_err()), missing("orgs.role_mapping"));
        let delete =
            wire::DeleteRoleRequest { name: "Guest".into(), replacement: "Member".into(), ..Default::default() };
        let refused = dev.call::<wire::DeleteRoleResponse>("RoleService/DeleteRole", &delete).await.unwrap_err();
        assert_eq!(needs(refused), missing("orgs.members"));
        // Its holders would get the default role.
        let unnamed = wire::DeleteRoleRequest { name: "Guest".into(), ..Default::default() };
        let refused = dev.call::<wire::DeleteRoleResponse>("RoleService/DeleteRole", &unnamed).await.unwrap_err();
        assert_eq!(needs(refused), missing("orgs.members"));
        let update = wire::UpdateRoleMappingRequest {
            name: "Default".into(),
            disable_roles: texts(&["Billing Manager"]),
            on_disabled: crate::fixture::remapping(&[], "Member"),
            ..Default::default()
        };
        let refused =
            dev.call::<wire::UpdateRoleMappingResponse>("RoleMappingService/UpdateRoleMapping", &update).await;
        assert_eq!(needs(refused.unwrap_err()), missing("orgs.members"));
    });
}

#[test]
fn w2_a_permission_for_test_projects_suffices_there_and_only_there() {
    on_both(async |server| {
        // No published role has these permissions without those for all projects.
        for role in ["Creator", "Deleter"] {
            let (project, name) = ("workspace".into(), role.into());
            server.create_role(wire::CreateRoleRequest { project, name, ..Default::default() }).await.unwrap();
        }
        server.update_role_mapping(edits("Creator", &["environments.test.create"])).await.unwrap();
        server.update_role_mapping(edits("Deleter", &["environments.test.delete"])).await.unwrap();
        let caller = async |id: &str, role: &str, environment: wire::Environment| {
            server.operator(id, role).await;
            Caller::new(server, &server.key(id, environment, wire::ApiKeyScope::default()).await.1).await
        };
        let creator = caller("creator", "Creator", wire::Environment::Test).await;
        let live_creator = caller("live-creator", "Creator", wire::Environment::Live).await;
        let deleter = caller("deleter", "Deleter", wire::Environment::Test).await;
        let live_deleter = caller("live-deleter", "Deleter", wire::Environment::Live).await;
        let create = async |caller: &Caller, key: &str, environment: wire::Environment| {
            let request =
                wire::CreateProjectRequest { key: key.into(), environment: environment.into(), ..Default::default() };
            caller.call::<wire::CreateProjectResponse>("ProjectService/CreateProject", &request).await
        };
        let delete = async |caller: &Caller, key: &str| {
            let request = wire::DeleteProjectRequest { project: key.into(), confirm: key.into(), ..Default::default() };
            caller.call::<wire::DeleteProjectResponse>("ProjectService/DeleteProject", &request).await
        };
        let missing = |refused: Status, permission: &str| {
            assert_eq!(
                (refused.reason(), refused.detail("permission")),
                ("OPERATOR_PERMISSION_MISSING".into(), permission.into())
            );
        };
        create(&creator, "sandbox", wire::Environment::Test).await.unwrap();
        missing(create(&deleter, "other", wire::Environment::Test).await.unwrap_err(), "projects.create");
        missing(create(&live_creator, "shop", wire::Environment::Live).await.unwrap_err(), "projects.create");
        missing(delete(&creator, "sandbox").await.unwrap_err(), "projects.delete");
        missing(delete(&live_deleter, "default").await.unwrap_err(), "projects.delete");
        delete(&deleter, "sandbox").await.unwrap();
    });
}

#[test]
fn a1_a_refused_call_of_an_operator_is_an_event_with_what_was_missing() {
    on_both(async |server| {
        shop(server).await;
        let owner = Caller::operator(server, "owner", "Owner").await;
        let dev = Caller::operator(server, "dev", "Developer").await;
        let request = wire::RemoveMemberRequest {
            org_id: "acme".into(),
            user_id: "ann".into(),
            acting_user_id: "olga".into(),
            ..Default::default()
        };
        dev.call::<wire::RemoveMemberResponse>("MembershipService/RemoveMember", &request).await.unwrap_err();
        // Refused by the domain, not by a missing permission.
        let promoted = wire::AddMemberRequest {
            org_id: "acme".into(),
            user_id: "zoe".into(),
            acting_user_id: "ann".into(),
            ..Default::default()
        };
        owner.call::<wire::AddMemberResponse>("MembershipService/AddMember", &promoted).await.unwrap_err();
        let list = wire::ListEventsRequest {
            project: "default".into(),
            org_id: "acme".into(),
            r#type: wire::EventType::Denial.into(),
            ..Default::default()
        };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        let events = loop {
            let answer: wire::ListEventsResponse = owner.call("AuditService/ListEvents", &list).await.unwrap();
            if answer.events.len() == 2 {
                break answer.events;
            }
            assert!(std::time::Instant::now() < deadline, "{:?}", answer.events);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        let of = |actor: &str| events.iter().find(|event| event.actor == actor).unwrap();
        let (missing, denied) = (of("dev"), of("owner"));
        assert_eq!((&*missing.kind, &*missing.acting_user_id), ("RemoveMember", "olga"));
        let why = missing.denial.as_ref().unwrap();
        assert_eq!(
            (&*why.reason, &*why.missing_permission, &*why.org_id),
            ("OPERATOR_PERMISSION_MISSING", "orgs.members", "acme")
        );
        assert!(missing.key_id.starts_with("ak_"), "{missing:?}");
        assert_eq!((&*denied.kind, &*denied.acting_user_id), ("AddMember", "ann"));
        assert_eq!(denied.denial.as_ref().unwrap().reason, "ACTING_USER_MISSING_PERMISSION");
    });
}
