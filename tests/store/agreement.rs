//! What a store holds, compared with what was decided: loaded, replayed, undone, and as lists show it.

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::commands::group::Commit;
use rolecall::domain::model::id::{OrgNo, ProjectId, RoleId, RoleSetId};
use rolecall::domain::model::refusal::Noun;
use rolecall::domain::rules::membership::Member;
use rolecall::domain::rules::role_state::{RoleState, role_states};
use rolecall::domain::rules::visibility::Visibility;
use rolecall::domain::state::org::Org;
use rolecall::domain::{
    Ask, Change, Decision, OrgId, PermissionName, Project, Question, Revision, RoleName, State, UserId,
};
use rolecall::store::{ListMembers, MemberRow, ReadError};
use sea_orm::{ConnectionTrait, Database, Statement};

use crate::desk::{Desk, hash_key, user};
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
        assert_eq!(other.orgs_being_purged(), project.orgs_being_purged(), "{how}: the dead orgs of `{key}`");
        assert_eq!(
            other.role_sets_being_purged(),
            project.role_sets_being_purged(),
            "{how}: the role sets without roles of `{key}`"
        );
    }
    assert!(found == decided, "{how}");
}

/// Which commit was the last that changed each membership, as its history tells it.
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
                // Whoever has a set is changed with it.
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

/// Lists and single reads show of these users, who must be all there are, in every living org what the State says of them:
/// to a caller, and to two of them as viewers, who take turns.
pub async fn shows_members(desk: &Desk, users: &[&str]) {
    let turn = desk.revision().number as usize;
    let viewers: Vec<&str> = users.iter().copied().cycle().skip(turn % users.len()).take(2).collect();
    shows_members_to(desk, users, &viewers).await;
}

/// The same, to these viewers.
pub async fn shows_members_to(desk: &Desk, users: &[&str], viewers: &[&str]) {
    let now = desk.now;
    let [users, viewers] = [users, viewers].map(|names| names.iter().map(|name| user(name)).collect::<Vec<UserId>>());
    let latest = latest(&desk.store.commits_since(Revision::default(), 10_000).await.unwrap());
    for project in desk.state.projects() {
        let key = &project.record.key;
        let mut by_user: BTreeMap<&UserId, Vec<MemberRow>> = BTreeMap::new();
        let mut orgs = Vec::new();
        project.for_each_org(|org| orgs.push(org));
        orgs.sort_by_key(|org| org.record.profile.org_id.clone());
        for org in orgs {
            let look = Look { desk, project, org, viewer: None };
            let row = |user: &UserId| {
                let member = look.member(user, Visibility::All)?;
                let revision = Some(latest[&(project.id, org.no, user.clone())]);
                Some(MemberRow { member, revision })
            };
            let expected = look.shows(&users, row).await;
            for row in expected {
                let user = users.iter().find(|user| **user == row.member.user_id).unwrap();
                by_user.entry(user).or_default().push(row);
            }
            for viewer in &viewers {
                Look { viewer: Some(viewer), ..look }.shows_viewer(&users).await;
            }
        }
        for user in &users {
            let ask = |after, limit| desk.store.list_user_memberships(key, user, after, limit, now);
            let listed = whole(2, |row: &MemberRow| row.member.org_id.clone(), ask).await;
            assert_eq!(listed, by_user.remove(user).unwrap_or_default(), "orgs of `{user}`");
        }
    }
}

/// Somebody looks at an org.
#[derive(Clone, Copy)]
struct Look<'a> {
    desk: &'a Desk,
    project: &'a Project,
    org: &'a Org,
    viewer: Option<&'a UserId>,
}

