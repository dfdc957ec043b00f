//! Updates, deletions and renamings are stored as decided, with their names and ids.

use rolecall::domain::commands::command::{CreateOrg, Place, RoleMappingEdits, UpdateOrg, Write};
use rolecall::domain::model::membership::Origin;
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::{Change, Command};

use crate::agreement::{agrees, shows_members, undoes};
use crate::desk::{
    Desk, create_mapping, create_org, create_permissions, create_project, create_role, delete_mapping, delete_org,
    delete_permission, delete_project, delete_role, given, grant, key, member, org, promote, rename_mapping,
    rename_permission, rename_role, reorder_roles, role, subscribe, update_mapping, update_project, write_member,
    write_members,
};
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    every_command_of_the_core_is_stored_as_it_was_decided
    r3_two_objects_swap_names_in_one_group
    r3_a_name_that_is_given_up_is_taken_in_the_same_group
    s5_an_id_is_used_again_in_the_group_that_deletes_it
    r4_the_replacement_of_a_deleted_role_has_the_origin_migration
    r4_a_member_left_without_a_role_is_in_no_list
    r8_a_deleted_permission_is_granted_nowhere
    m5_the_rows_of_a_deleted_mapping_are_deleted
    s5_deleted_data_is_purged_in_chunks_and_its_ids_stay_retired
    memberships_to_purge_are_found_in_order
}

async fn every_command_of_the_core_is_stored_as_it_was_decided(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let start = desk.now;
    let disabled = |name: &str| RoleMappingEdits { disable: vec![role(name)], ..RoleMappingEdits::default() };
    let groups: Vec<Vec<Command>> = vec![
        vec![
            create_project("shop", RoleStructure::MultiRole),
            create_project("forum", RoleStructure::SingleRole),
            create_permissions("shop", &["read", "write", "look"]),
            create_role("shop", "Billing", Place::Above(role("Member")), &["Default"]),
            create_role("shop", "Staff", Place::Last, &[]),
            create_role("shop", "Guest", Place::Last, &[]),
            create_mapping(
                "shop",
                "Paid",
                Some("Default"),
                RoleMappingEdits {
                    grants: vec![grant("Guest", &["read", "look"], &[]), grant("Staff", &["write", "look"], &[])],
                    enable: vec![role("Billing")],
                    ..RoleMappingEdits::default()
                },
            ),
            create_mapping("shop", "Free", Some("Paid"), disabled("Guest")),
            create_org("shop", "made-by-somebody", Some("Paid")),
            create_org("shop", "acme", Some("Paid")),
            create_org("shop", "globex", Some("Paid")),
            create_org("shop", "initech", None),
            create_org("forum", "acme", None),
        ],
        vec![
            write_members(
                "shop",
                ["made-by-somebody", "acme", "globex"]
                    .into_iter()
                    .flat_map(|id| {
                        let add = |user, roles: &[&str]| member(id, user, Write::Add(given(roles, start)));
                        [
                            add("ann", &["Guest"]),
                            add("bob", &["Guest", "Member"]),
                            add("cid", &["Guest for 900", "Member for 800"]),
                            add("dan", &["Guest for 700", "Staff"]),
                            add("eve", &["Staff"]),
                            add("fay", &["Guest", "Billing for 5"]),
                        ]
                    })
                    .collect(),
            ),
            write_member("shop", "made-by-somebody", "creator", Write::Set(given(&["Owner", "Guest"], start))),
            write_member("forum", "acme", "ann", Write::Add(given(&["Member", "Admin for 600"], start))),
        ],
        vec![
            rename_role("shop", "Guest", Some("Visitor"), None),
            rename_role("shop", "Visitor", Some("Caller"), None),
            rename_permission("shop", "look", Some("peek"), None),
            rename_mapping("shop", "Paid", Some("Gold"), None),
            update_project("shop", "The shop", None),
            Command::UpdateOrg(UpdateOrg {
                project: key("shop"),
                org_id: org("acme"),
                display_name: Some("Acme".into()),
                metadata: Some("{}".into()),
            }),
        ],
        // By old names.
        vec![
            write_member("shop", "initech", "gus", Write::Add(given(&["Guest for 90"], start))),
            update_mapping("shop", "Paid", disabled("Visitor")),
            subscribe("shop", "initech", "Paid"),
            rename_role("shop", "Guest", None, Some(&["Guest"])),
            reorder_roles("shop", &["Member", "Owner", "Guest", "Admin", "Staff", "Billing"]),
            update_project("shop", "The shop", Some("Admin")),
        ],
        vec![delete_org("shop", "globex"), delete_permission("shop", "look")],
        // The memberships of the deleted org refer to the rewritten sets, too.
        vec![delete_role("shop", "Caller", Some("Member"))],
        vec![delete_role("shop", "Staff", None), delete_role("shop", "Member", None)],
        vec![promote("shop", "Free"), delete_mapping("shop", "Gold", Some("Default"))],
        vec![
            create_org("shop", "globex", None),
            write_member("shop", "globex", "ann", Write::Add(given(&["Admin"], start))),
            write_member("shop", "acme", "eve", Write::Add(given(&["Admin"], start))),
            write_member("shop", "acme", "ann", Write::Set(given(&["Admin", "Owner for 5000"], start))),
            create_role("shop", "Guest", Place::Last, &[]),
            create_permissions("shop", &["look"]),
        ],
        vec![delete_org("shop", "globex"), delete_project("forum"), create_project("forum", RoleStructure::MultiRole)],
    ];
    let users = ["ann", "bob", "cid", "dan", "eve", "fay", "gus", "creator", "nobody"];
    for group in groups {
        desk.write(group).await;
        agrees(&desk).await;
        shows_members(&desk, &users).await;
    }
    desk.purge(3).await;
    agrees(&desk).await;
    shows_members(&desk, &users).await;
    desk.write(vec![delete_project("shop")]).await;
    agrees(&desk).await;
    desk.purge(2).await;
    agrees(&desk).await;
    undoes(&desk).await;
}

