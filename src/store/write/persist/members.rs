//! Writes orgs, memberships and fallback roles.

use std::collections::BTreeMap;

use sea_orm::{DbBackend, Value};

use super::collapse::{Final, deleted};
use crate::domain::model::id::{ProjectId, RoleMappingId, RoleSetId};
use crate::domain::state::change::MembershipKey;
use crate::store::StoreError;
use crate::store::ids::{number, revision_number};
use crate::store::schema::{fallback, membership, org, org_activity, role_origin, temporary_role};
use crate::store::sql::Sql;
use crate::store::write::batch::Batch;
use crate::store::write::rows::{delete, upsert};

/// Orgs per statement.
const ORGS_A_STATEMENT: usize = 10_000;

/// The row of a deleted org stays, marked as deleted: the changes refer to it by number. It is deleted with its project.
pub async fn orgs(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    delete::<org::Entity>(batch, &[org::Column::Project, org::Column::No], &deleted(&all.orgs)).await?;
    let purged = all.orgs.iter().filter(|(_, last)| last.after.is_none_or(|record| record.lifecycle.is_purged()));
    let purged: Vec<Value> = purged.flat_map(|(key, _)| [number(key.project).into(), number(key.id).into()]).collect();
    let columns = [org_activity::Column::Project, org_activity::Column::Org];
    delete::<org_activity::Entity>(batch, &columns, &purged).await?;
    let rows = all.orgs.iter().filter_map(|(key, last)| {
        let record = last.after?;
        Some(org::Model {
            project: number(key.project),
            no: number(key.id),
            org_id: record.profile.org_id.to_string(),
            display_name: record.profile.display_name.to_string(),
            metadata: record.profile.metadata.to_string(),
            role_mapping: number(record.role_mapping),
            create_time: record.profile.create_time.0,
            deleted_at: record.lifecycle.deleted_at().map(|at| at.0),
            purged: record.lifecycle.is_purged(),
        })
    });
    // Deleted ones first: they free their ids.
    let (deleted_rows, existing): (Vec<_>, Vec<_>) = rows.partition(|row| row.deleted_at.is_some());
    upsert::<org::Entity>(batch, &deleted_rows, &[]).await?;
    upsert::<org::Entity>(batch, &existing, &[]).await?;
    subscriptions(batch, all).await
}

/// Moves orgs to other mappings, in few statements per mapping. Their numbers are in the text: SQLite looks up the name of
/// each placeholder.
async fn subscriptions(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    let mut moved: BTreeMap<(ProjectId, RoleMappingId), Vec<String>> = BTreeMap::new();
    for (key, &role_mapping) in &all.subscriptions {
        moved.entry((key.project, role_mapping)).or_default().push(number(key.id).to_string());
    }
    for ((project, role_mapping), orgs) in moved {
        for orgs in orgs.chunks(ORGS_A_STATEMENT) {
            let mut sql = Sql::default();
            let (project, role_mapping) = (sql.bind(number(project)), sql.bind(number(role_mapping)));
            sql.push(&format!(
                r#"UPDATE orgs SET role_mapping = {role_mapping} WHERE project = {project} AND "no" IN ({})"#,
                orgs.join(", ")
            ));
            batch.execute(sql).await?;
        }
    }
    Ok(())
}

