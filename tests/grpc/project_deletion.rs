//! Deleting projects: P6, and S5 of their keys.

use rolecall::wire::{self, Environment};

use crate::contract::{Contract, requests, shop};
use crate::fixture::{Project, roles};
use crate::refusals::refused;
use crate::server::{Server, on_both};

fn creating(key: &str) -> wire::CreateProjectRequest {
    wire::CreateProjectRequest { key: key.into(), environment: Environment::Test.into(), ..Default::default() }
}

async fn keys(server: &Server) -> Vec<String> {
    let projects = server.list_projects(wire::ListProjectsRequest::default()).await.unwrap().projects;
    projects.into_iter().map(|project| project.key).collect()
}

#[test]
fn p6_the_key_must_be_repeated_and_orgs_need_force() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org("acme", "").await;
        project.org("globex", "").await;
        server
            .storing_nothing(async {
                for confirm in ["", "default", "MULTI", "multi "] {
                    for force in [false, true] {
                        let request =
                            wire::DeleteProjectRequest { confirm: confirm.into(), ..project.deleting_project(force) };
                        let refused = refused(server.delete_project(request).await, "NOT_CONFIRMED");
                        assert_eq!(refused.fields(), ["confirm"]);
                    }
                }
                let refused = refused(server.delete_project(project.deleting_project(false)).await, "PROJECT_HAS_ORGS");
                assert_eq!((refused.subjects(), refused.metadata("orgs")), (vec!["projects/multi"], "2"));
            })
            .await;
        assert_eq!(server.delete_project(project.deleting_project(true)).await.unwrap().deleted_orgs, 2);
        assert_eq!(keys(server).await, ["default", "workspace"]);
    });
}

#[test]
fn p6_a_project_without_orgs_is_deleted_without_force() {
    on_both(async |server| {
        let project = server.multi().await;
        project.permission("p").await;
        let answer = server.delete_project(project.deleting_project(false)).await.unwrap();
        assert_eq!((answer.deleted_orgs, answer.replayed), (0, false));
    });
}

#[test]
fn p6_default_and_workspace_cannot_be_deleted() {
    on_both(async |server| {
        server
            .storing_nothing(async {
                let default = Project { server, key: "default" };
                let refused_default =
                    refused(server.delete_project(default.deleting_project(true)).await, "PROJECT_PERMANENT");
                assert_eq!(refused_default.subjects(), ["projects/default"]);
                // Here an empty key does not mean `default`.
                let unnamed = wire::DeleteProjectRequest { confirm: "default".into(), ..Default::default() };
                assert_eq!(refused(server.delete_project(unnamed).await, "INVALID_FIELD").fields(), ["project"]);
                let workspace = Project { server, key: "workspace" };
                refused(server.delete_project(workspace.deleting_project(true)).await, "PROJECT_PERMANENT");
            })
            .await;
    });
}

/// Replaces the project key, field 1 of an encoded request. Returns `None` if the request has none.
fn with_project(project: &[u8; 7], request: &[u8]) -> Option<Vec<u8>> {
    let rest = request.strip_prefix(b"\x0a\x07default").or_else(|| request.strip_prefix(b"\x0a\x08deserted"))?;
    Some([b"\x0a\x07", &project[..], rest].concat())
}

#[test]
fn p6_nothing_in_a_deleted_project_can_be_reached() {
    let contract = Contract::read();
    on_both(async |server| {
        shop(server).await;
        server.create_project(creating("retired")).await.unwrap();
        let project = Project { server, key: "retired" };
        project.permission("invoices.view").await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Owner"])).await;
        server.delete_project(project.deleting_project(true)).await.unwrap();
        nothing_is_reached(server, &contract).await;
        let server = server.restarted().await;
        nothing_is_reached(&server, &contract).await;
    });
}

