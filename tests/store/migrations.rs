//! A database of an earlier release becomes one of this, with what is in it, and goes back.

use rolecall::domain::command::{Place, RoleMappingEdits, Write};
use rolecall::domain::membership::Origin;
use rolecall::domain::project::RoleStructure;
use rolecall::domain::{Revision, State};
use rolecall::store::Store;
use rolecall_migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database};

use crate::agreement::agrees;
use crate::desk::{
    Desk, START, answering, create_mapping, create_org, create_permissions, create_project, create_role, delete_role,
    given, grant, hash_key, key, manage, open, org, rename_role, role, suspend, update_mapping, user, write_member,
};
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    rows_of_the_first_release_are_loaded
    the_tables_of_the_first_release_come_back
    rows_of_the_second_release_are_loaded
    the_release_before_can_write_to_these_tables
    the_tables_of_the_second_release_come_back
}

/// The rows that the first release had, in its tables: a project of three roles, a mapping, three orgs of which one is
/// dead, two members of whom one has a role that ends.
const FIRST: [&str; 15] = [
    "INSERT INTO head (id, store_id, revision, tag, at, floor) VALUES (1, 77, 5, 9, 1700000000000005, 0)",
    "INSERT INTO commits (revision, tag, at, kind, actor, reason, request_id)
     VALUES (4, 8, 1700000000000004, 'AddMember', 'ann', '', NULL), (5, 9, 1700000000000005, 'AddMember', 'ann', '', 'x')",
    r#"INSERT INTO projects (id, "key", display_name, environment, role_structure, default_role, default_owner_role,
         default_role_mapping, create_time, next_permission, next_role, next_role_set, next_role_mapping, next_org)
       VALUES (1, 'shop', 'The shop', 2, 2, 3, 1, 1, 1700000000000001, 12, 5, 4, 3, 4)"#,
    "INSERT INTO permissions (project, id, name, description, built_in, create_time)
     VALUES (1, 10, 'read', 'what read allows', FALSE, 1700000000000001), (1, 11, 'write', '', FALSE, 1700000000000001)",
    r#"INSERT INTO roles (project, id, name, name_key, description, internal, "rank", create_time)
       VALUES (1, 1, 'Owner', 'owner', '', FALSE, 100, 1700000000000001)"#,
    r#"INSERT INTO roles (project, id, name, name_key, description, internal, "rank", create_time)
       VALUES (1, 2, 'Staff', 'staff', '', TRUE, 50, 1700000000000001),
              (1, 3, 'Member', 'member', '', FALSE, 300, 1700000000000001)"#,
    "INSERT INTO role_sets (project, id) VALUES (1, 1), (1, 2), (1, 3)",
    "INSERT INTO role_set_roles (project, role_set, role) VALUES (1, 1, 1), (1, 2, 2), (1, 2, 3), (1, 3, 2)",
    "INSERT INTO role_mappings (project, id, name, name_key, description, create_time)
     VALUES (1, 1, 'Default', 'default', '', 1700000000000001)",
    "INSERT INTO disabled_roles (project, role_mapping, role) VALUES (1, 1, 2)",
    "INSERT INTO grants (project, role_mapping, role, permission) VALUES (1, 1, 1, 10), (1, 1, 1, 11), (1, 1, 3, 10)",
    r#"INSERT INTO orgs (project, "no", org_id, display_name, metadata, role_mapping, create_time, dead_at)
       VALUES (1, 1, 'acme', 'Acme', '{}', 1, 1700000000000002, NULL),
              (1, 2, 'acme', 'Acme', '{}', 1, 1700000000000001, 1700000000000002),
              (1, 3, 'globex', '', '', 1, 1700000000000003, NULL)"#,
    "INSERT INTO memberships (project, org, user_id, role_set, origin, revision, timed, held_until)
     VALUES (1, 1, 'ann', 1, 1, 4, FALSE, NULL)",
    "INSERT INTO memberships (project, org, user_id, role_set, origin, revision, timed, held_until)
     VALUES (1, 1, 'bob', 2, 1, 5, TRUE, NULL)",
    r#"INSERT INTO timed_roles (project, org, user_id, role, "until") VALUES (1, 1, 'bob', 2, 1800000000000000)"#,
];

