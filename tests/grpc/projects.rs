//! Projects: P1 to P4.

use rolecall::wire::{self, Decision, Environment, RoleStructure};

use crate::fixture::{Project, mask, roles};
use crate::refusals::refused;
use crate::server::{Server, on_both};

const BUILT_INS: [&str; 9] = [
    "rolecall::can_view_other_members",
    "rolecall::can_invite",
    "rolecall::can_change_roles",
    "rolecall::can_remove_users",
    "rolecall::can_manage_api_keys",
    "rolecall::can_setup_sso",
    "rolecall::can_delete_org",
    "rolecall::can_edit_org_access",
    "rolecall::can_update_org_metadata",
];

fn creating(key: &str) -> wire::CreateProjectRequest {
    wire::CreateProjectRequest { key: key.into(), environment: Environment::Test.into(), ..Default::default() }
}

fn sorted(names: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    names.sort();
    names
}

#[test]
fn p1_a_project_keeps_its_key_environment_and_structure() {
    on_both(async |server| {
        for (key, environment, structure) in [
            ("a", Environment::Test, RoleStructure::MultiRole),
            ("shop-2", Environment::Live, RoleStructure::SingleRole),
            ("unset", Environment::Live, RoleStructure::Unspecified),
        ] {
            let request = wire::CreateProjectRequest {
                key: key.into(),
                display_name: "Schöner Laden".into(),
                environment: environment.into(),
                role_structure: structure.into(),
                ..Default::default()
            };
            let created = server.create_project(request).await.unwrap().project.unwrap();
            // SINGLE_ROLE is the default.
            let structure = if key == "unset" { RoleStructure::SingleRole } else { structure };
            assert_eq!((created.environment(), created.role_structure()), (environment, structure));
            let request = wire::GetProjectRequest { project: key.into(), ..Default::default() };
            let read = server.get_project(request).await.unwrap().project.unwrap();
            assert_eq!(read, created);
            assert_eq!((read.key.as_str(), read.display_name.as_str()), (key, "Schöner Laden"));
            assert!(read.create_time.is_some());
        }
    });
}

#[test]
fn p1_keys_are_unique_and_workspace_is_reserved() {
    on_both(async |server| {
        server.create_project(creating("shop")).await.unwrap();
        server
            .storing_nothing(async {
                for taken in ["shop", "default"] {
                    let refused = refused(server.create_project(creating(taken)).await, "PROJECT_ALREADY_EXISTS");
                    assert_eq!(refused.resource(), ("rolecall.v1.Project", taken));
                }
                let refused = refused(server.create_project(creating("workspace")).await, "RESERVED_NAME");
                assert_eq!(refused.metadata("rule"), "W1");
                assert_eq!(refused.fields(), ["key"]);
            })
            .await;
    });
}

#[test]
fn p1_projects_are_isolated_from_each_other() {
    on_both(async |server| {
        let (default, multi) = (server.single(), server.multi().await);
        default.permission("invoices.view").await;
        default.role("Clerk").await;
        default.grant("Default", "Clerk", &["invoices.view"]).await;
        default.org("acme", "").await;
        default.add("acme", "ann", &roles(&["Clerk"])).await;
        multi.org("acme", "").await;
        assert_eq!(default.check("acme", "ann", "invoices.view").await, Decision::Allowed);
        assert_eq!(multi.check("acme", "ann", "invoices.view").await, Decision::UnknownPermission);
        multi.permission("invoices.view").await;
        assert_eq!(multi.check("acme", "ann", "invoices.view").await, Decision::NotAMember);
        refused(server.add_member(multi.adding("acme", "ann", &roles(&["Clerk"]))).await, "ROLE_NOT_FOUND");
        refused(multi.member("acme", "ann").await, "MEMBER_NOT_FOUND");
    });
}

#[test]
fn p2_the_first_start_creates_the_project_default_and_an_empty_project_means_it() {
    on_both(async |server| {
        let projects = server.list_projects(wire::ListProjectsRequest::default()).await.unwrap().projects;
        let [project, _workspace] = &projects[..] else { panic!("{projects:?}") };
        assert_eq!(project.key, "default");
        assert_eq!((project.environment(), project.role_structure()), (Environment::Live, RoleStructure::SingleRole));
        let unnamed = server.get_project(wire::GetProjectRequest::default()).await.unwrap().project.unwrap();
        assert_eq!(&unnamed, project);

        server.single().org("acme", "").await;
        let request = wire::GetOrgRequest { project: "default".into(), org_id: "acme".into(), ..Default::default() };
        assert_eq!(server.get_org(request).await.unwrap().org.unwrap().org_id, "acme");
    });
}

