//! What members see of their org: no internal role, no internal member, and without the permission nobody else.

use rolecall::domain::commands::command::{Place, RoleMappingEdits, Write};
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::model::refusal::Noun;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::{OrgId, PermissionName, RoleName, Time, UserId};
use rolecall::store::{After, ListMembers, ListRoles, MemberRow, ReadError, RoleList};

use crate::agreement::shows_members_to;
use crate::desk::{
    Desk, create_mapping, create_org, create_permissions, create_project, create_role, given, grant, key, manage,
    member, org, permission, rename_role, role, user, write_member, write_members,
};
use crate::lists::whole;
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    i2_whoever_holds_nothing_is_no_viewer
    i2_without_the_permission_a_viewer_sees_only_itself
    i2_internal_roles_and_members_do_not_exist_for_a_viewer
    i2_pages_of_a_viewer_are_full_whoever_is_left_out
    i2_an_internal_lent_role_shadows_nothing_for_a_viewer
    i2_roles_are_listed_to_a_viewer_without_the_internal_ones
}

/// Members of every kind in one org: `Staff` is internal, and `Blind` grants nothing.
async fn shop(database: TestDatabase, structure: RoleStructure) -> Desk {
    let mut desk = Desk::new(database).await;
    let edits = RoleMappingEdits {
        grants: vec![
            grant("Owner", &["sell"], &[]),
            grant("Staff", &["debug", "sell", "rolecall::can_view_other_members"], &[]),
            grant("Staff two", &["debug"], &[]),
            grant("Off", &["rolecall::can_view_other_members"], &[]),
        ],
        disable: vec![role("Off")],
        ..RoleMappingEdits::default()
    };
    desk.write(vec![
        create_project("shop", structure),
        create_permissions("shop", &["sell", "debug"]),
        create_role("shop", "Staff", Place::Above(role("Owner")), &[]),
        create_role("shop", "Staff two", Place::Below(role("Admin")), &[]),
        create_role("shop", "Blind", Place::Last, &[]),
        create_role("shop", "Off", Place::Last, &[]),
        create_mapping("shop", "Paid", Some("Default"), edits),
        create_org("shop", "acme", None),
        create_org("shop", "globex", Some("Paid")),
    ])
    .await;
    desk
}

fn add(desk: &Desk, user: &str, roles: &[&str]) -> rolecall::domain::commands::command::MemberWrite {
    member("acme", user, Write::Add(given(roles, desk.now)))
}

/// Whom a viewer sees in `acme`, by three at a time.
async fn seen(
    desk: &Desk,
    viewer: &str,
    filters: (Option<RoleName>, Option<PermissionName>),
    now: Time,
    limit: u32,
) -> Result<Vec<MemberRow>, ReadError> {
    let ask = |after: Option<UserId>, limit| ListMembers {
        project: key("shop"),
        org_id: org("acme"),
        role: filters.0.clone(),
        permission: filters.1.clone(),
        after,
        limit,
        now,
        viewer: Some(user(viewer)),
    };
    desk.store.list_members(ask(None, limit)).await?;
    let page = |after, limit| desk.store.list_members(ask(after, limit));
    Ok(whole(limit, |row: &MemberRow| row.member.user_id.clone(), page).await)
}

fn names(rows: &[MemberRow]) -> Vec<&str> {
    rows.iter().map(|row| row.member.user_id.as_str()).collect()
}

async fn roles_seen(desk: &Desk, id: &str, viewer: &str, now: Time) -> Result<RoleList, ReadError> {
    let viewer: Option<(OrgId, UserId)> = Some((org(id), user(viewer)));
    desk.store.list_roles(ListRoles { project: key("shop"), after: None, limit: 100, now, viewer }).await
}

