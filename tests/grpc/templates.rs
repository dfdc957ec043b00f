//! The templates with the published roles of dashboards: W5.

use rolecall::wire::{self, Decision, Environment, RoleStructure};

use crate::fixture::{Project, roles};
use crate::refusals::refused;
use crate::server::{Server, on_both};

const TABLES: &str = include_str!("../../src/domain/model/dashboard_roles.tsv");

const PROPELAUTH: (&str, &[&str]) =
    ("propelauth-dashboard", &["Owner", "Admin", "Developer", "Customer Management", "Member", "ReadOnly"]);
const STYTCH: (&str, &[&str]) =
    ("stytch-dashboard", &["Admin", "Developer", "Support Manager", "Support Agent", "No Access"]);

fn creating(template: &str) -> wire::CreateProjectRequest {
    wire::CreateProjectRequest {
        key: template.into(),
        environment: Environment::Live.into(),
        template: template.into(),
        ..Default::default()
    }
}

/// Creates a project from a template. In its org `acme` the user `user-N` holds the Nth role.
async fn create<'a>(server: &'a Server, (key, names): (&'static str, &[&str])) -> (Project<'a>, wire::Project) {
    let created = server.create_project(creating(key)).await.unwrap().project.unwrap();
    let project = Project { server, key };
    project.org("acme", "").await;
    for (at, name) in names.iter().enumerate() {
        project.add("acme", &format!("user-{at}"), &roles(&[name])).await;
    }
    (project, created)
}

#[test]
fn w5_dashboard_templates_create_the_published_roles_in_order() {
    on_both(async |server| {
        for (template, owner, default) in [(PROPELAUTH, "Owner", "ReadOnly"), (STYTCH, "Admin", "Support Agent")] {
            let (project, created) = create(server, template).await;
            assert_eq!(created.role_structure(), RoleStructure::SingleRole);
            let defaults = (&*created.default_owner_role, &*created.default_role, &*created.default_role_mapping);
            assert_eq!(defaults, (owner, default, "Default"));
            assert_eq!(project.role_order().await, template.1);
            assert_eq!(project.mappings().await, [("Default".to_string(), true)]);
            assert!(project.rows("Default").await.iter().all(|row| row.enabled));
            project.add("acme", "new", &[]).await;
            assert_eq!(project.roles_of("acme", "new").await, format!("{default} live"));
            project.org_with_owner("globex", "ann").await;
            assert_eq!(project.roles_of("globex", "ann").await, format!("{owner} live"));
        }
    });
}

#[test]
fn w5_every_cell_of_the_published_tables_is_answered_by_check() {
    on_both(async |server| {
        for (template, names) in [PROPELAUTH, STYTCH] {
            let (project, _) = create(server, (template, names)).await;
            let mut checks = 0;
            for row in TABLES.lines().filter(|row| row.starts_with(template)) {
                let cells: Vec<&str> = row.split('\t').collect();
                for permission in cells[2].split(' ') {
                    let described = project.get_permission(permission).await.unwrap();
                    assert!(cells[1].ends_with(&described.description) && !described.built_in, "{described:?}");
                    for (at, name) in names.iter().enumerate() {
                        let granted = cells[3 + at].starts_with('y');
                        let expected = if granted { Decision::Allowed } else { Decision::MissingPermission };
                        let decision = project.check("acme", &format!("user-{at}"), permission).await;
                        assert_eq!(decision, expected, "{template}: {name}, {permission}");
                        checks += 1;
                    }
                }
            }
            assert!(checks > 150, "{checks}");
        }
    });
}

#[test]
fn w5_the_built_in_permissions_follow_the_permissions_for_the_team() {
    on_both(async |server| {
        for (template, names, managers) in
            [(PROPELAUTH.0, PROPELAUTH.1, &["Owner", "Admin"][..]), (STYTCH.0, STYTCH.1, &["Admin"][..])]
        {
            let (project, _) = create(server, (template, names)).await;
            for (at, name) in names.iter().enumerate() {
                let abilities = [
                    ("can_view_other_members", true),
                    ("can_invite", managers.contains(name)),
                    ("can_change_roles", managers.contains(name)),
                    ("can_remove_users", managers.contains(name)),
                    ("can_edit_org_access", managers.contains(name)),
                    ("can_manage_api_keys", at == 0),
                    ("can_setup_sso", at == 0),
                    ("can_delete_org", at == 0),
                    ("can_update_org_metadata", at == 0),
                ];
                for (ability, granted) in abilities {
                    let expected = if granted { Decision::Allowed } else { Decision::MissingPermission };
                    let permission = format!("rolecall::{ability}");
                    let decision = project.check("acme", &format!("user-{at}"), &permission).await;
                    assert_eq!(decision, expected, "{template}: {name}, {permission}");
                }
            }
        }
    });
}

#[test]
fn w5_dashboard_templates_are_single_role_and_name_their_own_roles() {
    on_both(async |server| {
        server
            .storing_nothing(async {
                for (template, _) in [PROPELAUTH, STYTCH] {
                    let multi = RoleStructure::MultiRole.into();
                    let request = wire::CreateProjectRequest { role_structure: multi, ..creating(template) };
                    assert_eq!(
                        refused(server.create_project(request).await, "INVALID_FIELD").fields(),
                        ["role_structure"]
                    );
                    let request = wire::CreateProjectRequest { owner_role: "Boss".into(), ..creating(template) };
                    assert_eq!(refused(server.create_project(request).await, "INVALID_FIELD").fields(), ["owner_role"]);
                }
            })
            .await;
        let single = RoleStructure::SingleRole.into();
        server
            .create_project(wire::CreateProjectRequest { role_structure: single, ..creating(STYTCH.0) })
            .await
            .unwrap();
    });
}

#[test]
fn p3_what_a_dashboard_template_created_can_be_edited() {
    on_both(async |server| {
        for template in [PROPELAUTH, STYTCH] {
            let (project, _) = create(server, template).await;
            let (last, name) = (format!("user-{}", template.1.len() - 1), template.1[template.1.len() - 1]);
            assert_eq!(project.check("acme", &last, "billing").await, Decision::MissingPermission);
            project.grant("Default", name, &["billing"]).await;
            assert_eq!(project.check("acme", &last, "billing").await, Decision::Allowed);
            project.rename_permission("billing", "money").await;
            project.take("Default", name, &["money"]).await;
            assert_eq!(project.check("acme", &last, "money").await, Decision::MissingPermission);
            server.delete_permission(project.deleting_permission("team.settings")).await.unwrap();
            assert_eq!(project.check("acme", "user-0", "team.settings").await, Decision::UnknownPermission);

            project.rename_role("Developer", "Engineer").await;
            project.role("Auditor").await;
            let defaults = wire::Project { default_role: "Auditor".into(), ..Default::default() };
            server.update_project(project.updating_project(defaults)).await.unwrap();
            assert_eq!(project.delete_role(name, "Auditor").await, 1);
            assert_eq!(project.roles_of("acme", &last).await, "Auditor live");
            project.mapping("Trial").await;
            server.convert_role_structure(project.converting_to_multi()).await.unwrap();
            assert_eq!(project.get_project().await.role_structure(), RoleStructure::MultiRole);
        }
        let server = &server.restarted().await;
        for (key, _) in [PROPELAUTH, STYTCH] {
            let project = Project { server, key };
            assert_eq!(project.check("acme", "user-0", "users.view").await, Decision::Allowed);
            assert_eq!(project.check("acme", "user-0", "money").await, Decision::Allowed);
        }
    });
}
