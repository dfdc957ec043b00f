//! Catching up, diverged histories, remembered outcomes, commits with an unknown outcome.

use std::sync::Arc;

use rolecall::domain::commands::command::{Write, WriteMember};
use rolecall::domain::commands::group::Commit;
use rolecall::domain::model::id::{OrgNo, ProjectId};
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::rules::member_list::MemberFilter;
use rolecall::domain::{Command, ProjectKey, RequestKey, Revision, State, Time};
use rolecall::limits::REQUEST_ID_SECONDS;
use rolecall::store::{ListMembers, SinceError, Store, StoreError};
use rolecall::wire;
use sea_orm::{ConnectionTrait, Statement};

use crate::desk::{Desk, create_org, create_project, given, hash_key, key, member, user, write_member};
use crate::on_both;
use crate::round_trip::story;
use crate::support::TestDatabase;

on_both! {
    a_state_that_is_behind_catches_up
    a_history_with_another_tag_has_diverged
    an_unknown_change_is_an_error
    old_history_is_deleted_and_servers_go_on
    the_history_of_a_large_commit_is_deleted_in_steps
    settled_invitations_are_deleted_in_steps
    a_commit_without_all_of_its_changes_is_refused
    a4_request_ids_are_known_for_24_hours_and_then_forgotten
    a_commit_with_an_unknown_outcome_is_settled
    a1_a_commit_records_its_key_and_acting_user
}

async fn a_state_that_is_behind_catches_up(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let empty = desk.state.clone();
    let commits = story(&mut desk).await;
    let mut tx = desk.store.begin_write().await.unwrap();
    assert_eq!(tx.head(), desk.revision());
    let (state, passed) = tx.catch_up(empty).await.unwrap();
    assert!(state == desk.state);
    let revisions = |commits: &[Commit]| commits.iter().map(|commit| commit.revision).collect::<Vec<_>>();
    assert_eq!(revisions(&passed), revisions(&commits));
    let (state, passed) = tx.catch_up(state).await.unwrap();
    assert!(state == desk.state && passed.is_empty());
    tx.rollback().await;
}

async fn a_history_with_another_tag_has_diverged(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    story(&mut desk).await;
    let mine = desk.revision();
    let lost = Revision { number: mine.number + 1, ..mine };
    let others = [Revision { tag: mine.tag + 1, ..mine }, Revision { number: mine.number - 3, ..mine }, lost];
    for other in others {
        let error = desk.store.commits_since(other, 10).await.err().unwrap();
        // A database that is only behind may lag: a read cannot know. The locked head row decides.
        let expected = match other == lost {
            true => matches!(error, SinceError::Store(StoreError::Behind { .. })),
            false => matches!(error, SinceError::Diverged),
        };
        assert!(expected, "{other:?}: {error}");
        assert_eq!(desk.store.has_lost(other).await.unwrap(), other == lost);
        let mut state = desk.state.clone();
        state.set_revision(other);
        let mut tx = desk.store.begin_write().await.unwrap();
        let error = tx.catch_up(state).await.err().unwrap();
        assert!(matches!(error, SinceError::Diverged), "{other:?}: {error}");
        tx.rollback().await;
    }
    assert!(desk.store.commits_since(mine, 10).await.unwrap().is_empty());
}

async fn a_commit_without_all_of_its_changes_is_refused(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    story(&mut desk).await;
    let mine = desk.revision();
    let direct = sea_orm::Database::connect(&desk.database.url).await.unwrap();
    let damages = [
        // A commit is missing before the last one; nothing is, because the last one is gone too; changes are missing.
        (format!("DELETE FROM commits WHERE revision = {}", mine.number - 1), mine.number),
        (format!("DELETE FROM commits WHERE revision = {}", mine.number), 0),
        (format!("DELETE FROM changes WHERE revision = {}", mine.number - 2), mine.number - 2),
    ];
    for (damage, incomplete) in damages {
        assert!(direct.execute_unprepared(&damage).await.unwrap().rows_affected() > 0);
        let read = desk.store.commits_since(Revision::default(), 1_000).await;
        match read {
            Err(SinceError::Store(StoreError::Incomplete(number))) => assert_eq!(number as u64, incomplete, "{damage}"),
            read => assert!(read.is_ok() && incomplete == 0, "{damage}"),
        }
    }
    direct.close().await.unwrap();
}

