//! Lists of members by role and permission, and of a user's orgs, compared with the State.

use std::collections::BTreeMap;

use rolecall::domain::commands::command::{Place, RoleMappingEdits, Write};
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::rules::member_list::MemberFilter;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::rules::visibility::Visibility;
use rolecall::domain::{Ask, Decision, PermissionName, Project, Question, RoleName};
use rolecall::store::{ListUserMemberships, MemberRow};

use crate::desk::{
    Desk, START, answering, create_mapping, create_org, create_permissions, create_project, create_role, given, grant,
    key, member, permission, role, subscribe, suspend, user, write_member, write_members,
};
use crate::lists::whole;
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    b4_members_are_listed_by_role_and_permission_by_pages
    b4_memberships_of_a_user_are_listed_by_pages
    i2_pages_for_a_viewer_are_full_without_internal_members
}

/// Two projects, one of each role structure, with disabled roles, fallback roles, and temporary roles that expire in steps of
/// 100 s.
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
    // Roles are given while all are enabled. Then the org moves to a mapping that disables two of them.
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

/// Returns the filter of these names.
fn filter(project: &Project, filters: &(Option<RoleName>, Option<PermissionName>)) -> MemberFilter {
    MemberFilter {
        visibility: Visibility::All,
        role: filters.0.as_ref().map(|name| project.role(name).unwrap()),
        permission: filters.1.as_ref().map(|name| project.permission(name).unwrap()),
    }
}

async fn members_of(
    desk: &Desk,
    project: &str,
    org_id: &str,
    filters: &(Option<RoleName>, Option<PermissionName>),
    limit: u32,
) -> Vec<MemberRow> {
    let filter = filter(desk.state.project(&key(project)).unwrap(), filters);
    desk.listed(&desk.state, (project, org_id), filter, limit).await
}

/// Returns the answer of the State, user by user.
fn expected(
    desk: &Desk,
    project_key: &str,
    org_id: &str,
    filters: &(Option<RoleName>, Option<PermissionName>),
) -> Vec<String> {
    let now = desk.now;
    let project = desk.state.project(&key(project_key)).unwrap();
    let found = project.org(org_id).unwrap();
    let mut users = Vec::new();
    for number in 0..200 {
        let id = format!("user-{number:03}");
        let Some(record) = project.membership(found, &user(&id)) else { continue };
        let member = project.member(found, &user(&id), &record, Visibility::All, now);
        let held = member.roles.iter().filter(|role| role.state != RoleState::Expired);
        let held: Vec<&RoleName> = held
            .flat_map(|role| [Some(&role.role), role.fallback_role.as_ref().map(|(role, _)| role)])
            .flatten()
            .collect();
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

async fn b4_members_are_listed_by_role_and_permission_by_pages(database: TestDatabase) {
    let mut desk = crowd(database).await;
    let roles = [None, Some("Owner"), Some("Admin"), Some("Guest"), Some("Member"), Some("Temp")];
    let permissions = [None, Some("read"), Some("write"), Some("look"), Some("never")];
    // Before any expiry, at one, between two, after all.
    for seconds in [10, 100, 180, 300] {
        desk.now = START.plus_seconds(seconds);
        for project in ["multi", "single"] {
            for org_id in ["free", "meanwhile", "chain", "paid", "empty"] {
                for by_role in roles {
                    for by_permission in permissions {
                        let filters = (by_role.map(role), by_permission.map(permission));
                        let expected = expected(&desk, project, org_id, &filters);
                        let found = members_of(&desk, project, org_id, &filters, 1_000).await;
                        let case = format!("{seconds} {project} {org_id} {by_role:?} {by_permission:?}");
                        assert_eq!(users(&found), expected, "{case}");
                    }
                }
            }
        }
    }
    desk.now = START.plus_seconds(180);
    for filters in [(None, None), (Some(role("Admin")), None), (None, Some(permission("read")))] {
        let all = members_of(&desk, "multi", "paid", &filters, 1_000).await;
        assert!(all.len() > 20);
        for limit in [1, 2, 3, 7, all.len() as u32 - 1, all.len() as u32, all.len() as u32 + 1] {
            assert_eq!(members_of(&desk, "multi", "paid", &filters, limit).await, all);
        }
    }
}

async fn b4_memberships_of_a_user_are_listed_by_pages(database: TestDatabase) {
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
    let project = desk.state.project(&key("shop")).unwrap().clone();
    let listed = async |user_id: &str, now, limit| {
        let ask = |after| ListUserMemberships {
            at: desk.revision(),
            project: project.clone(),
            user_id: user(user_id),
            filter: MemberFilter::ALL,
            after,
            limit,
            now,
        };
        let page = async |after| desk.store.list_user_memberships(&ask(after)).await;
        whole(limit, |row: &MemberRow| row.member.org_id.clone(), page).await
    };
    for (seconds, expected) in [(30, &ids[..]), (60, &["Z", "a", "c", "ä"])] {
        let now = now.plus_seconds(seconds);
        for limit in 1..=6 {
            let rows = listed("ann", now, limit).await;
            assert_eq!(rows.iter().map(|row| row.member.org_id.as_str()).collect::<Vec<_>>(), expected);
            assert!(rows.iter().all(|row| row.member.user_id == user("ann")));
            let state = if seconds < 60 { RoleState::Live } else { RoleState::Expired };
            assert_eq!(rows[0].member.roles[1].state, state);
        }
    }
    assert!(listed("eve", now, 9).await.is_empty());
}

/// Some members have only internal roles, so a page needs several chunks of users.
async fn i2_pages_for_a_viewer_are_full_without_internal_members(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let kinds: [&[&str]; 4] = [&["Staff"], &["Member"], &["Staff", "Staff two for 60"], &["Member", "Staff"]];
    let add =
        |number: usize, roles: &[&str]| member("acme", &format!("user-{number:02}"), Write::Add(given(roles, START)));
    let mut rows: Vec<_> = (0..40).map(|number| add(number, kinds[number * 7 % 4])).collect();
    // The last users are all internal members, and the last visible page must end the list.
    rows.extend((40..50).map(|number| add(number, &["Staff"])));
    desk.write(vec![
        create_project("shop", RoleStructure::MultiRole),
        create_role("shop", "Staff", Place::Last, &[]),
        create_role("shop", "Staff two", Place::Last, &[]),
        create_org("shop", "acme", None),
        write_members("shop", rows),
    ])
    .await;
    let expected: Vec<String> =
        (0..40).filter(|number| number * 7 % 4 % 2 == 1).map(|number| format!("user-{number:02}")).collect();
    let view = Some(permission("rolecall::can_view_other_members"));
    for filters in [(None, None), (Some(role("Member")), None), (None, view)] {
        let by = filter(desk.state.project(&key("shop")).unwrap(), &filters);
        let by = MemberFilter { visibility: Visibility::VisibleOnly, ..by };
        for limit in [1, 2, 3, 7, 19, 20, 21, 100] {
            let rows = desk.listed(&desk.state, ("shop", "acme"), by, limit).await;
            assert_eq!(users(&rows), expected);
            assert!(rows.iter().all(|row| row.revision.is_none()), "a viewer is shown no revision");
        }
    }
}
