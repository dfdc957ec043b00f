//! Reads members: of an org, by role and by permission, and of a user's orgs (B4).
//!
//! Somebody all of whose roles have ended is no member, nor is whoever has a role set without roles. Who holds a live role by which a permission is granted is asked of
//! the database in the words of [`standings`], so that pages are full and none is missing.

mod shown;

use super::entity::{org, project};
use super::ids::role_structure_number;
use super::sql::{Bound, Sql};
use super::{At, Database, Page, ReadError, Store};
use crate::domain::membership::Member;
use crate::domain::project::RoleStructure;
use crate::domain::refusal::Noun;
use crate::domain::{OrgId, PermissionName, ProjectKey, Revision, RoleName, Time, UserId};
use shown::members;

/// A member, and the commit by which it is as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberRow {
    pub member: Member,
    pub revision: Revision,
}

/// Which members of an org to list.
#[derive(Clone, Debug)]
pub struct ListMembers {
    pub project: ProjectKey,
    pub org_id: OrgId,
    /// Those who hold it, suspended or not, and whose end has not passed.
    pub role: Option<RoleName>,
    /// Those of whom a live role grants it.
    pub permission: Option<PermissionName>,
    pub after: Option<UserId>,
    pub limit: u32,
    pub now: Time,
}

impl Store {
    pub async fn get_member(
        &self,
        project: &ProjectKey,
        org_id: &OrgId,
        user_id: &UserId,
        now: Time,
    ) -> Result<At<MemberRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let org = snapshot.org(project.id, org_id).await?;
        let mut select = Select::of_org(self.database(), &project, &org, now);
        let user = select.sql.bind(user_id.as_str());
        select.sql.push(&format!(" AND m.user_id = {user}"));
        let row = members(&snapshot, &project, select, now).await?.pop();
        let row = row.ok_or_else(|| ReadError::NotFound(Noun::Member, user_id.to_string()))?;
        Ok(snapshot.at(row).await)
    }

    /// By user id, ascending.
    pub async fn list_members(&self, ask: ListMembers) -> Result<Page<MemberRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(&ask.project).await?;
        let org = snapshot.org(project.id, &ask.org_id).await?;
        let mut select = Select::of_org(self.database(), &project, &org, ask.now);
        if let Some(name) = &ask.role {
            let role = snapshot.role(project.id, name).await?;
            select.holding(role.id);
        }
        if let Some(name) = &ask.permission {
            let permission = snapshot.permission(project.id, name).await?;
            select.permitted(&project, org.role_mapping, permission.id);
        }
        if let Some(after) = &ask.after {
            let after = select.sql.bind(after.as_str());
            select.sql.push(&format!(" AND m.user_id > {after}"));
        }
        select.page("m.user_id", ask.limit);
        let rows = members(&snapshot, &project, select, ask.now).await?;
        Ok(snapshot.page(rows, ask.limit).await)
    }

    /// By org id, ascending.
    pub async fn list_user_memberships(
        &self,
        project: &ProjectKey,
        user_id: &UserId,
        after: Option<OrgId>,
        limit: u32,
        now: Time,
    ) -> Result<Page<MemberRow>, ReadError> {
        let snapshot = self.snapshot().await?;
        let project = snapshot.project(project).await?;
        let mut select = Select::of_user(self.database(), &project, user_id, now);
        if let Some(after) = after {
            let after = select.sql.bind(after.as_str());
            select.sql.push(&format!(" AND o.org_id > {after}"));
        }
        select.page("o.org_id", limit);
        let rows = members(&snapshot, &project, select, now).await?;
        Ok(snapshot.page(rows, limit).await)
    }
}

/// The statement that finds members.
struct Select {
    sql: Sql,
    project: Bound,
    now: Bound,
}

impl Select {
    /// Those of one org. It is not joined with: without statistics PostgreSQL reads all orgs of the project for each member.
    fn of_org(database: Database, project: &project::Model, org: &org::Model, now: Time) -> Self {
        let mut sql = Sql::default();
        let (project, now) = (sql.bind(project.id), sql.bind(now.0));
        let (no, org_id, mapping) = (sql.bind(org.no), sql.bind(org.org_id.as_str()), sql.bind(org.role_mapping));
        sql.push(&format!(
            "SELECT m.org, {org_id}, {mapping}, m.user_id, m.role_set, m.origin, m.revision, m.timed, m.other_origins
             FROM memberships m
             WHERE m.project = {project} AND m.org = {no} AND (m.held_until IS NULL OR m.held_until > {now})"
        ));
        Self { sql, project, now }.alive(database)
    }

