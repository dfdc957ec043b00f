//! Many roles with their grants in one call: R2, P7.

use rolecall::limits::Limits;
use rolecall::wire::{self, Decision};

use crate::fixture::{Project, roles, texts};
use crate::refusals::refused;
use crate::server::{on_both, on_both_with};

fn spec(name: &str, grants: &[(&str, &[&str])]) -> wire::RoleSpec {
    let grants = grants.iter().map(|(role_mapping, permissions)| wire::RoleSpecGrants {
        role_mapping: role_mapping.to_string(),
        permissions: texts(permissions),
    });
    wire::RoleSpec { name: name.into(), grants: grants.collect(), ..Default::default() }
}

fn batch(project: Project<'_>, roles: Vec<wire::RoleSpec>) -> wire::BatchCreateRolesRequest {
    wire::BatchCreateRolesRequest { project: project.key.into(), roles, ..Default::default() }
}

#[test]
fn r2_a_batch_creates_roles_below_all_others_with_their_grants() {
    on_both(async |server| {
        let project = server.multi().await;
        for name in ["read", "write"] {
            project.permission(name).await;
        }
        project.mapping("Paid").await;
        let etags = [project.get_mapping("Default").await.etag, project.get_mapping("Paid").await.etag];
        let first = wire::RoleSpec {
            description: "Edits.".into(),
            disabled_in: texts(&["Default"]),
            manages: texts(&["Member", "Editor"]),
            ..spec("Editor", &[("Paid", &["read", "write"]), ("Default", &["read"]), ("Paid", &["read"])])
        };
        let second = wire::RoleSpec { internal: true, manages: texts(&["Editor"]), ..spec("Support", &[]) };
        let third = spec("Reader", &[("Default", &["read"])]);
        let preview = wire::BatchCreateRolesRequest {
            validate_only: true,
            ..batch(project, vec![first.clone(), second.clone(), third.clone()])
        };
        let preview = server.storing_nothing(server.batch_create_roles(preview)).await.unwrap();
        let created = server.batch_create_roles(batch(project, vec![first, second, third])).await.unwrap();
        assert_eq!((created.created, preview.created), (3, 3));
        assert_eq!(created.impact, preview.impact);
        assert_eq!(created.impact.unwrap().grants_gained.unwrap().total, 4);
        assert_eq!(project.role_order().await, ["Owner", "Admin", "Member", "Editor", "Support", "Reader"]);
        assert_eq!(project.row("Paid", "Editor").await, ["read", "write"]);
        assert_eq!(project.row("Default", "Editor").await, ["read"]);
        assert_eq!(project.row("Default", "Reader").await, ["read"]);
        assert!(project.row("Paid", "Reader").await.is_empty());
        assert_eq!(project.get_mapping("Default").await.disabled_roles, ["Editor"]);
        assert_eq!(project.manages("Editor").await, ["Member", "Editor"]);
        assert_eq!(project.manages("Support").await, ["Editor"]);
        assert_ne!(etags, [project.get_mapping("Default").await.etag, project.get_mapping("Paid").await.etag]);
        project.org("acme", "").await;
        project.add("acme", "ann", &roles(&["Reader"])).await;
        assert_eq!(project.check("acme", "ann", "read").await, Decision::Allowed);
        let restarted = server.restarted().await;
        let project = Project { server: &restarted, key: project.key };
        assert_eq!(project.row("Paid", "Editor").await, ["read", "write"]);
        assert_eq!(project.check("acme", "ann", "read").await, Decision::Allowed);
    });
}

#[test]
fn r2_a_batch_of_roles_is_created_whole_or_not_at_all() {
    on_both(async |server| {
        let project = server.single();
        server
            .storing_nothing(async {
                let rows = vec![
                    spec("New", &[]),
                    spec("owner", &[]),
                    spec("NEW", &[]),
                    wire::RoleSpec { manages: texts(&["New"]), ..spec("Boss", &[]) },
                ];
                let answer = refused(server.batch_create_roles(batch(project, rows)).await, "ROLE_ALREADY_EXISTS");
                assert_eq!(answer.metadata("rows"), "1,2,3");
                for (row, reason) in [
                    (spec("One", &[("Nowhere", &[])]), "ROLE_MAPPING_NOT_FOUND"),
                    (spec("One", &[("Default", &["nothing"])]), "PERMISSION_NOT_FOUND"),
                    (wire::RoleSpec { disabled_in: texts(&["Nowhere"]), ..spec("One", &[]) }, "ROLE_MAPPING_NOT_FOUND"),
                    (wire::RoleSpec { manages: texts(&["One"]), ..spec("One", &[]) }, "WRONG_ROLE_STRUCTURE"),
                    (spec(" One", &[]), "INVALID_FIELD"),
                ] {
                    refused(server.batch_create_roles(batch(project, vec![spec("Zero", &[]), row])).await, reason);
                }
                refused(server.batch_create_roles(batch(project, vec![])).await, "INVALID_FIELD");
            })
            .await;
    });
}

#[test]
fn p7_a_batch_of_roles_is_limited() {
    let limits = Limits { roles: 5, grants: 18, bulk_rows: 3, managed_roles: 5, ..Limits::default() };
    on_both_with(limits, async |server| {
        let project = server.multi().await;
        let names = |names: &[&str]| names.iter().map(|name| spec(name, &[])).collect::<Vec<_>>();
        let grants: (&str, &[&str]) = ("Default", &["rolecall::can_invite", "rolecall::can_setup_sso"]);
        let managing = wire::RoleSpec { manages: texts(&["Owner", "A"]), ..spec("A", &[]) };
        server
            .storing_nothing(async {
                refused(server.batch_create_roles(batch(project, names(&["A", "B", "C"]))).await, "LIMIT_EXCEEDED");
                refused(server.batch_create_roles(batch(project, names(&["A", "B", "C", "D"]))).await, "TOO_MANY_ROWS");
                refused(server.batch_create_roles(batch(project, vec![spec("A", &[grants])])).await, "LIMIT_EXCEEDED");
                refused(server.batch_create_roles(batch(project, vec![managing])).await, "LIMIT_EXCEEDED");
            })
            .await;
        server.batch_create_roles(batch(project, names(&["A", "B"]))).await.unwrap();
    });
}