pub async fn memberships(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    use membership::Column::{Org, Project, UserId};
    let place = |key: &MembershipKey| -> [Value; 3] {
        [number(key.project).into(), number(key.org).into(), key.user.as_str().into()]
    };
    let gone = all.memberships.iter().filter(|(_, last)| last.is_deleted());
    let gone: Vec<Value> = gone.flat_map(|(key, _)| place(key)).collect();
    delete::<membership::Entity>(batch, &[Project, Org, UserId], &gone).await?;
    let removed =
        all.memberships.iter().filter(|(_, last)| last.before.is_some_and(|before| !before.temporary.is_empty()));
    let removed: Vec<Value> = removed.flat_map(|(key, _)| place(key)).collect();
    let columns = [temporary_role::Column::Project, temporary_role::Column::Org, temporary_role::Column::UserId];
    delete::<temporary_role::Entity>(batch, &columns, &removed).await?;
    let mixed = all.memberships.iter().filter(|(_, last)| last.before.is_some_and(|before| !before.origins.is_empty()));
    let mixed: Vec<Value> = mixed.flat_map(|(key, _)| place(key)).collect();
    let columns = [role_origin::Column::Project, role_origin::Column::Org, role_origin::Column::UserId];
    delete::<role_origin::Entity>(batch, &columns, &mixed).await?;

    remaps(batch, all).await?;
    let mut written = Vec::with_capacity(all.memberships.len());
    let (mut temporary, mut origins) = (Vec::new(), Vec::new());
    for (&key, last) in &all.memberships {
        let Some(record) = last.after else { continue };
        let role_set = all.remapped.get(key).copied().unwrap_or(record.role_set);
        written.push(membership::Model {
            project: number(key.project),
            org: number(key.org),
            user_id: key.user.to_string(),
            role_set: number(role_set),
            origin: record.origin as i16,
            revision: revision_number(last.revision.number),
            temporary: !record.temporary.is_empty(),
            other_origins: !record.origins.is_empty(),
        });
        origins.extend(record.origins.iter().map(|other| role_origin::Model {
            project: number(key.project),
            org: number(key.org),
            user_id: key.user.to_string(),
            role: number(other.role),
            origin: other.origin as i16,
        }));
        temporary.extend(record.temporary.iter().map(|temporary| temporary_role::Model {
            project: number(key.project),
            org: number(key.org),
            user_id: key.user.to_string(),
            role: number(temporary.role),
            expire_time: temporary.expire_time.0,
        }));
    }
    upsert::<membership::Entity>(batch, &written, &[]).await?;
    upsert::<temporary_role::Entity>(batch, &temporary, &[]).await?;
    Ok(upsert::<role_origin::Entity>(batch, &origins, &[]).await?)
}

/// Replaces role sets of members and invitations, in few statements for many orgs. The rows that the group wrote itself
/// are written afterwards, so it does not matter what happens to them here.
async fn remaps(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    let mut moved: BTreeMap<(ProjectId, RoleSetId, RoleSetId), Vec<String>> = BTreeMap::new();
    for (key, sets) in &all.remaps {
        for (&before, &after) in sets {
            moved.entry((key.project, before, after)).or_default().push(number(key.id).to_string());
        }
    }
    // Without statistics SQLite would scan all members or invitations of the orgs for each set.
    let sqlite = batch.database() == DbBackend::Sqlite;
    let indexed = |index: &str| if sqlite { format!("INDEXED BY {index}") } else { String::new() };
    let members = indexed("memberships_by_role_set");
    let invitations = indexed("invitations_by_role_set");
    // The new sets are none of those replaced, so the order does not matter.
    for ((project, before, after), orgs) in moved {
        for orgs in orgs.chunks(ORGS_A_STATEMENT) {
            let orgs = orgs.join(", ");
            for (table, filter) in
                [(format!("memberships {members}"), "AND NOT temporary"), (format!("invitations {invitations}"), "")]
            {
                let mut sql = Sql::default();
                let (project, before, after) =
                    (sql.bind(number(project)), sql.bind(number(before)), sql.bind(number(after)));
                sql.push(&format!(
                    "UPDATE {table} SET role_set = {after}
                     WHERE project = {project} AND org IN ({orgs}) AND role_set = {before} {filter}"
                ));
                batch.execute(sql).await?;
            }
        }
    }
    Ok(())
}

/// Writes fallback roles. An org has few, so they are all rewritten.
pub async fn fallbacks(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    let before = all.fallbacks.iter().filter(|(_, last)| last.before.is_some());
    let before: Vec<Value> = before.flat_map(|(key, _)| [number(key.project).into(), number(key.id).into()]).collect();
    delete::<fallback::Entity>(batch, &[fallback::Column::Project, fallback::Column::Org], &before).await?;
    let written = all.fallbacks.iter().filter_map(|(key, last)| Some((key, last.after?)));
    let rows = written.flat_map(|(key, fallbacks)| {
        fallbacks.iter().map(|fallback| fallback::Model {
            project: number(key.project),
            org: number(key.id),
            role: number(fallback.role),
            fallback_role: number(fallback.fallback_role),
        })
    });
    Ok(upsert::<fallback::Entity>(batch, &rows.collect::<Vec<_>>(), &[]).await?)
}
