//! Etags of role mappings: M9.

use rolecall::wire;

use crate::fixture::{Project, roles, suspending, texts};
use crate::refusals::refused;
use crate::server::on_both;

/// Returns the etag. Get and List must agree.
async fn etag(project: Project<'_>, name: &str) -> String {
    let read = project.get_mapping(name).await;
    let request = wire::ListRoleMappingsRequest { project: project.key.into(), ..Default::default() };
    let listed = project.server.list_role_mappings(request).await.unwrap().role_mappings;
    assert!(listed.contains(&read), "{listed:?}");
    assert!(!read.etag.is_empty());
    read.etag
}

fn describing(project: Project<'_>, description: &str, etag: &str) -> wire::UpdateRoleMappingRequest {
    let role_mapping = wire::RoleMapping { description: description.into(), ..Default::default() };
    wire::UpdateRoleMappingRequest { resource: Some(role_mapping), etag: etag.into(), ..project.updating("Paid") }
}

#[test]
fn m9_every_change_of_a_mapping_or_its_grants_changes_its_etag() {
    on_both(async |server| {
        let project = server.single();
        for name in ["p", "q"] {
            project.permission(name).await;
        }
        for name in ["Clerk", "Guest"] {
            project.role(name).await;
        }
        let mut last = project.mapping("Paid").await.etag;
        assert_eq!(etag(project, "Paid").await, last);
        let other = etag(project, "Default").await;
        let mut earlier = vec![last.clone()];
        for step in 0..12 {
            match step {
                0 => project.grant("Paid", "Clerk", &["p", "q"]).await,
                1 => project.take("Paid", "Clerk", &["p"]).await,
                2 => project.disable("Paid", &["Guest"]).await,
                3 => project.enable("Paid", &["Guest"]).await,
                4 => {
                    drop(server.update_role_mapping(describing(project, "For paying customers.", &last)).await.unwrap())
                }
                5 => {
                    let role_mapping = wire::RoleMapping { name: "Business".into(), ..Default::default() };
                    let request =
                        wire::UpdateRoleMappingRequest { resource: Some(role_mapping), ..project.updating("Paid") };
                    server.update_role_mapping(request).await.unwrap();
                }
                6 => {
                    let request = wire::UpdateRoleMappingRequest {
                        resource: Some(wire::RoleMapping { name: "Paid".into(), ..Default::default() }),
                        update_mask: Some(prost_types::FieldMask { paths: texts(&["name", "aliases"]) }),
                        ..project.updating("Business")
                    };
                    server.update_role_mapping(request).await.unwrap();
                }
                7 => {
                    let request = wire::DeletePermissionRequest { name: "q".into(), ..Default::default() };
                    server.delete_permission(request).await.unwrap();
                }
                8 => project.grant("Paid", "Clerk", &["p"]).await,
                9 => {
                    let request = wire::DeleteRoleRequest { name: "Clerk".into(), ..Default::default() };
                    server.delete_role(request).await.unwrap();
                }
                10 => {
                    let request = wire::CreateRoleRequest {
                        name: "Clerk".into(),
                        disabled_in: texts(&["Paid"]),
                        ..Default::default()
                    };
                    server.create_role(request).await.unwrap();
                }
                _ => {
                    let request = wire::DeleteRoleRequest { name: "Clerk".into(), ..Default::default() };
                    server.delete_role(request).await.unwrap();
                }
            }
            let now = etag(project, "Paid").await;
            assert!(!earlier.contains(&now), "step {step}: {now} is one of {earlier:?}");
            stale(project, &last).await;
            earlier.push(now.clone());
            last = now;
        }
        assert_eq!(etag(project, "Default").await, other, "the other mapping is unchanged");
        let server = server.restarted().await;
        assert_eq!(etag(server.single(), "Paid").await, last);
        stale(server.single(), &earlier[0]).await;
    });
}

