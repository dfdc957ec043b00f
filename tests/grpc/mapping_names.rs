//! Renaming role mappings: R3.

use rolecall::wire;

use crate::fixture::{Project, texts};
use crate::refusals::refused;
use crate::server::{Server, on_both};

fn renaming(project: Project<'_>, from: &str, to: &str) -> wire::UpdateRoleMappingRequest {
    let role_mapping = wire::RoleMapping { name: to.into(), ..Default::default() };
    wire::UpdateRoleMappingRequest { resource: Some(role_mapping), ..project.updating(from) }
}

async fn rename(project: Project<'_>, from: &str, to: &str) -> wire::RoleMapping {
    project.server.update_role_mapping(renaming(project, from, to)).await.unwrap().role_mapping.unwrap()
}

/// Keeps only these aliases.
fn keeping(project: Project<'_>, name: &str, aliases: &[&str]) -> wire::UpdateRoleMappingRequest {
    wire::UpdateRoleMappingRequest {
        resource: Some(wire::RoleMapping { aliases: texts(aliases), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: texts(&["aliases"]) }),
        ..project.updating(name)
    }
}

#[test]
fn r3_every_request_accepts_the_old_name_of_a_mapping_and_shows_the_new_one() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        project.org("acme", "Paid").await;
        let renamed = rename(project, "Paid", "Business").await;
        assert_eq!((renamed.name.as_str(), &renamed.aliases), ("Business", &texts(&["Paid"])));
        assert_eq!(project.mapping_of("acme").await, "Business");
        old_name_is_accepted(server).await;
        old_name_is_accepted(&server.restarted().await).await;
    });
}

async fn old_name_is_accepted(server: &Server) {
    let project = server.single();
    let read = project.get_mapping("Paid").await;
    assert_eq!((read.name.as_str(), read.aliases.as_slice()), ("Business", &["Paid".to_string()][..]));
    assert_eq!(project.get_mapping("Business").await, read);
    let all = server.list_role_mappings(wire::ListRoleMappingsRequest::default()).await.unwrap().role_mappings;
    assert!(all.contains(&read), "{all:?}");

    let moved = server.subscribe_org(project.moving("acme", "Default")).await.unwrap().subscription.unwrap();
    assert_eq!(moved.role_mapping, "Default");
    let moved = server.subscribe_org(project.moving("acme", "Paid")).await.unwrap().subscription.unwrap();
    assert_eq!(moved.role_mapping, "Business");
    let many = server.batch_subscribe_orgs(project.moving_all(&["acme"], "Paid")).await.unwrap();
    assert_eq!((many.moved, many.unchanged), (0, 1));

    let orgs = wire::ListOrgsRequest { role_mapping: "Paid".into(), ..Default::default() };
    let orgs = server.list_orgs(orgs).await.unwrap().orgs;
    assert_eq!((orgs.len(), orgs[0].role_mapping.as_str()), (1, "Business"));
    let subscriptions = wire::ListSubscriptionsRequest { role_mapping: "Paid".into(), ..Default::default() };
    let subscriptions = server.list_subscriptions(subscriptions).await.unwrap().subscriptions;
    assert_eq!((subscriptions.len(), subscriptions[0].role_mapping.as_str()), (1, "Business"));

    let diff = wire::DiffRoleMappingsRequest { left: "Paid".into(), right: "Business".into(), ..Default::default() };
    assert!(server.diff_role_mappings(diff).await.unwrap().roles.iter().all(|row| row.only_left.is_empty()));
    let copy =
        wire::CreateRoleMappingRequest { duplicate_of: "Paid".into(), name: "Copy".into(), ..Default::default() };
    server.create_role_mapping(copy).await.unwrap();
    server.delete_role_mapping(project.deleting("Copy", "Paid")).await.unwrap();
    let described = wire::RoleMapping { description: "For business.".into(), ..Default::default() };
    let described = wire::UpdateRoleMappingRequest { resource: Some(described), ..project.updating("Paid") };
    assert_eq!(server.update_role_mapping(described).await.unwrap().role_mapping.unwrap().name, "Business");
    let org = wire::CreateOrgRequest { role_mapping: "Paid".into(), validate_only: true, ..Default::default() };
    assert_eq!(server.create_org(org).await.unwrap().org.unwrap().role_mapping, "Business");
    let promoting = wire::PromoteRoleMappingRequest { name: "Paid".into(), validate_only: true, ..Default::default() };
    assert_eq!(server.promote_role_mapping(promoting).await.unwrap().role_mapping.unwrap().name, "Business");
    let role = wire::CreateRoleRequest {
        name: "Clerk".into(),
        disabled_in: texts(&["Paid"]),
        validate_only: true,
        ..Default::default()
    };
    server.create_role(role).await.unwrap();
}

