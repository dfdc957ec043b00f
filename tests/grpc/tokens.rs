//! A page token is valid only for the org, project and order that it was issued for (B4, S5, R6). It reveals no internal
//! roles (I2).

use rolecall::wire::{self, Environment};

use crate::fixture::{Project, roles, texts};
use crate::refusals::refused;
use crate::server::{Server, on_both};

async fn members(server: &Server, project: &str, page_token: &str) -> Result<wire::ListMembersResponse, tonic::Status> {
    let request = wire::ListMembersRequest {
        project: project.into(),
        org_id: "acme".into(),
        page_size: 1,
        page_token: page_token.into(),
        ..Default::default()
    };
    server.list_members(request).await
}

async fn listed_roles(server: &Server, page_token: &str) -> Result<wire::ListRolesResponse, tonic::Status> {
    let request = wire::ListRolesRequest { page_size: 2, page_token: page_token.into(), ..Default::default() };
    server.list_roles(request).await
}

async fn fill(project: Project<'_>, reuse_deleted_id: bool, users: &[&str]) {
    let request = wire::CreateOrgRequest {
        project: project.key.into(),
        org_id: "acme".into(),
        reuse_deleted_id,
        ..Default::default()
    };
    project.server.create_org(request).await.unwrap();
    for user in users {
        project.add("acme", user, &roles(&["Member"])).await;
    }
}

#[test]
fn s5_a_page_token_of_a_deleted_org_is_invalid_after_its_id_is_reused() {
    on_both(async |server| {
        let project = server.single();
        fill(project, false, &["ann", "bob", "cid"]).await;
        let first = members(server, "", "").await.unwrap();
        assert_eq!(members(server, "", &first.next_page_token).await.unwrap().members[0].user_id, "bob");
        server.delete_org(wire::DeleteOrgRequest { org_id: "acme".into(), ..Default::default() }).await.unwrap();
        refused(members(server, "", &first.next_page_token).await, "ORG_NOT_FOUND");
        fill(project, true, &["eve", "zoe"]).await;
        refused(members(server, "", &first.next_page_token).await, "PAGE_TOKEN_INVALID");
        assert_eq!(members(server, "", "").await.unwrap().members[0].user_id, "eve");
    });
}

#[test]
fn s5_a_page_token_of_a_deleted_project_is_invalid_after_its_key_is_reused() {
    on_both(async |server| {
        let project = server.multi().await;
        fill(project, false, &["ann", "bob"]).await;
        let first = members(server, "multi", "").await.unwrap();
        let delete = wire::DeleteProjectRequest {
            project: "multi".into(),
            confirm: "multi".into(),
            force: true,
            ..Default::default()
        };
        server.delete_project(delete).await.unwrap();
        let create = wire::CreateProjectRequest {
            key: "multi".into(),
            environment: Environment::Test.into(),
            reuse_deleted_key: true,
            ..Default::default()
        };
        server.create_project(create).await.unwrap();
        fill(project, false, &["eve", "zoe"]).await;
        refused(members(server, "multi", &first.next_page_token).await, "PAGE_TOKEN_INVALID");
    });
}

#[test]
fn r6_a_list_of_roles_continues_after_additions_and_deletions_but_not_after_reordering() {
    on_both(async |server| {
        let project = server.single();
        project.role("Clerk").await;
        let first = listed_roles(server, "").await.unwrap();
        project.role("Guest").await;
        let delete = wire::DeleteRoleRequest { name: "Admin".into(), ..Default::default() };
        server.delete_role(delete).await.unwrap();
        let names = |page: &wire::ListRolesResponse| -> Vec<String> {
            page.roles.iter().map(|role| role.name.clone()).collect()
        };
        let second = listed_roles(server, &first.next_page_token).await.unwrap();
        assert_eq!((names(&first), names(&second)), (texts(&["Owner", "Admin"]), texts(&["Member", "Clerk"])));
        let reorder = wire::ReorderRolesRequest {
            role_order: texts(&["Guest", "Owner", "Clerk", "Member"]),
            ..Default::default()
        };
        server.reorder_roles(reorder).await.unwrap();
        refused(listed_roles(server, &second.next_page_token).await, "PAGE_TOKEN_INVALID");
        refused(listed_roles(server, &first.next_page_token).await, "PAGE_TOKEN_INVALID");
    });
}

#[test]
fn r3_a_page_token_is_invalid_after_its_name_is_used_again() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        project.role("Clerk").await;
        fill(project, false, &[]).await;
        for user in ["ann", "bob"] {
            project.add("acme", user, &roles(&["Clerk"])).await;
        }
        let rows = async |page_token: &str| {
            let request = wire::ListRoleMappingRolesRequest {
                page_size: 1,
                page_token: page_token.into(),
                ..project.asking_rows("Paid", &[])
            };
            server.list_role_mapping_roles(request).await.map(|page| page.next_page_token)
        };
        let clerks = async |page_token: &str| {
            let request = wire::ListMembersRequest {
                org_id: "acme".into(),
                role: "Clerk".into(),
                page_size: 1,
                page_token: page_token.into(),
                ..Default::default()
            };
            server.list_members(request).await.map(|page| page.next_page_token)
        };
        let (paid, clerk) = (rows("").await.unwrap(), clerks("").await.unwrap());
        rows(&paid).await.unwrap();
        clerks(&clerk).await.unwrap();
        let delete = wire::DeleteRoleMappingRequest { name: "Paid".into(), ..Default::default() };
        server.delete_role_mapping(delete).await.unwrap();
        project.mapping("Paid").await;
        refused(rows(&paid).await, "PAGE_TOKEN_INVALID");
        server.delete_role(wire::DeleteRoleRequest { name: "Clerk".into(), ..Default::default() }).await.unwrap();
        project.role("Clerk").await;
        project.set("acme", "bob", &roles(&["Clerk"])).await;
        refused(clerks(&clerk).await, "PAGE_TOKEN_INVALID");
    });
}

