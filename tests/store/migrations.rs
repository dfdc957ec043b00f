//! A database of the first release becomes one of this, with what is in it, and goes back.

use rolecall::domain::command::{Place, RoleMappingEdits, Write};
use rolecall::domain::project::RoleStructure;
use rolecall::domain::{Revision, State};
use rolecall::store::Store;
use rolecall_migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, Database};

use crate::agreement::agrees;
use crate::desk::{
    Desk, START, create_mapping, create_org, create_permissions, create_project, create_role, delete_role, given,
    grant, hash_key, key, org, rename_role, role, user, write_member,
};
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    rows_of_the_first_release_are_loaded
    the_tables_of_the_first_release_come_back
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
    Migrator::down(&direct, Some(1)).await.unwrap();
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
