//! Fallback roles as the store keeps and lists them.

use rolecall::domain::commands::command::{Place, RoleMappingEdits, Write};
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::rules::member_list::MemberFilter;
use rolecall::domain::rules::visibility::Visibility;
use rolecall::domain::{PermissionName, RoleName, Time};
use rolecall::store::ListMembers;

use crate::agreement::{agrees, shows_members, undoes};
use crate::desk::{
    Desk, answering, create_mapping, create_org, create_permissions, create_project, create_role, delete_org,
    delete_project, delete_role, given, grant, key, manage, permission, rename_role, role, subscribe, suspend,
    write_member,
};
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    m7_holders_of_a_suspended_role_are_listed_by_its_fallback_role
    m7_the_fallback_role_of_a_temporary_role_overrides_the_permanent_role
    m7_the_first_enabled_role_of_a_chain_of_fallbacks_counts
    m7_fallback_roles_are_deleted_with_their_org_or_role
    g2_managed_roles_are_stored
}

const USERS: [&str; 4] = ["ann", "bob", "cid", "dan"];

/// Three mappings: `Paid` disables nothing, `Free` disables `Editor`, `Bare` disables `Editor` and `Reader`.
async fn shop(database: TestDatabase, structure: RoleStructure) -> Desk {
    let mut desk = Desk::new(database).await;
    let edits = |disable: &[&str]| RoleMappingEdits {
        grants: vec![
            grant("Editor", &["edit", "read"], &[]),
            grant("Reader", &["read"], &[]),
            grant("Member", &["look"], &[]),
        ],
        disable: disable.iter().map(|name| role(name)).collect(),
        ..RoleMappingEdits::default()
    };
    desk.write(vec![
        create_project("shop", structure),
        create_permissions("shop", &["edit", "read", "look"]),
        create_role("shop", "Editor", Place::Above(role("Member")), &[]),
        create_role("shop", "Reader", Place::Last, &[]),
        create_role("shop", "Staff", Place::Last, &[]),
        create_mapping("shop", "Paid", Some("Default"), edits(&[])),
        create_mapping("shop", "Free", Some("Default"), edits(&["Editor"])),
        create_mapping("shop", "Bare", Some("Default"), edits(&["Editor", "Reader"])),
        create_org("shop", "acme", Some("Paid")),
        create_org("shop", "globex", Some("Paid")),
    ])
    .await;
    desk
}

async fn listed(desk: &Desk, by: Option<RoleName>, having: Option<PermissionName>, now: Time) -> Vec<String> {
    let project = desk.state.project(&key("shop")).unwrap().clone();
    let filter = MemberFilter {
        visibility: Visibility::All,
        role: by.map(|name| project.role(&name).unwrap()),
        permission: having.map(|name| project.permission(&name).unwrap()),
    };
    let org = project.org("acme").unwrap().clone();
    let ask = ListMembers { at: desk.revision(), project, org, filter, after: None, limit: 100, now };
    let rows = desk.store.list_members(&ask).await.unwrap();
    rows.iter().map(|row| row.member.user_id.to_string()).collect()
}

async fn m7_holders_of_a_suspended_role_are_listed_by_its_fallback_role(database: TestDatabase) {
    let mut desk = shop(database, RoleStructure::MultiRole).await;
    let now = desk.now;
    let write = |user, roles: &[&str]| write_member("shop", "acme", user, Write::Add(given(roles, now)));
    desk.write(vec![
        write("ann", &["Editor"]),
        write("bob", &["Editor for 60", "Member"]),
        write("cid", &["Reader"]),
        write("dan", &["Editor", "Reader for 60", "Staff"]),
        answering(subscribe("shop", "acme", "Free"), suspend(Some("Reader"))),
    ])
    .await;
    let (role, permission) = (|name| Some(role(name)), |name| Some(permission(name)));
    let (before, after) = (now.plus_seconds(30), now.plus_seconds(60));
    assert_eq!(listed(&desk, role("Editor"), None, before).await, ["ann", "bob", "dan"]);
    assert_eq!(listed(&desk, role("Reader"), None, before).await, ["ann", "bob", "cid", "dan"]);
    assert_eq!(listed(&desk, None, permission("read"), before).await, ["ann", "bob", "cid", "dan"]);
    assert!(listed(&desk, None, permission("edit"), before).await.is_empty());
    // The fallback role has the expiry of the suspended role.
    assert_eq!(listed(&desk, role("Reader"), None, after).await, ["ann", "cid", "dan"]);
    assert_eq!(listed(&desk, None, permission("read"), after).await, ["ann", "cid", "dan"]);
    for seconds in [0, 60] {
        desk.now = desk.now.plus_seconds(seconds);
        shows_members(&desk, &USERS).await;
    }
    // Another org of the same mapping has no fallback role.
    desk.write(vec![
        write_member("shop", "globex", "ann", Write::Add(given(&["Editor"], now))),
        subscribe("shop", "globex", "Free"),
    ])
    .await;
    shows_members(&desk, &USERS).await;
    agrees(&desk).await;
    desk.write(vec![subscribe("shop", "acme", "Paid")]).await;
    assert_eq!(listed(&desk, role("Reader"), None, after).await, ["cid"]);
    agrees(&desk).await;
    undoes(&desk).await;
}

