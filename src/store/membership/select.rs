//! The statements that find members.
//!
//! Somebody all of whose roles have ended is no member, nor is whoever has a role set without roles. Who holds a live role by
//! which a permission is granted is asked of the database in the words of [`role_states`], so that pages are full and none is
//! missing; likewise who is visible to a viewer.
//!
//! [`role_states`]: crate::domain::rules::role_state::role_states

use super::super::Database;
use super::super::entity::{org, project};
use super::super::fallback::Places;
use super::super::ids::role_structure_number;
use super::super::sql::{Bound, Sql};
use crate::domain::model::project::RoleStructure;
use crate::domain::{Time, UserId};

/// The statement that finds members.
pub struct Select {
    sql: Sql,
    project: Bound,
    now: Bound,
    at: Time,
    /// Whether internal roles are unknown to whoever asks (I2).
    visible_only: bool,
}

impl Select {
    /// Those of one org. It is not joined with: without statistics PostgreSQL reads all orgs of the project for each member.
    pub fn of_org(database: Database, project: &project::Model, org: &org::Model, now: Time) -> Self {
        let mut sql = Sql::default();
        let (project, bound) = (sql.bind(project.id), sql.bind(now.0));
        let (no, org_id, mapping) = (sql.bind(org.no), sql.bind(org.org_id.as_str()), sql.bind(org.role_mapping));
        sql.push(&format!(
            "SELECT m.org, {org_id}, {mapping}, m.user_id, m.role_set, m.origin, m.revision, m.temporary, m.other_origins
             FROM memberships m
             WHERE m.project = {project} AND m.org = {no} AND (m.last_expire_time IS NULL OR m.last_expire_time > {bound})"
        ));
        Self { sql, project, now: bound, at: now, visible_only: false }.alive(database)
    }

    /// Those of one user, and for each its org.
    ///
    /// Neither database knows the sizes of tables that just grew. SQLite is told where to begin, or it begins with all
    /// memberships of the project. For PostgreSQL `deleted_at` is asked for in a way that no index promises, or it takes the
    /// index of the living, of which it reads a whole project for each org.
    pub fn of_user(database: Database, project: &project::Model, user_id: &UserId, now: Time) -> Self {
        let mut sql = Sql::default();
        let (project, bound, user) = (sql.bind(project.id), sql.bind(now.0), sql.bind(user_id.as_str()));
        let begin = if database == Database::Sqlite { "INDEXED BY memberships_by_user" } else { "" };
        sql.push(&format!(
            r#"SELECT m.org, o.org_id, o.role_mapping, m.user_id, m.role_set, m.origin, m.revision, m.temporary,
                   m.other_origins
               FROM memberships m {begin} CROSS JOIN orgs o
               WHERE m.project = {project} AND m.user_id = {user} AND (m.last_expire_time IS NULL OR m.last_expire_time > {bound})
               AND o.project = m.project AND o."no" = m.org AND coalesce(o.deleted_at, 0) = 0"#
        ));
        Self { sql, project, now: bound, at: now, visible_only: false }.alive(database)
    }

    /// Not those whose only role was deleted and who are yet to be purged (R4). There is an index of such sets, with hardly
    /// ever anything in it; SQLite has to be told, or it reads all sets of the project.
    fn alive(mut self, database: Database) -> Self {
        let begin = if database == Database::Sqlite { "INDEXED BY role_sets_being_purged" } else { "" };
        let project = self.project;
        let being_purged = format!("SELECT id FROM role_sets {begin} WHERE project = {project} AND being_purged");
        self.sql.push(&format!(" AND m.role_set NOT IN ({being_purged})"));
        self
    }

    /// By which instant roles have ended or not.
    pub fn now(&self) -> Time {
        self.at
    }

    pub fn visible_only(&self) -> bool {
        self.visible_only
    }

    pub fn into_sql(self) -> Sql {
        self.sql
    }

    /// Only this user.
    pub fn user(&mut self, user_id: &UserId) {
        let user = self.sql.bind(user_id.as_str());
        self.sql.push(&format!(" AND m.user_id = {user}"));
    }

    /// Only what follows in the order of a column.
    pub fn after(&mut self, column: &str, last: &str) {
        let last = self.sql.bind(last);
        self.sql.push(&format!(" AND {column} > {last}"));
    }

