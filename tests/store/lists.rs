//! Lists of projects, permissions, roles, mappings and orgs: whole, page by page, in one order on both databases.

use rolecall::domain::Command;
use rolecall::domain::commands::command::{Place, RoleMappingEdits, Write};
use rolecall::domain::model::id::{PermissionId, RoleId, RoleMappingId};
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::model::refusal::Noun;
use rolecall::domain::{OrgId, ProjectKey, RoleMappingName};
use rolecall::limits::PAGE_SIZE_MAX;
use rolecall::store::{After, ListMembers, ListOrgs, ListRoles, Page, ReadError, RoleRow, Store};

use crate::desk::{
    Desk, START, create_mapping, create_org, create_permissions, create_project, create_role, grant, key, mapping, org,
    permission, promote, role, user, write_member,
};
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    b4_lists_are_complete_at_every_page_size
    ids_are_ordered_by_their_bytes
    s3_orgs_are_listed_by_role_mapping
    r2_roles_are_listed_in_their_order
    m1_role_mappings_show_what_they_are
    the_largest_page_is_answered
    what_does_not_exist_is_not_found
}

/// The pages of a list, put together; every page but the last is full.
pub async fn whole<T, K, P>(limit: u32, key: impl Fn(&T) -> K, mut page: impl FnMut(Option<K>, u32) -> P) -> Vec<T>
where
    P: Future<Output = Result<Page<T>, ReadError>>,
{
    let mut all = Vec::new();
    loop {
        let next = page(all.last().map(&key), limit).await.unwrap();
        assert!(next.rows.len() == limit as usize || !next.more, "a page is full or the last");
        all.extend(next.rows);
        if !next.more {
            return all;
        }
    }
}

pub fn listing(
    project: &ProjectKey,
    role_mapping: Option<&RoleMappingName>,
    after: Option<OrgId>,
    limit: u32,
) -> ListOrgs {
    ListOrgs { project: project.clone(), role_mapping: role_mapping.cloned(), ownerless: false, after, limit }
}

async fn roles_of(
    store: &Store,
    project: &ProjectKey,
    after: Option<(u64, RoleId)>,
    limit: u32,
) -> Result<Page<RoleRow>, ReadError> {
    let after = after.map(|(rank, id)| After::Place(rank, id));
    let ask = ListRoles { project: project.clone(), after, limit, now: START, viewer: None };
    store.list_roles(ask).await.map(|list| list.page)
}

async fn b4_lists_are_complete_at_every_page_size(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    desk.write(vec![
        create_project("shop", RoleStructure::SingleRole),
        create_project("forum", RoleStructure::MultiRole),
        create_permissions("shop", &["b", "a", "c"]),
        create_role("shop", "Guest", Place::Last, &[]),
        create_mapping("shop", "Paid", None, RoleMappingEdits::default()),
        create_mapping("shop", "Free", None, RoleMappingEdits::default()),
        create_org("shop", "acme", None),
        create_org("shop", "globex", Some("Paid")),
        create_org("shop", "initech", None),
    ])
    .await;
    let (store, shop) = (&desk.store, key("shop"));
    for limit in 1..=14 {
        let after = |after: Option<ProjectKey>, limit| store.list_projects(after, limit);
        let keys = whole(limit, |row| row.record.key.clone(), after).await;
        assert_eq!(keys.iter().map(|row| row.record.key.as_str()).collect::<Vec<_>>(), ["forum", "shop"]);

        let after = |after: Option<PermissionId>, limit| store.list_permissions(&shop, after, limit);
        let permissions = whole(limit, |row| row.id, after).await;
        let names: Vec<&str> = permissions.iter().map(|row| row.permission.name.as_str()).collect();
        assert_eq!(names.len(), 12);
        assert_eq!(names[9..], ["b", "a", "c"], "in the order of their creation, the built-in ones first");
        assert!(permissions.iter().take(9).all(|row| row.permission.built_in));

        let after = |after, limit| roles_of(store, &shop, after, limit);
        let roles = whole(limit, |row| (row.role.rank, row.id), after).await;
        let roles: Vec<(u32, &str)> = roles.iter().map(|row| (row.position, row.role.name.as_str())).collect();
        assert_eq!(roles, [(1, "Owner"), (2, "Admin"), (3, "Member"), (4, "Guest")]);

        let after = |after: Option<RoleMappingId>, limit| store.list_role_mappings(&shop, after, limit);
        let mappings = whole(limit, |row| row.id, after).await;
        let mappings: Vec<&str> = mappings.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(mappings, ["Default", "Paid", "Free"]);

        let after = |after: Option<OrgId>, limit| store.list_orgs(listing(&shop, None, after, limit));
        let orgs = whole(limit, |row| row.profile.org_id.clone(), after).await;
        let orgs: Vec<&str> = orgs.iter().map(|row| row.profile.org_id.as_str()).collect();
        assert_eq!(orgs, ["acme", "globex", "initech"]);
    }
    let page = store.list_projects(None::<ProjectKey>, 10).await.unwrap();
    assert_eq!(page.revision, desk.revision());
    assert!(store.list_orgs(listing(&key("forum"), None, None, 10)).await.unwrap().rows.is_empty());
}

