//! What a store holds, compared with what was decided: loaded, replayed, undone, and as lists show it.

use std::collections::BTreeMap;

use rolecall::domain::group::Commit;
use rolecall::domain::id::{OrgNo, ProjectId, RoleSetId};
use rolecall::domain::membership::Standing;
use rolecall::domain::{Change, Revision, State, UserId};
use rolecall::store::{ListMembers, MemberRow, ReadError};
use sea_orm::{ConnectionTrait, Database, Statement};

use crate::desk::{Desk, hash_key};
use crate::lists::whole;

/// The State that is loaded and the State that is replayed are the State that was decided.
pub async fn agrees(desk: &Desk) {
    let loaded = desk.store.load(hash_key()).await.unwrap();
    same(&loaded, &desk.state, "loaded");
    let mut replayed = State::new(hash_key());
    let commits = desk.store.commits_since(Revision::default(), 10_000).await.unwrap();
    commits.iter().for_each(|commit| replayed.apply_commit(commit.revision, &commit.changes));
    same(&replayed, &desk.state, "replayed");
    nothing_is_left_over(desk, &commits).await;
}

/// Loading does not see rows of what is no more, and they would stay for ever.
async fn nothing_is_left_over(desk: &Desk, history: &[Commit]) {
    let mut memberships = BTreeMap::new();
    for change in history.iter().flat_map(|commit| &commit.changes) {
        if let Change::Membership(edit) = change {
            match &edit.after {
                Some(record) => memberships.insert(&edit.key, record),
                None => memberships.remove(&edit.key),
            };
        }
    }
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    let mut count = |table, more| *rows.entry(table).or_default() += more;
    count("memberships", memberships.len());
    count("timed_roles", memberships.values().map(|record| record.timed.len()).sum());
    count("role_origins", memberships.values().map(|record| record.origins.len()).sum());
    for project in desk.state.all_projects() {
        count("projects", 1);
        count("permissions", project.permissions.len());
        count("roles", project.roles.len());
        count("role_sets", project.role_sets.len());
        count("role_set_roles", project.role_sets.entries().map(|(_, set)| set.roles.len()).sum());
        count("role_mappings", project.role_mappings.len());
        count("grants", project.grants as usize);
        let disabled = project.role_mappings.entries().map(|(_, mapping)| mapping.record.disabled_roles.len());
        count("disabled_roles", disabled.sum());
        count("aliases", project.permissions.entries().map(|(_, it)| it.aliases.len()).sum());
        count("aliases", project.roles.entries().map(|(_, it)| it.aliases.len()).sum());
        count("aliases", project.role_mappings.entries().map(|(_, it)| it.record.aliases.len()).sum());
    }
    let direct = Database::connect(&desk.database.url).await.unwrap();
    for (table, expected) in rows {
        let sql = format!("SELECT count(*) FROM {table}");
        let row = direct.query_one_raw(Statement::from_string(direct.get_database_backend(), sql)).await.unwrap();
        let found: i64 = row.unwrap().try_get_by_index(0).unwrap();
        assert_eq!(found as usize, expected, "rows of {table}");
    }
    direct.close().await.unwrap();
}

/// What was loaded, undone to the beginning, is the State of an empty store, and done again what it was.
pub async fn undoes(desk: &Desk) {
    let commits = desk.store.commits_since(Revision::default(), 10_000).await.unwrap();
    let mut state = desk.store.load(hash_key()).await.unwrap();
    for commit in commits.iter().rev() {
        commit.changes.iter().rev().cloned().map(Change::undone).for_each(|change| state.apply(&change));
    }
    state.set_revision(Revision::default());
    assert!(state == State::new(hash_key()));
    commits.iter().for_each(|commit| state.apply_commit(commit.revision, &commit.changes));
    same(&state, &desk.state, "undone and done again");
}

