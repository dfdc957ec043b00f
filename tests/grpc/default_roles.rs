//! What a project says of itself, its default roles, and what roles say of themselves: P1, P3, B3, R5, R6, R8, R10.

use rolecall::wire;

use crate::fixture::{Project, mask, passed, roles, soon, texts, until};
use crate::refusals::refused;
use crate::server::on_both;

#[test]
fn p1_what_people_call_a_project_can_be_changed_and_its_key_cannot() {
    on_both(async |server| {
        let project = server.single();
        let before = project.record().await;
        let shop = wire::Project { display_name: "Shop".into(), key: "shop".into(), ..Default::default() };
        let updated = server.update_project(project.updating_project(shop)).await.unwrap().project.unwrap();
        let expected = wire::Project { display_name: "Shop".into(), etag: updated.etag.clone(), ..before.clone() };
        assert_eq!(updated, expected);
        assert_eq!(project.record().await, updated);
        server
            .storing_nothing(async {
                for path in ["key", "environment", "role_structure", "default_role_mapping"] {
                    let request = wire::UpdateProjectRequest {
                        update_mask: mask(&["display_name", path]),
                        ..project.updating_project(before.clone())
                    };
                    let answer = refused(server.update_project(request).await, "INVALID_FIELD");
                    assert_eq!(answer.fields(), ["update_mask"]);
                }
                // Nothing is named, and nothing given.
                let nothing = server.update_project(wire::UpdateProjectRequest::default()).await.unwrap();
                assert_eq!(nothing.project.unwrap(), updated);
                let nobody = wire::UpdateProjectRequest { update_mask: mask(&["default_role"]), ..Default::default() };
                let nobody = refused(server.update_project(nobody).await, "INVALID_FIELD");
                assert_eq!(nobody.fields(), ["resource.default_role"]);
            })
            .await;
        let emptied = wire::UpdateProjectRequest { update_mask: mask(&["display_name"]), ..Default::default() };
        assert_eq!(server.update_project(emptied).await.unwrap().project.unwrap().display_name, "");
        let server = &server.restarted().await;
        assert_eq!(server.single().record().await.display_name, "");
    });
}

#[test]
fn p3_the_templates_say_what_they_make() {
    on_both(async |server| {
        let request = wire::ListTemplatesRequest { page_size: 1, ..Default::default() };
        let answer = server.list_templates(request).await.unwrap();
        assert_eq!(answer.next_page_token, "");
        let [template] = &answer.templates[..] else { panic!("{:?}", answer.templates) };
        assert!(!template.description.is_empty());
        let request = wire::CreateProjectRequest {
            key: "made".into(),
            environment: wire::Environment::Test.into(),
            template: template.name.clone(),
            ..Default::default()
        };
        server.create_project(request).await.unwrap();
        let project = Project { server, key: "made" };
        assert_eq!(template.roles, project.role_order().await);
        let request = wire::ListPermissionsRequest { project: "made".into(), ..Default::default() };
        let permissions = server.list_permissions(request).await.unwrap().permissions;
        assert_eq!(template.permissions, permissions.into_iter().map(|it| it.name).collect::<Vec<_>>());
        let mappings: Vec<String> = project.mappings().await.into_iter().map(|(name, _)| name).collect();
        assert_eq!(template.role_mappings, mappings);
    });
}

#[test]
fn r5_a_new_default_role_is_what_new_members_get() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &[]).await;
        let admin = wire::Project { default_role: "Admin".into(), ..Default::default() };
        assert_eq!(
            server.update_project(project.updating_project(admin)).await.unwrap().project.unwrap().default_role,
            "Admin"
        );
        assert_eq!(project.add("acme", "bob", &[]).await.roles[0].role, "Admin");
        assert_eq!(project.roles_of("acme", "ann").await, "Member live", "who has a role keeps it");
        // The old one may be disabled now, and the new one may not.
        project.disable("Default", &["Member"]).await;
        let request = wire::UpdateRoleMappingRequest {
            name: "Default".into(),
            disable_roles: texts(&["Admin"]),
            ..Default::default()
        };
        refused(server.storing_nothing(server.update_role_mapping(request)).await, "DEFAULT_ROLE_DISABLED");
        let server = &server.restarted().await;
        assert_eq!(server.single().record().await.default_role, "Admin");
        assert_eq!(server.single().add("acme", "cat", &[]).await.roles[0].role, "Admin");
    });
}