#[test]
fn p2_a_second_start_creates_nothing() {
    on_both(async |server| {
        let head = server.head().await;
        let server = server.restarted().await;
        assert_eq!(server.head().await, head);
    });
}

#[test]
fn p3_the_template_creates_owner_admin_member_and_one_mapping() {
    on_both(async |server| {
        for (project, template) in [("one", ""), ("two", "b2b")] {
            let request = wire::CreateProjectRequest { template: template.into(), ..creating(project) };
            server.create_project(request).await.unwrap();
        }
        for key in ["default", "one", "two"] {
            let request = wire::GetProjectRequest { project: key.into(), ..Default::default() };
            let record = server.get_project(request).await.unwrap().project.unwrap();
            let named = (&*record.default_role, &*record.default_owner_role, &*record.default_role_mapping);
            assert_eq!(named, ("Member", "Owner", "Default"));
            let project = crate::fixture::Project { server, key };
            assert_eq!(project.role_order().await, ["Owner", "Admin", "Member"]);
            assert_eq!(project.mappings().await, [("Default".to_string(), true)]);

            assert_eq!(project.row("Default", "Owner").await, sorted(&BUILT_INS));
            let not_for_admins = ["rolecall::can_delete_org", "rolecall::can_edit_org_access"];
            let admins: Vec<&str> = BUILT_INS.into_iter().filter(|name| !not_for_admins.contains(name)).collect();
            assert_eq!(project.row("Default", "Admin").await, sorted(&admins));
            assert_eq!(project.row("Default", "Member").await, ["rolecall::can_view_other_members"]);
            let mapping = project.get_mapping("Default").await;
            assert!(project.rows("Default").await.iter().all(|row| row.enabled));
            assert_eq!(mapping.grant_count, 17);
        }
    });
}

#[test]
fn p3_what_the_template_created_can_be_edited() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Owner"])).await;
        project.take("Default", "Owner", &["rolecall::can_delete_org"]).await;
        project.disable("Default", &["Admin"]).await;
        assert_eq!(project.check("acme", "ann", "rolecall::can_delete_org").await, Decision::MissingPermission);
        assert_eq!(project.check("acme", "ann", "rolecall::can_invite").await, Decision::Allowed);
        project.enable("Default", &["Admin"]).await;
        project.grant("Default", "Member", &["rolecall::can_delete_org"]).await;
        assert_eq!(project.row("Default", "Member").await.len(), 2);
    });
}

#[test]
fn p4_every_project_has_the_built_in_permissions_and_their_prefix_is_reserved() {
    on_both(async |server| {
        let multi = server.multi().await;
        multi.permission("a.first").await;
        let request = wire::ListPermissionsRequest { project: "multi".into(), ..Default::default() };
        let listed = server.list_permissions(request).await.unwrap().permissions;
        let (built_in, made): (Vec<_>, Vec<_>) = listed.iter().partition(|permission| permission.built_in);
        assert_eq!(built_in.iter().map(|permission| &*permission.name).collect::<Vec<_>>(), BUILT_INS);
        assert!(built_in.iter().all(|permission| !permission.description.is_empty()));
        assert_eq!(made.len(), 1);
        assert_eq!(listed.last(), Some(made[0]));

        let request = |name: &str| wire::CreatePermissionRequest { name: name.into(), ..Default::default() };
        server
            .storing_nothing(async {
                for name in ["rolecall::can_fly", "rolecall::can_invite", "rolecall::"] {
                    let refused = refused(server.create_permission(request(name)).await, "RESERVED_NAME");
                    assert_eq!(refused.fields(), ["name"]);
                }
                let new = |name: &str| wire::PermissionSpec { name: name.into(), description: String::new() };
                let batch = wire::BatchCreatePermissionsRequest {
                    permissions: vec![new("fine"), new("rolecall::can_fly")],
                    ..Default::default()
                };
                let refused = refused(server.batch_create_permissions(batch).await, "RESERVED_NAME");
                assert_eq!(refused.fields(), ["permissions[1].name"]);
            })
            .await;
        for fine in ["rolecall:can_fly", "Rolecall::can_fly", "my.rolecall::can_fly"] {
            server.create_permission(request(fine)).await.unwrap();
        }
    });
}