async fn r3_two_objects_swap_names_in_one_group(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    desk.write(vec![
        create_project("shop", RoleStructure::SingleRole),
        create_permissions("shop", &["a", "b"]),
        create_role("shop", "One", Place::Last, &[]),
        create_role("shop", "Two", Place::Last, &[]),
        create_mapping("shop", "Paid", None, RoleMappingEdits::default()),
        create_mapping("shop", "Free", None, RoleMappingEdits::default()),
    ])
    .await;
    type Rename = fn(&str, &str, Option<&str>, Option<&[&str]>) -> Command;
    let swap = |rename: Rename, one: &str, two: &str| {
        let moved = |from: &str, to: &str| [rename("shop", from, Some(to), None), rename("shop", to, None, Some(&[]))];
        [moved(one, "between"), moved(two, one), moved("between", two)].concat()
    };
    let group = [
        swap(rename_permission, "a", "b"),
        swap(rename_role, "One", "Two"),
        swap(rename_mapping, "Paid", "Free"),
        // Only the case changes: the folded name stays.
        vec![rename_role("shop", "Admin", Some("ADMIN"), None)],
    ];
    desk.write(group.concat()).await;
    agrees(&desk).await;
    let shop = desk.state.project(&key("shop")).unwrap();
    assert_eq!(shop.role_named("Two").map(|id| id.number()), Some(4));
    undoes(&desk).await;
}