#[test]
fn r5_a_default_role_is_visible_and_enabled_everywhere() {
    on_both(async |server| {
        let project = server.single();
        project.internal_role("Support").await;
        project.role("Clerk").await;
        project.mapping("Paid").await;
        project.disable("Paid", &["Clerk"]).await;
        server
            .storing_nothing(async {
                for name in ["Support", "Clerk"] {
                    for resource in [
                        wire::Project { default_role: name.into(), ..Default::default() },
                        wire::Project { default_owner_role: name.into(), ..Default::default() },
                    ] {
                        let answer = server.update_project(project.updating_project(resource)).await;
                        let answer = refused(answer, "DEFAULT_ROLE_UNSUITABLE");
                        assert_eq!(answer.subjects(), [format!("roles/{name}")]);
                    }
                }
                for name in ["Owner", "Member"] {
                    let internal = wire::Role { internal: true, ..Default::default() };
                    let answer = server.update_role(project.updating_role(name, internal)).await;
                    let answer = refused(answer, "DEFAULT_ROLE_UNSUITABLE");
                    assert_eq!(answer.subjects(), [format!("roles/{name}")]);
                }
            })
            .await;
        project.enable("Paid", &["Clerk"]).await;
        let clerk = wire::Project { default_role: "Clerk".into(), ..Default::default() };
        server.update_project(project.updating_project(clerk)).await.unwrap();
    });
}

#[test]
fn b3_another_default_owner_role_leaves_no_org_without_an_owner_unless_told() {
    on_both(async |server| {
        let project = server.single();
        for org in ["acme", "globex", "initech", "empty", "never-had-one"] {
            project.org(org, "").await;
        }
        for (org, user, name) in [
            ("acme", "ann", "Owner"),
            ("acme", "bob", "Member"),
            ("globex", "ann", "Owner"),
            ("initech", "ann", "Owner"),
            ("initech", "bob", "Admin"),
            ("never-had-one", "ann", "Member"),
        ] {
            project.add(org, user, &roles(&[name])).await;
        }
        let admin = || wire::Project { default_owner_role: "Admin".into(), ..Default::default() };
        let answer = server.storing_nothing(server.update_project(project.updating_project(admin()))).await;
        let answer = refused(answer, "LAST_OWNER");
        assert_eq!((answer.subjects(), answer.metadata("orgs")), (vec!["orgs/acme"], "2"));
        let request = wire::UpdateProjectRequest { allow_ownerless: true, ..project.updating_project(admin()) };
        assert_eq!(server.update_project(request).await.unwrap().project.unwrap().default_owner_role, "Admin");
    });
}

#[test]
fn r6_roles_are_put_into_a_new_order() {
    on_both(async |server| {
        let project = server.single();
        project.role("Clerk").await;
        project.internal_role("Support").await;
        let order = ["Support", "Member", "Clerk", "Owner", "Admin"];
        let before = server.head().await;
        let answer = server.reorder_roles(project.reordering(&order)).await.unwrap();
        assert_eq!(server.head().await.number, before.number + 1);
        assert_eq!(answer.order_etag, project.order_etag().await);
        assert_eq!(project.role_order().await, order);
        // So it is already.
        let again = server.storing_nothing(server.reorder_roles(project.reordering(&order))).await.unwrap();
        assert_eq!(again.order_etag, answer.order_etag);
        let server = &server.restarted().await;
        assert_eq!(server.single().role_order().await, order);
        let clerk = wire::CreateRoleRequest {
            placement: Some(wire::create_role_request::Placement::Below("Member".into())),
            ..server.single().creating_role("Second clerk")
        };
        assert_eq!(server.create_role(clerk).await.unwrap().role.unwrap().position, 3);
    });
}

#[test]
fn r6_a_missing_an_unknown_and_a_repeated_role_are_refused() {
    on_both(async |server| {
        let project = server.single();
        project.rename_role("Admin", "Boss").await;
        server
            .storing_nothing(async {
                for short in [&[][..], &["Owner"], &["Member", "Owner"]] {
                    let answer = server.reorder_roles(project.reordering(short)).await;
                    let answer = refused(answer, "INCOMPLETE_ORDER");
                    assert_eq!((answer.fields(), answer.metadata("rule")), (vec!["roles"], "R6"));
                }
                let unknown = project.reordering(&["Owner", "Clerk", "Boss", "Member"]);
                refused(server.reorder_roles(unknown).await, "ROLE_NOT_FOUND");
                for again in ["Boss", "Admin"] {
                    let twice = project.reordering(&["Owner", "Boss", again, "Member"]);
                    let answer = refused(server.reorder_roles(twice).await, "REPEATED_ROLE");
                    assert_eq!((answer.fields(), answer.metadata("rule")), (vec!["roles[2]"], "R6"));
                }
            })
            .await;
    });
}

