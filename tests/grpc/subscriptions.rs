//! Subscriptions: S2, S3.

use rolecall::wire::{self, batch_subscribe_orgs_request, subscribe_org_request};

use crate::fixture::Project;
use crate::refusals::refused;
use crate::server::{Server, on_both};

fn to_default(org_ids: &[&str]) -> wire::BatchSubscribeOrgsRequest {
    wire::BatchSubscribeOrgsRequest {
        org_ids: org_ids.iter().map(|id| id.to_string()).collect(),
        target: Some(batch_subscribe_orgs_request::Target::ToDefault(true)),
        ..Default::default()
    }
}

/// Returns the subscriptions to a mapping, or all if it is empty, from all pages.
async fn listed(server: &Server, role_mapping: &str, page_size: i32) -> Vec<(String, String)> {
    let (mut rows, mut page_token) = (Vec::new(), String::new());
    loop {
        let role_mapping = role_mapping.into();
        let request = wire::ListSubscriptionsRequest { role_mapping, page_size, page_token, ..Default::default() };
        let page = server.list_subscriptions(request).await.unwrap();
        assert!(page_size == 0 || page.subscriptions.len() <= page_size as usize);
        rows.extend(page.subscriptions.into_iter().map(|row| (row.org_id, row.role_mapping)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return rows;
        }
    }
}

/// Returns the subscriber count of a mapping. All answers with the mapping must agree.
async fn counted(project: Project<'_>, name: &str) -> i32 {
    let read = project.get_mapping(name).await;
    let all = project.server.list_role_mappings(wire::ListRoleMappingsRequest::default()).await.unwrap().role_mappings;
    assert!(all.contains(&read), "{all:?}");
    // A write that changes nothing returns the mapping from memory.
    let idle = project.server.update_role_mapping(project.updating(name)).await.unwrap().role_mapping.unwrap();
    assert_eq!(idle, read, "memory and database agree");
    read.subscriber_count
}

#[test]
fn s2_many_orgs_are_moved_in_one_commit_and_back() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        for org in ["a", "b", "c", "d"] {
            project.org(org, "").await;
        }
        project.subscribe("b", "Paid").await;
        let before = server.head().await;
        let answer = server.batch_subscribe_orgs(project.moving_all(&["c", "b", "a"], "Paid")).await.unwrap();
        assert_eq!((answer.moved, answer.unchanged), (2, 1));
        assert_eq!(server.head().await.number, before.number + 1);
        for (org, mapping) in [("a", "Paid"), ("b", "Paid"), ("c", "Paid"), ("d", "Default")] {
            assert_eq!(project.mapping_of(org).await, mapping);
        }
        let again = server.storing_nothing(server.batch_subscribe_orgs(project.moving_all(&["a", "b"], "Paid"))).await;
        let again = again.unwrap();
        assert_eq!((again.moved, again.unchanged, again.revision), (0, 2, answer.revision));
        let answer = server.batch_subscribe_orgs(to_default(&["a", "d"])).await.unwrap();
        assert_eq!((answer.moved, answer.unchanged), (1, 1));
        assert_eq!(project.mapping_of("a").await, "Default");
    });
}

#[test]
fn s2_to_default_means_the_current_default() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        project.mapping("Gold").await;
        for org in ["a", "b", "c"] {
            project.org(org, "Gold").await;
        }
        let promoting = wire::PromoteRoleMappingRequest { name: "Paid".into(), ..Default::default() };
        server.promote_role_mapping(promoting).await.unwrap();
        assert_eq!(server.batch_subscribe_orgs(to_default(&["a", "b"])).await.unwrap().moved, 2);
        assert_eq!(project.mapping_of("b").await, "Paid");
        let target = Some(subscribe_org_request::Target::ToDefault(true));
        let one = wire::SubscribeOrgRequest { org_id: "c".into(), target, ..Default::default() };
        let moved = server.subscribe_org(one).await.unwrap().subscription.unwrap();
        assert_eq!((moved.org_id.as_str(), moved.role_mapping.as_str()), ("c", "Paid"));
        assert_eq!(project.mapping_of("c").await, "Paid");
    });
}

