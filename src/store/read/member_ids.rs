//! The ids of members who have a role set. The State knows how many there are, but not who they are (R9).

use sea_orm::ConnectionTrait;

use crate::domain::UserId;
use crate::domain::model::id::{OrgNo, ProjectId, RoleSetId};
use crate::store::connect::LONG_MAX;
use crate::store::ids::number;
use crate::store::sql::Sql;
use crate::store::{Database, Store, StoreError};

/// Members of an org who have the same role set, and no temporary role.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MembersWith {
    pub project: ProjectId,
    pub org: OrgNo,
    pub role_set: RoleSetId,
}

impl Store {
    /// Returns the first of these members by user id, after a user if one is given.
    pub async fn members_with(
        &self,
        members: MembersWith,
        after: Option<&UserId>,
        at_most: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        let mut sql = Sql::default();
        let (project, org) = (sql.bind(number(members.project)), sql.bind(number(members.org)));
        let role_set = sql.bind(number(members.role_set));
        let at_most = sql.bind(i64::try_from(at_most).unwrap_or(i64::MAX));
        // Every id sorts after the empty text.
        let after = sql.bind(after.map_or("", UserId::as_str).to_owned());
        // Without statistics SQLite would scan all members of the org.
        let index = if self.database() == Database::Sqlite { "INDEXED BY memberships_by_role_set" } else { "" };
        sql.push(&format!(
            "SELECT user_id FROM memberships {index}
             WHERE project = {project} AND org = {org} AND role_set = {role_set} AND user_id > {after}
               AND NOT temporary
             ORDER BY user_id LIMIT {at_most}"
        ));
        let db = self.reads();
        let read = async { Ok(db.query_all_raw(sql.statement(db.get_database_backend())).await?) };
        let rows = self.answered::<_, StoreError>(LONG_MAX, read).await?;
        rows.iter().map(|row| Ok(UserId::stored(row.try_get_by_index::<String>(0)?))).collect()
    }
}
