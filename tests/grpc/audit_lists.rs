//! Which events a list has: A2.

use std::cell::Cell;

use rolecall::domain::Time;
use rolecall::domain::model::event::Denial;
use rolecall::engine::denials::RefusedCall;
use rolecall::wire::{self, EventOrder, EventType};
use tonic::IntoRequest;

use crate::audit::said;
use crate::fixture::{add, micros, roles, row, texts};
use crate::refusals::refused;
use crate::server::{Server, on_both};

/// Returns a request for the events of `default`.
fn listing() -> wire::ListEventsRequest {
    wire::ListEventsRequest { project: "default".into(), ..Default::default() }
}

fn by<R>(actor: &str, request: impl IntoRequest<R>) -> tonic::Request<R> {
    let mut request = request.into_request();
    request.metadata_mut().insert("rolecall-actor", actor.parse().unwrap());
    request
}

/// Returns `KIND` or `KIND xCOUNT` of each event.
fn kinds(events: &[wire::Event]) -> Vec<String> {
    let kind = |event: &wire::Event| match &event.denial {
        Some(denial) => format!("{} x{}", event.kind, denial.count),
        None => event.kind.clone(),
    };
    events.iter().map(kind).collect()
}

/// Records a refused call now, and stores it.
async fn deny(server: &Server, call: RefusedCall<'_>) {
    let app = server.app();
    let now = micros(&crate::fixture::after(std::time::Duration::ZERO));
    app.engine.denials.record(RefusedCall { at: Time(now), project: "default", reason: "MISSING_PERMISSION", ..call });
    let unwritten = app.engine.denials.unwritten();
    let rows = unwritten.iter().map(|it| (it.denial.clone(), it.place)).collect();
    let places = app.store.write_denials(rows).await.unwrap();
    app.engine.denials.written(&unwritten, &places);
}

#[test]
fn a2_events_are_filtered_by_project_org_user_actor_kind_type_and_time() {
    on_both(async |server| {
        let shop = server.single();
        let other = server.multi().await;
        shop.org("acme", "").await;
        shop.org("globex", "").await;
        other.org("acme", "").await;
        server.add_member(by("carla", shop.adding("acme", "bea", &roles(&["Member"])))).await.unwrap();
        shop.add("globex", "bea", &roles(&["Member"])).await;
        shop.add("acme", "bob", &roles(&["Member"])).await;
        other.add("acme", "bea", &roles(&["Member"])).await;
        server.block_user(wire::BlockUserRequest { user_id: "bea".into(), ..Default::default() }).await.unwrap();
        deny(server, RefusedCall { kind: "DeleteOrg", actor: "carla", org_id: "acme", ..Default::default() }).await;
        let list = async |request: wire::ListEventsRequest| kinds(&server.events(request).await);
        let of_org = |org_id: &str| wire::ListEventsRequest { org_id: org_id.into(), ..listing() };
        let of_user = |user_id: &str| wire::ListEventsRequest { user_id: user_id.into(), ..listing() };
        assert_eq!(
            list(listing()).await,
            [
                "CreateProject",
                "CreateOrg",
                "CreateOrg",
                "AddMember",
                "AddMember",
                "AddMember",
                "BlockUser",
                "DeleteOrg x1"
            ]
        );
        assert_eq!(list(of_org("acme")).await, ["CreateOrg", "AddMember", "AddMember", "DeleteOrg x1"]);
        assert_eq!(list(of_org("globex")).await, ["CreateOrg", "AddMember"]);
        assert_eq!(list(of_user("bea")).await, ["AddMember", "AddMember", "BlockUser"]);
        assert_eq!(list(wire::ListEventsRequest { user_id: "bea".into(), ..of_org("acme") }).await, ["AddMember"]);
        let by_carla = wire::ListEventsRequest { actor: "carla".into(), ..Default::default() };
        assert_eq!(list(by_carla.clone()).await, ["AddMember", "DeleteOrg x1"]);
        let of_kinds = wire::ListEventsRequest { kinds: texts(&["BlockUser", "DeleteOrg"]), ..listing() };
        assert_eq!(list(of_kinds).await, ["BlockUser", "DeleteOrg x1"]);
        let of_type = |r#type: EventType| wire::ListEventsRequest { r#type: r#type.into(), ..by_carla.clone() };
        assert_eq!(list(of_type(EventType::Commit)).await, ["AddMember"]);
        assert_eq!(list(of_type(EventType::Denial)).await, ["DeleteOrg x1"]);
        let elsewhere = wire::ListEventsRequest { project: "multi".into(), ..Default::default() };
        assert_eq!(list(elsewhere).await, ["CreateProject", "CreateOrg", "AddMember"]);
        let all = server.events(wire::ListEventsRequest::default()).await;
        assert_eq!(all.len(), 13, "an empty project means all projects");
        let system = wire::ListEventsRequest { actor: "system".into(), ..listing() };
        assert_eq!(list(system).await, ["CreateProject"]);

        let at = server.events(listing()).await[5].time;
        let from = wire::ListEventsRequest { start_time: at, kinds: texts(&["AddMember"]), ..listing() };
        assert_eq!(list(from).await.len(), 1);
        let until = wire::ListEventsRequest { end_time: at, kinds: texts(&["AddMember"]), ..listing() };
        assert_eq!(list(until).await.len(), 2);
        let never = wire::ListEventsRequest { start_time: at, end_time: at, ..listing() };
        assert!(list(never).await.is_empty());
    });
}

