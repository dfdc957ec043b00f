//! Deleting role mappings: M5, M6.

use rolecall::wire::{self, Decision};

use crate::fixture::roles;
use crate::refusals::refused;
use crate::server::on_both;

#[test]
fn m5_default_mapping_cannot_be_deleted() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        project.org("acme", "").await;
        server
            .storing_nothing(async {
                for to in ["", "Paid"] {
                    let refused = refused(
                        server.delete_role_mapping(project.deleting("Default", to)).await,
                        "DEFAULT_ROLE_MAPPING",
                    );
                    assert_eq!(refused.subjects(), ["role_mappings/Default"]);
                    assert_eq!(refused.metadata("rule"), "M5");
                }
            })
            .await;
        let promoting = wire::PromoteRoleMappingRequest { name: "Paid".into(), ..Default::default() };
        server.promote_role_mapping(promoting).await.unwrap();
        let deleted = server.delete_role_mapping(project.deleting("Default", "Paid")).await.unwrap();
        assert_eq!(deleted.moved_orgs, 1);
        assert_eq!(project.mappings().await, [("Paid".to_string(), true)]);
        refused(server.delete_role_mapping(project.deleting("Paid", "")).await, "DEFAULT_ROLE_MAPPING");
    });
}

#[test]
fn m6_subscribers_need_another_mapping_and_are_moved_in_one_commit() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        for mapping in ["Free", "Paid"] {
            project.mapping(mapping).await;
        }
        project.grant("Free", "Member", &["p"]).await;
        for org in ["a", "b", "c"] {
            project.org(org, "Paid").await;
        }
        project.org("d", "").await;
        project.add("a", "ann", &[]).await;
        assert_eq!(project.check("a", "ann", "p").await, Decision::MissingPermission);
        server
            .storing_nothing(async {
                let unnamed = server.delete_role_mapping(project.deleting("Paid", "")).await;
                let unnamed = refused(unnamed, "ROLE_MAPPING_IN_USE");
                assert_eq!(unnamed.subjects(), ["role_mappings/Paid"]);
                assert_eq!((unnamed.metadata("rule"), unnamed.metadata("orgs")), ("M6", "3"));
                let itself = server.delete_role_mapping(project.deleting("Paid", "Paid")).await;
                assert_eq!(refused(itself, "CONTRADICTION").fields(), ["move_subscribers_to"]);
                let unknown = server.delete_role_mapping(project.deleting("Paid", "Gold")).await;
                assert_eq!(refused(unknown, "ROLE_MAPPING_NOT_FOUND").resource().1, "Gold");
            })
            .await;
        let before = server.head().await;
        let deleted = server.delete_role_mapping(project.deleting("Paid", "Free")).await.unwrap();
        assert_eq!((deleted.moved_orgs, server.head().await.number), (3, before.number + 1));
        let everywhere = async |server: &crate::server::Server| {
            let project = server.single();
            for (org, mapping) in [("a", "Free"), ("b", "Free"), ("c", "Free"), ("d", "Default")] {
                assert_eq!(project.mapping_of(org).await, mapping, "{org}");
            }
            assert_eq!(project.check("a", "ann", "p").await, Decision::Allowed);
            assert_eq!(project.get_mapping("Free").await.subscriber_count, 3);
        };
        everywhere(server).await;
        everywhere(&server.restarted().await).await;
    });
}

#[test]
fn m6_a_mapping_without_subscribers_is_deleted_and_its_name_inherits_nothing() {
    on_both(async |server| {
        let project = server.single();
        project.permission("p").await;
        project.mapping("Paid").await;
        project.grant("Paid", "Admin", &["p"]).await;
        project.disable("Paid", &["Admin"]).await;
        let old = project.get_mapping("Paid").await;
        project.org("acme", "Paid").await;
        server.subscribe_org(project.moving("acme", "Default")).await.unwrap();
        assert_eq!(server.delete_role_mapping(project.deleting("Paid", "")).await.unwrap().moved_orgs, 0);
        let request = wire::GetRoleMappingRequest { name: "Paid".into(), ..Default::default() };
        refused(server.get_role_mapping(request).await, "ROLE_MAPPING_NOT_FOUND");
        refused(server.subscribe_org(project.moving("acme", "Paid")).await, "ROLE_MAPPING_NOT_FOUND");
        refused(server.delete_role_mapping(project.deleting("Paid", "")).await, "ROLE_MAPPING_NOT_FOUND");
        let new = project.mapping("Paid").await;
        assert_eq!((new.grant_count, new.disabled_roles.len(), new.subscriber_count), (0, 0, 0));
        assert_ne!(new.etag, old.etag, "the etag of the deleted mapping is not valid for the new one");
        // `move_subscribers_to` is accepted without subscribers.
        assert_eq!(server.delete_role_mapping(project.deleting("Paid", "Default")).await.unwrap().moved_orgs, 0);
    });
}

#[test]
fn m6_a_deleted_org_does_not_count_as_a_subscriber() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        project.org("acme", "Paid").await;
        project.add("acme", "ann", &roles(&["Owner"])).await;
        project.delete_org("acme").await;
        assert_eq!(project.get_mapping("Paid").await.subscriber_count, 0);
        assert_eq!(server.delete_role_mapping(project.deleting("Paid", "")).await.unwrap().moved_orgs, 0);
        let server = server.restarted().await;
        let again = wire::CreateOrgRequest { org_id: "acme".into(), ..Default::default() };
        refused(server.create_org(again.clone()).await, "ORG_ID_RETIRED");
        let again = wire::CreateOrgRequest { reuse_deleted_id: true, ..again };
        assert_eq!(server.create_org(again).await.unwrap().org.unwrap().role_mapping, "Default");
    });
}