async fn r3_a_name_that_is_given_up_is_taken_in_the_same_group(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let named = |commands: &mut Vec<Command>, name: &str| {
        commands.extend([
            create_permissions("shop", &[name]),
            create_role("shop", name, Place::Last, &[]),
            create_mapping("shop", name, None, RoleMappingEdits::default()),
        ]);
    };
    let mut first = vec![create_project("shop", RoleStructure::SingleRole)];
    named(&mut first, "one");
    named(&mut first, "two");
    first.extend([
        rename_permission("shop", "two", Some("three"), None),
        rename_role("shop", "two", Some("three"), None),
        rename_mapping("shop", "two", Some("three"), None),
    ]);
    desk.write(first).await;
    agrees(&desk).await;
    // `one` is deleted and used again. `two` is dropped as an old name and becomes an old name of another object.
    let mut second =
        vec![delete_permission("shop", "one"), delete_role("shop", "one", None), delete_mapping("shop", "one", None)];
    named(&mut second, "one");
    second.extend([
        rename_permission("shop", "three", None, Some(&[])),
        rename_role("shop", "three", None, Some(&[])),
        rename_mapping("shop", "three", None, Some(&[])),
        rename_permission("shop", "one", Some("two"), None),
        rename_role("shop", "one", Some("two"), None),
        rename_mapping("shop", "one", Some("two"), None),
        rename_permission("shop", "two", Some("four"), None),
        rename_role("shop", "two", Some("four"), None),
        rename_mapping("shop", "two", Some("four"), None),
    ]);
    desk.write(second).await;
    agrees(&desk).await;
    // Deleting an object frees its old names.
    let mut third =
        vec![delete_permission("shop", "two"), delete_role("shop", "two", None), delete_mapping("shop", "two", None)];
    named(&mut third, "two");
    named(&mut third, "one");
    desk.write(third).await;
    agrees(&desk).await;
    undoes(&desk).await;
}

async fn s5_an_id_is_used_again_in_the_group_that_deletes_it(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let now = desk.now;
    let add = || write_member("shop", "acme", "ann", Write::Add(given(&["Owner"], now)));
    desk.write(vec![create_project("shop", RoleStructure::SingleRole), create_org("shop", "acme", None), add()]).await;
    desk.write(vec![
        delete_org("shop", "acme"),
        create_org("shop", "acme", None),
        add(),
        delete_org("shop", "acme"),
        create_org("shop", "acme", None),
    ])
    .await;
    agrees(&desk).await;
    assert_eq!(desk.member("shop", "acme", "ann").await, None, "members of the old org are not members of the new one");
    shows_members(&desk, &["ann"]).await;
    desk.write(vec![
        delete_project("shop"),
        create_project("shop", RoleStructure::MultiRole),
        delete_project("shop"),
        create_project("shop", RoleStructure::SingleRole),
    ])
    .await;
    agrees(&desk).await;
    assert_eq!(desk.state.project(&key("shop")).unwrap().id.number(), 3);
    desk.purge(1).await;
    agrees(&desk).await;
    undoes(&desk).await;
}