async fn rows_of_the_first_release_are_loaded(database: TestDatabase) {
    // The file has to be there.
    Store::open(&database.url).await.unwrap().close().await;
    let direct = Database::connect(&database.url).await.unwrap();
    Migrator::up(&direct, Some(1)).await.unwrap();
    for sql in FIRST {
        direct.execute_unprepared(sql).await.unwrap();
    }
    direct.close().await.unwrap();

    let mut desk = Desk::new(database).await;
    assert_eq!(desk.store.store_id().await.unwrap(), 77);
    assert_eq!(desk.revision().number, 5);
    let project = desk.state.project(&key("shop")).unwrap().clone();
    assert_eq!((project.record.version, project.record.role_order_version), (0, 0));
    assert_eq!(project.role_order.iter().map(|id| id.number()).collect::<Vec<_>>(), [2, 1, 3]);
    assert_eq!((project.grants, project.memberships_len(), project.orgs_len()), (3, 2, 2));
    assert!(project.was_deleted("acme") && project.org("acme").is_some());
    let found = desk.store.get_member(&key("shop"), &org("acme"), &user("bob"), START, None).await.unwrap().value;
    assert_eq!(found.revision.unwrap().number, 5);
    let roles: Vec<_> = found.member.roles.iter().map(|it| (it.role.as_str(), it.until.is_some())).collect();
    assert_eq!(roles, [("Staff", true), ("Member", false)]);

    // And this release goes on with them.
    desk.write(vec![
        rename_role("shop", "Staff", Some("Crew"), None),
        create_org("shop", "initech", None),
        write_member("shop", "initech", "cid", Write::Add(given(&["Owner"], START))),
    ])
    .await;
    let deletion = desk.write(vec![delete_role("shop", "Staff", None)]).await[0].revision;
    desk.erase(10).await;
    assert!(desk.store.load(hash_key()).await.unwrap() == desk.state);
    let found = desk.store.get_member(&key("shop"), &org("acme"), &user("bob"), desk.now, None).await.unwrap().value;
    assert_eq!((found.revision, found.member.roles.len()), (Some(deletion), 1));
    let found = desk.store.get_member(&key("shop"), &org("acme"), &user("ann"), desk.now, None).await.unwrap().value;
    assert_eq!(found.revision.unwrap().number, 4);
}

/// What the second release had besides: an old name, a set that was altered, and two answers to repeat.
const SECOND: [&str; 6] = [
    "INSERT INTO aliases (project, noun, alias, id, place) VALUES (1, 3, 'Crew', 2, 0)",
    "UPDATE roles SET version = 4 WHERE project = 1 AND id = 2",
    "UPDATE role_sets SET migrated = TRUE, revision = 5 WHERE project = 1 AND id = 1",
    "UPDATE role_set_roles SET replacement = TRUE WHERE project = 1 AND role_set = 1",
    "UPDATE memberships SET other_origins = TRUE WHERE project = 1 AND user_id = 'bob'",
    "INSERT INTO role_origins (project, org, user_id, role, origin) VALUES (1, 1, 'bob', 3, 2)",
];

async fn rows_of_the_second_release_are_loaded(database: TestDatabase) {
    Store::open(&database.url).await.unwrap().close().await;
    let direct = Database::connect(&database.url).await.unwrap();
    Migrator::up(&direct, Some(2)).await.unwrap();
    for sql in FIRST.iter().chain(&SECOND) {
        direct.execute_unprepared(sql).await.unwrap();
    }
    direct.close().await.unwrap();

    let mut desk = Desk::new(database).await;
    let project = desk.state.project(&key("shop")).unwrap().clone();
    assert!(project.roles.entries().all(|(_, role)| role.manages.is_empty()));
    assert!(project.org("acme").unwrap().stand_ins().is_empty());
    let found = desk.store.get_role(&key("shop"), &role("Crew")).await.unwrap().value;
    assert_eq!((found.role.version, found.manages.len()), (4, 0));
    let found = desk.store.get_member(&key("shop"), &org("acme"), &user("ann"), START, None).await.unwrap().value;
    assert_eq!((found.revision.unwrap().number, found.member.origin), (5, Some(Origin::Migration)));
    let found = desk.store.get_member(&key("shop"), &org("acme"), &user("bob"), START, None).await.unwrap().value;
    assert_eq!(found.member.roles[1].origin, Origin::Creator);
    assert!(found.member.roles.iter().all(|role| role.stand_in.is_none()));

    // And this release goes on with them: roles that manage, others that stand in, on somebody's behalf.
    let edits = RoleMappingEdits { enable: vec![role("Staff")], ..RoleMappingEdits::default() };
    desk.write(vec![
        update_mapping("shop", "Default", edits),
        create_role("shop", "Guest", Place::Last, &[]),
        write_member("shop", "acme", "cid", Write::Add(given(&["Guest"], START))),
        manage("shop", "Owner", &["Member", "Guest"]),
    ])
    .await;
    let disable = RoleMappingEdits { disable: vec![role("Guest")], ..RoleMappingEdits::default() };
    desk.write(vec![answering(update_mapping("shop", "Default", disable), suspend(Some("Member")))]).await;
    assert!(desk.store.load(hash_key()).await.unwrap() == desk.state);
    let found = desk.store.get_member(&key("shop"), &org("acme"), &user("cid"), desk.now, None).await.unwrap().value;
    assert_eq!(found.member.roles[0].stand_in, Some(role("Member")));
}

