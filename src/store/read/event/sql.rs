//! The statements that read events.

use super::EventScan;
use crate::domain::model::event::EventPlace;
use crate::store::ids::{number, revision_number};
use crate::store::sql::Sql;

const COLUMNS: &str = r#"c.revision, c.tag, c."at", c.kind, c.actor, c.key_id, c.acting_user, c.request_id, c.reason,
    c.project, c.shown_changes"#;

/// Returns the statement for the next commits up to the revision `at`. `None` if there are none.
pub fn commits(scan: &EventScan, floor: i64, at: u64, limit: usize) -> Option<Sql> {
    let (order, commits) = (order(scan), scan.commits.as_ref()?);
    // A commit is at a place before the denials that follow it.
    let last = if scan.before.denial > 0 { scan.before.revision } else { scan.before.revision.checked_sub(1)? };
    let low = revision_number(scan.after.revision.max(commits.start().saturating_sub(1))).max(floor);
    let high = revision_number(last.min(*commits.end()).min(at));
    if low >= high {
        return None;
    }
    let mut sql = Sql::default();
    let (low, high) = (sql.bind(low), sql.bind(high));
    let Some((project, _)) = &scan.project else {
        sql.push(&format!(
            "SELECT {COLUMNS} FROM commits c WHERE c.revision > {low} AND c.revision <= {high}
             ORDER BY c.revision {order} LIMIT {limit}"
        ));
        return Some(sql);
    };
    let mut of = format!("project = {}", sql.bind(number(*project)));
    if scan.org.is_none() && scan.user.is_none() {
        // The index has all columns of the inner query. Otherwise PostgreSQL might walk through the commits of all projects.
        sql.push(&format!(
            "SELECT {COLUMNS} FROM (SELECT revision FROM commits WHERE {of} AND revision > {low} AND revision <= {high}
                 ORDER BY revision {order} LIMIT {limit}) s
             JOIN commits c ON c.revision = s.revision ORDER BY c.revision {order}"
        ));
        return Some(sql);
    }
    of.push_str(&of_org_and_user(scan, &mut sql));
    // A commit may have thousands of changes of an org, so each step goes to the next revision. An index has all columns.
    let (start, next) = match scan.newest_first {
        true => (format!("{high} + 1"), format!("changes.revision < s.revision AND changes.revision > {low}")),
        false => (format!("{low} + 0"), format!("changes.revision > s.revision AND changes.revision <= {high}")),
    };
    sql.push(&format!(
        "WITH RECURSIVE s(revision, steps) AS (
             SELECT CAST({start} AS BIGINT), 0
             UNION ALL
             SELECT (SELECT changes.revision FROM changes WHERE {of} AND {next}
                     ORDER BY changes.revision {order} LIMIT 1), s.steps + 1
             FROM s WHERE s.revision IS NOT NULL AND s.steps < {limit})
         SELECT {COLUMNS} FROM s JOIN commits c ON c.revision = s.revision WHERE s.steps > 0
         ORDER BY c.revision {order}"
    ));
    Some(sql)
}

/// Returns the statement for the next refused calls, up to those recorded before the commit after `at`.
pub fn denials(scan: &EventScan, at: u64, limit: usize) -> Sql {
    let order = order(scan);
    let mut sql = Sql::default();
    let last = EventPlace { revision: at + 1, denial: 0 };
    let (after, before) = (scan.after, scan.before.min(last));
    let places = [after.revision, after.denial, before.revision, before.denial].map(revision_number);
    let [a, b, c, d] = places.map(|place| sql.bind(place));
    sql.push(
        r#"SELECT revision, id, "at", kind, actor, key_id, project, org_id, acting_user, reason, missing_permission, count
           FROM denials WHERE "#,
    );
    if let Some((_, key)) = &scan.project {
        let key = sql.bind(key.as_str());
        sql.push(&format!("project = {key} AND "));
    }
    sql.push(&format!(
        "(revision, id) > ({a}, {b}) AND (revision, id) < ({c}, {d})
         ORDER BY revision {order}, id {order} LIMIT {limit}"
    ));
    sql
}

/// Returns the statement for the first changes of each of these commits.
pub fn changes(scan: &EventScan, revisions: &[u64], limit: usize) -> Sql {
    let mut sql = Sql::default();
    let mut only = of_org_and_user(scan, &mut sql);
    if let Some((project, _)) = scan.project.as_ref().filter(|_| !only.is_empty()) {
        only.push_str(&format!(" AND project = {}", sql.bind(number(*project))));
    }
    let parts = revisions.iter().map(|revision| {
        format!(
            "SELECT * FROM (SELECT revision, seq, payload FROM changes WHERE revision = {revision}{only}
                 ORDER BY seq LIMIT {limit}) part"
        )
    });
    let parts: Vec<String> = parts.collect();
    sql.push(&parts.join(" UNION ALL "));
    sql
}

/// Returns the conditions for changes of the org and the user of a scan.
fn of_org_and_user(scan: &EventScan, sql: &mut Sql) -> String {
    let mut conditions = String::new();
    if let Some(org) = scan.org {
        // With a user, the index by user: an org has more changes.
        let column = if scan.user.is_some() { "org + 0" } else { "org" };
        conditions.push_str(&format!(" AND {column} = {}", sql.bind(number(org))));
    }
    if let Some(user) = &scan.user {
        conditions.push_str(&format!(" AND user_id = {}", sql.bind(user.as_str())));
    }
    conditions
}

fn order(scan: &EventScan) -> &'static str {
    if scan.newest_first { "DESC" } else { "ASC" }
}
