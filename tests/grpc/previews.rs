//! `validate_only` of every write (R9). What the impact report contains is tested in `impact.rs`.

use prost::Message;
use rolecall::limits::Limits;
use rolecall::wire;

use crate::contract::{Contract, configuration, shop};
use crate::fixture::{Project, add, in_an_hour, remove, role, roles, row, set, temporary, texts, without_sample};
use crate::refusals::refused;
use crate::server::{on_both, on_both_with};

macro_rules! time_of {
    ($resource:expr) => {
        $resource.create_time
    };
    ($resource:expr, $time:ident) => {
        $resource.$time
    };
}

/// Previews a write, applies it, and compares the two answers except for times of creation and revisions.
macro_rules! previewed {
    ($methods:ident, $server:ident.$method:ident($request:expr) $(, $resource:ident $($time:ident)?)? $(; $clear:expr)?) => {
        // Boxed: otherwise the future of the test would hold every write and overflow the stack.
        Box::pin(async {
        let mut request = $request;
        request.validate_only = true;
        $server.settled().await;
        let before = $server.token().await;
        let mut preview = $server.storing_nothing($server.$method(request.clone())).await.unwrap();
        assert_eq!(preview.revision, before, "a preview returns the revision at which it was decided");
        request.validate_only = false;
        // A stale digest aborts the write.
        request.impact_digest = "stale".into();
        let stale = refused($server.storing_nothing($server.$method(request.clone())).await, "IMPACT_CHANGED");
        request.impact_digest = preview.impact.as_ref().unwrap().digest.clone();
        assert!(!request.impact_digest.is_empty());
        assert_eq!(stale.metadata("impact_digest"), request.impact_digest);
        let mut done = $server.$method(request).await.unwrap();
        assert_ne!(done.revision, before);
        for answer in [&mut preview, &mut done] {
            answer.revision.clear();
            $(time_of!(answer.$resource.as_mut().unwrap() $(, $time)?).take().unwrap();)?
            $($clear(answer);)?
        }
        preview.impact = without_sample(&preview.impact);
        assert_eq!(preview, done);
        $methods.insert(stringify!($method).replace('_', ""));
        })
        .await;
    };
}