async fn r4_the_replacement_of_a_deleted_role_has_the_origin_migration(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let now = desk.now;
    let write = |user, write| write_member("shop", "made-by-creator", user, write);
    desk.write(vec![
        create_project("shop", RoleStructure::MultiRole),
        create_role("shop", "Old", Place::Last, &[]),
        create_role("shop", "New", Place::Last, &[]),
        create_org("shop", "made-by-creator", None),
        write("ann", Write::Add(given(&["Old"], now))),
        write("bob", Write::Add(given(&["Old", "New"], now))),
        write("cid", Write::Add(given(&["Old for 900"], now))),
        write("dan", Write::Add(given(&["Member"], now))),
        write("creator", Write::Set(given(&["Owner", "Old"], now))),
    ])
    .await;
    let shown = async |desk: &Desk, id: &str| {
        let row = desk.member("shop", "made-by-creator", id).await.unwrap();
        let roles = row.member.roles.iter().map(|role| (role.role.to_string(), role.origin));
        (roles.collect::<Vec<_>>(), row.member.origin.unwrap(), row.revision.unwrap())
    };
    let roles = |roles: &[(&str, Origin)]| -> Vec<(String, Origin)> {
        roles.iter().map(|&(role, origin)| (role.to_string(), origin)).collect()
    };
    use Origin::{Creator, Direct, Migration};
    let (held, latest, before) = shown(&desk, "creator").await;
    assert_eq!((held, latest), (roles(&[("Owner", Creator), ("Old", Direct)]), Direct));
    let deletion = desk.write(vec![delete_role("shop", "Old", Some("New"))]).await[0].revision;
    assert_eq!(shown(&desk, "ann").await, (roles(&[("New", Migration)]), Migration, deletion));
    assert_eq!(shown(&desk, "bob").await, (roles(&[("New", Direct)]), Migration, deletion));
    assert_eq!(shown(&desk, "cid").await, (roles(&[("New", Migration)]), Migration, deletion));
    let (held, latest, revision) = shown(&desk, "dan").await;
    assert_eq!((held, latest), (roles(&[("Member", Direct)]), Direct));
    assert!(revision.number < deletion.number && revision.number < before.number);
    let creator = (roles(&[("Owner", Creator), ("New", Migration)]), Migration, deletion);
    assert_eq!(shown(&desk, "creator").await, creator);
    let users = ["ann", "bob", "cid", "dan", "creator"];
    shows_members(&desk, &users).await;
    // A member who is written again has that origin. Roles that stay keep theirs.
    let set = Write::Set(given(&["New", "Admin"], now));
    let written = desk.write(vec![write("ann", set)]).await[0].revision;
    assert_eq!(shown(&desk, "ann").await, (roles(&[("Admin", Direct), ("New", Migration)]), Direct, written));
    // New members get a set that no deletion rewrote.
    let added = desk.write(vec![write("eve", Write::Add(given(&["New"], now)))]).await[0].revision;
    assert_eq!(shown(&desk, "eve").await, (roles(&[("New", Direct)]), Direct, added));
    // Once more.
    desk.write(vec![delete_role("shop", "New", Some("Member"))]).await;
    shows_members(&desk, &[&users[..], &["eve"]].concat()).await;
    agrees(&desk).await;
    undoes(&desk).await;
}

async fn r4_a_member_left_without_a_role_is_in_no_list(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let now = desk.now;
    let mut commands = vec![
        create_project("shop", RoleStructure::MultiRole),
        create_role("shop", "Staff", Place::Last, &[]),
        create_org("shop", "acme", None),
        create_org("shop", "globex", None),
    ];
    let users: Vec<String> = (0..20).map(|number| format!("user-{number:02}")).collect();
    for (number, user) in users.iter().enumerate() {
        let roles: &[&str] = if number.is_multiple_of(3) { &["Staff", "Member"] } else { &["Staff"] };
        for id in ["acme", "globex"] {
            commands.push(write_member("shop", id, user, Write::Add(given(roles, now))));
        }
    }
    desk.write(commands).await;
    let commits = desk.write(vec![delete_role("shop", "Staff", None)]).await;
    let memberships = commits[0].changes.iter().filter(|change| matches!(change, Change::Membership(_)));
    assert_eq!(memberships.count(), 0, "the sets are written, not the members");
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    agrees(&desk).await;
    shows_members(&desk, &users).await;
    // One user is added again before the purge.
    desk.write(vec![write_member("shop", "acme", "user-01", Write::Add(given(&["Member"], now)))]).await;
    shows_members(&desk, &users).await;
    let commits = desk.purge(5).await;
    assert!(commits.iter().map(|commit| commit.changes.len()).max().unwrap() <= 5 + 1);
    agrees(&desk).await;
    shows_members(&desk, &users).await;
    let project = desk.state.project(&key("shop")).unwrap();
    assert_eq!(project.memberships_len(), 7 + 7 + 1);
    undoes(&desk).await;
}