#[test]
fn a2_maintenance_is_listed_only_if_asked_for() {
    on_both(async |server| {
        let shop = server.single();
        shop.org("acme", "").await;
        shop.add("acme", "bea", &roles(&["Member"])).await;
        shop.delete_org("acme").await;
        server.settled().await;
        let list = async |request: wire::ListEventsRequest| {
            let mut kinds = kinds(&server.events(request).await);
            kinds.dedup();
            kinds
        };
        assert_eq!(list(listing()).await, ["CreateProject", "CreateOrg", "AddMember", "DeleteOrg"]);
        let maintenance = wire::ListEventsRequest { include_maintenance: true, ..listing() };
        assert_eq!(list(maintenance).await, ["CreateProject", "CreateOrg", "AddMember", "DeleteOrg", "Purge"]);
        let purges = wire::ListEventsRequest { kinds: texts(&["Purge"]), ..listing() };
        assert_eq!(list(purges).await, ["Purge"]);
    });
}

#[test]
fn a2_an_event_of_a_filter_shows_only_the_changes_of_its_org_and_user() {
    on_both(async |server| {
        let shop = server.single();
        shop.org("acme", "").await;
        shop.org("globex", "").await;
        let rows =
            ["acme", "globex"].into_iter().flat_map(|org| ["ann", "bob"].map(|user| row(org, user, add(&["Member"]))));
        server.batch_write_members(shop.writing(rows.collect())).await.unwrap();
        let changes = async |org_id: &str, user_id: &str| {
            let (org_id, user_id) = (org_id.into(), user_id.into());
            let request = wire::ListEventsRequest { org_id, user_id, page_size: 1, ..listing() };
            let page = server.list_events(request).await.unwrap();
            assert_eq!(page.events[0].changes_total, 4);
            said(&page.events[0]).len()
        };
        assert_eq!(changes("", "").await, 4);
        assert_eq!(changes("acme", "").await, 2);
        assert_eq!(changes("", "ann").await, 2);
        assert_eq!(changes("acme", "ann").await, 1);
    });
}

/// Lists all pages in one order. Runs `between` after each page. Checks that the places of the pages fit together.
async fn pages(
    server: &Server,
    request: &wire::ListEventsRequest,
    between: impl AsyncFn(usize),
) -> (Vec<wire::Event>, String) {
    let (mut events, mut page_token, mut resume_token) = (Vec::new(), String::new(), String::new());
    for page in 0.. {
        let answer = server.list_events(wire::ListEventsRequest { page_token, ..request.clone() }).await.unwrap();
        events.extend(answer.events);
        if !answer.resume_token.is_empty() {
            assert_eq!(resume_token, "", "a list has one");
            resume_token = answer.resume_token;
        }
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
        between(page).await;
    }
    (events, resume_token)
}

