//! Finds the memberships and recorded removals to purge. Only the database knows the user ids.

use sea_orm::ConnectionTrait;

use crate::domain::UserId;
use crate::domain::model::id::{OrgNo, ProjectId, RoleSetId};
use crate::store::connect::LONG_MAX;
use crate::store::ids::{id, number};
use crate::store::sql::{Bound, Sql};
use crate::store::{Store, StoreError};

/// Role sets (or orgs) per statement. The rest are found after these are purged.
const SETS_MAX: usize = 1_000;

impl Store {
    /// Returns at most `limit` memberships of these deleted orgs and, in all orgs, of these role sets, by org and user. They
    /// follow `after`, the last one found before. Fewer than `limit` are the last ones.
    ///
    /// No index leads to the memberships of a role set in all orgs. The search scans the project once, if each call continues
    /// where the last one ended.
    pub async fn purgeable(
        &self,
        project: ProjectId,
        orgs: &[OrgNo],
        sets: &[RoleSetId],
        after: Option<(OrgNo, UserId)>,
        limit: u32,
    ) -> Result<Vec<(OrgNo, UserId)>, StoreError> {
        if !sets.is_empty() {
            return self.purgeable_of_sets(project, orgs, sets, after, limit).await;
        }
        let mut orgs = orgs.to_vec();
        orgs.sort_unstable();
        let mut found = Vec::new();
        // One org per statement, compared as rows: otherwise PostgreSQL without statistics may scan the whole table.
        for org in orgs {
            let after = match &after {
                Some((last, _)) if org < *last => continue,
                Some((last, user)) if org == *last => user.as_str(),
                _ => "",
            };
            let rest = i64::from(limit) - found.len() as i64;
            if rest <= 0 {
                break;
            }
            let mut sql = Sql::default();
            let (project, org) = (sql.bind(number(project)), sql.bind(number(org)));
            let (after, rest) = (sql.bind(after), sql.bind(rest));
            let these = format!(
                "(project, org, user_id) > ({project}, {org}, {after}) AND (project, org) <= ({project}, {org})
                 ORDER BY project, org, user_id"
            );
            sql.push(&in_both(&these, &these, &rest));
            found.extend(self.purgeable_rows(sql).await?);
        }
        Ok(found)
    }

    /// Returns at most `limit` memberships of a deleted project. Fewer are the last ones.
    pub async fn purgeable_of_project(
        &self,
        project: ProjectId,
        limit: u32,
    ) -> Result<Vec<(OrgNo, UserId)>, StoreError> {
        let mut sql = Sql::default();
        let (project, limit) = (sql.bind(number(project)), sql.bind(i64::from(limit)));
        let these = format!("project = {project} ORDER BY org, user_id");
        sql.push(&in_both(&these, &these, &limit));
        self.purgeable_rows(sql).await
    }

    async fn purgeable_of_sets(
        &self,
        project: ProjectId,
        orgs: &[OrgNo],
        sets: &[RoleSetId],
        after: Option<(OrgNo, UserId)>,
        limit: u32,
    ) -> Result<Vec<(OrgNo, UserId)>, StoreError> {
        let mut sql = Sql::default();
        let (project, limit) = (sql.bind(number(project)), sql.bind(i64::from(limit)));
        let sets = sql.list(sets.iter().take(SETS_MAX).map(|&set| number(set)));
        let orgs = sql.list(orgs.iter().take(SETS_MAX).map(|&org| number(org)));
        let (org, user) = after.map_or((0, String::new()), |(org, user)| (number(org), user.to_string()));
        let (org, user) = (sql.bind(org), sql.bind(user));
        // `+ 0` keeps the planner from starting with an index on these columns and sorting what it finds.
        let these = format!("project = {project} AND (org, user_id) > ({org}, {user})");
        let members = format!("{these} AND (role_set + 0 IN ({sets}) OR org + 0 IN ({orgs})) ORDER BY org, user_id");
        sql.push(&in_both(&members, &format!("{these} AND org + 0 IN ({orgs}) ORDER BY org, user_id"), &limit));
        self.purgeable_rows(sql).await
    }

    async fn purgeable_rows(&self, sql: Sql) -> Result<Vec<(OrgNo, UserId)>, StoreError> {
        let reads = self.reads();
        let read = async { Ok(reads.query_all_raw(sql.statement(reads.get_database_backend())).await?) };
        let rows = self.answered::<_, StoreError>(LONG_MAX, read).await?;
        let row = |row: &sea_orm::QueryResult| {
            Ok((id(row.try_get_by_index(0)?)?, UserId::stored(row.try_get_by_index::<String>(1)?)))
        };
        rows.iter().map(row).collect()
    }
}

/// Selects the first of the memberships and removals that match. Each table is searched in the order of its key.
fn in_both(members: &str, removals: &str, limit: &Bound) -> String {
    format!(
        "SELECT org, user_id FROM (
             SELECT * FROM (SELECT org, user_id FROM memberships WHERE {members} LIMIT {limit}) a
             UNION SELECT * FROM (SELECT org, user_id FROM removed_members WHERE {removals} LIMIT {limit}) b) found
         ORDER BY org, user_id LIMIT {limit}"
    )
}