async fn nothing_is_reached(server: &Server, contract: &Contract) {
    let raw = server.raw().await;
    let mut called = std::collections::BTreeSet::new();
    for (method, request) in requests(server).await {
        let Some(request) = with_project(b"retired", &request) else { continue };
        // The events of a deleted project remain (A2).
        if method.ends_with("/DeleteProject") || method.ends_with("/ListEvents") {
            continue;
        }
        println!("{method}");
        let answer = refused(raw.call(method, &request).await, "PROJECT_NOT_FOUND");
        assert_eq!(answer.resource(), ("rolecall.v1.Project", "retired"));
        called.insert(method.to_string());
    }
    let in_projects = contract.methods.iter().filter(|method| {
        // DeleteProject needs a matching `confirm` and is called below.
        !method.path.ends_with("/DeleteProject")
            && !method.path.ends_with("/ListEvents")
            && contract.fields(&method.request).unwrap().iter().any(|field| field.name() == "project")
    });
    assert_eq!(called, in_projects.map(|method| method.path.clone()).collect());
    let retired = Project { server, key: "retired" };
    refused(server.delete_project(retired.deleting_project(true)).await, "PROJECT_NOT_FOUND");
    assert!(!keys(server).await.contains(&"retired".to_string()));
}

#[test]
fn p6_the_key_of_a_deleted_project_is_retired_unless_the_request_reuses_it() {
    on_both(async |server| {
        let project = server.multi().await;
        project.permission("p").await;
        project.role("Clerk").await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Owner"])).await;
        let old = project.get_project().await;
        let reusing = || wire::CreateProjectRequest { reuse_deleted_key: true, ..creating("multi") };
        // The flag has no effect on a key that is in use or was never used.
        refused(server.storing_nothing(server.create_project(reusing())).await, "PROJECT_ALREADY_EXISTS");
        let fresh = wire::CreateProjectRequest { reuse_deleted_key: true, ..creating("fresh") };
        server.create_project(fresh).await.unwrap();

        server.delete_project(project.deleting_project(true)).await.unwrap();
        let retired_key = refused(server.create_project(creating("multi")).await, "PROJECT_KEY_RETIRED");
        assert_eq!(retired_key.resource(), ("rolecall.v1.Project", "multi"));
        let server = &server.restarted().await;
        refused(server.create_project(creating("multi")).await, "PROJECT_KEY_RETIRED");

        let new = server.create_project(reusing()).await.unwrap().project.unwrap();
        assert_eq!(new.role_structure(), wire::RoleStructure::SingleRole);
        assert_ne!(new.etag, old.etag, "the etag of the deleted project is not valid for the new one");
        let project = Project { server, key: "multi" };
        refused(project.get_permission("p").await, "PERMISSION_NOT_FOUND");
        assert_eq!(project.role_order().await, ["Owner", "Admin", "Member"]);
        refused(project.member("acme", "ann").await, "ORG_NOT_FOUND");
        project.org("acme", "").await;
        let decision = project.check("acme", "ann", "rolecall::can_invite").await;
        assert_eq!(decision, wire::Decision::NotAMember);

        // The key can be retired and reused again.
        server.delete_project(project.deleting_project(true)).await.unwrap();
        refused(server.create_project(creating("multi")).await, "PROJECT_KEY_RETIRED");
        server.create_project(reusing()).await.unwrap();
        assert_eq!(keys(server).await, ["default", "fresh", "multi", "workspace"]);
    });
}

#[test]
fn p6_checks_during_a_deletion_see_the_whole_project_or_none() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Owner"])).await;
        let asking = project.asking("acme", "ann", "rolecall::can_invite");
        let checks = async {
            loop {
                match server.check(asking.clone()).await {
                    Ok(answer) => assert_eq!(answer.decision(), wire::Decision::Allowed),
                    Err(status) => {
                        crate::refusals::explained(&status, "PROJECT_NOT_FOUND");
                        break;
                    }
                }
            }
        };
        let deletion = server.delete_project(project.deleting_project(true));
        let (_, deleted) = tokio::join!(checks, deletion);
        assert_eq!(deleted.unwrap().deleted_orgs, 1);
    });
}
