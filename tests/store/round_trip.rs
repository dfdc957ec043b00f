//! The decided State equals the loaded one, the replayed one, and the one after undoing and redoing all changes.

use rolecall::domain::commands::command::{Place, RoleMappingEdits, Write};
use rolecall::domain::commands::group::Commit;
use rolecall::domain::model::id::OrgNo;
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::{Change, Command, State};

use crate::desk::{
    Desk, block_user, create_mapping, create_org, create_permissions, create_project, create_role, delete_user, given,
    grant, hash_key, key, member, promote, provision, role, set_domains, subscribe, unblock_user, update_mapping, user,
    write_member, write_members,
};
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    a_state_loaded_equals_the_state_decided
    a_state_replayed_equals_the_state_loaded_equals_the_state_undone_and_redone
    a_group_that_changes_an_object_twice_stores_its_last_form
    a_group_larger_than_a_statement_is_stored_whole
    a_refused_commit_leaves_nothing
}

/// Writes every kind of change, in groups of several commands.
pub async fn story(desk: &mut Desk) -> Vec<Commit> {
    let now = desk.now;
    let names: Vec<String> = (0..200).map(|number| format!("permission {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut commits = Vec::new();
    commits.extend(
        desk.write(vec![
            create_project("shop", RoleStructure::MultiRole),
            create_project("forum", RoleStructure::SingleRole),
            create_permissions("shop", &names),
            create_permissions("forum", &["read", "write"]),
        ])
        .await,
    );
    let edits = RoleMappingEdits {
        grants: vec![grant("Billing Manager", &["permission 7"], &[]), grant("Admin", &names[20..180], &[])],
        enable: vec![role("Billing Manager")],
        ..RoleMappingEdits::default()
    };
    commits.extend(
        desk.write(vec![
            create_role("shop", "Billing Manager", Place::Above(role("Member")), &["Default"]),
            create_role("shop", "Staff", Place::Last, &[]),
            create_mapping("shop", "Paid", Some("Default"), edits),
            create_org("shop", "acme", None),
            create_org("shop", "globex", Some("Paid")),
            create_org("forum", "acme", None),
        ])
        .await,
    );
    let rows = (0..50).map(|number| {
        let roles: &[&str] = match number % 4 {
            0 => &["Owner"],
            1 => &["Member", "Billing Manager for 500"],
            2 => &["Admin for 100", "Staff for 900"],
            _ => &["Member", "Staff", "Admin"],
        };
        member("globex", &format!("user-{number}"), Write::Add(given(roles, now)))
    });
    commits.extend(
        desk.write(vec![
            write_members("shop", rows.collect()),
            write_member("forum", "acme", "user-1", Write::Add(given(&["Member", "Admin for 300"], now))),
            write_member("shop", "acme", "user-1", Write::Add(Vec::new())),
        ])
        .await,
    );
    let edits = RoleMappingEdits {
        grants: vec![grant("Admin", &["permission 3"], &names[20..179]), grant("Member", &["permission 5"], &[])],
        enable: Vec::new(),
        disable: vec![role("Staff"), role("Billing Manager")],
    };
    commits.extend(
        desk.write(vec![
            update_mapping("shop", "Paid", edits),
            promote("shop", "Paid"),
            subscribe("shop", "acme", "Paid"),
            write_member("shop", "globex", "user-0", Write::Set(given(&["Admin", "Owner for 50"], now))),
            write_member("shop", "globex", "user-1", Write::Set(given(&["Billing Manager"], now))),
            write_member("shop", "globex", "user-2", Write::Remove),
            write_member("shop", "acme", "user-1", Write::Remove),
            block_user("shop", "user-1"),
            block_user("shop", "stranger"),
            block_user("forum", "user-1"),
            unblock_user("shop", "stranger"),
            delete_user("shop", "user-3"),
            set_domains("shop", "globex", &[("a.example", &["Member", "Admin"]), ("b.example", &[])]),
            provision("shop", "globex", "user-7", "a.example"),
            set_domains("shop", "globex", &[("a.example", &["Member", "Admin"])]),
            provision("shop", "globex", "new", "a.example"),
        ])
        .await,
    );
    commits.extend(desk.write(vec![unblock_user("forum", "user-1"), block_user("forum", "user-2")]).await);
    commits
}

async fn a_state_loaded_equals_the_state_decided(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    story(&mut desk).await;
    let loaded = desk.store.load(hash_key()).await.unwrap();
    assert!(loaded == desk.state);
    assert_eq!(loaded.revision(), desk.revision());
    for project in desk.state.projects() {
        let found = loaded.project(&project.record.key).unwrap();
        assert_eq!(found.counters(), project.counters());
    }
}

async fn a_state_replayed_equals_the_state_loaded_equals_the_state_undone_and_redone(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let written = story(&mut desk).await;
    // In pages of several sizes.
    for limit in [1, 3, 100] {
        let mut replayed = State::new(hash_key());
        loop {
            let commits = desk.store.commits_since(replayed.revision(), limit).await.unwrap();
            assert!(commits.len() <= limit as usize);
            if commits.is_empty() {
                break;
            }
            commits.iter().for_each(|commit| replayed.apply_commit(commit.revision, &commit.changes));
        }
        assert!(replayed == desk.state);
        assert_eq!(replayed.revision(), desk.revision());
    }
    let read = desk.store.commits_since(Default::default(), 1_000).await.unwrap();
    for (read, written) in read.iter().zip(&written) {
        assert_eq!(read.revision, written.revision);
        assert_eq!((&read.kind, &read.actor, &read.reason), (&written.kind, &written.actor, &written.reason));
        assert_eq!(read.changes, written.changes);
    }
    let mut state = desk.store.load(hash_key()).await.unwrap();
    for commit in read.iter().rev() {
        commit.changes.iter().rev().cloned().map(Change::undone).for_each(|change| state.apply(&change));
    }
    state.set_revision(Default::default());
    assert!(state == State::new(hash_key()));
    read.iter().for_each(|commit| state.apply_commit(commit.revision, &commit.changes));
    assert!(state == desk.state);
}

async fn a_group_that_changes_an_object_twice_stores_its_last_form(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let now = desk.now;
    let edits = |add: &[&str], remove: &[&str]| RoleMappingEdits {
        grants: vec![grant("Member", add, remove)],
        ..RoleMappingEdits::default()
    };
    let write = |write| write_member("shop", "acme", "ann", write);
    desk.write(vec![
        create_project("shop", RoleStructure::MultiRole),
        create_permissions("shop", &["a", "b"]),
        update_mapping("shop", "Default", edits(&["a", "b"], &[])),
        update_mapping("shop", "Default", edits(&[], &["a"])),
        create_org("shop", "acme", None),
        write(Write::Add(given(&["Owner"], now))),
        write(Write::Set(given(&["Admin for 60"], now))),
        write(Write::Remove),
        write(Write::Add(given(&["Member"], now))),
        write_member("shop", "acme", "bob", Write::Add(Vec::new())),
        write_member("shop", "acme", "bob", Write::Remove),
    ])
    .await;
    assert!(desk.store.load(hash_key()).await.unwrap() == desk.state);
    let project = desk.state.project(&key("shop")).unwrap();
    let acme = project.org("acme").unwrap();
    assert!(project.membership(acme, &user("bob")).is_none());
    let found = desk.member("shop", "acme", "ann").await.unwrap();
    assert_eq!(found.revision.unwrap().number, 9, "the last command that changed it");
}

async fn a_group_larger_than_a_statement_is_stored_whole(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let now = desk.now;
    desk.write(vec![create_project("shop", RoleStructure::MultiRole), create_org("shop", "acme", None)]).await;
    let add = |number: usize| {
        let roles: &[&str] = if number.is_multiple_of(2) { &["Member"] } else { &["Admin", "Member for 60"] };
        member("acme", &format!("user-{number}"), Write::Add(given(roles, now)))
    };
    desk.write(vec![write_members("shop", (0..10_000).map(add).collect())]).await;
    assert!(desk.store.load(hash_key()).await.unwrap() == desk.state);
    let change = |number: usize| match number % 3 {
        0 => member("acme", &format!("user-{number}"), Write::Remove),
        _ => member("acme", &format!("user-{number}"), Write::Set(given(&["Owner", "Admin for 9"], now))),
    };
    desk.write(vec![write_members("shop", (0..10_000).map(change).collect())]).await;
    assert!(desk.store.load(hash_key()).await.unwrap() == desk.state);
}

async fn a_refused_commit_leaves_nothing(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    desk.write(vec![create_project("shop", RoleStructure::SingleRole)]).await;
    let before = desk.state.clone();
    let commands: Vec<Command> = vec![create_org("shop", "acme", None), create_org("shop", "globex", None)];
    let commits = desk.decide(commands, None);
    // The second commit alone does not follow the head.
    let tx = desk.store.begin_write().await.unwrap();
    assert!(tx.persist(&commits[1..], desk.now).await.is_err());
    // An id that is taken makes the database fail in the middle of the group.
    let mut twice = commits.clone();
    let Change::Org(mut edit) = commits[0].changes[0].clone() else { panic!() };
    edit.key.id = OrgNo::new(77).unwrap();
    twice[1].changes.push(Change::Org(edit));
    let tx = desk.store.begin_write().await.unwrap();
    assert!(tx.persist(&twice, desk.now).await.is_err());
    let tx = desk.store.begin_write().await.unwrap();
    let ready = tx.persist(&commits, desk.now).await.unwrap();
    drop(ready);
    assert!(desk.store.load(hash_key()).await.unwrap() == before);
    desk.persist(&commits).await;
    assert!(desk.store.load(hash_key()).await.unwrap() == desk.state);
}