#[test]
fn r3_an_alias_of_a_mapping_cannot_be_used_again_until_it_is_dropped() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        rename(project, "Paid", "Business").await;
        let creating = |name: &str| wire::CreateRoleMappingRequest { name: name.into(), ..Default::default() };
        server
            .storing_nothing(async {
                for name in ["Paid", "PAID", "business"] {
                    let refused =
                        refused(server.create_role_mapping(creating(name)).await, "ROLE_MAPPING_ALREADY_EXISTS");
                    assert!(refused.message.contains("Business") || refused.message.contains("Paid"));
                    let renamed = server.update_role_mapping(renaming(project, "Default", name)).await;
                    crate::refusals::refused(renamed, "ROLE_MAPPING_ALREADY_EXISTS");
                }
                let unknown = server.update_role_mapping(keeping(project, "Business", &["Paid", "Gold"])).await;
                let unknown = refused(unknown, "UNKNOWN_ALIAS");
                assert_eq!((unknown.fields(), unknown.metadata("rule")), (vec!["resource.aliases"], "R3"));
            })
            .await;
        let dropped = server.update_role_mapping(keeping(project, "Business", &[])).await.unwrap();
        assert!(dropped.role_mapping.unwrap().aliases.is_empty());
        let request = wire::GetRoleMappingRequest { name: "Paid".into(), ..Default::default() };
        refused(server.get_role_mapping(request).await, "ROLE_MAPPING_NOT_FOUND");
        refused(server.subscribe_org(project.moving("acme", "Paid")).await, "ORG_NOT_FOUND");
        project.mapping("Paid").await;
        assert!(project.get_mapping("Paid").await.aliases.is_empty());
    });
}

#[test]
fn r3_a_mapping_can_be_renamed_back_to_an_alias() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("A").await;
        rename(project, "A", "B").await;
        let third = rename(project, "A", "C").await;
        assert_eq!((third.name.as_str(), third.aliases), ("C", texts(&["A", "B"])));
        // Renaming back to an alias makes the other names aliases.
        let back = rename(project, "B", "A").await;
        assert_eq!((back.name.as_str(), back.aliases), ("A", texts(&["B", "C"])));
        // Only the case differs.
        let small = rename(project, "A", "a").await;
        assert_eq!((small.name.as_str(), small.aliases), ("a", texts(&["B", "C", "A"])));
        // Renaming to the current name changes nothing.
        let same = server.storing_nothing(server.update_role_mapping(renaming(project, "A", "a"))).await;
        assert_eq!(same.unwrap().role_mapping.unwrap().name, "a");
        let server = server.restarted().await;
        let project = server.single();
        for name in ["a", "A", "B", "C"] {
            assert_eq!(project.get_mapping(name).await.aliases, texts(&["B", "C", "A"]));
        }
        let one = server.update_role_mapping(keeping(project, "a", &["C"])).await.unwrap().role_mapping.unwrap();
        assert_eq!(one.aliases, ["C"]);
        assert_eq!(project.get_mapping("C").await, one);
    });
}

#[test]
fn r3_an_update_changes_the_masked_fields_or_else_those_that_are_not_empty() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        let update = |mask: Option<&[&str]>, name: &str, description: &str| wire::UpdateRoleMappingRequest {
            resource: Some(wire::RoleMapping {
                name: name.into(),
                description: description.into(),
                ..Default::default()
            }),
            update_mask: mask.map(|paths| prost_types::FieldMask { paths: texts(paths) }),
            ..project.updating("Paid")
        };
        let updated = async |request| server.update_role_mapping(request).await.unwrap().role_mapping.unwrap();
        let both = updated(update(None, "Business", "For business.")).await;
        assert_eq!((both.name.as_str(), both.description.as_str()), ("Business", "For business."));
        let kept = updated(update(Some(&[]), "", "For everyone.")).await;
        assert_eq!((kept.name.as_str(), kept.description.as_str()), ("Business", "For everyone."));
        let emptied = updated(update(Some(&["description"]), "Ignored", "")).await;
        assert_eq!((emptied.name.as_str(), emptied.description.as_str()), ("Business", ""));
        let unnamed = server.update_role_mapping(update(Some(&["name"]), "", "")).await;
        assert_eq!(refused(unnamed, "INVALID_FIELD").fields(), ["resource.name"]);
        let nothing = wire::UpdateRoleMappingRequest { ..project.updating("Paid") };
        server.storing_nothing(server.update_role_mapping(nothing)).await.unwrap();
    });
}