async fn r8_a_deleted_permission_is_granted_nowhere(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let roles: Vec<String> = (0..30).map(|number| format!("role {number}")).collect();
    let mut commands = vec![
        create_project("shop", RoleStructure::SingleRole),
        create_project("forum", RoleStructure::SingleRole),
        create_permissions("shop", &["gone", "stays"]),
        create_permissions("forum", &["gone", "stays"]),
    ];
    for project in ["shop", "forum"] {
        commands.extend(roles.iter().map(|name| create_role(project, name, Place::Last, &[])));
        let grants = roles.iter().map(|name| grant(name, &["gone", "stays"], &[])).collect();
        let edits = RoleMappingEdits { grants, ..RoleMappingEdits::default() };
        commands.push(update_mapping(project, "Default", edits));
        let copies = (0..20).map(|number| format!("plan {number}"));
        commands
            .extend(copies.map(|name| create_mapping(project, &name, Some("Default"), RoleMappingEdits::default())));
    }
    desk.write(commands).await;
    agrees(&desk).await;
    // Granted, taken and deleted in one group, and another permission takes the name.
    let edits = |add: &[&str], remove: &[&str]| RoleMappingEdits {
        grants: vec![grant("Member", add, remove)],
        ..RoleMappingEdits::default()
    };
    desk.write(vec![
        update_mapping("shop", "Default", edits(&["gone"], &[])),
        delete_permission("shop", "gone"),
        create_permissions("shop", &["gone"]),
        update_mapping("shop", "plan 3", edits(&["gone"], &[])),
    ])
    .await;
    agrees(&desk).await;
    let count = |project: &str| desk.state.project(&key(project)).unwrap().grants;
    assert_eq!(count("shop"), 21 * (17 + 30) + 1);
    assert_eq!(count("forum"), 21 * (17 + 60));
    undoes(&desk).await;
}

async fn m5_the_rows_of_a_deleted_mapping_are_deleted(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let edits = |add: &[&str], disable: &[&str]| RoleMappingEdits {
        grants: vec![grant("Guest", add, &[])],
        disable: disable.iter().map(|name| role(name)).collect(),
        ..RoleMappingEdits::default()
    };
    desk.write(vec![
        create_project("shop", RoleStructure::SingleRole),
        create_permissions("shop", &["a", "b"]),
        create_role("shop", "Guest", Place::Last, &[]),
        create_role("shop", "Other", Place::Last, &[]),
        create_mapping("shop", "Paid", Some("Default"), edits(&["a"], &["Guest", "Admin"])),
        create_mapping("shop", "Free", Some("Paid"), edits(&["b"], &["Other"])),
    ])
    .await;
    // Its rows change, a role is deleted, the mapping is deleted, and another is created and deleted.
    desk.write(vec![
        update_mapping("shop", "Paid", edits(&["b"], &["Other"])),
        delete_role("shop", "Guest", None),
        delete_mapping("shop", "Paid", None),
        create_mapping("shop", "Paid", Some("Free"), RoleMappingEdits::default()),
        delete_mapping("shop", "Paid", None),
        create_mapping("shop", "Paid", None, RoleMappingEdits::default()),
    ])
    .await;
    agrees(&desk).await;
    undoes(&desk).await;
}