/// Checks that writes with a stale etag are refused.
async fn stale(project: Project<'_>, etag: &str) {
    let server = project.server;
    server
        .storing_nothing(async {
            let update = server.update_role_mapping(describing(project, "Never.", etag)).await;
            let refused_update = refused(update, "ETAG_MISMATCH");
            assert_eq!(refused_update.metadata("rule"), "M9");
            let deleting = wire::DeleteRoleMappingRequest { etag: etag.into(), ..project.deleting("Paid", "") };
            refused(server.delete_role_mapping(deleting).await, "ETAG_MISMATCH");
        })
        .await;
}

#[test]
fn m9_what_changes_nothing_keeps_the_etag() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.role("Clerk").await;
        project.mapping("Paid").await;
        project.grant("Paid", "Clerk", &["p"]).await;
        project.disable("Paid", &["Clerk"]).await;
        let before = etag(project, "Paid").await;
        server
            .storing_nothing(async {
                project.grant("Paid", "Clerk", &["p"]).await;
                project.take("Paid", "Admin", &["p"]).await;
                project.disable("Paid", &["Clerk"]).await;
                project.enable("Paid", &["Admin"]).await;
                let update = wire::UpdateRoleMappingRequest { etag: before.clone(), ..project.updating("Paid") };
                let answer = server.update_role_mapping(update).await.unwrap().role_mapping.unwrap();
                assert_eq!(answer.etag, before);
            })
            .await;
        // Changes outside the mapping keep it too.
        project.org("acme", "Paid").await;
        project.add("acme", "ann", &roles(&["Owner"])).await;
        project.role("Guest").await;
        project.permission("q").await;
        project.grant("Default", "Clerk", &["p"]).await;
        let promoting = wire::PromoteRoleMappingRequest { name: "Paid".into(), ..Default::default() };
        server.promote_role_mapping(promoting).await.unwrap();
        assert_eq!(etag(project, "Paid").await, before);
    });
}

#[test]
fn m9_of_two_writes_with_the_same_etag_the_second_is_refused() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        let read = project.mapping("Paid").await.etag;
        let granting = |role: &str| wire::UpdateRoleMappingRequest {
            edits: vec![wire::GrantEdit { role: role.into(), add: texts(&["p"]), remove: vec![] }],
            etag: read.clone(),
            ..project.updating("Paid")
        };
        let (first, second) =
            tokio::join!(server.update_role_mapping(granting("Admin")), server.update_role_mapping(granting("Member")));
        let (done, aborted): (Vec<_>, Vec<_>) = [first, second].into_iter().partition(Result::is_ok);
        let now = done.into_iter().next().unwrap().unwrap().role_mapping.unwrap().etag;
        assert_eq!(aborted.len(), 1);
        for aborted in aborted {
            assert_eq!(refused(aborted, "ETAG_MISMATCH").metadata("etag"), now);
        }
        let request = wire::UpdateRoleMappingRequest { etag: now, ..granting("Owner") };
        let now = server.update_role_mapping(request).await.unwrap().role_mapping.unwrap().etag;
        let deleting = wire::DeleteRoleMappingRequest { etag: now, ..project.deleting("Paid", "") };
        server.delete_role_mapping(deleting).await.unwrap();
    });
}

#[test]
fn m9_the_etag_is_checked_before_anything_else() {
    on_both(async |server| {
        let project = server.single();
        let old = project.mapping("Paid").await.etag;
        project.role("Clerk").await;
        project.org("acme", "Paid").await;
        project.add("acme", "ann", &roles(&["Clerk"])).await;
        project.disable("Paid", &["Admin"]).await;
        let disabling = wire::UpdateRoleMappingRequest {
            disable_roles: texts(&["Clerk"]),
            etag: old.clone(),
            ..project.updating("Paid")
        };
        refused(server.update_role_mapping(disabling.clone()).await, "ETAG_MISMATCH");
        let suspended = wire::UpdateRoleMappingRequest { on_disabled: suspending(), ..disabling };
        refused(server.update_role_mapping(suspended).await, "ETAG_MISMATCH");
        let deleting = wire::DeleteRoleMappingRequest { etag: old, ..project.deleting("Paid", "") };
        refused(server.delete_role_mapping(deleting).await, "ETAG_MISMATCH");
    });
}
