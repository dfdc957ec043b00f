//! The statements that read events. Columns are compared as rows: otherwise PostgreSQL might walk through the whole history
//! in the order of its revisions, and so might SQLite without statistics.

use super::EventScan;
use crate::domain::model::event::EventPlace;
use crate::store::ids::{number, revision_number};
use crate::store::sql::Sql;

const COLUMNS: &str = r#"c.revision, c.tag, c."at", c.kind, c.actor, c.key_id, c.acting_user, c.request_id, c.reason,
    c.project, c.shown_changes"#;

/// Returns the statement for the next commits. `None` if there are none.
pub fn commits(scan: &EventScan, floor: i64, limit: usize) -> Option<Sql> {
    let (order, commits) = (order(scan), scan.commits.as_ref()?);
    // A commit is at a place before the denials that follow it.
    let last = if scan.before.denial > 0 { scan.before.revision } else { scan.before.revision.checked_sub(1)? };
    let low = revision_number(scan.after.revision.max(commits.start().saturating_sub(1))).max(floor);
    let high = revision_number(last.min(*commits.end()));
    if low >= high {
        return None;
    }
    let mut sql = Sql::default();
    let Some((project, _)) = &scan.project else {
        let (low, high) = (sql.bind(low), sql.bind(high));
        sql.push(&format!(
            "SELECT {COLUMNS} FROM commits c WHERE c.revision > {low} AND c.revision <= {high}
             ORDER BY c.revision {order} LIMIT {limit}"
        ));
        return Some(sql);
    };
    let project = sql.bind(number(*project));
    // The columns of the index, and the values of all but the revision.
    let (columns, values, index) = match (&scan.org, &scan.user) {
        (None, None) => {
            let (low, high) = (sql.bind(low), sql.bind(high));
            sql.push(&format!(
                "SELECT {COLUMNS} FROM commits c
                 WHERE (c.project, c.revision) > ({project}, {low}) AND (c.project, c.revision) <= ({project}, {high})
                 ORDER BY c.project {order}, c.revision {order} LIMIT {limit}"
            ));
            return Some(sql);
        }
        (Some(org), None) => (vec!["project", "org"], vec![project, sql.bind(number(*org))], "g.org IS NOT NULL AND"),
        (None, Some(user)) => {
            (vec!["project", "user_id"], vec![project, sql.bind(user.as_str())], "g.user_id IS NOT NULL AND")
        }
        (Some(org), Some(user)) => {
            (vec!["project", "org", "user_id"], vec![project, sql.bind(number(*org)), sql.bind(user.as_str())], "")
        }
    };
    let (low, high) = (sql.bind(low), sql.bind(high));
    let row: Vec<String> = columns.iter().chain(&["revision"]).map(|column| format!("g.{column}")).collect();
    let ordered: Vec<String> = row.iter().map(|column| format!("{column} {order}")).collect();
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    let (row, ordered, values) = (row.join(", "), ordered.join(", "), values.join(", "));
    // A commit may have thousands of changes of an org, so each step goes to the next revision.
    let (start, bounds) = match scan.newest_first {
        true => (format!("{high} + 1"), format!("({row}) < ({values}, s.revision) AND ({row}) > ({values}, {low})")),
        false => (format!("{low} + 0"), format!("({row}) > ({values}, s.revision) AND ({row}) <= ({values}, {high})")),
    };
    sql.push(&format!(
        "WITH RECURSIVE s(revision, steps) AS (
             SELECT CAST({start} AS BIGINT), 0
             UNION ALL
             SELECT (SELECT g.revision FROM changes g WHERE {index} {bounds} ORDER BY {ordered} LIMIT 1), s.steps + 1
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
    match &scan.project {
        None => sql.push(&format!(
            "(revision, id) > ({a}, {b}) AND (revision, id) < ({c}, {d}) ORDER BY revision {order}, id {order}"
        )),
        Some((_, key)) => {
            let key = sql.bind(key.as_str());
            sql.push(&format!(
                "(project, revision, id) > ({key}, {a}, {b}) AND (project, revision, id) < ({key}, {c}, {d})"
            ));
            sql.push(&format!(" ORDER BY project {order}, revision {order}, id {order}"));
        }
    }
    sql.push(&format!(" LIMIT {limit}"));
    sql
}

/// Returns the statement for the first changes of each of these commits.
pub fn changes(scan: &EventScan, revisions: &[u64], limit: usize) -> Sql {
    let mut sql = Sql::default();
    let mut only = String::new();
    if let Some(org) = &scan.org {
        only.push_str(&format!(" AND org = {}", sql.bind(number(*org))));
    }
    if let Some(user) = &scan.user {
        only.push_str(&format!(" AND user_id = {}", sql.bind(user.as_str())));
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

fn order(scan: &EventScan) -> &'static str {
    if scan.newest_first { "DESC" } else { "ASC" }
}
