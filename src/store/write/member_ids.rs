//! Names some of those who have a role set: the State knows how many there are, but not who (R9).

use std::future::Future;

use sea_orm::{ConnectionTrait, DbBackend};

use crate::domain::UserId;
use crate::domain::model::id::{OrgNo, ProjectId, RoleSetId};
use crate::store::ids::number;
use crate::store::sql::Sql;
use crate::store::{Store, StoreError, WriteTx};

/// Members of an org who have the same role set, and no role that ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MembersWith {
    pub project: ProjectId,
    pub org: OrgNo,
    pub role_set: RoleSetId,
}

/// Knows the ids of members: the transaction of a write, before anything is written, or the store for a preview.
pub trait MemberIds: Send {
    /// Of these members the first by user id, or the first after one of them.
    fn first_of(
        &mut self,
        members: MembersWith,
        after: Option<&UserId>,
        at_most: usize,
    ) -> impl Future<Output = Result<Vec<UserId>, StoreError>> + Send;
}

impl MemberIds for WriteTx {
    async fn first_of(
        &mut self,
        members: MembersWith,
        after: Option<&UserId>,
        at_most: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        first_of(self.connection(), members, after, at_most).await
    }
}

impl MemberIds for Store {
    async fn first_of(
        &mut self,
        members: MembersWith,
        after: Option<&UserId>,
        at_most: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        first_of(self.reads(), members, after, at_most).await
    }
}

async fn first_of(
    db: &impl ConnectionTrait,
    members: MembersWith,
    after: Option<&UserId>,
    at_most: usize,
) -> Result<Vec<UserId>, StoreError> {
    let mut sql = Sql::default();
    let (project, org) = (sql.bind(number(members.project)), sql.bind(number(members.org)));
    let role_set = sql.bind(number(members.role_set));
    let at_most = sql.bind(i64::try_from(at_most).unwrap_or(i64::MAX));
    // Every id comes after the empty text.
    let after = sql.bind(after.map_or("", UserId::as_str).to_owned());
    // Without statistics SQLite would go through the members of the org.
    let sqlite = db.get_database_backend() == DbBackend::Sqlite;
    let begin = if sqlite { "INDEXED BY memberships_by_role_set" } else { "" };
    sql.push(&format!(
        "SELECT user_id FROM memberships {begin}
         WHERE project = {project} AND org = {org} AND role_set = {role_set} AND user_id > {after}
           AND NOT temporary
         ORDER BY user_id LIMIT {at_most}"
    ));
    let rows = db.query_all_raw(sql.statement(db.get_database_backend())).await?;
    rows.iter().map(|row| Ok(UserId::stored(row.try_get_by_index::<String>(0)?))).collect()
}