#[test]
fn r8_a_deleted_permission_is_taken_from_every_mapping() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.permission("q").await;
        project.mapping("Paid").await;
        project.grant("Default", "Owner", &["p", "q"]).await;
        project.grant("Default", "Admin", &["p"]).await;
        project.grant("Paid", "Member", &["p", "q"]).await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Admin"])).await;
        let before = server.head().await;
        assert_eq!(server.delete_permission(project.deleting_permission("p")).await.unwrap().removed_grants, 3);
        assert_eq!(server.head().await.number, before.number + 1);
        let is_gone = async |server: &crate::server::Server| {
            let project = server.single();
            refused(project.get_permission("p").await, "PERMISSION_NOT_FOUND");
            assert_eq!(project.check("acme", "ann", "p").await, wire::Decision::UnknownPermission);
            assert_eq!(project.row("Paid", "Member").await, ["q"]);
            assert!(!project.row("Default", "Admin").await.contains(&"p".to_string()));
            assert_eq!(project.get_mapping("Default").await.role_mapping.unwrap().grant_count, 18);
        };
        is_gone(server).await;
        is_gone(&server.restarted().await).await;
    });
}

#[test]
fn r10_whether_a_role_is_internal_changes_only_while_nobody_holds_it() {
    on_both(async |server| {
        let project = server.single();
        project.role("Clerk").await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Clerk"])).await;
        project.add("acme", "bob", &roles(&["Clerk"])).await;
        let internal = |internal: bool| wire::UpdateRoleRequest {
            update_mask: mask(&["internal"]),
            ..project.updating_role("Clerk", wire::Role { internal, ..Default::default() })
        };
        let answer = server.storing_nothing(server.update_role(internal(true))).await;
        let answer = refused(answer, "ROLE_IN_USE");
        assert_eq!((answer.subjects(), answer.metadata("members")), (vec!["roles/Clerk"], "2"));
        // It is visible already, and may be renamed.
        server.storing_nothing(server.update_role(internal(false))).await.unwrap();
        project.rename_role("Clerk", "Accountant").await;
        project.remove("acme", "ann").await;
        let end = soon();
        project.set("acme", "bob", &[until("Clerk", end)]).await;
        passed(&end).await;
        assert!(server.update_role(internal(true)).await.unwrap().role.unwrap().internal);
        assert!(project.get_role("Clerk").await.unwrap().internal);
        project.add("acme", "cat", &roles(&["Clerk"])).await;
        refused(server.update_role(internal(false)).await, "ROLE_IN_USE");
        project.remove("acme", "cat").await;
        assert!(!server.update_role(internal(false)).await.unwrap().role.unwrap().internal);
        let server = &server.restarted().await;
        assert!(!server.single().get_role("Clerk").await.unwrap().internal);
    });
}

#[test]
fn a_mask_says_what_is_taken() {
    on_both(async |server| {
        let project = server.single();
        let described = wire::Role { description: "Leads.".into(), ..Default::default() };
        let updated = server.update_role(project.updating_role("Admin", described)).await.unwrap().role.unwrap();
        assert_eq!((updated.name.as_str(), updated.description.as_str()), ("Admin", "Leads."));
        let masked = |paths: &[&str], role: wire::Role| wire::UpdateRoleRequest {
            update_mask: mask(paths),
            ..project.updating_role("Admin", role)
        };
        let full = wire::Role { name: "Boss".into(), description: "Runs.".into(), ..Default::default() };
        let updated = server.update_role(masked(&["name", "name"], full)).await.unwrap().role.unwrap();
        assert_eq!((updated.name.as_str(), updated.description.as_str()), ("Boss", "Leads."));
        let updated = server.update_role(masked(&["description"], wire::Role::default())).await.unwrap();
        assert_eq!(updated.role.unwrap().description, "");
        server
            .storing_nothing(async {
                let nameless = server.update_role(masked(&["name"], wire::Role::default())).await;
                assert_eq!(refused(nameless, "INVALID_FIELD").fields(), ["role.name"]);
                let absent = wire::UpdateRoleRequest { role: None, ..masked(&["name"], wire::Role::default()) };
                assert_eq!(refused(server.update_role(absent).await, "INVALID_FIELD").fields(), ["role.name"]);
                for path in ["position", "etag", "role.name", "*"] {
                    let answer = server.update_role(masked(&["name", path], wire::Role::default())).await;
                    assert_eq!(refused(answer, "INVALID_FIELD").fields(), ["update_mask"]);
                }
            })
            .await;
    });
}