#[test]
fn a2_pages_are_complete_while_commits_go_on() {
    on_both(async |server| {
        let shop = server.single();
        shop.org("acme", "").await;
        shop.org("globex", "").await;
        for number in 0..12 {
            shop.add(["acme", "globex"][number % 2], &format!("user-{number}"), &roles(&["Member"])).await;
            if number % 4 == 0 {
                let kind = format!("Kind{number}");
                deny(server, RefusedCall { kind: &kind, actor: "bot", org_id: "acme", ..Default::default() }).await;
            }
        }
        let filters = [
            wire::ListEventsRequest::default(),
            listing(),
            wire::ListEventsRequest { org_id: "acme".into(), ..listing() },
            wire::ListEventsRequest { actor: "bot".into(), ..listing() },
            wire::ListEventsRequest { include_maintenance: true, ..Default::default() },
        ];
        let written = Cell::new(0);
        let write = async |page: usize| {
            if page < 3 {
                written.set(written.get() + 1);
                let name = format!("later-{}", written.get());
                shop.add("acme", &name, &roles(&["Member"])).await;
                deny(server, RefusedCall { kind: &name, actor: "other", org_id: "acme", ..Default::default() }).await;
            }
        };
        for filter in filters {
            for page_size in [1, 2, 5] {
                let newest = wire::ListEventsRequest { page_size, ..filter.clone() };
                let before = server.events(filter.clone()).await;
                let (mut shown, _) = pages(server, &newest, write).await;
                shown.reverse();
                assert!(shown == before, "{filter:?} by {page_size}: {:?}, not {:?}", kinds(&shown), kinds(&before));
                let oldest = wire::ListEventsRequest { order: EventOrder::OldestFirst.into(), ..newest };
                let (shown, _) = pages(server, &oldest, write).await;
                let after = server.events(filter.clone()).await;
                assert!(shown == after, "{filter:?} by {page_size}: {:?}, not {:?}", kinds(&shown), kinds(&after));
            }
        }
    });
}

#[test]
fn a2_a_follower_misses_no_event_and_sees_none_twice() {
    on_both(async |server| {
        let shop = server.single();
        shop.org("acme", "").await;
        let filter = wire::ListEventsRequest { org_id: "acme".into(), ..listing() };
        let newest = server.list_events(wire::ListEventsRequest { page_size: 1, ..filter.clone() }).await.unwrap();
        let mut seen = newest.events;
        let (mut token, order) = (newest.resume_token, EventOrder::OldestFirst.into());
        let follow = async |token: &mut String| {
            let mut found = Vec::new();
            loop {
                let page_token = std::mem::take(token);
                let request = wire::ListEventsRequest { page_token, page_size: 2, order, ..filter.clone() };
                let page = server.list_events(request).await.unwrap();
                found.extend(page.events);
                assert_ne!(page.resume_token.is_empty(), page.next_page_token.is_empty());
                if page.next_page_token.is_empty() {
                    *token = page.resume_token;
                    return found;
                }
                *token = page.next_page_token;
            }
        };
        for round in 0..4 {
            assert!(follow(&mut token).await.is_empty());
            for number in 0..round {
                let kind = format!("Refused{round}{number}");
                deny(server, RefusedCall { kind: &kind, org_id: "acme", ..Default::default() }).await;
                // An equal one only counts, and is no new event.
                deny(server, RefusedCall { kind: &kind, org_id: "acme", ..Default::default() }).await;
                seen.extend(follow(&mut token).await);
                shop.add("acme", &format!("user-{round}-{number}"), &roles(&["Member"])).await;
                deny(
                    server,
                    RefusedCall { kind: &format!("Last{round}{number}"), org_id: "acme", ..Default::default() },
                )
                .await;
            }
            seen.extend(follow(&mut token).await);
        }
        let all = server.events(filter.clone()).await;
        assert_eq!(all.len(), 1 + 3 * 6);
        assert_eq!(kinds(&seen), kinds(&all));
        // The newest commit is lost, as with a failover to a copy that lags.
        let lost = "DELETE FROM changes WHERE revision = (SELECT revision FROM head);
            DELETE FROM commits WHERE revision = (SELECT revision FROM head);
            UPDATE head SET revision = revision - 1, tag = (SELECT tag FROM commits WHERE revision = head.revision - 1)";
        let other = server.restarted_after(lost).await;
        let request = wire::ListEventsRequest { page_token: token, order, ..filter };
        refused(other.list_events(request).await, "REVISION_OF_ANOTHER_HISTORY");
        other.stop().await;
    });
}

