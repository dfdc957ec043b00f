//! Members of orgs and of users, by role and by permission, as the State says.

use std::collections::BTreeMap;

use rolecall::domain::commands::command::{Place, RoleMappingEdits, Write};
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::model::refusal::Noun;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::rules::visibility::Visibility;
use rolecall::domain::{Ask, Decision, OrgId, PermissionName, Question, RoleName, Time, UserId};
use rolecall::store::{ListMembers, MemberRow, ReadError};

use crate::desk::{
    Desk, START, answering, create_mapping, create_org, create_permissions, create_project, create_role, given, grant,
    key, member, org, permission, role, subscribe, suspend, user, write_member, write_members,
};
use crate::lists::whole;
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    b4_members_are_listed_by_role_and_permission_page_by_page
    b4_memberships_of_a_user_are_listed_page_by_page
    b5_whose_roles_have_all_ended_is_no_member
    b5_a_lent_role_shadows_the_base_role_in_lists_too
    b6_a_member_shows_its_roles_from_the_highest_and_its_revision
}

/// Two projects, one of each structure; mappings in which roles are disabled, and orgs in which others stand in for them;
/// roles that end, at 100 s steps.
async fn crowd(database: TestDatabase) -> Desk {
    let mut desk = Desk::new(database).await;
    let now = START;
    let edits = |disable: &[&str]| RoleMappingEdits {
        grants: vec![
            grant("Owner", &["read", "write"], &[]),
            grant("Admin", &["write"], &[]),
            grant("Member", &["read"], &[]),
            grant("Guest", &["look"], &[]),
            grant("Temp", &["look", "write"], &[]),
        ],
        disable: disable.iter().map(|name| role(name)).collect(),
        ..RoleMappingEdits::default()
    };
    for (project, structure) in [("multi", RoleStructure::MultiRole), ("single", RoleStructure::SingleRole)] {
        desk.write(vec![
            create_project(project, structure),
            create_permissions(project, &["read", "write", "look", "never"]),
            create_role(project, "Guest", Place::Last, &[]),
            create_role(project, "Temp", Place::Last, &[]),
            create_mapping(project, "Free", None, edits(&["Admin", "Guest"])),
            create_mapping(project, "Bare", None, edits(&["Admin", "Guest", "Temp"])),
            create_mapping(project, "Paid", None, edits(&[])),
            create_org(project, "free", Some("Paid")),
            create_org(project, "meanwhile", Some("Paid")),
            create_org(project, "chain", Some("Paid")),
            create_org(project, "paid", Some("Paid")),
            create_org(project, "empty", None),
        ])
        .await;
    }
    // Given while nothing is disabled; then the org moves to the mapping in which two roles are.
    let mut roles_of = BTreeMap::from([("multi", Vec::new()), ("single", Vec::new())]);
    let names = ["Owner", "Admin", "Member", "Guest"];
    for first in names {
        for ends in ["", " for 100", " for 200"] {
            roles_of.get_mut("single").unwrap().push(vec![format!("{first}{ends}")]);
            roles_of.get_mut("multi").unwrap().push(vec![format!("{first}{ends}")]);
            for second in names.into_iter().filter(|&second| second != first) {
                for other in ["", " for 150", " for 250"] {
                    let both = vec![format!("{first}{ends}"), format!("{second}{other}")];
                    roles_of.get_mut("multi").unwrap().push(both.clone());
                    if ends.is_empty() && !other.is_empty() {
                        roles_of.get_mut("single").unwrap().push(both);
                    }
                }
            }
        }
    }
    for (project, kinds) in roles_of {
        let mut rows = Vec::new();
        for org_id in ["free", "meanwhile", "chain", "paid"] {
            for (number, roles) in kinds.iter().enumerate() {
                let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
                rows.push(member(org_id, &format!("user-{number:03}"), Write::Add(given(&roles, now))));
            }
        }
        desk.write(vec![
            write_members(project, rows),
            subscribe(project, "free", "Free"),
            answering(subscribe(project, "meanwhile", "Free"), suspend(Some("Temp"))),
            answering(subscribe(project, "chain", "Free"), suspend(Some("Temp"))),
            answering(subscribe(project, "chain", "Bare"), suspend(Some("Member"))),
        ])
        .await;
    }
    desk
}

fn users(rows: &[MemberRow]) -> Vec<&str> {
    rows.iter().map(|row| row.member.user_id.as_str()).collect()
}

async fn members_of(
    desk: &Desk,
    project: &str,
    org_id: &str,
    filters: (Option<RoleName>, Option<PermissionName>),
    now: Time,
    limit: u32,
) -> Vec<MemberRow> {
    let ask = |after: Option<UserId>, limit| {
        desk.store.list_members(ListMembers {
            project: key(project),
            org_id: org(org_id),
            role: filters.0.clone(),
            permission: filters.1.clone(),
            after,
            limit,
            now,
            viewer: None,
        })
    };
    whole(limit, |row: &MemberRow| row.member.user_id.clone(), ask).await
}

