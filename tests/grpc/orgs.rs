//! Orgs and subscriptions: S1, S2, S5.

use rolecall::wire::{self, subscribe_org_request::Target};

use crate::refusals::refused;
use crate::server::on_both;

#[test]
fn s1_a_new_org_is_subscribed_to_the_named_mapping_or_else_to_the_current_default() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        assert_eq!(project.org("first", "").await.role_mapping, "Default");
        assert_eq!(project.org("second", "Paid").await.role_mapping, "Paid");
        let request = wire::PromoteRoleMappingRequest { name: "Paid".into(), ..Default::default() };
        server.promote_role_mapping(request).await.unwrap();
        assert_eq!(project.org("third", "").await.role_mapping, "Paid");
        assert_eq!(project.org("fourth", "Default").await.role_mapping, "Default");
        for (org, mapping) in [("first", "Default"), ("second", "Paid"), ("third", "Paid"), ("fourth", "Default")] {
            assert_eq!(project.mapping_of(org).await, mapping, "{org}");
        }
        let unknown = wire::CreateOrgRequest { role_mapping: "Gold".into(), ..Default::default() };
        let refused = refused(server.storing_nothing(server.create_org(unknown)).await, "ROLE_MAPPING_NOT_FOUND");
        assert_eq!(refused.resource(), ("rolecall.v1.RoleMapping", "Gold"));
    });
}

#[test]
fn s2_an_org_is_moved_and_moved_back_and_a_move_to_its_own_mapping_changes_nothing() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        project.org("acme", "").await;
        let moving =
            |target| wire::SubscribeOrgRequest { org_id: "acme".into(), target: Some(target), ..Default::default() };
        let moved = server.subscribe_org(moving(Target::RoleMapping("Paid".into()))).await.unwrap();
        assert_eq!(moved.subscription.unwrap().role_mapping, "Paid");
        let again = server.storing_nothing(server.subscribe_org(moving(Target::RoleMapping("Paid".into())))).await;
        assert_eq!(again.unwrap().revision, moved.revision);
        server.subscribe_org(moving(Target::ToDefault(true))).await.unwrap();
        assert_eq!(project.mapping_of("acme").await, "Default");
        let request = wire::GetOrgRequest { org_id: "acme".into(), ..Default::default() };
        assert_eq!(server.get_org(request).await.unwrap().org.unwrap().role_mapping, "Default");
    });
}

#[test]
fn s5_an_org_keeps_the_id_of_the_caller_byte_for_byte() {
    on_both(async |server| {
        let project = server.single();
        let ids = ["acme", "ACME", "Zürich", "Zu\u{308}rich", "a@b.example/ß?#", "018f-\u{200b}x", "+", "日本"];
        for id in ids {
            assert_eq!(project.org(id, "").await.org_id, id);
        }
        for id in ids {
            let request = wire::GetOrgRequest { org_id: id.into(), ..Default::default() };
            assert_eq!(server.get_org(request).await.unwrap().org.unwrap().org_id, id);
            let request = wire::CreateOrgRequest { org_id: id.into(), ..Default::default() };
            let refused = refused(server.storing_nothing(server.create_org(request)).await, "ORG_ALREADY_EXISTS");
            assert_eq!(refused.resource(), ("rolecall.v1.Org", id));
        }
        let request = wire::GetOrgRequest { org_id: "Acme".into(), ..Default::default() };
        refused(server.get_org(request).await, "ORG_NOT_FOUND");
    });
}

#[test]
fn s5_an_org_without_an_id_gets_a_new_uuid_of_version_7() {
    on_both(async |server| {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(server.create_org(wire::CreateOrgRequest::default()).await.unwrap().org.unwrap().org_id);
        }
        for id in &ids {
            let uuid = uuid::Uuid::parse_str(id).unwrap();
            assert_eq!((uuid.get_version_num(), uuid.to_string()), (7, id.clone()));
        }
        assert!(ids.is_sorted(), "ids are in order of time: {ids:?}");
        assert!(ids[0] != ids[1] && ids[1] != ids[2]);
    });
}

#[test]
fn s5_an_org_has_a_display_name_and_up_to_4_kib_of_metadata() {
    on_both(async |server| {
        let metadata = format!("{{\"note\": \"{}\"}}\n\t", "ä".repeat(2_040));
        let request = |metadata: &str| wire::CreateOrgRequest {
            org_id: "acme".into(),
            display_name: "Acme & Söhne".into(),
            metadata: metadata.into(),
            ..Default::default()
        };
        let too_long = format!("{metadata}{}", "x".repeat(4_097 - metadata.len()));
        let refused = refused(server.storing_nothing(server.create_org(request(&too_long))).await, "INVALID_FIELD");
        assert_eq!(refused.fields(), ["metadata"]);
        let longest = &too_long[..4_096];
        let created = server.create_org(request(longest)).await.unwrap().org.unwrap();
        assert_eq!((created.display_name.as_str(), created.metadata.as_str()), ("Acme & Söhne", longest));
        let server = server.restarted().await;
        let read = server.get_org(wire::GetOrgRequest { org_id: "acme".into(), ..Default::default() }).await;
        assert_eq!(read.unwrap().org.unwrap(), created);
    });
}