async fn s5_deleted_data_is_purged_in_chunks_and_its_ids_stay_retired(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let now = desk.now;
    let project = |key: &str| {
        let add = |number: usize| {
            let user = format!("user-{number:02}");
            let roles: &[&str] = if number.is_multiple_of(4) { &["Owner", "Staff for 900"] } else { &["Admin"] };
            let id = if number.is_multiple_of(2) { "acme" } else { "globex" };
            member(id, &user, Write::Add(given(roles, now)))
        };
        vec![
            create_project(key, RoleStructure::MultiRole),
            create_role(key, "Staff", Place::Last, &[]),
            create_org(key, "acme", None),
            create_org(key, "globex", None),
            create_org(key, "empty", None),
            write_members(key, (0..30).map(add).collect()),
            rename_role(key, "Staff", Some("Crew"), None),
        ]
    };
    desk.write([project("shop"), project("forum")].concat()).await;
    desk.write(vec![delete_org("shop", "acme"), delete_org("shop", "empty"), delete_project("forum")]).await;
    agrees(&desk).await;
    desk.purge(4).await;
    agrees(&desk).await;
    let shop = desk.state.project(&key("shop")).unwrap();
    assert_eq!(shop.memberships_len(), 15);
    assert!(shop.was_deleted("acme") && shop.was_deleted("empty") && !shop.was_deleted("globex"));
    assert!(desk.state.was_deleted(&key("forum")));
    let Command::CreateOrg(again) = create_org("shop", "acme", None) else { unreachable!() };
    let refused = Command::CreateOrg(CreateOrg { reuse_deleted_id: false, ..again });
    assert!(desk.try_write(vec![refused]).await.is_empty());
    // An org that is deleted but not purged is still deleted after loading.
    desk.write(vec![delete_org("shop", "globex")]).await;
    agrees(&desk).await;
    undoes(&desk).await;
}

async fn memberships_to_purge_are_found_in_order(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let now = desk.now;
    let mut commands = vec![
        create_project("shop", RoleStructure::MultiRole),
        create_project("forum", RoleStructure::MultiRole),
        create_role("shop", "Staff", Place::Last, &[]),
    ];
    for id in ["acme", "globex", "initech"] {
        commands.push(create_org("shop", id, None));
        commands.push(create_org("forum", id, None));
        for (user, role) in [("a", "Staff"), ("B", "Staff"), ("ä", "Staff"), ("c", "Member")] {
            commands.push(write_member("shop", id, user, Write::Add(given(&[role], now))));
            commands.push(write_member("forum", id, user, Write::Add(given(&["Member"], now))));
        }
    }
    desk.write(commands).await;
    desk.write(vec![delete_org("shop", "globex"), delete_role("shop", "Staff", None)]).await;
    let shop = desk.state.project(&key("shop")).unwrap().clone();
    let orgs: Vec<_> = shop.orgs_being_purged().iter().copied().collect();
    let sets: Vec<_> = shop.role_sets_being_purged().iter().copied().collect();
    assert_eq!((orgs.len(), sets.len()), (1, 1));
    let all = |of: &[(u32, &str)]| of.iter().map(|(org, user)| format!("{org} {user}")).collect::<Vec<_>>();
    let of_org = all(&[(2, "B"), (2, "a"), (2, "c"), (2, "ä")]);
    let of_sets = [(1, "B"), (1, "a"), (1, "ä"), (2, "B"), (2, "a"), (2, "ä"), (3, "B"), (3, "a"), (3, "ä")];
    let of_both = [(1, "B"), (1, "a"), (1, "ä"), (2, "B"), (2, "a"), (2, "c"), (2, "ä"), (3, "B"), (3, "a"), (3, "ä")];
    let none: (&[_], &[_]) = (&[], &[]);
    for (asked, expected) in [
        ((&orgs[..], none.1), of_org),
        ((none.0, &sets[..]), all(&of_sets)),
        ((&orgs[..], &sets[..]), all(&of_both)),
        (none, Vec::new()),
    ] {
        for limit in [1, 2, 3, 100] {
            let mut found = Vec::new();
            loop {
                let after = found.last().cloned();
                let page = desk.store.purgeable(shop.id, asked.0, asked.1, after, limit).await.unwrap();
                let last = page.len() < limit as usize;
                found.extend(page);
                if last {
                    break;
                }
            }
            let found: Vec<String> = found.iter().map(|(org, user)| format!("{} {user}", org.number())).collect();
            assert_eq!(found, expected);
        }
    }
    assert_eq!(desk.store.purgeable_of_project(shop.id, 5).await.unwrap().len(), 5);
    assert_eq!(desk.store.purgeable_of_project(shop.id, 100).await.unwrap().len(), 12);
}
