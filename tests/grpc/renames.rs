//! Renaming roles and permissions: R3, P4.

use rolecall::wire::{self, Decision, create_role_request::Placement};

use crate::fixture::{mask, role, roles, texts};
use crate::refusals::refused;
use crate::server::{Server, on_both};

#[test]
fn r3_a_renamed_role_is_the_same_role() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Admin"])).await;
        let before = project.get_role("Admin").await.unwrap();
        let row = project.row("Default", "Admin").await;
        let renamed = project.rename_role("Admin", "Boss").await;
        let expected = wire::Role {
            name: "Boss".into(),
            aliases: texts(&["Admin"]),
            etag: renamed.etag.clone(),
            ..before.clone()
        };
        assert_eq!(renamed, expected);
        assert_ne!(renamed.etag, before.etag);
        let is_found = async |server: &Server| {
            let project = server.single();
            assert_eq!(project.get_role("Admin").await.unwrap(), renamed, "Get accepts the old name");
            assert_eq!(project.get_role("Boss").await.unwrap(), renamed);
            assert_eq!(project.role_order().await, ["Owner", "Boss", "Member"]);
            assert_eq!(project.roles_of("acme", "ann").await, "Boss live");
            assert_eq!(project.row("Default", "Boss").await, row);
            assert_eq!(project.check("acme", "ann", "rolecall::can_invite").await, Decision::Allowed);
        };
        is_found(server).await;
        is_found(&server.restarted().await).await;
    });
}

#[test]
fn r3_every_request_accepts_the_old_names_of_a_role() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.mapping("Paid").await;
        project.org("acme", "").await;
        project.add("acme", "ann", &[]).await;
        project.role("Clerk").await;
        project.rename_role("Admin", "Boss").await;
        project.rename_role("Boss", "Chief").await;

        assert_eq!(project.add("acme", "bob", &roles(&["Admin"])).await.roles[0].role, "Chief");
        assert_eq!(project.set("acme", "ann", &roles(&["Boss"])).await.roles[0].role, "Chief");
        for name in ["Admin", "Boss", "Chief"] {
            assert_eq!(project.holders("acme", name).await, ["ann", "bob"], "{name}");
        }
        project.grant("Default", "Admin", &["p"]).await;
        assert_eq!(project.check("acme", "ann", "p").await, Decision::Allowed);
        let rows = server.list_role_mapping_roles(project.asking_rows("Default", &["Boss"])).await.unwrap().roles;
        assert_eq!(rows.iter().map(|row| row.role.as_str()).collect::<Vec<_>>(), ["Chief"]);
        project.disable("Paid", &["Boss"]).await;
        assert_eq!(project.get_mapping("Paid").await.disabled_roles, ["Chief"]);
        project.enable("Paid", &["Admin"]).await;
        for (name, place) in [("Upper", Placement::Above("Admin".into())), ("Lower", Placement::Below("Boss".into()))] {
            let request = wire::CreateRoleRequest { placement: Some(place), ..project.creating_role(name) };
            server.create_role(request).await.unwrap();
        }
        assert_eq!(project.role_order().await, ["Owner", "Upper", "Chief", "Lower", "Member", "Clerk"]);
        let order = ["Owner", "Admin", "Upper", "Lower", "Member", "Clerk"];
        server.reorder_roles(project.reordering(&order)).await.unwrap();
        assert_eq!(project.role_order().await, ["Owner", "Chief", "Upper", "Lower", "Member", "Clerk"]);
        let described = wire::Role { description: "Leads.".into(), ..Default::default() };
        let updated = server.update_role(project.updating_role("Admin", described)).await.unwrap().role.unwrap();
        assert_eq!((updated.name.as_str(), updated.aliases), ("Chief", texts(&["Admin", "Boss"])));
        let default = wire::Project { default_role: "Boss".into(), ..Default::default() };
        let updated = server.update_project(project.updating_project(default)).await.unwrap().project.unwrap();
        assert_eq!(updated.default_role, "Chief");
        assert_eq!(project.add("acme", "cat", &[]).await.roles[0].role, "Chief");
        project.set("acme", "cat", &roles(&["Clerk"])).await;
        assert_eq!(project.delete_role("Clerk", "Admin").await, 1);
        assert_eq!(project.roles_of("acme", "cat").await, "Chief live");
    });
}