/// The State's own answer, user by user.
fn expected(
    desk: &Desk,
    project_key: &str,
    org_id: &str,
    filters: &(Option<RoleName>, Option<PermissionName>),
    now: Time,
) -> Vec<String> {
    let project = desk.state.project(&key(project_key)).unwrap();
    let found = project.org(org_id).unwrap();
    let mut users = Vec::new();
    for number in 0..200 {
        let id = format!("user-{number:03}");
        let Some(record) = project.membership(found, &user(&id)) else { continue };
        let member = project.member(found, &user(&id), &record, Visibility::All, now);
        let held = member.roles.iter().filter(|role| role.state != RoleState::Expired);
        let held: Vec<&RoleName> =
            held.flat_map(|role| [Some(&role.role), role.fallback_role.as_ref()]).flatten().collect();
        let by_role = filters.0.as_ref().is_none_or(|role| held.contains(&role));
        let by_permission = filters.1.as_ref().is_none_or(|permission| {
            let question = Question::Permission(permission.as_str());
            project.check(&Ask { org_id, user_id: &id, question }, now) == Decision::Allowed
        });
        if !held.is_empty() && by_role && by_permission {
            users.push(id);
        }
    }
    users
}

async fn b4_members_are_listed_by_role_and_permission_page_by_page(database: TestDatabase) {
    let desk = crowd(database).await;
    let roles = [None, Some("Owner"), Some("Admin"), Some("Guest"), Some("Member"), Some("Temp")];
    let permissions = [None, Some("read"), Some("write"), Some("look"), Some("never")];
    // Before any end, at one, between two, after all.
    for seconds in [10, 100, 180, 300] {
        let now = START.plus_seconds(seconds);
        for project in ["multi", "single"] {
            for org_id in ["free", "meanwhile", "chain", "paid", "empty"] {
                for by_role in roles {
                    for by_permission in permissions {
                        let filters = (by_role.map(role), by_permission.map(permission));
                        let expected = expected(&desk, project, org_id, &filters, now);
                        let found = members_of(&desk, project, org_id, filters, now, 1_000).await;
                        let case = format!("{seconds} {project} {org_id} {by_role:?} {by_permission:?}");
                        assert_eq!(users(&found), expected, "{case}");
                    }
                }
            }
        }
    }
    let now = START.plus_seconds(180);
    for filters in [(None, None), (Some(role("Admin")), None), (None, Some(permission("read")))] {
        let all = members_of(&desk, "multi", "paid", filters.clone(), now, 1_000).await;
        assert!(all.len() > 20);
        for limit in [1, 2, 3, 7, all.len() as u32 - 1, all.len() as u32, all.len() as u32 + 1] {
            assert_eq!(members_of(&desk, "multi", "paid", filters.clone(), now, limit).await, all);
        }
    }
    // What a member shows is what the State shows.
    let project = desk.state.project(&key("single")).unwrap();
    for id in ["free", "meanwhile", "chain"] {
        let found = project.org(id).unwrap();
        for row in members_of(&desk, "single", id, (None, None), now, 1_000).await {
            let record = project.membership(found, &row.member.user_id).unwrap();
            assert_eq!(row.member, project.member(found, &row.member.user_id, &record, Visibility::All, now));
        }
    }
}

async fn b4_memberships_of_a_user_are_listed_page_by_page(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let now = desk.now;
    let ids = ["Z", "a", "b", "c", "ä"];
    let mut commands = vec![create_project("shop", RoleStructure::MultiRole)];
    commands.extend(ids.iter().map(|id| create_org("shop", id, None)));
    for (number, id) in ids.iter().enumerate() {
        let roles: &[&str] = if number == 2 { &["Owner for 60"] } else { &["Admin", "Member for 60"] };
        commands.push(write_member("shop", id, "ann", Write::Add(given(roles, now))));
        commands.push(write_member("shop", id, "bob", Write::Add(Vec::new())));
    }
    desk.write(commands).await;
    let (store, shop, ann) = (&desk.store, key("shop"), user("ann"));
    for (seconds, expected) in [(30, &ids[..]), (60, &["Z", "a", "c", "ä"])] {
        let now = now.plus_seconds(seconds);
        for limit in 1..=6 {
            let ask = |after: Option<OrgId>, limit| store.list_user_memberships(&shop, &ann, after, limit, now);
            let rows = whole(limit, |row: &MemberRow| row.member.org_id.clone(), ask).await;
            assert_eq!(rows.iter().map(|row| row.member.org_id.as_str()).collect::<Vec<_>>(), expected);
            assert!(rows.iter().all(|row| row.member.user_id == ann));
            let state = if seconds < 60 { RoleState::Live } else { RoleState::Expired };
            assert_eq!(rows[0].member.roles[1].state, state);
        }
    }
    assert!(store.list_user_memberships(&shop, &user("eve"), None, 9, now).await.unwrap().rows.is_empty());
}