#[test]
fn a2_events_after_a_revision() {
    on_both(async |server| {
        let shop = server.single();
        shop.org("acme", "").await;
        let token = server.token().await;
        let after = wire::ListEventsRequest { after_revision: token.clone(), ..listing() };
        assert!(server.events(after.clone()).await.is_empty());
        deny(server, RefusedCall { kind: "DeleteOrg", ..Default::default() }).await;
        shop.org("globex", "").await;
        assert_eq!(kinds(&server.events(after.clone()).await), ["DeleteOrg x1", "CreateOrg"]);
        let newest = wire::ListEventsRequest { page_size: 1, ..after.clone() };
        assert_eq!(pages(server, &newest, async |_| {}).await.0.len(), 2);
        let foreign = wire::ListEventsRequest { after_revision: format!("AAAA{}", &token[4..]), ..listing() };
        refused(server.list_events(foreign).await, "REVISION_OF_ANOTHER_HISTORY");
    });
}

#[test]
fn a2_events_have_the_names_of_their_time() {
    on_both(async |server| {
        let shop = server.single();
        shop.role("Clerk").await;
        shop.permission("see").await;
        shop.mapping("Paid").await;
        shop.grant("Paid", "Clerk", &["see"]).await;
        shop.org("acme", "Default").await;
        shop.add("acme", "bea", &roles(&["Clerk"])).await;
        shop.subscribe("acme", "Paid").await;
        let before = server.events(listing()).await;
        shop.rename_role("Clerk", "Scribe").await;
        shop.rename_permission("see", "look").await;
        shop.remove("acme", "bea").await;
        shop.delete_role("Scribe", "").await;
        server.delete_permission(shop.deleting_permission("look")).await.unwrap();
        shop.subscribe("acme", "Default").await;
        server.delete_role_mapping(shop.deleting("Paid", "")).await.unwrap();
        let renamed = server.events(listing()).await;
        assert!(renamed[..before.len()] == before[..], "{renamed:#?}\nnot\n{before:#?}");
        let removal = renamed.iter().find(|event| event.kind == "RemoveMember").unwrap();
        assert_eq!(said(removal)[0], "deleted membership acme/bea: roles Scribe > -; origin DIRECT > -");
        shop.delete_org("acme").await;
        server.settled().await;
        let deleted = server.events(listing()).await;
        assert!(deleted[..renamed.len()] == renamed[..], "{deleted:#?}\nnot\n{renamed:#?}");
    });
}

#[test]
fn a2_events_of_deleted_orgs_and_projects_are_listed() {
    on_both(async |server| {
        let gone = server.multi().await;
        gone.org("acme", "").await;
        gone.add("acme", "bea", &roles(&["Member"])).await;
        gone.delete_org("acme").await;
        let of_org = wire::ListEventsRequest { project: "multi".into(), org_id: "acme".into(), ..Default::default() };
        assert_eq!(kinds(&server.events(of_org.clone()).await), ["CreateOrg", "AddMember", "DeleteOrg"]);
        server.settled().await;
        let before = server.events(of_org.clone()).await;
        assert_eq!(kinds(&before), ["CreateOrg", "AddMember", "DeleteOrg"]);
        server.delete_project(gone.deleting_project(false)).await.unwrap();
        server.settled().await;
        assert!(server.events(of_org).await == before);
        let all = wire::ListEventsRequest { project: "multi".into(), ..Default::default() };
        let all = server.events(all).await;
        assert_eq!(kinds(&all), ["CreateProject", "CreateOrg", "AddMember", "DeleteOrg", "DeleteProject"]);
        assert!(said(&all[4])[0].starts_with("deleted project multi: "), "{:?}", said(&all[4]));
        assert!(said(&all[2])[0].contains("roles - > Member"), "{:?}", said(&all[2]));
    });
}

#[test]
fn a2_an_event_shows_100_changes_and_counts_the_rest() {
    on_both(async |server| {
        let shop = server.single();
        shop.org("acme", "").await;
        let rows = (0..10_000).map(|number| row("acme", &format!("user-{number:04}"), add(&["Member"])));
        server.batch_write_members(shop.writing(rows.collect())).await.unwrap();
        let page = server.list_events(wire::ListEventsRequest { page_size: 1, ..listing() }).await.unwrap();
        let event = &page.events[0];
        assert_eq!((event.changes.len(), event.changes_total), (100, 10_000));
        assert_eq!(said(event)[99], "created membership acme/user-0099: roles - > Member; origin - > DIRECT");
        let one = wire::ListEventsRequest { org_id: "acme".into(), user_id: "user-9999".into(), ..listing() };
        assert_eq!(said(&server.events(one).await[0]).len(), 1);
    });
}