/// In acme olga is an Owner and mia a Member. Support and Phantom are internal. Ghost is an alias of Phantom, and Clerk of
/// Seller.
async fn staffed(project: Project<'_>) -> Project<'_> {
    for name in ["Support", "Ghost"] {
        project.internal_role(name).await;
    }
    project.role("Clerk").await;
    project.rename_role("Ghost", "Phantom").await;
    project.rename_role("Clerk", "Seller").await;
    project
        .server
        .reorder_roles(project.reordering(&["Support", "Owner", "Admin", "Phantom", "Member", "Seller"]))
        .await
        .unwrap();
    project.org_with_owner("acme", "olga").await;
    project.add_all("acme", &["mia"], &["Member"]).await;
    project
}

#[test]
fn i2_a_forged_page_token_reveals_no_internal_roles() {
    on_both(async |server| {
        for project in [server.single(), server.multi().await] {
            let project = staffed(project).await;
            let hidden = ["Nothing", "Support", "Phantom", "Ghost", ""];
            for last in hidden {
                for user in ["olga", "mia"] {
                    refused(project.roles_after(user, "acme", last).await, "PAGE_TOKEN_INVALID");
                    for target in ["", user, "nobody"] {
                        let asked = project.manageable_after((user, "acme", target), last).await;
                        refused(asked, "PAGE_TOKEN_INVALID");
                    }
                }
            }
            // A user without access does not even learn whether the name exists.
            for last in hidden.into_iter().chain(["Owner", "Seller", "Clerk"]).filter(|last| !last.is_empty()) {
                refused(project.roles_after("nobody", "acme", last).await, "VIEWER_NOT_A_MEMBER");
                refused(project.roles_after("olga", "nowhere", last).await, "ORG_NOT_FOUND");
                let asked = project.manageable_after(("nobody", "acme", "mia"), last).await;
                refused(asked, "ACTING_USER_NOT_A_MEMBER");
                refused(project.manageable_after(("olga", "nowhere", ""), last).await, "ORG_NOT_FOUND");
            }
            // Visible roles may be named, also by an alias.
            for (last, next) in [("Owner", &["Admin", "Member"][..]), ("Member", &["Seller"]), ("Clerk", &[])] {
                assert_eq!(project.roles_after("mia", "acme", last).await.unwrap(), next);
                assert_eq!(project.manageable_after(("olga", "acme", "mia"), last).await.unwrap(), next);
            }
        }
    });
}

#[test]
fn i2_a_list_for_an_end_user_continues_after_changes_of_internal_roles() {
    on_both(async |server| {
        for project in [server.single(), server.multi().await] {
            let project = staffed(project).await;
            let ask = ("olga", "acme", "mia");
            let tokens = async || {
                let roles = project.roles_for("olga", "acme", 1, "").await.unwrap().next_page_token;
                (roles, project.manageable_page(ask, 1, "").await.unwrap().next_page_token)
            };
            let (roles, manageable) = tokens().await;
            let continues = async |what: &str| {
                let page = project.roles_for("olga", "acme", 1, &roles).await.expect(what);
                assert_eq!((page.roles[0].name.as_str(), page.roles[0].position), ("Admin", 2), "{what}");
                let page = project.manageable_page(ask, 1, &manageable).await.expect(what);
                assert_eq!(page.roles[0].role, "Admin", "{what}");
            };
            continues("no change").await;
            let order = ["Owner", "Support", "Admin", "Member", "Seller", "Phantom"];
            server.reorder_roles(project.reordering(&order)).await.unwrap();
            continues("internal roles in another order").await;
            let spy = wire::CreateRoleRequest {
                internal: true,
                placement: Some(wire::create_role_request::Placement::Above("Admin".into())),
                ..project.creating_role("Spy")
            };
            server.create_role(spy).await.unwrap();
            continues("a new internal role").await;
            project.delete_role("Support", "").await;
            continues("a deleted internal role").await;
            project.rename_role("Seller", "Clerk").await;
            continues("a renamed role").await;

            let becomes_invalid = async |(roles, manageable): (String, String)| {
                refused(project.roles_for("olga", "acme", 1, &roles).await, "PAGE_TOKEN_INVALID");
                refused(project.manageable_page(ask, 1, &manageable).await, "PAGE_TOKEN_INVALID");
            };
            let before = tokens().await;
            let order = ["Owner", "Spy", "Admin", "Clerk", "Member", "Phantom"];
            server.reorder_roles(project.reordering(&order)).await.unwrap();
            becomes_invalid(before).await;
            let before = tokens().await;
            project.role("Guest").await;
            becomes_invalid(before).await;
            let before = tokens().await;
            project.delete_role("Guest", "").await;
            becomes_invalid(before).await;
        }
    });
}
