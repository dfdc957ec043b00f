//! The memberships of the database as they were at the revision of a State, while the database goes on.
//!
//! The rows of the database say which users to look at, and the revision of each membership. Who was a member, and as what,
//! is in the State. Where the database has newer commits than the State, their changes name the users whose rows differ.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryResult};

use super::snapshot::Snapshot;
use crate::domain::model::id::{OrgNo, ProjectId, RoleSetId};
use crate::domain::rules::event::Object;
use crate::domain::{Revision, UserId};
use crate::store::head::committed;
use crate::store::ids::{id, number, revision, revision_number, unreadable};
use crate::store::schema::commit;
use crate::store::sql::Sql;
use crate::store::{Store, StoreError};

/// The database, read as it was at an earlier revision.
pub struct Past {
    pub(super) snapshot: Snapshot,
    pub(super) at: Revision,
}

/// A membership that was changed since, and the revision that it had before; `None` if it did not exist.
pub type Earlier = Option<i64>;

/// What newer commits changed in an org.
#[derive(Default)]
pub struct Changed {
    pub users: BTreeMap<UserId, Earlier>,
    /// Whether the org itself was changed. Then members may have other role sets than the State says, all at once.
    pub org: bool,
}

impl Past {
    /// Refuses a database that does not have the State's revision: a copy that lags, or one that was restored.
    pub async fn at(store: &Store, at: Revision) -> Result<Self, StoreError> {
        let snapshot = store.snapshot().await?;
        if snapshot.revision.number < at.number {
            let head = snapshot.revision.number;
            snapshot.end().await;
            return Err(StoreError::Behind { head, state: at.number });
        }
        let same = match snapshot.revision.number == at.number {
            true => Some(snapshot.revision),
            false => committed(&snapshot.tx, at.number).await?,
        };
        if same.is_none_or(|same| same.tag != at.tag) && at.number > 0 {
            snapshot.end().await;
            return Err(StoreError::AnotherHistory { state: at.number });
        }
        Ok(Self { snapshot, at })
    }

    pub async fn end(self) {
        self.snapshot.end().await;
    }

    fn is_current(&self) -> bool {
        self.snapshot.revision.number == self.at.number
    }

    pub(super) async fn rows(&self, sql: Sql) -> Result<Vec<QueryResult>, StoreError> {
        let tx = &self.snapshot.tx;
        Ok(tx.query_all_raw(sql.statement(tx.get_database_backend())).await?)
    }

    fn is_sqlite(&self) -> bool {
        self.snapshot.tx.get_database_backend() == DbBackend::Sqlite
    }

    /// Returns users of an org in the order of their ids, after one of them, each with the revision of the membership; if
    /// `sets` are given, only users with one of these role sets.
    pub async fn users(
        &self,
        (project, org): (ProjectId, OrgNo),
        sets: Option<&[RoleSetId]>,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(UserId, i64)>, StoreError> {
        let mut sql = Sql::default();
        let (project, org) = (sql.bind(number(project)), sql.bind(number(org)));
        let (after, limit) = (sql.bind(after), sql.bind(limit as i64));
        match sets {
            // Compared as rows: without statistics PostgreSQL would otherwise read and sort all members of the org.
            None => sql.push(&format!(
                "SELECT user_id, revision FROM memberships
                 WHERE (project, org, user_id) > ({project}, {org}, {after}) AND (project, org) <= ({project}, {org})
                 ORDER BY project, org, user_id LIMIT {limit}"
            )),
            Some(sets) => {
                // In the text: SQLite looks up the name of each placeholder.
                let sets: Vec<String> = sets.iter().map(|&set| number(set).to_string()).collect();
                // Without statistics either database could scan the members of the org in the order of their ids.
                let begin = if self.is_sqlite() { "INDEXED BY memberships_by_role_set" } else { "" };
                sql.push(&format!(
                    "WITH found AS MATERIALIZED (
                         SELECT user_id, revision FROM memberships {begin}
                         WHERE project = {project} AND org = {org} AND role_set IN ({}) AND user_id > {after})
                     SELECT user_id, revision FROM found ORDER BY user_id LIMIT {limit}",
                    sets.join(", ")
                ));
            }
        }
        self.rows(sql).await?.iter().map(|row| Ok((user(row)?, row.try_get_by_index(1)?))).collect()
    }

