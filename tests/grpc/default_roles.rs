//! `default_role` and `default_owner_role`: R5, and B3 when the owner role changes.

use rolecall::wire;

use crate::fixture::{roles, texts};
use crate::refusals::refused;
use crate::server::on_both;

#[test]
fn r5_new_members_get_the_new_default_role() {
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
        assert_eq!(project.roles_of("acme", "ann").await, "Member live", "existing members keep their role");
        // The old default role may be disabled now. The new one may not.
        project.disable("Default", &["Member"]).await;
        let request = wire::UpdateRoleMappingRequest {
            name: "Default".into(),
            disable_roles: texts(&["Admin"]),
            ..Default::default()
        };
        refused(server.storing_nothing(server.update_role_mapping(request)).await, "DEFAULT_ROLE_DISABLED");
        let server = &server.restarted().await;
        assert_eq!(server.single().get_project().await.default_role, "Admin");
        assert_eq!(server.single().add("acme", "cat", &[]).await.roles[0].role, "Admin");
    });
}

#[test]
fn r5_a_default_role_must_be_visible_and_enabled_in_every_mapping() {
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
fn b3_changing_the_default_owner_role_needs_allow_ownerless_if_an_org_loses_its_owner() {
    on_both(async |server| {
        let project = server.single();
        for org in ["acme", "globex", "initech", "alone", "empty", "never-had-one"] {
            project.org(org, "").await;
        }
        for (org, user, name) in [
            ("acme", "ann", "Owner"),
            ("acme", "bob", "Member"),
            ("globex", "ann", "Owner"),
            ("globex", "bob", "Member"),
            ("alone", "ann", "Owner"),
            ("initech", "ann", "Owner"),
            ("initech", "bob", "Admin"),
            ("never-had-one", "ann", "Member"),
        ] {
            project.add(org, user, &roles(&[name])).await;
        }
        let admin = || wire::Project { default_owner_role: "Admin".into(), ..Default::default() };
        let answer = server.storing_nothing(server.update_project(project.updating_project(admin()))).await;
        let answer = refused(answer, "LAST_OWNER");
        assert_eq!((answer.subjects(), answer.metadata("orgs")), (vec!["orgs/acme"], "3"));
        let request = wire::UpdateProjectRequest { allow_ownerless: true, ..project.updating_project(admin()) };
        assert_eq!(server.update_project(request).await.unwrap().project.unwrap().default_owner_role, "Admin");
    });
}