async fn old_history_is_deleted_and_servers_go_on(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    story(&mut desk).await;
    let (behind, old) = (desk.state.clone(), desk.revision());
    desk.now = desk.now.plus_seconds(1_000);
    let add = Write::Add(given(&["Member"], desk.now));
    desk.write(vec![create_org("shop", "young", None), write_member("shop", "young", "ann", add)]).await;
    assert!(!desk.store.delete_old_history(Time(0)).await.unwrap(), "nothing is so old");
    while desk.store.delete_old_history(Time(old.at.0 + 1)).await.unwrap() {}
    // The newest old commit is kept: servers may be there.
    let newest = desk.store.newest_revisions(1_000).await.unwrap();
    assert_eq!(newest.len(), 3);
    assert_eq!((newest[0], newest[2]), (old, desk.revision()));
    let commits = desk.store.commits_since(old, 10).await.unwrap();
    assert_eq!(commits.len(), 2);
    let mut tx = desk.store.begin_write().await.unwrap();
    let (state, _) = tx.catch_up(behind.clone()).await.unwrap();
    tx.rollback().await;
    assert!(state == desk.state);
    // A server that is further behind loads the State again.
    let error = desk.store.commits_since(Revision { number: old.number - 1, ..old }, 10).await.err().unwrap();
    assert!(matches!(error, SinceError::Diverged), "{error}");
    assert!(desk.store.load(hash_key()).await.unwrap() == desk.state);
    // An older membership has the revision of the oldest commit that is kept.
    let shop = desk.state.project(&key("shop")).unwrap();
    let mut orgs = Vec::new();
    shop.for_each_org(|org| orgs.push(org.record.profile.org_id.to_string()));
    let mut revisions = Vec::new();
    for id in &orgs {
        let ask = ListMembers {
            at: desk.revision(),
            project: shop.clone(),
            org: shop.org(id).unwrap().clone(),
            filter: MemberFilter::ALL,
            after: None,
            limit: 100,
            now: desk.now,
        };
        revisions.extend(desk.store.list_members(&ask).await.unwrap().into_iter().map(|row| row.revision.unwrap()));
    }
    assert!(revisions.contains(&old) && revisions.contains(&desk.revision()), "{revisions:?}");
    assert!(revisions.iter().all(|revision| [old, desk.revision()].contains(revision)));
}

async fn settled_invitations_are_deleted_in_steps(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    story(&mut desk).await;
    let direct = sea_orm::Database::connect(&desk.database.url).await.unwrap();
    direct.execute_unprepared("DELETE FROM invitations").await.unwrap();
    // In each of three orgs: 1,200 of the time 10, 300 of the time 20, and a pending one.
    for org in 1..=3 {
        for (from, to, settled_at) in [(1, 1_200, "10"), (1_201, 1_500, "20"), (1_501, 1_501, "NULL")] {
            let many = format!(
                "INSERT INTO invitations (project, org, id, email, create_time, expire_time, settled_at, roles, revision)
                 WITH RECURSIVE numbers (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM numbers WHERE n < {to})
                 SELECT 1, {org}, 'id-' || n, 'email-' || n, 1, 5, {settled_at}, '1', 1 FROM numbers"
            );
            direct.execute_unprepared(&many).await.unwrap();
        }
    }
    let count = async |what: &str| {
        let sql = format!("SELECT count(*) FROM invitations WHERE {what}");
        let row = direct.query_one_raw(Statement::from_string(direct.get_database_backend(), sql)).await.unwrap();
        row.unwrap().try_get_by_index::<i64>(0).unwrap()
    };
    let mut steps = 0;
    while desk.store.delete_old_invitations(Time(20)).await.unwrap() {
        steps += 1;
        assert!(count("settled_at = 10").await >= 3_600 - steps * 1_000, "a step deletes a thousand");
    }
    assert_eq!((steps, count("settled_at = 10").await, count("settled_at = 20").await), (4, 0, 900));
    let (project, orgs) = (ProjectId::new(1).unwrap(), [2, 3].map(|org| OrgNo::new(org).unwrap()));
    while desk.store.delete_invitations_of(project, Some(&orgs[..1])).await.unwrap() {}
    assert_eq!((count("org = 1").await, count("org = 2").await, count("org = 3").await), (301, 1, 301));
    while desk.store.delete_invitations_of(project, None).await.unwrap() {}
    assert_eq!((count("settled_at IS NOT NULL").await, count("settled_at IS NULL").await), (0, 3));
    direct.close().await.unwrap();
}

