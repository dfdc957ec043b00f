//! WatchService: frames, resuming, and how a watch ends.

use std::time::Duration;

use rolecall::engine::Token;
use rolecall::wire::{self, AccessChange, AccessScope, WatchRequest, WatchResponse};
use tonic::{Code, Streaming};

use crate::contract::{requests, shop};
use crate::fixture::{add, in_an_hour, roles, row, temporary};
use crate::refusals::{Details, refused};
use crate::server::{Server, on_both};

/// How long a test waits for a message.
const PATIENCE: Duration = Duration::from_secs(60);
const WATCHERS: usize = 200;

/// A client that watches the project `default`.
pub struct Watcher {
    stream: Streaming<WatchResponse>,
    /// The revision that it received last.
    pub after: String,
}

impl Watcher {
    pub async fn begin(server: &Server, org_id: &str, after: &str) -> Self {
        let request = WatchRequest { org_id: org_id.into(), after: after.into(), ..Default::default() };
        let mut stream = server.watch(request).await.unwrap();
        let first = next(&mut stream).await.unwrap();
        assert!(first.changes.is_empty() && (after.is_empty() || first.revision == after), "{first:?}");
        Self { stream, after: first.revision }
    }

    pub fn number(&self) -> u64 {
        Token::decode(&self.after).unwrap().number
    }

    /// Returns the changes up to a revision.
    pub async fn until(&mut self, number: u64) -> Vec<AccessChange> {
        let mut changes = Vec::new();
        while self.number() < number {
            let message = next(&mut self.stream).await.unwrap();
            let before = self.number();
            self.after = message.revision;
            let is_between = |change: &AccessChange| {
                (before + 1..=self.number()).contains(&Token::decode(&change.revision).unwrap().number)
            };
            assert!(message.commit_time.is_some() && message.changes.iter().all(is_between));
            changes.extend(message.changes);
        }
        changes
    }

    /// Returns the error that ends the watch.
    pub async fn end(&mut self) -> tonic::Status {
        loop {
            if let Err(status) = next(&mut self.stream).await {
                return status;
            }
        }
    }
}

pub async fn next(stream: &mut Streaming<WatchResponse>) -> Result<WatchResponse, tonic::Status> {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("a message comes in time");
    message.map(|message| message.expect("the watch goes on"))
}

/// Says in one line what a change is.
pub fn said(change: &AccessChange) -> String {
    let scope = change.scope().as_str_name().trim_start_matches("ACCESS_SCOPE_");
    let names = [&[change.org_id.clone(), change.user_id.clone()][..], &change.role_mappings[..]].concat();
    let names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
    format!("{} {scope} {}", change.kind, names.join(" ")).trim().into()
}

pub fn all_said(changes: &[AccessChange]) -> Vec<String> {
    changes.iter().map(said).collect()
}

#[test]
fn the_first_message_comes_at_once_and_silence_is_a_heartbeat() {
    on_both(async |server| {
        let head = server.settled().await;
        let mut watcher = Watcher::begin(server, "", "").await;
        assert_eq!(watcher.number(), head.number);
        let heartbeat = next(&mut watcher.stream).await.unwrap();
        assert_eq!((heartbeat.revision, heartbeat.changes.len()), (watcher.after.clone(), 0));
        assert_eq!(heartbeat.commit_time, Some(wire::timestamp(head.at)));
        // Of a write that the filter leaves out, or that changes no access, the revision comes.
        let project = server.multi().await;
        project.org("acme", "").await;
        assert_eq!(watcher.until(server.head().await.number).await, []);
        server.single().org("acme", "").await;
        assert_eq!(all_said(&watcher.until(server.head().await.number).await), ["CreateOrg ORG acme"]);
    });
}

#[test]
fn each_scope_names_what_it_is_about() {
    on_both(async |server| {
        let project = server.single();
        project.permission("see").await;
        project.mapping("Paid").await;
        project.org("acme", "").await;
        let mut watcher = Watcher::begin(server, "", "").await;
        let expire_time = in_an_hour();
        project.add("acme", "ann", &[temporary("Admin", expire_time)]).await;
        let changes = watcher.until(server.head().await.number).await;
        assert_eq!(all_said(&changes), ["AddMember MEMBER acme ann"]);
        assert_eq!(changes[0].expire_time, Some(expire_time));
        project.grant("Paid", "Admin", &["see"]).await;
        let rename = wire::UpdateRoleMappingRequest {
            resource: Some(wire::RoleMapping { name: "Pro".into(), ..Default::default() }),
            update_mask: crate::fixture::mask(&["name"]),
            ..project.updating("Paid")
        };
        server.update_role_mapping(rename).await.unwrap();
        project.subscribe("acme", "Pro").await;
        let block = wire::BlockUserRequest { user_id: "ann".into(), ..Default::default() };
        server.block_user(block).await.unwrap();
        project.role("Clerk").await;
        project.delete_org("acme").await;
        let head = server.settled().await;
        let said = all_said(&watcher.until(head.number).await);
        let [grant, rest @ ..] = &said[..] else { panic!("{said:?}") };
        assert!(grant.starts_with("UpdateRoleMapping ROLE_MAPPING ") && grant.contains("Paid"), "{grant}");
        assert_eq!(
            rest,
            [
                "UpdateRoleMapping ROLE_MAPPING Pro Paid",
                "SubscribeOrg ORG acme",
                "BlockUser USER ann",
                "CreateRole PROJECT",
                "DeleteOrg ORG acme"
            ]
        );
    });
}