#[test]
fn r3_every_read_and_check_accepts_the_old_names_of_a_permission() {
    on_both(async |server| {
        let project = server.single();
        project.permission("invoices.pay").await;
        project.grant("Default", "Admin", &["invoices.pay"]).await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Admin"])).await;
        project.add("acme", "bob", &[]).await;
        let before = project.get_permission("invoices.pay").await.unwrap();
        project.rename_permission("invoices.pay", "invoices.settle").await;
        let renamed = project.rename_permission("invoices.pay", "bills.settle").await;
        let aliases = texts(&["invoices.pay", "invoices.settle"]);
        assert_eq!(renamed, wire::Permission { name: "bills.settle".into(), aliases, ..before });
        let is_found = async |server: &Server| {
            let project = server.single();
            for name in ["invoices.pay", "invoices.settle", "bills.settle"] {
                assert_eq!(project.get_permission(name).await.unwrap(), renamed);
                assert_eq!(project.check("acme", "ann", name).await, Decision::Allowed, "{name}");
                assert_eq!(project.check("acme", "bob", name).await, Decision::MissingPermission, "{name}");
                let item = |user: &str| wire::CheckItem {
                    org_id: "acme".into(),
                    user_id: user.into(),
                    permission: name.into(),
                };
                let request = wire::BatchCheckRequest { items: vec![item("ann"), item("bob")], ..Default::default() };
                let decisions: Vec<Decision> = server.batch_check(request).await.unwrap().decisions().collect();
                assert_eq!(decisions, [Decision::Allowed, Decision::MissingPermission]);
                let request =
                    wire::ListMembersRequest { org_id: "acme".into(), permission: name.into(), ..Default::default() };
                let members = server.list_members(request).await.unwrap().members;
                assert_eq!(members.iter().map(|member| member.user_id.as_str()).collect::<Vec<_>>(), ["ann"]);
            }
            let listed = server.list_permissions(wire::ListPermissionsRequest::default()).await.unwrap().permissions;
            assert_eq!(listed.last(), Some(&renamed));
            assert!(project.row("Default", "Admin").await.contains(&"bills.settle".to_string()));
        };
        is_found(server).await;
        is_found(&server.restarted().await).await;
    });
}

#[test]
fn r3_edits_of_grants_and_deletions_accept_the_old_names_of_a_permission() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.rename_permission("p", "q").await;
        project.grant("Default", "Member", &["p"]).await;
        assert!(project.row("Default", "Member").await.contains(&"q".to_string()));
        project.take("Default", "Member", &["p"]).await;
        assert!(!project.row("Default", "Member").await.contains(&"q".to_string()));
        project.grant("Default", "Member", &["q"]).await;
        assert_eq!(server.delete_permission(project.deleting_permission("p")).await.unwrap().removed_grants, 1);
        for name in ["p", "q"] {
            refused(project.get_permission(name).await, "PERMISSION_NOT_FOUND");
        }
    });
}

#[test]
fn r3_an_alias_cannot_be_given_to_another_object() {
    on_both(async |server| {
        let project = server.single();
        project.rename_role("Admin", "Boss").await;
        project.permission("p").await;
        project.permission("other").await;
        project.rename_permission("p", "q").await;
        server
            .storing_nothing(async {
                for name in ["Admin", "admin", "ADMIN"] {
                    let created = refused(server.create_role(project.creating_role(name)).await, "ROLE_ALREADY_EXISTS");
                    assert_eq!(created.resource(), ("rolecall.v1.Role", name));
                    assert!(created.message.contains("old name of role `Boss`"), "{}", created.message);
                    assert_eq!(created.metadata("rule"), "R3");
                    let renamed = server.update_role(project.renaming_role("Member", name)).await;
                    refused(renamed, "ROLE_ALREADY_EXISTS");
                }
                refused(server.update_role(project.renaming_role("Member", "boss")).await, "ROLE_ALREADY_EXISTS");
                let created = server.create_permission(project.creating_permission("p")).await;
                let created = refused(created, "PERMISSION_ALREADY_EXISTS");
                assert_eq!(created.resource(), ("rolecall.v1.Permission", "p"));
                assert!(created.message.contains("old name of permission `q`"), "{}", created.message);
                for name in ["p", "q"] {
                    let renamed = server.update_permission(project.renaming_permission("other", name)).await;
                    refused(renamed, "PERMISSION_ALREADY_EXISTS");
                }
                let row = |name: &str| wire::PermissionSpec { name: name.into(), description: String::new() };
                let batch = wire::BatchCreatePermissionsRequest {
                    permissions: vec![row("new"), row("p")],
                    ..Default::default()
                };
                let batch = refused(server.batch_create_permissions(batch).await, "PERMISSION_ALREADY_EXISTS");
                assert_eq!(batch.fields(), ["permissions[1]"]);
            })
            .await;
        // Compared byte for byte, `P` is another permission.
        project.permission("P").await;
    });
}