async fn the_history_of_a_large_commit_is_deleted_in_steps(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    story(&mut desk).await;
    let (before, old) = (desk.revision(), desk.revision().number - 1);
    let direct = sea_orm::Database::connect(&desk.database.url).await.unwrap();
    // Their payloads are never read.
    let many = format!(
        "INSERT INTO changes (revision, seq, project, noun, payload)
         WITH RECURSIVE numbers (n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM numbers WHERE n < 30999)
         SELECT {old}, n, 1, noun, payload FROM numbers, changes WHERE revision = 1 AND seq = 0"
    );
    assert_eq!(direct.execute_unprepared(&many).await.unwrap().rows_affected(), 30_000);
    let count = Statement::from_string(
        direct.get_database_backend(),
        format!("SELECT count(*) FROM changes WHERE revision <= {old}"),
    );
    let count =
        async || direct.query_one_raw(count.clone()).await.unwrap().unwrap().try_get_by_index::<i64>(0).unwrap();
    let mut rest = count().await;
    let end = Time(before.at.0);
    let mut more = true;
    while more {
        more = desk.store.delete_old_history(end).await.unwrap();
        let now = count().await;
        assert!(rest - now <= 10_000, "{} changes were deleted in one step", rest - now);
        rest = now;
        // A server at the newest revision goes on.
        assert!(desk.store.commits_since(before, 10).await.unwrap().is_empty());
    }
    assert_eq!(rest, 0);
    let kept = desk.store.newest_revisions(1_000).await.unwrap();
    assert_eq!(kept.iter().map(|it| it.number).collect::<Vec<_>>(), [old, before.number]);
    assert_eq!(desk.store.commits_since(kept[0], 10).await.unwrap().len(), 1);
    direct.close().await.unwrap();
}

async fn an_unknown_change_is_an_error(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    story(&mut desk).await;
    let direct = sea_orm::Database::connect(&desk.database.url).await.unwrap();
    let newer = if desk.database.file().is_some() { "x'9A0600'" } else { r"'\x9A0600'::bytea" };
    let change = format!("UPDATE changes SET payload = {newer} WHERE revision = 3 AND seq = 0");
    assert_eq!(direct.execute_unprepared(&change).await.unwrap().rows_affected(), 1);
    direct.close().await.unwrap();
    let error = desk.store.commits_since(Revision::default(), 10).await.err().unwrap();
    assert!(matches!(error, SinceError::UnknownChange(_)), "{error}");
    assert!(error.to_string().contains("upgrade this server"));
}