#[test]
fn a_watch_that_resumes_misses_nothing_and_repeats_nothing() {
    on_both(async |server| {
        shop(server).await;
        let begun = Watcher::begin(server, "", "").await;
        let raw = server.raw().await;
        for (method, request) in requests(server).await {
            raw.call(method, &request).await.unwrap_or_else(|status| panic!("{method}: {status:?}"));
        }
        let head = server.settled().await.number;
        let mut whole = Watcher::begin(server, "", &begun.after).await;
        let whole = whole.until(head).await;
        assert!(whole.len() > 20, "{whole:?}");
        // Again with a new watch for each write, also from the database.
        let other = server.restarted().await;
        let mut parts = Vec::new();
        let revisions: Vec<String> = whole.iter().map(|change| change.revision.clone()).collect();
        let mut after = begun.after.clone();
        for revision in revisions.iter().step_by(3) {
            let number = Token::decode(revision).unwrap().number;
            let mut watcher = Watcher::begin(&other, "", &after).await;
            parts.extend(watcher.until(number).await);
            after = watcher.after;
        }
        parts.extend(Watcher::begin(&other, "", &after).await.until(head).await);
        // A page of old commits names what is gone since as the whole project.
        let place = |change: &AccessChange| (change.revision.clone(), change.kind.clone());
        let mut places: Vec<_> = parts.iter().map(place).collect();
        places.dedup();
        let mut expected: Vec<_> = whole.iter().map(place).collect();
        expected.dedup();
        assert_eq!(places, expected);
    });
}

#[test]
fn a_large_write_is_reported_with_wider_scopes() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let mut watcher = Watcher::begin(server, "", "").await;
        for (count, expected) in [(1_000, 1_000), (1_001, 1)] {
            let user = |user| row("acme", &format!("u{count}-{user}"), add(&["Member"]));
            server.batch_write_members(project.writing((0..count).map(user).collect())).await.unwrap();
            let changes = watcher.until(server.head().await.number).await;
            assert_eq!(changes.len(), expected);
            let scope = if expected == 1 { AccessScope::Org } else { AccessScope::Member };
            assert!(changes.iter().all(|change| change.scope() == scope && change.org_id == "acme"));
        }
    });
}

#[test]
fn a_revision_that_the_history_does_not_have_is_refused() {
    on_both(async |server| {
        shop(server).await;
        let old = server.token().await;
        let watch = |after: String| server.watch(WatchRequest { after, ..Default::default() });
        let token = Token::decode(&old).unwrap();
        for foreign in [Token { tag: token.tag ^ 1, ..token }, Token { store_id: token.store_id ^ 1, ..token }] {
            refused(watch(foreign.encode()).await, "REVISION_OF_ANOTHER_HISTORY");
        }
        refused(watch("yesterday".into()).await, "INVALID_FIELD");
        server.single().org("later", "").await;
        let before = Token { tag: token.tag ^ 1, ..token };
        refused(watch(before.encode()).await, "REVISION_OF_ANOTHER_HISTORY");
        while server.app().store.delete_old_history(rolecall::clock::now()).await.unwrap() {}
        // What is in memory is still known.
        let server = server.restarted().await;
        let watch = |after: String| server.watch(WatchRequest { after, ..Default::default() });
        let status = watch(old).await.unwrap_err();
        assert_eq!((status.code(), &*status.reason()), (Code::FailedPrecondition, "REVISION_TOO_OLD"));
        Watcher::begin(&server, "", &status.detail("oldest_revision")).await;
    });
}

#[test]
fn a_watch_ends_when_the_database_is_restored() {
    on_both(async |server| {
        let mut watcher = Watcher::begin(server, "", "").await;
        server.single().org("acme", "").await;
        watcher.until(server.head().await.number).await;
        // As if another write had been the last one.
        server
            .run_sql(
                "UPDATE commits SET tag = 7 WHERE revision = (SELECT revision FROM head);
                UPDATE head SET tag = 7",
            )
            .await;
        assert_eq!(watcher.end().await.reason(), "REVISION_OF_ANOTHER_HISTORY");
        let again = server.watch(WatchRequest { after: watcher.after, ..Default::default() }).await;
        refused(again, "REVISION_OF_ANOTHER_HISTORY");
        Watcher::begin(server, "", "").await;
    });
}

#[test]
fn a_stopping_server_ends_watches() {
    on_both(async |server| {
        let server = server.restarted().await;
        let mut watcher = Watcher::begin(&server, "", "").await;
        let (status, ()) = tokio::join!(watcher.end(), server.stop());
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    });
}

#[test]
fn many_who_resume_from_an_old_revision_read_the_database_as_often_as_one() {
    on_both(async |server| {
        let project = server.single();
        project.org("acme", "").await;
        let begun = Watcher::begin(server, "", "").await;
        for user in 0..60 {
            project.add("acme", &format!("u{user}"), &roles(&["Member"])).await;
        }
        // A server that has just started has no commits in memory.
        let server = server.restarted().await;
        let head = server.settled().await.number;
        Watcher::begin(&server, "", &begun.after).await.until(head).await;
        let reads_of_one = server.app().feed.database_reads();
        assert!((1..=2).contains(&reads_of_one), "{reads_of_one}");

        let server = server.restarted().await;
        let mut watchers = Vec::new();
        for _ in 0..WATCHERS {
            watchers.push(Watcher::begin(&server, "", &begun.after).await);
        }
        for watcher in &mut watchers {
            assert_eq!(watcher.until(head).await.len(), 60);
        }
        assert_eq!(server.app().feed.database_reads(), reads_of_one);
        // From then on all are served from memory.
        server.single().remove("acme", "u1").await;
        let head = server.head().await.number;
        for watcher in &mut watchers {
            assert_eq!(all_said(&watcher.until(head).await), ["RemoveMember MEMBER acme u1"]);
        }
        assert_eq!(server.app().feed.database_reads(), reads_of_one);
    });
}