#[test]
fn r3_a_dropped_alias_is_unknown_and_can_be_used_again() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Admin"])).await;
        for (name, new) in [("Admin", "Boss"), ("Boss", "Chief"), ("Chief", "Head")] {
            project.rename_role(name, new).await;
        }
        // Aliases that are not listed are dropped. The order is that of the renames.
        let kept = wire::Role { aliases: texts(&["Chief", "Admin"]), ..Default::default() };
        let updated = server.update_role(project.updating_role("Head", kept)).await.unwrap().role.unwrap();
        assert_eq!(updated.aliases, ["Admin", "Chief"]);
        refused(project.get_role("Boss").await, "ROLE_NOT_FOUND");
        refused(server.add_member(project.adding("acme", "bob", &roles(&["Boss"]))).await, "ROLE_NOT_FOUND");
        project.role("Boss").await;
        assert_eq!(project.get_role("Boss").await.unwrap().position, 4);
        assert_eq!(project.holders("acme", "Boss").await, [""; 0]);

        let none = wire::UpdateRoleRequest {
            update_mask: mask(&["aliases"]),
            ..project.updating_role("Head", wire::Role::default())
        };
        assert!(server.update_role(none).await.unwrap().role.unwrap().aliases.is_empty());
        refused(project.get_role("Admin").await, "ROLE_NOT_FOUND");

        project.permission("p").await;
        project.rename_permission("p", "q").await;
        // A masked field of an absent resource counts as empty.
        let none =
            wire::UpdatePermissionRequest { name: "q".into(), update_mask: mask(&["aliases"]), ..Default::default() };
        assert!(server.update_permission(none).await.unwrap().permission.unwrap().aliases.is_empty());
        assert_eq!(project.check("acme", "ann", "p").await, Decision::UnknownPermission);
        project.permission("p").await;
        let server = &server.restarted().await;
        assert_eq!(server.single().get_permission("p").await.unwrap().name, "p");
        assert_eq!(server.single().roles_of("acme", "ann").await, "Head live");
    });
}

#[test]
fn r3_a_role_or_permission_can_be_renamed_back_to_an_alias() {
    on_both(async |server| {
        let project = server.single();
        project.rename_role("Admin", "Boss").await;
        let back = project.rename_role("Boss", "Admin").await;
        assert_eq!((back.name.as_str(), back.aliases), ("Admin", texts(&["Boss"])));
        // Only the case differs.
        let upper = project.rename_role("Admin", "ADMIN").await;
        assert_eq!((upper.name.as_str(), upper.aliases), ("ADMIN", texts(&["Boss", "Admin"])));
        assert_eq!(project.get_role("Admin").await.unwrap().name, "ADMIN");
        refused(project.get_role("admin").await, "ROLE_NOT_FOUND");
        project.permission("p").await;
        project.rename_permission("p", "q").await;
        let back = project.rename_permission("p", "p").await;
        assert_eq!((back.name.as_str(), back.aliases), ("p", texts(&["q"])));
        let server = &server.restarted().await;
        assert_eq!(server.single().get_role("Boss").await.unwrap().name, "ADMIN");
        assert_eq!(server.single().get_permission("q").await.unwrap().name, "p");
    });
}