async fn i2_whoever_holds_nothing_is_no_viewer(database: TestDatabase) {
    let mut desk = shop(database, RoleStructure::MultiRole).await;
    let rows = vec![
        add(&desk, "ann", &["Member for 60"]),
        add(&desk, "staff", &["Staff"]),
        add(&desk, "off", &["Off"]),
        add(&desk, "gone", &["Member"]),
    ];
    desk.write(vec![
        write_members("shop", rows),
        write_member("shop", "globex", "other", Write::Add(given(&["Owner"], desk.now))),
        write_member("shop", "acme", "gone", Write::Remove),
        crate::desk::subscribe("shop", "acme", "Paid"),
    ])
    .await;
    let (shop, acme) = (key("shop"), org("acme"));
    let (before, after) = (desk.now.plus_seconds(30), desk.now.plus_seconds(60));
    let asked = async |viewer: &str, now: Time| {
        let id = user(viewer);
        let refused = |error: ReadError| matches!(&error, ReadError::ViewerNotAMember(named) if *named == id);
        let org = desk.store.get_org(&shop, &acme, now, Some(&id)).await.is_err_and(refused);
        let list = seen(&desk, viewer, (None, None), now, 3).await.is_err_and(refused);
        let roles = roles_seen(&desk, "acme", viewer, now).await.is_err_and(refused);
        // Also of somebody who is not there: it learns nothing.
        for other in ["ann", "nobody", viewer] {
            let one = desk.store.get_member(&shop, &acme, &user(other), now, Some(&id)).await;
            assert_eq!(one.is_err_and(|error| matches!(error, ReadError::ViewerNotAMember(_))), org, "{viewer}");
        }
        assert_eq!((org, list), (roles, roles), "{viewer}");
        org
    };
    // Whatever is held is enough, be it internal or suspended.
    assert!(!asked("ann", before).await && !asked("staff", before).await && !asked("off", before).await);
    assert!(asked("ann", after).await, "all has ended");
    assert!(asked("gone", before).await && asked("other", before).await && asked("nobody", before).await);
    // What there is not is not there for viewers either.
    let none = desk.store.get_org(&shop, &org("none"), before, Some(&user("ann"))).await.unwrap_err();
    assert!(matches!(none, ReadError::NotFound(Noun::Org, _)));
}

async fn i2_without_the_permission_a_viewer_sees_only_itself(database: TestDatabase) {
    let mut desk = shop(database, RoleStructure::MultiRole).await;
    let rows = vec![
        add(&desk, "ann", &["Member"]),
        add(&desk, "blind", &["Blind"]),
        add(&desk, "lent", &["Blind", "Member for 60"]),
        add(&desk, "off", &["Off", "Blind"]),
        add(&desk, "staff", &["Staff", "Blind"]),
        add(&desk, "pure", &["Staff two"]),
    ];
    desk.write(vec![write_members("shop", rows), crate::desk::subscribe("shop", "acme", "Paid")]).await;
    let (before, after) = (desk.now.plus_seconds(30), desk.now.plus_seconds(60));
    let all = ["ann", "blind", "lent", "off", "staff"];
    for (viewer, now, expected) in [
        ("ann", before, &all[..]),
        ("blind", before, &["blind"]),
        ("lent", before, &all),
        ("lent", after, &["lent"]),
        ("off", before, &["off"]),
        ("staff", before, &all),
        ("pure", before, &[]),
    ] {
        let rows = seen(&desk, viewer, (None, None), now, 3).await.unwrap();
        assert_eq!(names(&rows), expected, "{viewer}");
        for other in ["ann", "blind", "lent", "off", "staff", "pure", "nobody"] {
            let one = desk.store.get_member(&key("shop"), &org("acme"), &user(other), now, Some(&user(viewer))).await;
            match one {
                Ok(found) => assert!(rows.contains(&found.value), "{viewer} sees {other}"),
                Err(ReadError::NotFound(Noun::Member, name)) => {
                    assert!(name == other && !expected.contains(&other), "{viewer} does not see {other}");
                }
                Err(error) => panic!("{error}"),
            }
        }
        // It lists nobody else by a role or a permission either.
        let by_role = seen(&desk, viewer, (Some(role("Blind")), None), now, 3).await.unwrap();
        assert!(by_role.iter().all(|row| expected.contains(&row.member.user_id.as_str())), "{viewer}");
    }
    let users = ["ann", "blind", "lent", "off", "staff", "pure", "nobody"];
    shows_members_to(&desk, &users, &users).await;
}