    /// Returns the memberships of an org that newer commits changed, of users after this one.
    pub async fn changed(&self, (project, org): (ProjectId, OrgNo), after: &str) -> Result<Changed, StoreError> {
        let mut changed = Changed::default();
        if self.is_current() {
            return Ok(changed);
        }
        let mut sql = Sql::default();
        let (project, org) = (sql.bind(number(project)), sql.bind(number(org)));
        let (at, after) = (sql.bind(revision_number(self.at.number)), sql.bind(after));
        // `+ 0` keeps the planner from the index by org, which leads through the whole history of the org. Newer commits
        // are few, and so are the changes of one user.
        sql.push(&format!(
            "SELECT d.user_id, (SELECT max(b.revision) FROM changes b WHERE b.project = {project} AND b.org + 0 = {org}
                 AND b.user_id = d.user_id AND b.revision <= {at})
             FROM (SELECT DISTINCT user_id FROM changes WHERE revision > {at} AND project + 0 = {project}
                 AND org + 0 = {org} AND (user_id > {after} OR user_id IS NULL)) d"
        ));
        for row in self.rows(sql).await? {
            match row.try_get_by_index::<Option<String>>(0)? {
                Some(user) => {
                    changed.users.insert(UserId::stored(user), row.try_get_by_index(1)?);
                }
                None => changed.org = true,
            }
        }
        Ok(changed)
    }

    /// Returns the orgs of a user, each with the revision of the membership. Some of them may be deleted.
    pub async fn orgs_of(&self, project: ProjectId, user: &UserId) -> Result<BTreeMap<OrgNo, Earlier>, StoreError> {
        let mut sql = Sql::default();
        let (project_no, user_id) = (sql.bind(number(project)), sql.bind(user.as_str()));
        // Without statistics SQLite would scan all memberships of the project.
        let begin = if self.is_sqlite() { "INDEXED BY memberships_by_user" } else { "" };
        sql.push(&format!(
            "SELECT org, revision FROM memberships {begin} WHERE project = {project_no} AND user_id = {user_id}"
        ));
        let mut orgs = BTreeMap::new();
        for row in self.rows(sql).await? {
            orgs.insert(id(row.try_get_by_index(0)?)?, Some(row.try_get_by_index(1)?));
        }
        if self.is_current() {
            return Ok(orgs);
        }
        let mut sql = Sql::default();
        let (project, user) = (sql.bind(number(project)), sql.bind(user.as_str()));
        let at = sql.bind(revision_number(self.at.number));
        sql.push(&format!(
            "SELECT d.org, b.revision
             FROM (SELECT DISTINCT org FROM changes
                 WHERE revision > {at} AND project + 0 = {project} AND user_id = {user} AND org IS NOT NULL) d
             LEFT JOIN (SELECT org, max(revision) AS revision FROM changes
                 WHERE project = {project} AND user_id = {user} AND revision <= {at} GROUP BY org) b ON b.org = d.org"
        ));
        for row in self.rows(sql).await? {
            orgs.insert(id(row.try_get_by_index(0)?)?, row.try_get_by_index(1)?);
        }
        Ok(orgs)
    }

    /// Returns the revision of one membership.
    pub async fn membership(&self, (project, org): (ProjectId, OrgNo), user: &UserId) -> Result<Earlier, StoreError> {
        let mut sql = Sql::default();
        let (project, org) = (sql.bind(number(project)), sql.bind(number(org)));
        let (user, at) = (sql.bind(user.as_str()), sql.bind(revision_number(self.at.number)));
        let row = |org_column: &str| {
            format!("project = {project} AND {org_column} = {org} AND user_id = {user} AND revision <= {at}")
        };
        sql.push(&format!(
            "SELECT coalesce((SELECT revision FROM memberships WHERE {}), (SELECT max(revision) FROM changes WHERE {}))",
            row("org"),
            row("org + 0")
        ));
        match self.rows(sql).await?.first() {
            Some(row) => Ok(row.try_get_by_index(0)?),
            None => Ok(None),
        }
    }

    /// Returns when memberships were changed last (B6), in the same order: each is a membership's own revision and, where
    /// its role set was migrated, that set. The migration of a set is the latest change of its members. A change before the
    /// kept history has the revision of the oldest commit that is kept.
    pub async fn revisions(
        &self,
        project: ProjectId,
        memberships: &[(Earlier, Option<RoleSetId>)],
    ) -> Result<Vec<Revision>, StoreError> {
        let sets: BTreeSet<RoleSetId> = memberships.iter().filter_map(|(_, set)| *set).collect();
        let sets = self.migrations(project, sets).await?;
        let latest = |(own, set): &(Earlier, Option<RoleSetId>)| set.map_or(*own, |set| sets.get(&set).copied());
        let latest: Vec<i64> = memberships.iter().map(|it| latest(it).unwrap_or(0).max(self.snapshot.floor)).collect();
        let numbers: BTreeSet<i64> = latest.iter().copied().collect();
        let mut commits = HashMap::new();
        let find = commit::Entity::find().filter(commit::Column::Revision.is_in(numbers));
        for row in find.all(&self.snapshot.tx).await? {
            commits.insert(row.revision, revision(row.revision, row.tag, row.at)?);
        }
        let missing = || unreadable("a membership whose commit is missing");
        latest.iter().map(|number| commits.get(number).copied().ok_or_else(missing)).collect()
    }

    /// Returns the revision at which each of these role sets was migrated last.
    async fn migrations(
        &self,
        project: ProjectId,
        sets: BTreeSet<RoleSetId>,
    ) -> Result<HashMap<RoleSetId, i64>, StoreError> {
        let mut migrations = HashMap::new();
        if sets.is_empty() {
            return Ok(migrations);
        }
        let mut sql = Sql::default();
        let (project_no, at) = (sql.bind(number(project)), sql.bind(revision_number(self.at.number)));
        let wanted = sql.list(sets.iter().map(|&set| number(set)));
        sql.push(&format!(
            "SELECT id, revision FROM role_sets WHERE project = {project_no} AND id IN ({wanted}) AND revision <= {at}"
        ));
        for row in self.rows(sql).await? {
            migrations.insert(id(row.try_get_by_index(0)?)?, row.try_get_by_index(1)?);
        }
        // A newer commit migrated or deleted the others once more.
        let at = revision_number(self.at.number);
        let earlier: Vec<(Object, i64)> =
            sets.iter().filter(|set| !migrations.contains_key(*set)).map(|&set| (Object::RoleSet(set), at)).collect();
        for ((object, _), revision) in self.nearest_changes(project, &earlier, false).await? {
            if let Object::RoleSet(set) = object {
                migrations.insert(set, revision);
            }
        }
        Ok(migrations)
    }
}

fn user(row: &QueryResult) -> Result<UserId, StoreError> {
    Ok(UserId::stored(row.try_get_by_index::<String>(0)?))
}