#[test]
fn p1_the_display_name_can_be_changed_and_the_key_cannot() {
    on_both(async |server| {
        let project = server.single();
        let before = project.get_project().await;
        let shop = wire::Project { display_name: "Shop".into(), key: "shop".into(), ..Default::default() };
        let updated = server.update_project(project.updating_project(shop)).await.unwrap().project.unwrap();
        let expected = wire::Project { display_name: "Shop".into(), etag: updated.etag.clone(), ..before.clone() };
        assert_eq!(updated, expected);
        assert_eq!(project.get_project().await, updated);
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
                // An empty mask with an empty resource changes nothing.
                let nothing = server.update_project(wire::UpdateProjectRequest::default()).await.unwrap();
                assert_eq!(nothing.project.unwrap(), updated);
                let unnamed = wire::UpdateProjectRequest { update_mask: mask(&["default_role"]), ..Default::default() };
                let unnamed = refused(server.update_project(unnamed).await, "INVALID_FIELD");
                assert_eq!(unnamed.fields(), ["resource.default_role"]);
            })
            .await;
        let emptied = wire::UpdateProjectRequest { update_mask: mask(&["display_name"]), ..Default::default() };
        assert_eq!(server.update_project(emptied).await.unwrap().project.unwrap().display_name, "");
        let server = &server.restarted().await;
        assert_eq!(server.single().get_project().await.display_name, "");
    });
}

#[test]
fn p3_list_templates_shows_what_a_template_creates() {
    on_both(async |server| {
        let request = wire::ListTemplatesRequest { page_size: 1, ..Default::default() };
        let first = server.list_templates(request.clone()).await.unwrap();
        let request = wire::ListTemplatesRequest { page_token: first.next_page_token, ..request };
        let rest = server.list_templates(wire::ListTemplatesRequest { page_size: 0, ..request }).await.unwrap();
        assert_eq!(rest.next_page_token, "");
        let templates: Vec<_> = first.templates.into_iter().chain(rest.templates).collect();
        let names: Vec<&str> = templates.iter().map(|template| &*template.name).collect();
        assert_eq!(names, ["b2b", "empty", "propelauth-dashboard", "stytch-dashboard"]);
        for template in templates {
            shows_what_it_creates(server, &template).await;
        }
    });
}

/// Creates a project from the template and compares.
async fn shows_what_it_creates(server: &Server, template: &wire::Template) {
    let key =
        ["b2b", "empty", "propelauth-dashboard", "stytch-dashboard"].into_iter().find(|key| *key == template.name);
    let key = key.unwrap();
    assert!(!template.description.is_empty());
    let request = wire::CreateProjectRequest {
        key: key.into(),
        environment: wire::Environment::Test.into(),
        template: template.name.clone(),
        ..Default::default()
    };
    server.create_project(request).await.unwrap();
    let project = Project { server, key };
    assert_eq!(template.roles, project.role_order().await);
    let request = wire::ListPermissionsRequest { project: key.into(), ..Default::default() };
    let permissions = server.list_permissions(request).await.unwrap().permissions;
    assert_eq!(template.permissions, permissions.into_iter().map(|it| it.name).collect::<Vec<_>>());
    let mappings: Vec<String> = project.mappings().await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(template.role_mappings, mappings);
}

#[test]
fn p3_the_empty_template_has_one_role_and_leaves_other_names_free() {
    on_both(async |server| {
        let empty = |key: &str, owner_role: &str| wire::CreateProjectRequest {
            template: "empty".into(),
            owner_role: owner_role.into(),
            ..creating(key)
        };
        for (key, owner_role, name) in [("one", "", "Owner"), ("two", "superuser", "superuser")] {
            let created = server.create_project(empty(key, owner_role)).await.unwrap().project.unwrap();
            assert_eq!((&*created.default_role, &*created.default_owner_role), (name, name));
            let project = Project { server, key };
            assert_eq!(project.role_order().await, [name]);
            assert_eq!(project.mappings().await, [("Default".to_string(), true)]);
            assert_eq!(project.row("Default", name).await, sorted(&BUILT_INS));
            for other in ["admin", "member", "MEMBER GUEST"] {
                project.role(other).await;
            }
            project.org_with_owner("acme", "ann").await;
            assert_eq!(project.roles_of("acme", "ann").await, format!("{name} live"));
            assert_eq!(project.check("acme", "ann", "rolecall::can_invite").await, Decision::Allowed);
        }
        let multi = wire::RoleStructure::MultiRole.into();
        let request = wire::CreateProjectRequest { role_structure: multi, ..empty("three", "Boss") };
        server.create_project(request).await.unwrap();
        let request = wire::GetRoleRequest { project: "three".into(), name: "Boss".into(), ..Default::default() };
        assert_eq!(server.get_role(request).await.unwrap().role.unwrap().manages, ["Boss"]);
        server
            .storing_nothing(async {
                for template in ["", "b2b"] {
                    let request = wire::CreateProjectRequest { template: template.into(), ..empty("four", "Boss") };
                    let refused = refused(server.create_project(request).await, "INVALID_FIELD");
                    assert_eq!(refused.fields(), ["owner_role"]);
                }
            })
            .await;
    });
}
