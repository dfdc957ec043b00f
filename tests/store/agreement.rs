//! Compares what a store holds with what was decided: loaded, replayed, undone, and in lists.

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::commands::group::Commit;
use rolecall::domain::model::id::{OrgNo, ProjectId, RoleId, RoleSetId};
use rolecall::domain::rules::member_list::MemberFilter;
use rolecall::domain::rules::membership::Member;
use rolecall::domain::rules::role_state::{RoleState, role_states};
use rolecall::domain::rules::visibility::Visibility;
use rolecall::domain::state::org::Org;
use rolecall::domain::{Change, Project, Revision, State, UserId};
use rolecall::store::{ListUserMemberships, MemberRow};
use sea_orm::{ConnectionTrait, Database, Statement};

use crate::desk::{Desk, hash_key, user};
use crate::lists::whole;

/// Asserts that the loaded State and the replayed State equal the decided one.
pub async fn agrees(desk: &Desk) {
    let loaded = desk.store.load(hash_key()).await.unwrap();
    same(&loaded, &desk.state, "loaded");
    let mut replayed = State::new(hash_key());
    let commits = desk.store.commits_since(Revision::default(), 10_000).await.unwrap();
    commits.iter().for_each(|commit| replayed.apply_commit(commit.revision, &commit.changes));
    same(&replayed, &desk.state, "replayed");
    nothing_is_left_over(desk, &commits).await;
}

/// Loading ignores the rows of deleted objects, so they would stay unnoticed.
async fn nothing_is_left_over(desk: &Desk, history: &[Commit]) {
    let mut memberships = BTreeMap::new();
    let mut fallbacks = BTreeMap::new();
    for change in history.iter().flat_map(|commit| &commit.changes) {
        match change {
            Change::Membership(edit) => {
                match &edit.after {
                    Some(record) => memberships.insert(&edit.key, record),
                    None => memberships.remove(&edit.key),
                };
            }
            Change::Fallbacks(edit) => {
                match &edit.after {
                    Some(all) => fallbacks.insert(edit.key, all),
                    None => fallbacks.remove(&edit.key),
                };
            }
            _ => {}
        }
    }
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    let mut count = |table, more| *rows.entry(table).or_default() += more;
    count("memberships", memberships.len());
    count("temporary_roles", memberships.values().map(|record| record.temporary.len()).sum());
    count("role_origins", memberships.values().map(|record| record.origins.len()).sum());
    count("fallback_roles", fallbacks.values().map(|all| all.len()).sum());
    for project in desk.state.all_projects() {
        count("projects", 1);
        count("managed_roles", project.roles.entries().map(|(_, role)| role.manages.len()).sum());
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

/// Asserts that undoing all changes gives an empty State, and that applying them again gives the decided State.
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
    // Part by part first, so that the message says where they differ.
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
        assert_eq!(other.orgs_being_purged(), project.orgs_being_purged(), "{how}: the orgs being purged of `{key}`");
        assert_eq!(
            other.role_sets_being_purged(),
            project.role_sets_being_purged(),
            "{how}: the role sets without roles of `{key}`"
        );
    }
    assert!(found == decided, "{how}");
}

/// Returns the commit that changed each membership last, from the history.
fn latest(history: &[Commit]) -> BTreeMap<(ProjectId, OrgNo, UserId), Revision> {
    struct Last {
        role_set: RoleSetId,
        temporary: bool,
        revision: Revision,
    }
    let mut all: BTreeMap<(ProjectId, OrgNo, UserId), Last> = BTreeMap::new();
    for commit in history {
        for change in &commit.changes {
            match change {
                Change::Membership(edit) => {
                    let key = (edit.key.project, edit.key.org, edit.key.user.clone());
                    match &edit.after {
                        Some(record) => {
                            let (role_set, temporary) = (record.role_set, !record.temporary.is_empty());
                            all.insert(key, Last { role_set, temporary, revision: commit.revision })
                        }
                        None => all.remove(&key),
                    };
                }
                Change::Remap(edit) => {
                    let (before, after) = (edit.before.as_ref().unwrap(), edit.after.as_ref().unwrap());
                    let here = |key: &(ProjectId, OrgNo, UserId)| (key.0, key.1) == (edit.key.project, edit.key.id);
                    for (_, last) in all.iter_mut().filter(|(key, last)| here(key) && !last.temporary) {
                        if let Some(at) = before.iter().position(|&set| set == last.role_set) {
                            (last.role_set, last.revision) = (after[at], commit.revision);
                        }
                    }
                }
                // The members of a set change with it.
                Change::RoleSet(edit) => {
                    let having = all.iter_mut().filter(|((project, ..), _)| *project == edit.key.project);
                    let having = having.filter(|(_, last)| last.role_set == edit.key.id);
                    having.for_each(|(_, last)| last.revision = commit.revision);
                }
                _ => {}
            }
        }
    }
    all.into_iter().map(|(key, last)| (key, last.revision)).collect()
}

/// Asserts that in every org the lists show what the State says, to callers and to viewers. `users` must name all users.
pub async fn shows_members(desk: &Desk, users: &[&str]) {
    shows_members_at(desk, &desk.state, users).await;
}