async fn b5_whose_roles_have_all_ended_is_no_member(database: TestDatabase) {
    let desk = crowd(database).await;
    let (store, multi, paid) = (&desk.store, key("multi"), org("paid"));
    let removed = START.plus_seconds(100);
    // The second kind of roles is the first name for 100 seconds.
    let ann = desk
        .state
        .project(&multi)
        .map(|project| {
            let org = project.org("paid").unwrap();
            let alone = |number: &u32| {
                let id = user(&format!("user-{number:03}"));
                let record = project.membership(org, &id).unwrap();
                project
                    .member(org, &id, &record, Visibility::All, removed)
                    .roles
                    .iter()
                    .all(|role| role.state == RoleState::Expired)
            };
            (0..50).find(alone).unwrap()
        })
        .unwrap();
    let ann = user(&format!("user-{ann:03}"));
    let before = START.plus_seconds(99);
    assert!(store.get_member(&multi, &paid, &ann, before, None).await.is_ok());
    let error = store.get_member(&multi, &paid, &ann, removed, None).await.unwrap_err();
    assert!(matches!(error, ReadError::NotFound(Noun::Member, _)), "{error}");
    let listed = members_of(&desk, "multi", "paid", (None, None), removed, 1_000).await;
    assert!(!users(&listed).contains(&ann.as_str()));
    let error = store.get_member(&multi, &paid, &user("eve"), before, None).await.unwrap_err();
    assert!(matches!(error, ReadError::NotFound(Noun::Member, _)), "{error}");
    let error = store.get_member(&multi, &org("none"), &ann, before, None).await.unwrap_err();
    assert!(matches!(error, ReadError::NotFound(Noun::Org, _)), "{error}");
}

async fn b5_a_lent_role_shadows_the_base_role_in_lists_too(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let now = desk.now;
    desk.write(vec![
        create_project("shop", RoleStructure::SingleRole),
        create_permissions("shop", &["read"]),
        create_role("shop", "Guest", Place::Last, &[]),
        create_mapping(
            "shop",
            "Paid",
            None,
            RoleMappingEdits { grants: vec![grant("Member", &["read"], &[])], ..RoleMappingEdits::default() },
        ),
        create_org("shop", "acme", Some("Paid")),
        write_member("shop", "acme", "ann", Write::Add(given(&["Member", "Guest for 60"], now))),
    ])
    .await;
    let by = (None, Some(permission("read")));
    assert!(members_of(&desk, "shop", "acme", by.clone(), now.plus_seconds(30), 10).await.is_empty());
    assert_eq!(users(&members_of(&desk, "shop", "acme", by, now.plus_seconds(60), 10).await), ["ann"]);
    let held = (Some(role("Member")), None);
    assert_eq!(users(&members_of(&desk, "shop", "acme", held, now.plus_seconds(30), 10).await), ["ann"]);
    let found =
        desk.store.get_member(&key("shop"), &org("acme"), &user("ann"), now.plus_seconds(30), None).await.unwrap();
    let role_states: Vec<RoleState> = found.value.member.roles.iter().map(|role| role.state).collect();
    assert_eq!(role_states, [RoleState::Overridden, RoleState::Live]);
}

async fn b6_a_member_shows_its_roles_from_the_highest_and_its_revision(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let now = desk.now;
    desk.write(vec![
        create_project("shop", RoleStructure::MultiRole),
        create_role("shop", "Chair", Place::Above(role("Owner")), &[]),
        create_org("shop", "acme", None),
    ])
    .await;
    let add = Write::Add(given(&["Member", "Chair", "Admin for 60", "Owner"], now));
    let commits = desk.write(vec![write_member("shop", "acme", "ann", add)]).await;
    desk.write(vec![write_member("shop", "acme", "bob", Write::Add(Vec::new()))]).await;
    let found = desk.store.get_member(&key("shop"), &org("acme"), &user("ann"), desk.now, None).await.unwrap();
    let roles: Vec<&str> = found.value.member.roles.iter().map(|role| role.role.as_str()).collect();
    assert_eq!(roles, ["Chair", "Owner", "Admin", "Member"]);
    assert_eq!(found.value.member.roles[2].expire_time, Some(now.plus_seconds(60)));
    assert_eq!(found.value.revision, Some(commits[0].revision));
    assert_eq!(found.revision, desk.revision());
}