#[test]
fn a2_a_page_searches_a_bounded_part_of_the_history() {
    on_both(async |server| {
        let app = server.app();
        let denial =
            |number| (Denial { at: Time(number), kind: "DeleteOrg".into(), count: 1, ..Denial::default() }, None);
        app.store.write_denials((0..12_000).map(denial).collect()).await.unwrap();
        drop(app);
        for order in [EventOrder::NewestFirst, EventOrder::OldestFirst] {
            let request = wire::ListEventsRequest { actor: "nobody".into(), order: order.into(), ..Default::default() };
            let first = server.list_events(request.clone()).await.unwrap();
            assert!(first.events.is_empty() && !first.next_page_token.is_empty());
            let second = wire::ListEventsRequest { page_token: first.next_page_token, ..request };
            assert_eq!(server.list_events(second).await.unwrap().next_page_token, "");
        }
    });
}

#[test]
fn a1_denials_are_recorded_while_the_server_runs_and_when_it_stops() {
    on_both(async |server| {
        let record = |kind: &str| {
            let app = server.app();
            app.engine.denials.record(RefusedCall {
                at: Time(1),
                kind,
                actor: "ann",
                project: "shop",
                ..Default::default()
            });
        };
        record("CreateOrg");
        record("CreateOrg");
        let request = wire::ListEventsRequest { r#type: EventType::Denial.into(), ..Default::default() };
        let mut events = Vec::new();
        while events.is_empty() {
            events = server.events(request.clone()).await;
        }
        assert_eq!((kinds(&events), &*events[0].project), (vec!["CreateOrg x2".to_string()], "shop"));
        record("CreateOrg");
        record("DeleteOrg");
        let restarted = server.restarted().await;
        assert_eq!(kinds(&restarted.events(request).await), ["CreateOrg x3", "DeleteOrg x1"]);
        restarted.stop().await;
    });
}

#[test]
fn a2_malformed_requests_are_refused() {
    on_both(async |server| {
        let cases = [
            ("org_id", wire::ListEventsRequest { org_id: "a b\u{7}".into(), ..listing() }),
            ("project", wire::ListEventsRequest { org_id: "acme".into(), ..Default::default() }),
            ("project", wire::ListEventsRequest { user_id: "bea".into(), ..Default::default() }),
            ("project", wire::ListEventsRequest { project: "No".into(), ..Default::default() }),
            ("type", wire::ListEventsRequest { r#type: 9, ..listing() }),
            ("order", wire::ListEventsRequest { order: 9, ..listing() }),
            ("page_size", wire::ListEventsRequest { page_size: -1, ..listing() }),
            ("actor", wire::ListEventsRequest { actor: "x".repeat(257), ..listing() }),
            ("after_revision", wire::ListEventsRequest { after_revision: "?".into(), ..listing() }),
        ];
        for (field, request) in cases {
            assert_eq!(refused(server.list_events(request).await, "INVALID_FIELD").fields(), [field]);
        }
        let many = wire::ListEventsRequest { kinds: vec!["AddMember".into(); 1_001], ..listing() };
        refused(server.list_events(many).await, "TOO_MANY_ROWS");
        let unknown = wire::ListEventsRequest { project: "nowhere".into(), ..Default::default() };
        refused(server.list_events(unknown).await, "PROJECT_NOT_FOUND");
        let unknown = wire::ListEventsRequest { org_id: "nowhere".into(), ..listing() };
        refused(server.list_events(unknown).await, "ORG_NOT_FOUND");
        server.single().org("acme", "").await;
        server.single().org("globex", "").await;
        let first = wire::ListEventsRequest { page_size: 1, ..listing() };
        let page_token = server.list_events(first.clone()).await.unwrap().next_page_token;
        let other = wire::ListEventsRequest { page_token, order: EventOrder::OldestFirst.into(), ..first };
        refused(server.list_events(other).await, "PAGE_TOKEN_INVALID");
    });
}