async fn ids_are_ordered_by_their_bytes(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let mut ids = ["b", "B", "a", "ä", "Z", "z", "_", "-", "ab", "a-b", "aB", "é", "e", "管", "0", "10", "9"];
    let mut commands = vec![create_project("shop", RoleStructure::SingleRole)];
    commands.extend(ids.iter().map(|id| create_org("shop", id, None)));
    desk.write(commands).await;
    ids.sort_unstable();
    let (store, shop) = (&desk.store, key("shop"));
    for limit in [1, 2, 5, 100] {
        let after = |after: Option<OrgId>, limit| store.list_orgs(listing(&shop, None, after, limit));
        let orgs = whole(limit, |row| row.profile.org_id.clone(), after).await;
        assert_eq!(orgs.iter().map(|row| row.profile.org_id.as_str()).collect::<Vec<_>>(), ids);
    }
}

async fn s3_orgs_are_listed_by_role_mapping(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let mut commands = vec![
        create_project("shop", RoleStructure::SingleRole),
        create_mapping("shop", "Paid", None, RoleMappingEdits::default()),
    ];
    let ids: Vec<String> = (0..20).map(|number| format!("org-{number:02}")).collect();
    let plan = |number: usize| if number.is_multiple_of(3) { Some("Paid") } else { None };
    commands.extend(ids.iter().enumerate().map(|(number, id)| create_org("shop", id, plan(number))));
    desk.write(commands).await;
    let (store, shop, paid) = (&desk.store, key("shop"), mapping("Paid"));
    for limit in 1..=8 {
        let after = |after: Option<OrgId>, limit| store.list_orgs(listing(&shop, Some(&paid), after, limit));
        let orgs = whole(limit, |row| row.profile.org_id.clone(), after).await;
        assert_eq!(orgs.len(), 7);
        assert!(orgs.iter().all(|row| row.role_mapping == paid));
    }
    let found = store.get_subscription(&shop, &org("org-03")).await.unwrap();
    assert_eq!((found.value.role_mapping, found.revision), (paid, desk.revision()));
    let found = store.get_org(&shop, &org("org-04"), START, None).await.unwrap().value;
    assert_eq!(found.role_mapping, mapping("Default"));
    assert_eq!(&*found.profile.display_name, "The org org-04");
    assert_eq!(&*found.profile.metadata, r#"{"seats": 3}"#);
}

async fn r2_roles_are_listed_in_their_order(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    desk.write(vec![create_project("shop", RoleStructure::SingleRole)]).await;
    // Always into the same gap, until the order is numbered anew.
    let names: Vec<String> = (0..40).map(|number| format!("role {number}")).collect();
    let place = || Place::Above(role("Member"));
    desk.write(names.iter().map(|name| create_role("shop", name, place(), &[])).collect()).await;
    let (store, shop) = (&desk.store, key("shop"));
    let mut expected = vec!["Owner", "Admin"];
    expected.extend(names.iter().map(String::as_str));
    expected.push("Member");
    for limit in [1, 7, 100] {
        let after = |after, limit| roles_of(store, &shop, after, limit);
        let roles = whole(limit, |row| (row.role.rank, row.id), after).await;
        assert_eq!(roles.iter().map(|row| row.role.name.as_str()).collect::<Vec<_>>(), expected);
        let positions: Vec<u32> = roles.iter().map(|row| row.position).collect();
        assert_eq!(positions, (1..=43).collect::<Vec<_>>());
    }
    assert_eq!(store.get_role(&shop, &role("Member")).await.unwrap().value.position, 43);
}

async fn m1_role_mappings_show_what_they_are(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let edits = RoleMappingEdits {
        grants: vec![grant("Guest", &["read", "Write"], &[])],
        disable: vec![role("Guest"), role("Admin")],
        ..RoleMappingEdits::default()
    };
    desk.write(vec![
        create_project("shop", RoleStructure::SingleRole),
        create_permissions("shop", &["read", "Write"]),
        create_role("shop", "Guest", Place::Above(role("Admin")), &[]),
        create_mapping("shop", "Paid", Some("Default"), edits),
        promote("shop", "Paid"),
    ])
    .await;
    let (store, shop, paid) = (&desk.store, key("shop"), mapping("Paid"));
    let found = store.get_role_mapping(&shop, &paid, &[], None, 1).await.unwrap().value.role_mapping;
    assert!(found.is_default);
    assert_eq!(found.disabled_roles, [role("Guest"), role("Admin")], "in the order of the roles");
    assert_eq!(found.grant_count, 9 + 7 + 1 + 2);
    assert_eq!(found.description, "the plan Paid");
    assert!(
        !store.get_role_mapping(&shop, &mapping("Default"), &[], None, 1).await.unwrap().value.role_mapping.is_default
    );
    let project = store.get_project(&shop).await.unwrap().value;
    assert_eq!(project.default_role_mapping, paid);
    assert_eq!((project.default_role, project.default_owner_role), (role("Member"), role("Owner")));

    for limit in 1..=5 {
        let mut rows = Vec::new();
        loop {
            let after = rows.last().map(|row: &rolecall::store::GrantsRow| (row.rank, row.role_id));
            let page = store.get_role_mapping(&shop, &paid, &[], after, limit).await.unwrap().value;
            assert_eq!(page.role_mapping, found);
            rows.extend(page.rows);
            if !page.more {
                break;
            }
        }
        let shown: Vec<_> = rows.iter().map(|row| (row.role.as_str(), row.enabled, row.permissions.len())).collect();
        assert_eq!(shown, [("Owner", true, 9), ("Guest", false, 2), ("Admin", false, 7), ("Member", true, 1)]);
        assert_eq!(rows[1].permissions, [permission("Write"), permission("read")], "in the order of their bytes");
    }
    let only = [role("Member"), role("Guest")];
    let rows = store.get_role_mapping(&shop, &paid, &only, None, 10).await.unwrap().value.rows;
    assert_eq!(rows.iter().map(|row| row.role.as_str()).collect::<Vec<_>>(), ["Guest", "Member"]);
}

/// A page may be larger than what one statement may say.
async fn the_largest_page_is_answered(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let names: Vec<String> = (0..=PAGE_SIZE_MAX).map(|number| format!("name-{number:04}")).collect();
    desk.write(names.iter().map(|name| create_project(name, RoleStructure::SingleRole)).collect()).await;
    let shop = names[0].as_str();
    let commands = names.iter().flat_map(|name| {
        let ann = write_member(shop, name, "ann", Write::Add(Vec::new()));
        let others = write_member(shop, &names[0], name, Write::Add(Vec::new()));
        let role = create_role(shop, name, Place::Last, &[]);
        [create_org(shop, name, None), ann, others, role]
    });
    let commands: Vec<Command> = commands.collect();
    for group in commands.chunks(2_000) {
        desk.write(group.to_vec()).await;
    }
    let (store, shop) = (&desk.store, key(shop));
    let full = |rows: usize, more: bool| assert_eq!((rows, more), (PAGE_SIZE_MAX as usize, true));
    let page = store.list_projects(None, PAGE_SIZE_MAX).await.unwrap();
    full(page.rows.len(), page.more);
    let page = store.list_orgs(listing(&shop, None, None, PAGE_SIZE_MAX)).await.unwrap();
    full(page.rows.len(), page.more);
    let page = roles_of(store, &shop, None, PAGE_SIZE_MAX).await.unwrap();
    full(page.rows.len(), page.more);
    let page = store.list_user_memberships(&shop, &user("ann"), None, PAGE_SIZE_MAX, desk.now).await.unwrap();
    full(page.rows.len(), page.more);
    let ask = ListMembers {
        project: shop.clone(),
        org_id: org(&names[0]),
        role: None,
        permission: None,
        after: None,
        limit: PAGE_SIZE_MAX,
        now: desk.now,
        viewer: None,
    };
    let page = store.list_members(ask).await.unwrap();
    full(page.rows.len(), page.more);
    let only: Vec<_> = names.iter().take(PAGE_SIZE_MAX as usize).map(|name| role(name)).collect();
    let rows = store.get_role_mapping(&shop, &mapping("Default"), &only, None, PAGE_SIZE_MAX).await.unwrap().value;
    assert_eq!(rows.rows.len(), PAGE_SIZE_MAX as usize);
}

async fn what_does_not_exist_is_not_found(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    desk.write(vec![create_project("shop", RoleStructure::SingleRole)]).await;
    let (store, shop, none) = (&desk.store, key("shop"), key("none"));
    let noun = |error: ReadError| match error {
        ReadError::NotFound(noun, _) => noun,
        error => panic!("{error}"),
    };
    assert_eq!(noun(store.get_project(&none).await.unwrap_err()), Noun::Project);
    assert_eq!(noun(roles_of(store, &none, None, 1).await.unwrap_err()), Noun::Project);
    assert_eq!(noun(store.get_permission(&shop, &permission("x")).await.unwrap_err()), Noun::Permission);
    // Names are looked up exactly (R1).
    assert_eq!(noun(store.get_role(&shop, &role("owner")).await.unwrap_err()), Noun::Role);
    assert_eq!(
        noun(store.get_role_mapping(&shop, &mapping("default"), &[], None, 1).await.unwrap_err()),
        Noun::RoleMapping
    );
    assert_eq!(noun(store.get_org(&shop, &org("acme"), START, None).await.unwrap_err()), Noun::Org);
    assert_eq!(noun(store.get_subscription(&shop, &org("acme")).await.unwrap_err()), Noun::Org);
    let some = Some(mapping("Free"));
    assert_eq!(noun(store.list_orgs(listing(&shop, some.as_ref(), None, 1)).await.unwrap_err()), Noun::RoleMapping);
    let only = [role("Owner"), role("Nobody")];
    let rows = store.get_role_mapping(&shop, &mapping("Default"), &only, None, 9).await;
    assert_eq!(noun(rows.unwrap_err()), Noun::Role);
}