/// Asserts the same at the revision of an earlier State, while the database is ahead.
pub async fn shows_members_at(desk: &Desk, state: &State, users: &[&str]) {
    let users: Vec<UserId> = users.iter().map(|name| user(name)).collect();
    let mut history = desk.store.commits_since(Revision::default(), 10_000).await.unwrap();
    history.retain(|commit| commit.revision.number <= state.revision().number);
    let latest = latest(&history);
    for project in state.projects() {
        let mut by_user: BTreeMap<&UserId, Vec<MemberRow>> = BTreeMap::new();
        let mut orgs = Vec::new();
        project.for_each_org(|org| orgs.push(org));
        orgs.sort_by_key(|org| org.record.profile.org_id.clone());
        for org in orgs {
            let look = Look { desk, state, project, org, visibility: Visibility::All };
            let row = |user: &UserId| {
                let revision = latest.get(&(project.id, org.no, user.clone())).copied();
                Some(MemberRow { member: look.member(user)?, revision })
            };
            for row in look.shows(&users, row).await {
                let user = users.iter().find(|user| **user == row.member.user_id).unwrap();
                let revision = desk.store.membership_revision(state.revision(), project, org, user).await.unwrap();
                assert_eq!(row.revision, Some(revision), "`{user}` in `{}`", org.record.profile.org_id);
                by_user.entry(user).or_default().push(row);
            }
            let look = Look { visibility: Visibility::VisibleOnly, ..look };
            look.shows(&users, |user| Some(MemberRow { member: look.member(user)?, revision: None })).await;
        }
        for user in &users {
            let ask = |after| ListUserMemberships {
                at: state.revision(),
                project: state.project(&project.record.key).unwrap().clone(),
                user_id: user.clone(),
                filter: MemberFilter::ALL,
                after,
                limit: 2,
                now: desk.now,
            };
            let page = async |after| desk.store.list_user_memberships(&ask(after)).await;
            let listed = whole(2, |row: &MemberRow| row.member.org_id.clone(), page).await;
            assert_eq!(listed, by_user.remove(user).unwrap_or_default(), "orgs of `{user}`");
        }
    }
}

/// An org as callers or as viewers see it.
#[derive(Clone, Copy)]
struct Look<'a> {
    desk: &'a Desk,
    state: &'a State,
    project: &'a Project,
    org: &'a Org,
    visibility: Visibility,
}

impl Look<'_> {
    /// Returns a member as the State says. `None` if no held role is shown.
    fn member(&self, user: &UserId) -> Option<Member> {
        let record = self.project.membership(self.org, user)?;
        let member = self.project.member(self.org, user, &record, self.visibility, self.desk.now);
        member.roles.iter().any(|role| role.state != RoleState::Expired).then_some(member)
    }

    /// Returns the shown roles that are held, fallback roles included, and those that are live.
    fn roles(&self, user: &UserId) -> (BTreeSet<RoleId>, BTreeSet<RoleId>) {
        let Some(record) = self.project.membership(self.org, user) else { return Default::default() };
        let set = self.project.role_sets.get(record.role_set).unwrap();
        let (roles, temporary) = self.project.shown_roles(&set.roles, &record.temporary, self.visibility);
        let mapping = self.project.role_mappings.get(self.org.record.role_mapping).unwrap();
        let enabled = |role| mapping.enabled(role);
        let structure = self.project.record.role_structure;
        let recorded_role: Vec<_> =
            role_states(structure, &roles, &temporary, &enabled, self.org.fallbacks(), self.desk.now).collect();
        let all = || recorded_role.iter().flat_map(|recorded_role| recorded_role.roles());
        let held = all().filter(|(_, state)| *state != RoleState::Expired).map(|(role, _)| role).collect();
        let live = all().filter(|(_, state)| *state == RoleState::Live).map(|(role, _)| role).collect();
        (held, live)
    }

    /// Asserts that lists show these users as `row` says, also by every role and permission. Returns the rows.
    async fn shows(&self, users: &[UserId], row: impl Fn(&UserId) -> Option<MemberRow>) -> Vec<MemberRow> {
        let mut expected: Vec<MemberRow> = users.iter().filter_map(row).collect();
        expected.sort_by_key(|row| row.member.user_id.clone());
        let all = MemberFilter { visibility: self.visibility, role: None, permission: None };
        assert_eq!(self.listed(all, 3).await, expected, "members of `{}`", self.org.record.profile.org_id);
        for (id, role) in self.project.roles.entries() {
            if self.visibility == Visibility::VisibleOnly && role.internal {
                continue;
            }
            let holding = |row: &&MemberRow| self.roles(&row.member.user_id).0.contains(&id);
            let holding: Vec<MemberRow> = expected.iter().filter(holding).cloned().collect();
            let listed = self.listed(MemberFilter { role: Some(id), ..all }, 2).await;
            assert_eq!(listed, holding, "members with `{}`", role.name);
        }
        let mapping = self.project.role_mappings.get(self.org.record.role_mapping).unwrap();
        for (id, permission) in self.project.permissions.entries().filter(|(id, _)| id.number() % 3 != 0) {
            let granted = |role: &RoleId| mapping.row(*role).is_some_and(|row| row.contains(id));
            let blocked = |user: &UserId| self.project.block_of(user.as_str()).is_some();
            let having = |row: &&MemberRow| {
                let user = &row.member.user_id;
                !blocked(user) && self.roles(user).1.iter().any(granted)
            };
            let having: Vec<MemberRow> = expected.iter().filter(having).cloned().collect();
            let listed = self.listed(MemberFilter { permission: Some(id), ..all }, 1).await;
            assert_eq!(listed, having, "members with `{}`", permission.name);
        }
        expected
    }

    async fn listed(&self, filter: MemberFilter, limit: u32) -> Vec<MemberRow> {
        let of = (self.project.record.key.as_str(), self.org.record.profile.org_id.as_str());
        self.desk.listed(self.state, of, filter, limit).await
    }
}