#[test]
fn r9_a_preview_stores_nothing_and_returns_what_the_real_call_returns() {
    let writes: std::collections::BTreeSet<String> =
        Contract::read().writes().map(|method| method.path.rsplit('/').next().unwrap().to_lowercase()).collect();
    on_both(async |server| {
        shop(server).await;
        let project = server.single();
        let mut methods = std::collections::BTreeSet::new();
        previewed!(
            methods,
            server.create_project(wire::CreateProjectRequest {
                key: "shop".into(),
                environment: wire::Environment::Test.into(),
                role_structure: wire::RoleStructure::MultiRole.into(),
                ..Default::default()
            }),
            project
        );
        previewed!(
            methods,
            server.create_permission(wire::CreatePermissionRequest {
                name: "p".into(),
                description: "Lets.".into(),
                ..Default::default()
            }),
            permission
        );
        let specs = ["q", "r"].map(|name| wire::PermissionSpec { name: name.into(), ..Default::default() });
        previewed!(
            methods,
            server.batch_create_permissions(wire::BatchCreatePermissionsRequest {
                permissions: specs.into(),
                ..Default::default()
            })
        );
        let specs = ["Cook", "Waiter"].map(|name| wire::RoleSpec {
            name: name.into(),
            grants: vec![wire::RoleSpecGrants { role_mapping: "Paid".into(), permissions: texts(&["p"]) }],
            ..Default::default()
        });
        previewed!(
            methods,
            server.batch_create_roles(wire::BatchCreateRolesRequest { roles: specs.into(), ..Default::default() })
        );
        previewed!(
            methods,
            server.create_role(wire::CreateRoleRequest {
                name: "Clerk".into(),
                placement: Some(wire::create_role_request::Placement::Above("Member".into())),
                disabled_in: texts(&["Paid"]),
                ..Default::default()
            }),
            role
        );
        previewed!(
            methods,
            server.create_role_mapping(wire::CreateRoleMappingRequest {
                name: "Gold".into(),
                duplicate_of: "Paid".into(),
                edits: vec![wire::GrantEdit { role: "Owner".into(), add: texts(&["p"]), remove: vec![] }],
                disable_roles: texts(&["Admin"]),
                subscribe_org_ids: texts(&["globex"]),
                ..Default::default()
            }),
            role_mapping
        );
        previewed!(
            methods,
            server.update_role_mapping(wire::UpdateRoleMappingRequest {
                name: "Paid".into(),
                edits: vec![wire::GrantEdit { role: "Owner".into(), add: texts(&["p"]), remove: vec![] }],
                enable_roles: texts(&["Clerk"]),
                ..Default::default()
            }),
            role_mapping
        );
        previewed!(
            methods,
            server.promote_role_mapping(wire::PromoteRoleMappingRequest { name: "Gold".into(), ..Default::default() }),
            role_mapping
        );
        previewed!(
            methods,
            server.create_org(wire::CreateOrgRequest { org_id: "initech".into(), ..Default::default() }),
            org
        );
        previewed!(
            methods,
            server.update_org(wire::UpdateOrgRequest {
                org_id: "initech".into(),
                resource: Some(wire::Org { display_name: "Initech".into(), ..Default::default() }),
                ..Default::default()
            }),
            org
        );
        previewed!(methods, server.batch_subscribe_orgs(project.moving_all(&["acme", "initech"], "Paid")));
        previewed!(
            methods,
            server.subscribe_org(wire::SubscribeOrgRequest {
                org_id: "acme".into(),
                target: Some(wire::subscribe_org_request::Target::ToDefault(true)),
                ..Default::default()
            })
        );
        project.add("initech", "zoe", &roles(&["Owner"])).await;
        let adding = project.adding("initech", "cat", &[]);
        server.add_member(wire::AddMemberRequest { validate_only: true, ..adding }).await.unwrap();
        let decision = project.check("initech", "cat", "rolecall::can_view_other_members").await;
        assert_eq!(decision, wire::Decision::NotAMember, "checks do not see a preview");
        previewed!(
            methods,
            server.add_member(project.adding("initech", "ann", &[role("Owner"), temporary("Member", in_an_hour())]))
        );
        previewed!(methods, server.set_member_roles(project.setting("initech", "ann", &roles(&["Member"]))));
        previewed!(
            methods,
            server.batch_write_members(project.writing(vec![
                row("initech", "bob", add(&[])),
                row("initech", "ann", set(&["Member"])),
                row("acme", "bob", remove()),
            ]))
        );
        previewed!(methods, server.remove_member(project.removing("initech", "ann")));
        project.grant("Paid", "Owner", &["rolecall::can_edit_org_access", "rolecall::can_invite"]).await;
        let (org_id, domain) = (|| "initech".to_string(), || "initech.example".to_string());
        previewed!(
            methods,
            server.set_org_domains(wire::SetOrgDomainsRequest {
                org_id: org_id(),
                domains: vec![wire::OrgDomainSpec { domain: domain(), ..Default::default() }],
                acting_user_id: "zoe".into(),
                ..Default::default()
            })
        );
        previewed!(
            methods,
            server.verify_org_domain(wire::VerifyOrgDomainRequest {
                org_id: org_id(),
                domain: domain(),
                ..Default::default()
            })
        );
        previewed!(
            methods,
            server.provision_member(wire::ProvisionMemberRequest {
                org_id: org_id(),
                user_id: "dan".into(),
                email: "dan@initech.example".into(),
                email_verified: true,
                ..Default::default()
            })
        );
        let inviting = wire::CreateInvitationRequest {
            acting_user_id: "zoe".into(),
            ..project.inviting("initech", "fay@acme.example", &["Member"])
        };
        // The id and the expiry are of the moment of each call.
        let clear = |answer: &mut wire::CreateInvitationResponse| {
            let invitation = answer.invitation.as_mut().unwrap();
            assert!(!std::mem::take(&mut invitation.invitation_id).is_empty());
            invitation.expire_time.take().unwrap();
        };
        previewed!(methods, server.create_invitation(inviting), invitation; clear);
        let rows = ["gil@acme.example", "no address"]
            .map(|email| wire::NewInvitation { email: email.into(), ..Default::default() });
        let clear = |answer: &mut wire::BatchCreateInvitationsResponse| {
            assert!(!std::mem::take(&mut answer.results[0].invitation_id).is_empty());
        };
        previewed!(
            methods,
            server.batch_create_invitations(wire::BatchCreateInvitationsRequest {
                org_id: org_id(),
                rows: rows.into(),
                ..Default::default()
            });
            clear
        );
        let accepted = project.invite("initech", "hal@acme.example", &["Member"]).await;
        previewed!(methods, server.accept_invitation(project.accepting(&accepted, "hal", "hal@acme.example")));
        let revoked = project.invite("initech", "ina@acme.example", &["Member"]).await;
        previewed!(methods, server.revoke_invitation(project.revoking(&revoked, "")));
        let user_id = || "dan".to_string();
        let block = wire::BlockUserRequest { user_id: user_id(), ..Default::default() };
        previewed!(methods, server.block_user(block), user block_time);
        previewed!(methods, server.unblock_user(wire::UnblockUserRequest { user_id: user_id(), ..Default::default() }));
        previewed!(methods, server.delete_user(wire::DeleteUserRequest { user_id: user_id(), ..Default::default() }));
        previewed!(methods, server.delete_role_mapping(project.deleting("Paid", "Gold")));
        let org_id = "initech".into();
        previewed!(methods, server.delete_org(wire::DeleteOrgRequest { org_id, ..Default::default() }));
        let shop = wire::Project { display_name: "Shop".into(), ..Default::default() };
        previewed!(methods, server.update_project(project.updating_project(shop)), project);
        previewed!(methods, server.update_permission(project.renaming_permission("p", "s")), permission);
        previewed!(methods, server.delete_permission(project.deleting_permission("s")));
        previewed!(methods, server.update_role(project.renaming_role("Clerk", "Accountant")), role);
        let mut order = project.role_order().await;
        order.rotate_left(1);
        let order = wire::ReorderRolesRequest { role_order: order, ..Default::default() };
        previewed!(methods, server.reorder_roles(order));
        previewed!(methods, server.delete_role(project.deleting_role("Accountant", "")));
        let deserted = Project { server, key: "deserted" };
        let (_, applying) = configuration::applying();
        let applying = wire::ApplyConfigurationRequest::decode(&*applying).unwrap();
        let applying = wire::ApplyConfigurationRequest { request_id: String::new(), ..applying };
        previewed!(methods, server.apply_configuration(applying.clone()));
        let role_order = texts(&["Owner", "Admin", "Member"]);
        previewed!(methods, server.convert_role_structure(deserted.converting_to_single(role_order)), project);
        // A key is created at another time, and the real call returns its token.
        let key = wire::CreateApiKeyRequest {
            display_name: "billing".into(),
            operator: "olga".into(),
            environment: wire::Environment::Live.into(),
            ..Default::default()
        };
        previewed!(methods, server.create_api_key(key); |answer: &mut wire::CreateApiKeyResponse| {
            (answer.api_key, answer.token) = (None, String::new());
        });
        let keys = server.list_api_keys(wire::ListApiKeysRequest::default()).await.unwrap().api_keys;
        let archive = wire::ArchiveApiKeyRequest { api_key_id: keys[0].api_key_id.clone(), ..Default::default() };
        previewed!(methods, server.archive_api_key(archive), api_key archive_time);
        previewed!(methods, server.delete_project(deserted.deleting_project(false)));
        assert_eq!(methods, writes, "every write is previewed");
    });
}

#[test]
fn r9_a_preview_is_refused_like_the_real_call() {
    on_both_with(Limits { roles: 5, ..Limits::default() }, async |server| {
        shop(server).await;
        let project = server.single();
        server
            .storing_nothing(async {
                let role = wire::CreateRoleRequest { name: "Clerk".into(), validate_only: true, ..Default::default() };
                refused(server.create_role(role).await, "LIMIT_EXCEEDED");
                let org = wire::CreateOrgRequest { org_id: "acme".into(), validate_only: true, ..Default::default() };
                refused(server.create_org(org).await, "ORG_ALREADY_EXISTS");
                let org = wire::CreateOrgRequest { org_id: "a b".into(), validate_only: true, ..Default::default() };
                refused(server.create_org(org).await, "INVALID_FIELD");
                let rows = vec![row("acme", "zoe", add(&[])), row("acme", "ann", add(&[]))];
                let rows = wire::BatchWriteMembersRequest { validate_only: true, ..project.writing(rows) };
                let refused = refused(server.batch_write_members(rows).await, "MEMBER_ALREADY_EXISTS");
                assert_eq!(refused.fields(), ["rows[1].add"]);
            })
            .await;
    });
}