async fn m7_the_fallback_role_of_a_temporary_role_overrides_the_permanent_role(database: TestDatabase) {
    let mut desk = shop(database, RoleStructure::SingleRole).await;
    let now = desk.now;
    let write = |user, roles: &[&str]| write_member("shop", "acme", user, Write::Add(given(roles, now)));
    desk.write(vec![
        write("ann", &["Member", "Editor for 60"]),
        write("bob", &["Editor", "Reader for 60"]),
        write("cid", &["Editor"]),
        answering(subscribe("shop", "acme", "Free"), suspend(Some("Reader"))),
    ])
    .await;
    let (before, after) = (now.plus_seconds(30), now.plus_seconds(60));
    let look = || Some(permission("look"));
    assert!(listed(&desk, None, look(), before).await.is_empty(), "the fallback role of the temporary role is live");
    assert_eq!(listed(&desk, None, look(), after).await, ["ann"]);
    assert_eq!(listed(&desk, None, Some(permission("read")), before).await, ["ann", "bob", "cid"]);
    assert_eq!(listed(&desk, None, Some(permission("read")), after).await, ["bob", "cid"]);
    for _ in 0..2 {
        shows_members(&desk, &USERS).await;
        desk.now = after;
    }
    // Without a fallback role, a suspended temporary role overrides nothing.
    desk.write(vec![subscribe("shop", "acme", "Paid"), subscribe("shop", "acme", "Free")]).await;
    assert_eq!(listed(&desk, None, look(), before).await, ["ann"]);
    agrees(&desk).await;
    undoes(&desk).await;
}

async fn m7_the_first_enabled_role_of_a_chain_of_fallbacks_counts(database: TestDatabase) {
    let mut desk = shop(database, RoleStructure::MultiRole).await;
    let now = desk.now;
    let write = |user, roles: &[&str]| write_member("shop", "acme", user, Write::Add(given(roles, now)));
    desk.write(vec![
        write("ann", &["Editor"]),
        write("bob", &["Reader"]),
        answering(subscribe("shop", "acme", "Free"), suspend(Some("Reader"))),
        answering(subscribe("shop", "acme", "Bare"), suspend(Some("Member"))),
    ])
    .await;
    agrees(&desk).await;
    let now = desk.now;
    assert_eq!(listed(&desk, Some(role("Member")), None, now).await, ["ann", "bob"]);
    assert_eq!(listed(&desk, None, Some(permission("look")), now).await, ["ann", "bob"]);
    assert_eq!(listed(&desk, Some(role("Reader")), None, now).await, ["bob"]);
    shows_members(&desk, &USERS).await;
    // Another org of the user has no chain.
    desk.write(vec![write_member("shop", "globex", "ann", Write::Add(given(&["Editor"], now)))]).await;
    shows_members(&desk, &USERS).await;
    desk.write(vec![subscribe("shop", "acme", "Free")]).await;
    shows_members(&desk, &USERS).await;
    agrees(&desk).await;
    undoes(&desk).await;
}

async fn m7_fallback_roles_are_deleted_with_their_org_or_role(database: TestDatabase) {
    let mut desk = shop(database, RoleStructure::MultiRole).await;
    let now = desk.now;
    let add = |id, user, roles: &[&str]| write_member("shop", id, user, Write::Add(given(roles, now)));
    desk.write(vec![
        add("acme", "ann", &["Editor"]),
        add("globex", "ann", &["Editor"]),
        add("globex", "bob", &["Reader"]),
        answering(subscribe("shop", "acme", "Free"), suspend(Some("Reader"))),
        answering(subscribe("shop", "globex", "Free"), suspend(Some("Reader"))),
        manage("shop", "Editor", &["Reader", "Editor", "Member"]),
        manage("shop", "Admin", &["Editor"]),
    ])
    .await;
    agrees(&desk).await;
    // Also in the group that created it.
    desk.write(vec![
        subscribe("shop", "acme", "Paid"),
        answering(subscribe("shop", "acme", "Free"), suspend(Some("Member"))),
        delete_org("shop", "globex"),
        delete_role("shop", "Reader", Some("Member")),
    ])
    .await;
    agrees(&desk).await;
    shows_members(&desk, &USERS).await;
    desk.purge(1).await;
    agrees(&desk).await;
    desk.write(vec![delete_role("shop", "Editor", None), manage("shop", "Admin", &["Member"])]).await;
    agrees(&desk).await;
    desk.write(vec![delete_project("shop")]).await;
    desk.purge(1).await;
    agrees(&desk).await;
    undoes(&desk).await;
}

async fn g2_managed_roles_are_stored(database: TestDatabase) {
    let mut desk = shop(database, RoleStructure::MultiRole).await;
    desk.write(vec![
        manage("shop", "Owner", &["Reader", "Owner", "Staff", "Admin"]),
        manage("shop", "Admin", &["Reader", "Member"]),
        manage("shop", "Admin", &["Member", "Editor"]),
        rename_role("shop", "Editor", Some("Writer"), None),
    ])
    .await;
    agrees(&desk).await;
    let manages = |desk: &Desk, name: &str| {
        let project = desk.state.project(&key("shop")).unwrap();
        let role = project.roles.get(project.role(&role(name)).unwrap()).unwrap();
        project.in_role_order(&role.manages).iter().map(|&role| project.role_name(role).to_string()).collect::<Vec<_>>()
    };
    assert_eq!(manages(&desk, "Owner"), ["Owner", "Admin", "Reader", "Staff"]);
    assert_eq!(manages(&desk, "Admin"), ["Writer", "Member"]);
    desk.write(vec![delete_role("shop", "Editor", None), manage("shop", "Owner", &[])]).await;
    assert_eq!(manages(&desk, "Admin"), ["Member"]);
    assert_eq!(manages(&desk, "Owner"), [""; 0]);
    agrees(&desk).await;
    undoes(&desk).await;
}
