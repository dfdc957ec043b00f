//! Earlier versions of permissions, roles, role sets, role mappings and orgs, from the history.

use std::collections::HashMap;

use sea_orm::QueryResult;

use super::past::Past;
use crate::domain::Change;
use crate::domain::model::id::ProjectId;
use crate::domain::rules::event::{Object, object};
use crate::store::StoreError;
use crate::store::ids::number;
use crate::store::sql::Sql;
use crate::wire::change::{decode, numbers_of};

/// Objects of one statement.
const OBJECTS_MAX: usize = 500;

impl Past {
    /// Returns for each object and revision the revision of its nearest change: at the revision or before it, or after it.
    pub(super) async fn nearest_changes(
        &self,
        project: ProjectId,
        wanted: &[(Object, i64)],
        after: bool,
    ) -> Result<HashMap<(Object, i64), i64>, StoreError> {
        let project = number(project);
        let (compared, order) = if after { (">", "ASC") } else { ("<=", "DESC") };
        let mut nearest = HashMap::new();
        for chunk in wanted.chunks(OBJECTS_MAX) {
            let mut sql = Sql::default();
            sql.push(&format!(
                "WITH w(place, noun, object, revision) AS (VALUES {})
                 SELECT CAST(w.place AS BIGINT), (SELECT c.revision FROM changes c WHERE c.project = {project}
                     AND c.noun = w.noun AND c.object = w.object AND c.revision {compared} w.revision
                     ORDER BY c.revision {order} LIMIT 1)
                 FROM w",
                values(chunk)
            ));
            for row in self.rows(sql).await? {
                if let (Some(wanted), Some(revision)) = (asked(chunk, &row)?, row.try_get_by_index(1)?) {
                    nearest.insert(*wanted, revision);
                }
            }
        }
        Ok(nearest)
    }

    /// Returns each object as it was at a revision: as `after` of a change. An object that was deleted is returned as it was
    /// before. The State has the objects that are missing: they have not changed since.
    pub(super) async fn versions(
        &self,
        project: ProjectId,
        wanted: &[(Object, i64)],
    ) -> Result<HashMap<(Object, i64), Change>, StoreError> {
        let mut found: Vec<((Object, i64), i64)> =
            self.nearest_changes(project, wanted, false).await?.into_iter().collect();
        let known: HashMap<_, _> = found.iter().copied().collect();
        let unchanged: Vec<(Object, i64)> = wanted.iter().copied().filter(|it| !known.contains_key(it)).collect();
        found.extend(self.nearest_changes(project, &unchanged, true).await?);
        let mut versions = HashMap::new();
        for chunk in found.chunks(OBJECTS_MAX) {
            let changes: Vec<(Object, i64)> =
                chunk.iter().map(|((object, _), revision)| (*object, *revision)).collect();
            let mut sql = Sql::default();
            // A commit may change an object several times.
            sql.push(&format!(
                "WITH w(place, noun, object, revision) AS (VALUES {})
                 SELECT CAST(w.place AS BIGINT), c.payload FROM w JOIN changes c ON c.project = {} AND c.noun = w.noun
                     AND c.object = w.object AND c.revision = w.revision
                 ORDER BY c.seq",
                values(&changes),
                number(project)
            ));
            for row in self.rows(sql).await? {
                let Some(&((of, at), revision)) = asked(chunk, &row)? else { continue };
                let change = decode(&row.try_get_by_index::<Vec<u8>>(1)?);
                let change = change.map_err(|error| StoreError::Unreadable(error.to_string()))?;
                debug_assert_eq!(object(&change), Some(of));
                if revision > at {
                    versions.entry((of, at)).or_insert_with(|| change.undone());
                } else {
                    let version = if exists_after(&change) { change } else { change.undone() };
                    versions.insert((of, at), version);
                }
            }
        }
        Ok(versions)
    }
}

fn values(wanted: &[(Object, i64)]) -> String {
    let row = |(place, &(object, revision)): (usize, &(Object, i64))| {
        let (noun, object) = numbers_of(object);
        format!("({place}, {noun}, {object}, {revision})")
    };
    wanted.iter().enumerate().map(row).collect::<Vec<_>>().join(", ")
}

fn asked<'a, T>(wanted: &'a [T], row: &QueryResult) -> Result<Option<&'a T>, StoreError> {
    let place: i64 = row.try_get_by_index(0)?;
    Ok(usize::try_from(place).ok().and_then(|place| wanted.get(place)))
}

fn exists_after(change: &Change) -> bool {
    match change {
        Change::Permission(edit) => edit.after.is_some(),
        Change::Role(edit) => edit.after.is_some(),
        Change::RoleSet(edit) => edit.after.is_some(),
        Change::RoleMapping(edit) => edit.after.is_some(),
        _ => true,
    }
}