#[test]
fn r3_an_update_can_drop_aliases_but_not_add_them() {
    on_both(async |server| {
        let project = server.single();
        project.rename_role("Admin", "Boss").await;
        project.permission("p").await;
        server
            .storing_nothing(async {
                for alias in ["Boss", "admin", "Member", "Nothing"] {
                    let named = wire::Role { aliases: texts(&["Admin", alias]), ..Default::default() };
                    let answer = server.update_role(project.updating_role("Boss", named)).await;
                    assert_eq!(refused(answer, "UNKNOWN_ALIAS").fields(), ["resource.aliases"]);
                }
                let named = wire::Permission { aliases: texts(&["q"]), ..Default::default() };
                let answer = server.update_permission(project.updating_permission("p", named)).await;
                assert_eq!(refused(answer, "UNKNOWN_ALIAS").fields(), ["resource.aliases"]);
                // The current values change nothing.
                let same = wire::Role { name: "Boss".into(), aliases: texts(&["Admin"]), ..Default::default() };
                let unchanged = server.update_role(project.updating_role("Boss", same)).await.unwrap().role.unwrap();
                assert_eq!(unchanged, project.get_role("Boss").await.unwrap());
            })
            .await;
    });
}

#[test]
fn r3_deleted_names_can_be_used_again_and_inherit_nothing() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.permission("p").await;
        project.rename_permission("p", "q").await;
        project.grant("Default", "Admin", &["q"]).await;
        project.add("acme", "ann", &roles(&["Admin"])).await;
        project.rename_role("Admin", "Boss").await;
        project.delete_role("Boss", "").await;
        server.delete_permission(project.deleting_permission("q")).await.unwrap();
        for name in ["Admin", "Boss"] {
            refused(project.get_role(name).await, "ROLE_NOT_FOUND");
            let new = project.role(name).await;
            assert!(new.aliases.is_empty());
            assert!(project.row("Default", name).await.is_empty());
            assert_eq!(project.holders("acme", name).await, [""; 0]);
        }
        for name in ["p", "q"] {
            assert_eq!(project.check("acme", "ann", name).await, Decision::UnknownPermission);
            project.permission(name).await;
            assert_eq!(project.check("acme", "ann", name).await, Decision::MissingPermission);
        }
        let server = &server.restarted().await;
        assert_eq!(server.single().roles_of("acme", "ann").await, "Member live");
        assert_eq!(server.single().get_permission("p").await.unwrap().name, "p");
    });
}

#[test]
fn r3_checks_by_the_old_name_are_answered_during_renames() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.grant("Default", "Member", &["p"]).await;
        project.org("acme", "").await;
        project.add("acme", "ann", &[role("Member")]).await;
        let renaming = async {
            for number in 0..20 {
                project.rename_permission("p", &format!("p{number}")).await;
            }
        };
        let checking = async {
            for _ in 0..100 {
                assert_eq!(project.check("acme", "ann", "p").await, Decision::Allowed);
            }
        };
        tokio::join!(renaming, checking);
        assert_eq!(project.get_permission("p").await.unwrap().aliases.len(), 20);
    });
}

#[test]
fn p4_a_built_in_permission_cannot_be_renamed_or_deleted() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        let name = "rolecall::can_invite";
        server
            .storing_nothing(async {
                let renamed = server.update_permission(project.renaming_permission(name, "invites")).await;
                assert_eq!(refused(renamed, "BUILT_IN").subjects(), ["permissions/rolecall::can_invite"]);
                let deleted = server.delete_permission(project.deleting_permission(name)).await;
                assert_eq!(refused(deleted, "BUILT_IN").subjects(), ["permissions/rolecall::can_invite"]);
                for reserved in ["rolecall::can_fly", "rolecall::can_invite", "rolecall::"] {
                    let renamed = server.update_permission(project.renaming_permission("p", reserved)).await;
                    assert_eq!(refused(renamed, "RESERVED_NAME").fields(), ["resource.name"]);
                }
            })
            .await;
        let described = wire::Permission { name: name.into(), description: "Invites.".into(), ..Default::default() };
        let updated = server.update_permission(project.updating_permission(name, described)).await.unwrap();
        let updated = updated.permission.unwrap();
        assert_eq!((updated.description.as_str(), updated.built_in), ("Invites.", true));
    });
}