async fn i2_internal_roles_and_members_do_not_exist_for_a_viewer(database: TestDatabase) {
    let mut desk = shop(database, RoleStructure::MultiRole).await;
    let rows = vec![
        add(&desk, "ann", &["Owner"]),
        add(&desk, "both", &["Member", "Staff for 600", "Staff two"]),
        add(&desk, "ended", &["Staff", "Member for 60"]),
        add(&desk, "staff", &["Staff"]),
        add(&desk, "two", &["Staff", "Staff two"]),
    ];
    desk.write(vec![
        write_members("shop", rows),
        crate::desk::subscribe("shop", "acme", "Paid"),
        rename_role("shop", "Staff two", Some("Crew"), None),
    ])
    .await;
    let (before, after) = (desk.now.plus_seconds(30), desk.now.plus_seconds(60));
    let rows = seen(&desk, "ann", (None, None), before, 1).await.unwrap();
    assert_eq!(names(&rows), ["ann", "both", "ended"]);
    for row in &rows {
        assert_eq!((row.revision, row.member.origin), (None, None), "the latest change may have been of another role");
        assert!(row.member.roles.iter().all(|role| !role.role.as_str().starts_with("Staff")));
    }
    assert_eq!(rows[1].member.roles.len(), 1);
    assert_eq!(names(&seen(&desk, "ann", (None, None), after, 1).await.unwrap()), ["ann", "both"]);
    // An internal role is as unknown as one that there is not, also by its old name.
    for name in ["Staff", "Staff two", "Crew", "No such role"] {
        let error = seen(&desk, "ann", (Some(role(name)), None), before, 3).await.unwrap_err();
        assert!(matches!(&error, ReadError::NotFound(Noun::Role, named) if named == name), "{error}");
    }
    // What internal roles grant, visible members have not by what the viewer knows.
    let selling = seen(&desk, "ann", (None, Some(permission("sell"))), before, 3).await.unwrap();
    assert_eq!(names(&selling), ["ann"]);
    let debugging = seen(&desk, "ann", (None, Some(permission("debug"))), before, 3).await.unwrap();
    assert!(debugging.is_empty());
    // An internal member sees what others see: not itself.
    let rows = seen(&desk, "staff", (None, None), before, 3).await.unwrap();
    assert_eq!(names(&rows), ["ann", "both", "ended"]);
    let users = ["ann", "both", "ended", "staff", "two"];
    shows_members_to(&desk, &users, &users).await;
}

async fn i2_pages_of_a_viewer_are_full_whoever_is_left_out(database: TestDatabase) {
    let mut desk = shop(database, RoleStructure::MultiRole).await;
    let kinds: [&[&str]; 4] = [&["Staff"], &["Member"], &["Staff", "Staff two for 60"], &["Member", "Staff"]];
    let rows = (0..40).map(|number| add(&desk, &format!("user-{number:02}"), kinds[number * 7 % 4]));
    let mut rows: Vec<_> = rows.collect();
    // The last ones are all internal: the last page says that it is the last.
    rows.extend((40..50).map(|number| add(&desk, &format!("user-{number:02}"), &["Staff"])));
    desk.write(vec![write_members("shop", rows)]).await;
    let expected: Vec<String> =
        (0..40).filter(|number| number * 7 % 4 % 2 == 1).map(|number| format!("user-{number:02}")).collect();
    for limit in [1, 2, 3, 7, 19, 20, 21, 100] {
        let rows = seen(&desk, "user-01", (None, None), desk.now, limit).await.unwrap();
        assert_eq!(names(&rows), expected);
        let rows = seen(&desk, "user-01", (Some(role("Member")), None), desk.now, limit).await.unwrap();
        assert_eq!(names(&rows), expected);
        let view = Some(permission("rolecall::can_view_other_members"));
        let rows = seen(&desk, "user-01", (None, view), desk.now, limit).await.unwrap();
        assert_eq!(names(&rows), expected);
    }
}