impl Look<'_> {
    fn org_id(&self) -> &OrgId {
        &self.org.record.profile.org_id
    }

    /// A member as the State says; none where nothing known to whoever looks is held.
    fn member(&self, user: &UserId, seen: Visibility) -> Option<Member> {
        let record = self.project.membership(self.org, user)?;
        let member = self.project.member(self.org, user, &record, seen, self.desk.now);
        member.roles.iter().any(|role| role.state != RoleState::Expired).then_some(member)
    }

    /// Of the roles known to whoever looks: those held, the ones in the place of others included, and those live.
    fn roles(&self, user: &UserId, seen: Visibility) -> (BTreeSet<RoleId>, BTreeSet<RoleId>) {
        let Some(record) = self.project.membership(self.org, user) else { return Default::default() };
        let set = self.project.role_sets.get(record.role_set).unwrap();
        let (roles, temporary) = self.project.shown_roles(&set.roles, &record.temporary, seen);
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

    /// Reads and lists show these users as `row` says, and by every role and permission those who hold it and have it.
    async fn shows(&self, users: &[UserId], row: impl Fn(&UserId) -> Option<MemberRow>) -> Vec<MemberRow> {
        let (desk, key, viewer) = (self.desk, &self.project.record.key, self.viewer);
        let seen = if viewer.is_some() { Visibility::VisibleOnly } else { Visibility::All };
        let mut expected = Vec::new();
        for user in users {
            let row = row(user);
            let found = desk.store.get_member(key, self.org_id(), user, desk.now, viewer).await;
            match (&row, found) {
                (Some(row), Ok(found)) => assert_eq!(found.value, *row, "to {viewer:?}"),
                (None, Err(ReadError::NotFound(Noun::Member, name))) => assert_eq!(name, user.as_str()),
                (row, found) => panic!("{row:?} is shown as {found:?} to {viewer:?}"),
            }
            expected.extend(row);
        }
        expected.sort_by_key(|row| row.member.user_id.clone());
        assert_eq!(self.listed(None, None, 3).await.unwrap(), expected, "members of `{}` to {viewer:?}", self.org_id());
        for (id, role) in self.project.roles.entries() {
            let listed = self.listed(Some(&role.name), None, 2).await;
            if viewer.is_some() && role.internal {
                assert!(matches!(listed, Err(ReadError::NotFound(Noun::Role, name)) if name == role.name.as_str()));
                continue;
            }
            let holding = |row: &&MemberRow| self.roles(&row.member.user_id, seen).0.contains(&id);
            let holding: Vec<MemberRow> = expected.iter().filter(holding).cloned().collect();
            assert_eq!(listed.unwrap(), holding, "members with `{}` to {viewer:?}", role.name);
        }
        let mapping = self.project.role_mappings.get(self.org.record.role_mapping).unwrap();
        for (id, permission) in self.project.permissions.entries().filter(|(id, _)| id.number() % 3 != 0) {
            let granted = |role: &RoleId| mapping.row(*role).is_some_and(|row| row.contains(id));
            let having = |row: &&MemberRow| self.roles(&row.member.user_id, seen).1.iter().any(granted);
            let having: Vec<MemberRow> = expected.iter().filter(having).cloned().collect();
            let listed = self.listed(None, Some(&permission.name), 2).await.unwrap();
            assert_eq!(listed, having, "members with `{}` to {viewer:?}", permission.name);
        }
        expected
    }

    /// A viewer is let in if it holds something, and sees what is visible: of all where it may, else of itself.
    async fn shows_viewer(&self, users: &[UserId]) {
        let (desk, key) = (self.desk, &self.project.record.key);
        let viewer = self.viewer.unwrap();
        let org = desk.store.get_org(key, self.org_id(), desk.now, self.viewer).await;
        if self.member(viewer, Visibility::All).is_none() {
            let refused = |error: ReadError| assert!(matches!(&error, ReadError::ViewerNotAMember(_)), "{error}");
            refused(org.unwrap_err());
            refused(desk.store.get_member(key, self.org_id(), viewer, desk.now, self.viewer).await.unwrap_err());
            refused(self.listed(None, None, 3).await.unwrap_err());
            return;
        }
        org.unwrap();
        let question = Question::Permission("rolecall::can_view_other_members");
        let ask = Ask { org_id: self.org_id().as_str(), user_id: viewer.as_str(), question };
        let sees_others = self.project.check(&ask, desk.now) == Decision::Allowed;
        let row = |user: &UserId| {
            let member = self.member(user, Visibility::VisibleOnly).filter(|_| sees_others || user == viewer)?;
            Some(MemberRow { member, revision: None })
        };
        self.shows(users, row).await;
    }

    async fn listed(
        &self,
        role: Option<&RoleName>,
        permission: Option<&PermissionName>,
        limit: u32,
    ) -> Result<Vec<MemberRow>, ReadError> {
        let mut all: Vec<MemberRow> = Vec::new();
        loop {
            let ask = ListMembers {
                project: self.project.record.key.clone(),
                org_id: self.org_id().clone(),
                role: role.cloned(),
                permission: permission.cloned(),
                after: all.last().map(|row| row.member.user_id.clone()),
                limit,
                now: self.desk.now,
                viewer: self.viewer.cloned(),
            };
            let page = self.desk.store.list_members(ask).await?;
            assert!(page.rows.len() == limit as usize || !page.more, "a page is full or the last");
            all.extend(page.rows);
            if !page.more {
                return Ok(all);
            }
        }
    }
}