    /// Those of one user, and for each its org.
    ///
    /// Neither database knows the sizes of tables that just grew. SQLite is told where to begin, or it begins with all
    /// memberships of the project. For PostgreSQL `dead_at` is asked for in a way that no index promises, or it takes the
    /// index of the living, of which it reads a whole project for each org.
    fn of_user(database: Database, project: &project::Model, user_id: &UserId, now: Time) -> Self {
        let mut sql = Sql::default();
        let (project, now, user) = (sql.bind(project.id), sql.bind(now.0), sql.bind(user_id.as_str()));
        let begin = if database == Database::Sqlite { "INDEXED BY memberships_by_user" } else { "" };
        sql.push(&format!(
            r#"SELECT m.org, o.org_id, o.role_mapping, m.user_id, m.role_set, m.origin, m.revision, m.timed,
                   m.other_origins
               FROM memberships m {begin} CROSS JOIN orgs o
               WHERE m.project = {project} AND m.user_id = {user} AND (m.held_until IS NULL OR m.held_until > {now})
               AND o.project = m.project AND o."no" = m.org AND coalesce(o.dead_at, 0) = 0"#
        ));
        Self { sql, project, now }.alive(database)
    }

    /// Not those whose only role was deleted and who are yet to be erased (R4). There is an index of such sets, with hardly
    /// ever anything in it; SQLite has to be told, or it reads all sets of the project.
    fn alive(mut self, database: Database) -> Self {
        let begin = if database == Database::Sqlite { "INDEXED BY role_sets_dying" } else { "" };
        let project = self.project;
        let dying = format!("SELECT id FROM role_sets {begin} WHERE project = {project} AND dying");
        self.sql.push(&format!(" AND m.role_set NOT IN ({dying})"));
        self
    }

    /// Only those who hold a role that has not ended.
    fn holding(&mut self, role: i64) {
        let Self { sql, project, now } = self;
        let role = sql.bind(role);
        sql.push(&format!(
            r#" AND m.role_set IN (SELECT role_set FROM role_set_roles WHERE project = {project} AND role = {role})
                AND (NOT m.timed OR NOT EXISTS (
                    SELECT 1 FROM timed_roles t WHERE t.project = m.project AND t.org = m.org AND t.user_id = m.user_id
                    AND t.role = {role} AND t."until" <= {now}))"#
        ));
    }

    /// Only those of whom a live role grants a permission. Where roles end, each is asked for: one without an end stands
    /// back in a SINGLE_ROLE project while a lent one is live.
    fn permitted(&mut self, in_project: &project::Model, mapping: i64, permission: i64) {
        let Self { sql, project, now } = self;
        let (mapping, permission) = (sql.bind(mapping), sql.bind(permission));
        let single = in_project.role_structure == role_structure_number(RoleStructure::SingleRole);
        let disabled =
            format!("SELECT role FROM disabled_roles WHERE project = {project} AND role_mapping = {mapping}");
        let granting = format!(
            "SELECT role FROM grants WHERE project = {project} AND role_mapping = {mapping}
             AND permission = {permission} AND role NOT IN ({disabled})"
        );
        let stands_back = format!(
            r#"EXISTS (SELECT 1 FROM timed_roles l WHERE l.project = m.project AND l.org = m.org
                       AND l.user_id = m.user_id AND l."until" > {now} AND l.role NOT IN ({disabled}))"#
        );
        let lasting = if single { format!("t.role IS NULL AND NOT {stands_back}") } else { "t.role IS NULL".into() };
        sql.push(&format!(
            r#" AND m.role_set IN (SELECT role_set FROM role_set_roles WHERE project = {project} AND role IN ({granting}))
                AND (NOT m.timed OR EXISTS (
                    SELECT 1 FROM role_set_roles s
                    LEFT JOIN timed_roles t ON t.project = m.project AND t.org = m.org AND t.user_id = m.user_id
                        AND t.role = s.role
                    WHERE s.project = m.project AND s.role_set = m.role_set AND s.role IN ({granting})
                    AND (t."until" > {now} OR ({lasting}))))"#
        ));
    }

    fn page(&mut self, order: &str, limit: u32) {
        let limit = self.sql.bind(i64::from(limit) + 1);
        self.sql.push(&format!(" ORDER BY {order} LIMIT {limit}"));
    }
}