async fn i2_an_internal_lent_role_shadows_nothing_for_a_viewer(database: TestDatabase) {
    let mut desk = shop(database, RoleStructure::SingleRole).await;
    let rows = vec![
        add(&desk, "ann", &["Owner"]),
        add(&desk, "bob", &["Owner", "Staff two for 60"]),
        add(&desk, "cid", &["Staff", "Owner for 60"]),
        add(&desk, "dan", &["Owner", "Blind for 60"]),
    ];
    desk.write(vec![write_members("shop", rows), crate::desk::subscribe("shop", "acme", "Paid")]).await;
    let (before, after) = (desk.now.plus_seconds(30), desk.now.plus_seconds(60));
    let selling = |now| seen(&desk, "ann", (None, Some(permission("sell"))), now, 3);
    assert_eq!(names(&selling(before).await.unwrap()), ["ann", "bob", "cid"]);
    assert_eq!(names(&selling(after).await.unwrap()), ["ann", "bob", "dan"]);
    let rows = seen(&desk, "ann", (None, None), before, 3).await.unwrap();
    let state = |at: usize| rows[at].member.roles.iter().map(|role| role.state).collect::<Vec<_>>();
    assert_eq!(names(&rows), ["ann", "bob", "cid", "dan"]);
    assert_eq!(state(1), [RoleState::Live], "as if it were not lent anything");
    assert_eq!(state(3), [RoleState::Overridden, RoleState::Live]);
    for _ in 0..2 {
        let users = ["ann", "bob", "cid", "dan"];
        shows_members_to(&desk, &users, &users).await;
        desk.now = after;
    }
}

async fn i2_roles_are_listed_to_a_viewer_without_the_internal_ones(database: TestDatabase) {
    let mut desk = shop(database, RoleStructure::MultiRole).await;
    let rows = vec![add(&desk, "ann", &["Member"])];
    desk.write(vec![
        write_members("shop", rows),
        manage("shop", "Owner", &["Staff", "Blind", "Staff two", "Admin"]),
        manage("shop", "Staff", &["Owner"]),
    ])
    .await;
    let list = roles_seen(&desk, "acme", "ann", desk.now).await.unwrap();
    assert_eq!((list.role_order_etag.as_str(), list.page.more), ("", false));
    let rows: Vec<(u32, &str)> = list.page.rows.iter().map(|row| (row.position, row.role.name.as_str())).collect();
    assert_eq!(rows, [(1, "Owner"), (2, "Admin"), (3, "Member"), (4, "Blind"), (5, "Off")]);
    assert_eq!(list.page.rows[0].manages, [role("Admin"), role("Blind")]);
    assert_eq!(list.page.rows[0].role.manages.len(), 2);
    for limit in 1..=6 {
        let viewer = || Some((org("acme"), user("ann")));
        let ask = |after, limit| ListRoles { project: key("shop"), after, limit, now: desk.now, viewer: viewer() };
        let page = async |after, limit| desk.store.list_roles(ask(after, limit)).await.map(|list| list.page);
        let rows = whole(limit, |row: &rolecall::store::RoleRow| After::Role(row.role.name.clone()), page).await;
        assert_eq!(rows, list.page.rows);
    }
    // A role that the viewer does not see is like one that is not there, and nobody else learns even that.
    for (viewer, name) in ["ann", "nobody"].into_iter().flat_map(|viewer| [(viewer, "Staff"), (viewer, "Nothing")]) {
        let after = Some(After::Role(role(name)));
        let viewer_id = Some((org("acme"), user(viewer)));
        let ask = ListRoles { project: key("shop"), after, limit: 100, now: desk.now, viewer: viewer_id };
        match desk.store.list_roles(ask).await.unwrap_err() {
            ReadError::PlaceGone => assert_eq!(viewer, "ann", "{name}"),
            ReadError::ViewerNotAMember(_) => assert_eq!(viewer, "nobody", "{name}"),
            other => panic!("{viewer}, {name}: {other}"),
        }
    }
    // The caller sees all of them.
    let ask = ListRoles { project: key("shop"), after: None, limit: 100, now: desk.now, viewer: None };
    let all = desk.store.list_roles(ask).await.unwrap();
    assert_eq!((all.page.rows.len(), all.role_order_etag.is_empty()), (7, false));
    assert_eq!(all.page.rows[1].manages, ["Staff", "Admin", "Staff two", "Blind"].map(role));
    // Of another project's org, or as a member of another org, nothing is seen.
    let error = roles_seen(&desk, "globex", "ann", desk.now).await.unwrap_err();
    assert!(matches!(error, ReadError::ViewerNotAMember(_)));
    let error = roles_seen(&desk, "none", "ann", desk.now).await.unwrap_err();
    assert!(matches!(error, ReadError::NotFound(Noun::Org, _)));
}