/// While servers are replaced one by one, one of the release before may still write.
async fn the_release_before_can_write_to_these_tables(database: TestDatabase) {
    open(&database).await.close().await;
    let direct = Database::connect(&database.url).await.unwrap();
    direct.execute_unprepared("DELETE FROM head").await.unwrap();
    for sql in FIRST.iter().chain(&SECOND) {
        direct.execute_unprepared(sql).await.unwrap();
    }
    direct.close().await.unwrap();
    let desk = Desk::new(database).await;
    assert_eq!(desk.revision().number, 5);
    assert_eq!(desk.state.project(&key("shop")).unwrap().memberships_len(), 2);
}

async fn the_tables_of_the_second_release_come_back(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let disable = RoleMappingEdits { disable: vec![role("Guest")], ..RoleMappingEdits::default() };
    desk.write(vec![
        create_project("shop", RoleStructure::MultiRole),
        create_role("shop", "Guest", Place::Last, &[]),
        create_org("shop", "acme", None),
        write_member("shop", "acme", "ann", Write::Add(given(&["Guest"], START))),
        manage("shop", "Guest", &["Member"]),
        answering(update_mapping("shop", "Default", disable), suspend(Some("Member"))),
    ])
    .await;
    agrees(&desk).await;
    let Desk { store, database, state, .. } = desk;
    store.close().await;
    let direct = Database::connect(&database.url).await.unwrap();
    Migrator::down(&direct, Some(1)).await.unwrap();
    for sql in ["SELECT 1 FROM managed_roles", "SELECT 1 FROM stand_ins", "SELECT acting_user FROM commits"] {
        assert!(direct.execute_unprepared(sql).await.is_err(), "{sql}");
    }
    direct.execute_unprepared("SELECT alias FROM aliases").await.unwrap();
    direct.close().await.unwrap();
    // What the second release did not know is gone, the rest is as it was.
    let desk = Desk::new(database).await;
    let (before, after) = (state.project(&key("shop")).unwrap(), desk.state.project(&key("shop")).unwrap());
    assert!(after.org("acme").unwrap().stand_ins().is_empty());
    assert!(after.roles.entries().all(|(_, role)| role.manages.is_empty()));
    assert!(after.role_sets == before.role_sets && after.role_mappings == before.role_mappings);
    assert_eq!(after.memberships_len(), 1);
}

async fn the_tables_of_the_first_release_come_back(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let edits = RoleMappingEdits {
        grants: vec![grant("Member", &["read"], &[])],
        disable: vec![role("Guest")],
        ..RoleMappingEdits::default()
    };
    desk.write(vec![
        create_project("shop", RoleStructure::MultiRole),
        create_permissions("shop", &["read"]),
        create_role("shop", "Guest", Place::Last, &[]),
        create_mapping("shop", "Paid", Some("Default"), edits),
        create_org("shop", "made-by-somebody", Some("Paid")),
        write_member("shop", "made-by-somebody", "ann", Write::Add(given(&["Member", "Admin for 90"], START))),
    ])
    .await;
    agrees(&desk).await;
    let Desk { store, database, state, .. } = desk;
    store.close().await;
    let direct = Database::connect(&database.url).await.unwrap();
    Migrator::down(&direct, Some(2)).await.unwrap();
    for (table, column) in [("projects", "erased"), ("role_sets", "dying"), ("memberships", "other_origins")] {
        let sql = format!("SELECT {column} FROM {table}");
        assert!(direct.execute_unprepared(&sql).await.is_err(), "{table} still has {column}");
    }
    assert!(direct.execute_unprepared("SELECT 1 FROM aliases").await.is_err());
    direct.execute_unprepared("SELECT held_until FROM memberships").await.unwrap();
    direct.close().await.unwrap();
    // What the first release did not know is gone, the rest is as it was.
    let desk = Desk::new(database).await;
    let (before, after) = (state.project(&key("shop")).unwrap(), desk.state.project(&key("shop")).unwrap());
    assert_eq!(after.record.version, 0);
    assert!(after.permissions == before.permissions && after.role_sets == before.role_sets);
    assert_eq!((after.grants, after.memberships_len()), (before.grants, before.memberships_len()));
    let mut replayed = State::new(hash_key());
    let commits = desk.store.commits_since(Revision::default(), 100).await.unwrap();
    commits.iter().for_each(|commit| replayed.apply_commit(commit.revision, &commit.changes));
    assert!(replayed == state, "the history is not touched");
}