fn same(found: &State, decided: &State, how: &str) {
    assert_eq!(found.revision(), decided.revision());
    // Part by part first: the message then says where to look.
    for project in decided.all_projects() {
        let key = &project.record.key;
        let other = found.project_numbered(project.id).unwrap_or_else(|| panic!("{how} without `{key}`"));
        assert_eq!(other.record, project.record, "{how}");
        assert!(other.permissions == project.permissions, "{how}: the permissions of `{key}`");
        assert!(other.roles == project.roles, "{how}: the roles of `{key}`");
        assert_eq!(other.role_order, project.role_order, "{how}: the order of roles of `{key}`");
        assert!(other.role_sets == project.role_sets, "{how}: the role sets of `{key}`");
        assert!(other.role_mappings == project.role_mappings, "{how}: the role mappings of `{key}`");
        assert_eq!(other.counters(), project.counters(), "{how}: the counters of `{key}`");
        assert_eq!(other.dying_orgs(), project.dying_orgs(), "{how}: the dead orgs of `{key}`");
        assert_eq!(other.dying_sets(), project.dying_sets(), "{how}: the role sets without roles of `{key}`");
    }
    assert!(found == decided, "{how}");
}

/// Which commit was the last that changed each membership, as its history tells it.
fn latest(history: &[Commit]) -> BTreeMap<(ProjectId, OrgNo, UserId), Revision> {
    let mut all: BTreeMap<(ProjectId, OrgNo, UserId), (RoleSetId, Revision)> = BTreeMap::new();
    for commit in history {
        for change in &commit.changes {
            match change {
                Change::Membership(edit) => {
                    let key = (edit.key.project, edit.key.org, edit.key.user.clone());
                    match &edit.after {
                        Some(record) => all.insert(key, (record.role_set, commit.revision)),
                        None => all.remove(&key),
                    };
                }
                // Whoever has a set is changed with it.
                Change::RoleSet(edit) => {
                    let having = all.iter_mut().filter(|((project, ..), _)| *project == edit.key.project);
                    let having = having.filter(|(_, (set, _))| *set == edit.key.id);
                    having.for_each(|(_, (_, revision))| *revision = commit.revision);
                }
                _ => {}
            }
        }
    }
    all.into_iter().map(|(key, (_, revision))| (key, revision)).collect()
}

/// Lists and single reads show of these users, in every living org, what the State says of them.
pub async fn shows_members(desk: &Desk, users: &[&str]) {
    let now = desk.now;
    let latest = latest(&desk.store.commits_since(Revision::default(), 10_000).await.unwrap());
    for project in desk.state.projects() {
        let key = &project.record.key;
        let mut by_user: BTreeMap<UserId, Vec<MemberRow>> = BTreeMap::new();
        let mut orgs = Vec::new();
        project.for_each_org(|org| orgs.push(org));
        orgs.sort_by_key(|org| org.record.profile.org_id.clone());
        for org in orgs {
            let org_id = &org.record.profile.org_id;
            let mut expected = Vec::new();
            for &user in users {
                let user = UserId::parse(user).unwrap();
                let member = project.membership(org, &user).map(|record| project.member(org, &user, &record, now));
                let member = member.filter(|member| member.roles.iter().any(|role| role.standing != Standing::Ended));
                let row = member.map(|member| {
                    let revision = latest[&(project.id, org.no, user.clone())];
                    MemberRow { member, revision }
                });
                let found = desk.store.get_member(key, org_id, &user, now).await;
                match (&row, found) {
                    (Some(row), Ok(found)) => assert_eq!(found.value, *row),
                    (None, Err(ReadError::NotFound(..))) => {}
                    (row, found) => panic!("{row:?} is shown as {found:?}"),
                }
                if let Some(row) = row {
                    by_user.entry(user).or_default().push(row.clone());
                    expected.push(row);
                }
            }
            expected.sort_by_key(|row| row.member.user_id.clone());
            let ask = |after: Option<UserId>, limit| {
                desk.store.list_members(ListMembers {
                    project: key.clone(),
                    org_id: org_id.clone(),
                    role: None,
                    permission: None,
                    after,
                    limit,
                    now,
                })
            };
            let listed = whole(3, |row: &MemberRow| row.member.user_id.clone(), ask).await;
            assert_eq!(listed, expected, "members of `{org_id}`");
        }
        for &user in users {
            let user = UserId::parse(user).unwrap();
            let ask = |after, limit| desk.store.list_user_memberships(key, &user, after, limit, now);
            let listed = whole(2, |row: &MemberRow| row.member.org_id.clone(), ask).await;
            assert_eq!(listed, by_user.remove(&user).unwrap_or_default(), "orgs of `{user}`");
        }
    }
}