async fn a4_request_ids_are_known_for_24_hours_and_then_forgotten(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    desk.write(vec![create_project("shop", RoleStructure::SingleRole)]).await;
    let request = |id: &str| RequestKey {
        caller: Arc::from("ann"),
        project: ProjectKey::stored("shop"),
        request_id: Arc::from(id),
    };
    let commits = desk.decide(vec![create_org("shop", "acme", None)], Some(request("one")));
    desk.persist(&commits).await;
    let asked = [request("one"), request("two")];
    let written = desk.now;
    let known = known(&desk.store, &asked, written).await;
    assert_eq!(known.len(), 1);
    let found = &known[&request("one")];
    assert_eq!(found.fingerprint, 7 << 100);
    assert_eq!(found.revision, desk.revision());
    let answer: wire::storage::Outcome = prost::Message::decode(&*found.outcome).unwrap();
    let wire::storage::outcome::Outcome::Org(org) = answer.outcome.unwrap() else { panic!() };
    assert_eq!((org.org_id.as_str(), org.role_mapping.as_str()), ("acme", "Default"));

    let day = written.plus_seconds(REQUEST_ID_SECONDS);
    assert_eq!(self::known(&desk.store, &asked, day.plus_seconds(-1)).await.len(), 1);
    assert!(self::known(&desk.store, &asked, day).await.is_empty());

    // Then the id can be used again.
    desk.now = day;
    let commits = desk.decide(vec![create_org("shop", "globex", None)], Some(request("one")));
    desk.persist(&commits).await;
    let known = self::known(&desk.store, &asked, desk.now).await;
    assert_eq!(known[&request("one")].revision, desk.revision());

    // Outcomes that are too old are deleted once in a while.
    let old = desk.now;
    desk.now = old.plus_seconds(REQUEST_ID_SECONDS);
    let orgs: Vec<String> = (0..300).map(|number| format!("org-{number}")).collect();
    desk.write(orgs.iter().map(|id| create_org("shop", id, None)).collect()).await;
    assert!(self::known(&desk.store, &asked, old).await.is_empty());
}

async fn known(
    store: &Store,
    keys: &[RequestKey],
    now: rolecall::domain::Time,
) -> rolecall::domain::commands::group::Known {
    let mut tx = store.begin_write().await.unwrap();
    let known = tx.known(keys, now).await.unwrap();
    tx.rollback().await;
    known
}

async fn a_commit_with_an_unknown_outcome_is_settled(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    desk.write(vec![create_project("shop", RoleStructure::SingleRole)]).await;
    let commits = desk.decide(vec![create_org("shop", "acme", None)], None);
    let last = desk.revision();
    assert!(!desk.store.settle(last).await.unwrap());
    // The next write uses the new connection.
    desk.persist(&commits).await;
    assert!(desk.store.settle(last).await.unwrap());
    assert!(!desk.store.settle(Revision { tag: last.tag + 1, ..last }).await.unwrap());

    // Settling waits while that transaction is open.
    let commits = desk.decide(vec![create_org("shop", "globex", None)], None);
    let last = desk.revision();
    let tx = desk.store.begin_write().await.unwrap();
    let ready = tx.persist(&commits, desk.now).await.unwrap();
    let store = desk.store.clone();
    let settling = tokio::spawn(async move { store.settle(last).await });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!settling.is_finished());
    assert!(matches!(ready.commit().await, rolecall::store::Committed::Yes));
    assert!(settling.await.unwrap().unwrap());
    let loaded: State = desk.store.load(hash_key()).await.unwrap();
    assert!(loaded == desk.state);
}

async fn a1_a_commit_records_its_key_and_acting_user(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let now = desk.now;
    desk.write(vec![
        create_project("shop", RoleStructure::SingleRole),
        create_org("shop", "acme", None),
        write_member("shop", "acme", "Ännchen", Write::Add(given(&["Owner"], now))),
    ])
    .await;
    desk.acting_user = Some(user("Ännchen"));
    desk.key = Some("key-1".into());
    let row = WriteMember {
        project: key("shop"),
        row: member("acme", "bob", Write::Add(given(&["Member"], now))),
        allow_ownerless: false,
        keep_invitations: false,
    };
    let written = desk.write(vec![Command::WriteMember(row)]).await;
    assert_eq!(written[0].acting_user, Some(user("Ännchen")));
    let commits = desk.store.commits_since(Revision::default(), 100).await.unwrap();
    let acting: Vec<_> = commits.iter().map(|commit| commit.acting_user.clone()).collect();
    assert_eq!(acting, [None, None, None, Some(user("Ännchen"))]);
    assert!(commits.iter().all(|commit| &*commit.actor == "ann"), "the caller is who it was");
    let keys: Vec<_> = commits.iter().map(|commit| commit.key.as_deref()).collect();
    assert_eq!(keys, [None, None, None, Some("key-1")]);
}