    /// Only those who hold a role that is not internal, from here on as if there were no others (I2). A project may have a
    /// million role sets, so each member is asked about by itself: `OFFSET` keeps PostgreSQL from joining all sets first.
    pub fn visible(&mut self) {
        self.visible_only = true;
        let Self { sql, now, .. } = self;
        sql.push(&format!(
            r#" AND EXISTS (
                    SELECT 1 FROM role_set_roles v
                    WHERE v.project = m.project AND v.role_set = m.role_set
                    AND NOT (SELECT r.internal FROM roles r WHERE r.project = v.project AND r.id = v.role)
                    AND (NOT m.temporary OR NOT EXISTS (
                        SELECT 1 FROM temporary_roles e WHERE e.project = m.project AND e.org = m.org
                        AND e.user_id = m.user_id AND e.role = v.role AND e.expire_time <= {now}))
                    LIMIT 1 OFFSET 0)"#
        ));
    }

    /// Only those who hold a role that has not ended, itself or in the place of a suspended one.
    pub fn holding(&mut self, role: i64, places: &Places) {
        let Self { sql, project, now, .. } = self;
        let by = sql.list(std::iter::once(role).chain(places.taken_by(role)));
        sql.push(&format!(
            r#" AND m.role_set IN (SELECT role_set FROM role_set_roles WHERE project = {project} AND role IN ({by}))
                AND (NOT m.temporary OR EXISTS (
                    SELECT 1 FROM role_set_roles s
                    LEFT JOIN temporary_roles t ON t.project = m.project AND t.org = m.org AND t.user_id = m.user_id
                        AND t.role = s.role
                    WHERE s.project = m.project AND s.role_set = m.role_set AND s.role IN ({by})
                    AND (t.role IS NULL OR t.expire_time > {now})))"#
        ));
    }

    /// Only those of whom a live role grants a permission, or a live role that they hold in the place of a suspended one:
    /// those `granting`. Where roles end, each is asked for: one without an end stands back in a SINGLE_ROLE project while a
    /// lent one is live.
    pub fn permitted(
        &mut self,
        in_project: &project::Model,
        org: &org::Model,
        permission: i64,
        places: &Places,
        granting: &[i64],
    ) {
        let hidden = |column: &str| match self.visible_only {
            true => {
                format!(" AND {column} NOT IN (SELECT id FROM roles WHERE project = {} AND internal)", self.project)
            }
            false => String::new(),
        };
        let (hidden_role, hidden_lent) = (hidden("role"), hidden("l.role"));
        let Self { sql, project, now, .. } = self;
        let (mapping, permission) = (sql.bind(org.role_mapping), sql.bind(permission));
        let single = in_project.role_structure == role_structure_number(RoleStructure::SingleRole);
        let disabled =
            format!("SELECT role FROM disabled_roles WHERE project = {project} AND role_mapping = {mapping}");
        let mut by = format!(
            "SELECT role FROM grants WHERE project = {project} AND role_mapping = {mapping}
             AND permission = {permission} AND role NOT IN ({disabled}){hidden_role}"
        );
        if !granting.is_empty() {
            let (no, granting) = (sql.bind(org.no), sql.list(granting.iter().copied()));
            by.push_str(&format!(
                " UNION ALL SELECT role FROM fallback_roles WHERE project = {project} AND org = {no} AND role IN ({granting})"
            ));
        }
        let mut live = format!("l.role NOT IN ({disabled}){hidden_lent}");
        if !places.is_empty() {
            let taken = sql.list(places.taken());
            live = format!("({live} OR l.role IN ({taken}))");
        }
        let stands_back = format!(
            r#"EXISTS (SELECT 1 FROM temporary_roles l WHERE l.project = m.project AND l.org = m.org
                       AND l.user_id = m.user_id AND l.expire_time > {now} AND {live})"#
        );
        let lasting = if single { format!("t.role IS NULL AND NOT {stands_back}") } else { "t.role IS NULL".into() };
        sql.push(&format!(
            r#" AND m.role_set IN (SELECT role_set FROM role_set_roles WHERE project = {project} AND role IN ({by}))
                AND (NOT m.temporary OR EXISTS (
                    SELECT 1 FROM role_set_roles s
                    LEFT JOIN temporary_roles t ON t.project = m.project AND t.org = m.org AND t.user_id = m.user_id
                        AND t.role = s.role
                    WHERE s.project = m.project AND s.role_set = m.role_set AND s.role IN ({by})
                    AND (t.expire_time > {now} OR ({lasting}))))"#
        ));
    }

    pub fn page(&mut self, order: &str, limit: u32) {
        let limit = self.sql.bind(i64::from(limit) + 1);
        self.sql.push(&format!(" ORDER BY {order} LIMIT {limit}"));
    }
}
