//! Names some of those who have a role set: the State knows how many there are, but not who (R9).

use sea_orm::{ConnectionTrait, DbBackend};

use super::super::ids::number;
use super::super::sql::Sql;
use super::super::{Store, StoreError, WriteTx};
use crate::domain::UserId;
use crate::domain::id::{OrgNo, ProjectId, RoleSetId};

impl WriteTx {
    /// Of those who have a role set in an org, and no role that ends, the first by user id, or the first after one of
    /// them, before anything is written.
    pub async fn members_of(
        &mut self,
        project: ProjectId,
        org: OrgNo,
        role_set: RoleSetId,
        after: Option<&UserId>,
        at_most: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        members_of(self.connection(), project, org, role_set, after, at_most).await
    }
}

impl Store {
    /// Of those who have a role set in an org, and no role that ends, the first by user id, or the first after one of
    /// them.
    pub async fn members_of(
        &self,
        project: ProjectId,
        org: OrgNo,
        role_set: RoleSetId,
        after: Option<&UserId>,
        at_most: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        members_of(self.reads(), project, org, role_set, after, at_most).await
    }
}

async fn members_of(
    db: &impl ConnectionTrait,
    project: ProjectId,
    org: OrgNo,
    role_set: RoleSetId,
    after: Option<&UserId>,
    at_most: usize,
) -> Result<Vec<UserId>, StoreError> {
    let mut sql = Sql::default();
    let (project, org) = (sql.bind(number(project)), sql.bind(number(org)));
    let (role_set, at_most) = (sql.bind(number(role_set)), sql.bind(i64::try_from(at_most).unwrap_or(i64::MAX)));
    // Every id comes after the empty text.
    let after = sql.bind(after.map_or("", UserId::as_str).to_owned());
    // Without statistics SQLite would go through the members of the org.
    let sqlite = db.get_database_backend() == DbBackend::Sqlite;
    let begin = if sqlite { "INDEXED BY memberships_by_role_set" } else { "" };
    sql.push(&format!(
        "SELECT user_id FROM memberships {begin}
         WHERE project = {project} AND org = {org} AND role_set = {role_set} AND user_id > {after}
           AND NOT timed
         ORDER BY user_id LIMIT {at_most}"
    ));
    let rows = db.query_all_raw(sql.statement(db.get_database_backend())).await?;
    rows.iter().map(|row| Ok(UserId::stored(row.try_get_by_index::<String>(0)?))).collect()
}