#[test]
fn s2_every_refused_org_of_a_bulk_move_is_named_and_none_is_moved() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        for org in ["a", "b"] {
            project.org(org, "").await;
        }
        let answer = server.batch_subscribe_orgs(project.moving_all(&["a", "x", "b", "a", "y"], "Paid"));
        let missing = refused(server.storing_nothing(answer).await, "ORG_NOT_FOUND");
        assert_eq!(missing.fields(), ["org_ids[1]", "org_ids[3]", "org_ids[4]"]);
        assert_eq!((missing.metadata("rows"), missing.metadata("rows_total")), ("1,3,4", "3"));
        assert_eq!(missing.resource(), ("rolecall.v1.Org", "x"));
        let answer = server.batch_subscribe_orgs(project.moving_all(&["a", "b", "b"], "Paid"));
        let repeated = refused(server.storing_nothing(answer).await, "REPEATED_ROW");
        assert_eq!(repeated.fields(), ["org_ids[2]"]);
        let answer = server.batch_subscribe_orgs(project.moving_all(&["a"], "Gold"));
        assert_eq!(refused(server.storing_nothing(answer).await, "ROLE_MAPPING_NOT_FOUND").resource().1, "Gold");
        assert_eq!(project.mapping_of("a").await, "Default");
    });
}

#[test]
fn s3_the_orgs_of_a_mapping_are_listed_by_page_and_counted() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        let ids = ["+", "10", "9", "A", "Z", "_", "a", "z", "Ä", "日本"];
        for (number, id) in ids.iter().enumerate().rev() {
            project.org(id, if number % 3 == 0 { "Paid" } else { "" }).await;
        }
        let mapping = |number: usize| if number.is_multiple_of(3) { "Paid" } else { "Default" };
        let all: Vec<_> =
            ids.iter().enumerate().map(|(number, id)| (id.to_string(), mapping(number).to_string())).collect();
        let of = |name: &str| all.iter().filter(|(_, mapping)| mapping == name).cloned().collect::<Vec<_>>();
        for page_size in [0, 1, 3, 4, 9, 10, 11] {
            assert_eq!(listed(server, "", page_size).await, all, "pages of {page_size}");
            assert_eq!(listed(server, "Paid", page_size).await, of("Paid"));
            assert_eq!(listed(server, "Default", page_size).await, of("Default"));
        }
        assert_eq!((counted(project, "Paid").await, counted(project, "Default").await), (4, 6));
        let nowhere = wire::ListSubscriptionsRequest { role_mapping: "Gold".into(), ..Default::default() };
        refused(server.list_subscriptions(nowhere).await, "ROLE_MAPPING_NOT_FOUND");
        let first = wire::ListSubscriptionsRequest { page_size: 1, ..Default::default() };
        let page_token = server.list_subscriptions(first).await.unwrap().next_page_token;
        let other = wire::ListSubscriptionsRequest { role_mapping: "Paid".into(), page_token, ..Default::default() };
        refused(server.list_subscriptions(other).await, "PAGE_TOKEN_INVALID");
    });
}

#[test]
fn s3_moved_and_deleted_orgs_are_no_longer_counted_or_listed() {
    on_both(async |server| {
        let (project, other) = (server.single(), server.multi().await);
        project.mapping("Paid").await;
        other.org("elsewhere", "").await;
        for org in ["a", "b", "c"] {
            project.org(org, "Paid").await;
        }
        assert_eq!((counted(project, "Paid").await, counted(project, "Default").await), (3, 0));
        project.subscribe("a", "Default").await;
        project.delete_org("b").await;
        assert_eq!((counted(project, "Paid").await, counted(project, "Default").await), (1, 1));
        assert_eq!(listed(server, "Paid", 0).await, [("c".to_string(), "Paid".to_string())]);
        assert_eq!(listed(server, "", 0).await.len(), 2);
        let server = server.restarted().await;
        let project = server.single();
        assert_eq!((counted(project, "Paid").await, counted(project, "Default").await), (1, 1));
        let copy = wire::CreateRoleMappingRequest {
            name: "Copy".into(),
            duplicate_of: "Paid".into(),
            subscribe_org_ids: vec!["a".into()],
            ..Default::default()
        };
        let copy = server.create_role_mapping(copy).await.unwrap().role_mapping.unwrap();
        assert_eq!((copy.subscriber_count, counted(project, "Default").await), (1, 0));
    });
}
