//! Etags of projects, roles and the role order: M9. Those of mappings are in `mapping_etags.rs`.

use rolecall::wire;

use crate::fixture::{Project, mask, roles};
use crate::refusals::{Refused, refused};
use crate::server::{Server, on_both};

/// Returns the current etag from the error.
fn current(refused: &Refused) -> &str {
    assert_eq!(refused.metadata("rule"), "M9");
    refused.metadata("etag")
}

#[test]
fn m9_a_stale_etag_aborts_an_update_or_deletion_of_a_role() {
    on_both(async |server| {
        let project = server.single();
        let read = project.get_role("Admin").await.unwrap();
        let named = |etag: &str, description: &str| wire::UpdateRoleRequest {
            etag: etag.into(),
            ..project.updating_role("Admin", wire::Role { description: description.into(), ..Default::default() })
        };
        let first = server.update_role(named(&read.etag, "First.")).await.unwrap().role.unwrap();
        assert_ne!(first.etag, read.etag);
        let deleting = |etag: &str| wire::DeleteRoleRequest { etag: etag.into(), ..project.deleting_role("Admin", "") };
        server
            .storing_nothing(async {
                let stale = refused(server.update_role(named(&read.etag, "Second.")).await, "ETAG_MISMATCH");
                assert_eq!(current(&stale), first.etag);
                let stale = refused(server.delete_role(deleting(&read.etag)).await, "ETAG_MISMATCH");
                assert_eq!(current(&stale), first.etag);
            })
            .await;
        assert_eq!(project.get_role("Admin").await.unwrap(), first);
        let server = &server.restarted().await;
        assert_eq!(server.single().get_role("Admin").await.unwrap().etag, first.etag);
        server.delete_role(deleting(&first.etag)).await.unwrap();
        // A new role with the same name has another etag.
        server.single().role("Admin").await;
        refused(server.update_role(named(&first.etag, "Third.")).await, "ETAG_MISMATCH");
    });
}

#[test]
fn m9_only_changes_of_the_role_itself_change_its_etag() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.org("acme", "").await;
        let etag = async || project.get_role("Admin").await.unwrap().etag;
        let before = etag().await;
        project.grant("Default", "Admin", &["p"]).await;
        project.disable("Default", &["Admin"]).await;
        project.enable("Default", &["Admin"]).await;
        project.add("acme", "ann", &roles(&["Admin"])).await;
        server.reorder_roles(project.reordering(&["Admin", "Owner", "Member"])).await.unwrap();
        assert_eq!(etag().await, before);
        let mut seen = vec![before];
        let aliases = wire::UpdateRoleRequest {
            update_mask: mask(&["aliases"]),
            ..project.updating_role("Boss", wire::Role::default())
        };
        for request in [project.renaming_role("Admin", "Boss"), project.renaming_role("Admin", "Chief"), aliases] {
            let request = wire::UpdateRoleRequest { name: project.role_order().await[0].clone(), ..request };
            let updated = server.update_role(request).await.unwrap().role.unwrap();
            assert!(!seen.contains(&updated.etag));
            seen.push(updated.etag);
        }
    });
}

#[test]
fn m9_a_stale_etag_aborts_a_reordering() {
    on_both(async |server| {
        let project = server.single();
        let read = project.etag().await;
        let named =
            |etag: &str, order: &[&str]| wire::ReorderRolesRequest { etag: etag.into(), ..project.reordering(order) };
        let answer = server.reorder_roles(named(&read, &["Admin", "Owner", "Member"])).await.unwrap();
        assert_ne!(answer.etag, read);
        let stale = server.storing_nothing(server.reorder_roles(named(&read, &["Owner", "Admin", "Member"]))).await;
        assert_eq!(current(&refused(stale, "ETAG_MISMATCH")), answer.etag);
        assert_eq!(project.role_order().await, ["Admin", "Owner", "Member"]);

        // Creating and deleting roles changes the order. Renaming one does not.
        let mut last = answer.etag;
        project.rename_role("Admin", "Boss").await;
        assert_eq!(project.etag().await, last);
        project.role("Clerk").await;
        for _ in 0..2 {
            let now = project.etag().await;
            assert_ne!(now, last);
            last = now;
            if project.get_role("Clerk").await.is_ok() {
                project.delete_role("Clerk", "").await;
            }
        }
        let server = &server.restarted().await;
        assert_eq!(server.single().etag().await, last);
        server.reorder_roles(named(&last, &["Owner", "Boss", "Member"])).await.unwrap();
    });
}

#[test]
fn m9_a_stale_etag_aborts_an_update_or_deletion_of_a_project() {
    on_both(async |server| {
        let project = server.multi().await;
        let read = project.get_project().await;
        let named = |etag: &str, display_name: &str| wire::UpdateProjectRequest {
            etag: etag.into(),
            ..project.updating_project(wire::Project { display_name: display_name.into(), ..Default::default() })
        };
        let first = server.update_project(named(&read.etag, "First")).await.unwrap().project.unwrap();
        let deleting = |etag: &str| wire::DeleteProjectRequest { etag: etag.into(), ..project.deleting_project(false) };
        server
            .storing_nothing(async {
                let stale = refused(server.update_project(named(&read.etag, "Second")).await, "ETAG_MISMATCH");
                assert_eq!(current(&stale), first.etag);
                let stale = refused(server.delete_project(deleting(&read.etag)).await, "ETAG_MISMATCH");
                assert_eq!(current(&stale), first.etag);
            })
            .await;
        // Objects of the project do not change its etag. Another default mapping does.
        project.role("Clerk").await;
        project.permission("p").await;
        project.mapping("Paid").await;
        server.reorder_roles(project.reordering(&["Clerk", "Admin", "Owner", "Member"])).await.unwrap();
        assert_eq!(project.get_project().await.etag, first.etag);
        let promotion =
            wire::PromoteRoleMappingRequest { project: "multi".into(), name: "Paid".into(), ..Default::default() };
        server.promote_role_mapping(promotion).await.unwrap();
        let promoted = project.get_project().await.etag;
        assert_ne!(promoted, first.etag);
        let is_unchanged = async |server: &Server| {
            let project = Project { server, key: "multi" };
            let listed = server.list_projects(wire::ListProjectsRequest::default()).await.unwrap().projects;
            assert_eq!(listed[1], project.get_project().await);
            assert_eq!(listed[1].etag, promoted);
        };
        is_unchanged(server).await;
        let server = &server.restarted().await;
        is_unchanged(server).await;
        server.delete_project(deleting(&promoted)).await.unwrap();
    });
}

#[test]
fn m9_of_concurrent_updates_with_the_same_etag_one_succeeds() {
    on_both(async |server| {
        let project = server.single();
        let etag = project.get_role("Admin").await.unwrap().etag;
        let updates = (0..12).map(|number| {
            let role = wire::Role { description: format!("Number {number}."), ..Default::default() };
            server.update_role(wire::UpdateRoleRequest { etag: etag.clone(), ..project.updating_role("Admin", role) })
        });
        let answers = futures_util::future::join_all(updates).await;
        let (done, stale): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(done.len(), 1);
        for answer in stale {
            refused(answer, "ETAG_MISMATCH");
        }
    });
}
