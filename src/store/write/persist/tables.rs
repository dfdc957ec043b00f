//! Writes the final rows of a group, table by table, and the counters of projects.

use sea_orm::Value;

use super::collapse::Final;
use super::{api_key, catalogue, invitations, members, org_domain, user};
use crate::domain::model::id::ProjectId;
use crate::domain::state::Counters;
use crate::store::StoreError;
use crate::store::ids::{environment_number, number, role_structure_number};
use crate::store::schema::project;
use crate::store::write::batch::Batch;
use crate::store::write::rows::{delete, upsert};

pub async fn write(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    projects(batch, all).await?;
    catalogue::permissions(batch, all).await?;
    catalogue::roles(batch, all).await?;
    catalogue::managed_roles(batch, all).await?;
    catalogue::role_sets(batch, all).await?;
    catalogue::role_mappings(batch, all).await?;
    catalogue::grants(batch, all).await?;
    catalogue::aliases(batch, all).await?;
    members::orgs(batch, all).await?;
    members::memberships(batch, all).await?;
    members::fallbacks(batch, all).await?;
    invitations::write(batch, all).await?;
    user::blocks(batch, all).await?;
    api_key::write(batch, all).await?;
    org_domain::domains(batch, all).await?;
    org_domain::removals(batch, all).await?;
    for (&project, counters) in &all.counters {
        count(batch, project, counters).await?;
    }
    Ok(())
}

async fn projects(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    use project::Column::{Id, NextOrg, NextPermission, NextRole, NextRoleMapping, NextRoleSet};
    let deleted = all.projects.iter().filter(|(_, last)| last.is_deleted());
    let deleted: Vec<Value> = deleted.map(|(&id, _)| number(id).into()).collect();
    delete::<project::Entity>(batch, &[Id], &deleted).await?;
    let written = all.projects.iter().filter_map(|(&id, last)| Some((id, last.after?)));
    let rows = written.map(|(id, record)| project::Model {
        id: number(id),
        key: record.key.to_string(),
        display_name: record.display_name.to_string(),
        environment: environment_number(record.environment),
        role_structure: role_structure_number(record.role_structure),
        default_role: number(record.default_role),
        default_owner_role: number(record.default_owner_role),
        default_role_mapping: number(record.default_role_mapping),
        create_time: record.create_time.0,
        next_permission: 1,
        next_role: 1,
        next_role_set: 1,
        next_role_mapping: 1,
        next_org: 1,
        version: record.version.into(),
        role_order_version: record.role_order_version.into(),
        deleted_at: record.lifecycle.deleted_at().map(|at| at.0),
        purged: record.lifecycle.is_purged(),
    });
    // Deleted ones first: they free their keys.
    let (deleted, existing): (Vec<_>, Vec<_>) = rows.partition(|row| row.deleted_at.is_some());
    let counters = [NextPermission, NextRole, NextRoleSet, NextRoleMapping, NextOrg];
    upsert::<project::Entity>(batch, &deleted, &counters).await?;
    Ok(upsert::<project::Entity>(batch, &existing, &counters).await?)
}

/// Raises the counters of a project. They never go back.
async fn count(batch: &mut Batch<'_>, project: ProjectId, next: &Counters) -> Result<(), StoreError> {
    let all = [
        ("next_permission", next.permission),
        ("next_role", next.role),
        ("next_role_set", next.role_set),
        ("next_role_mapping", next.role_mapping),
        ("next_org", next.org),
    ];
    let moved = all.into_iter().filter(|&(_, next)| next > 0);
    let update = |batch: &mut Batch<'_>| {
        let set = moved.map(|(column, next)| {
            let (one, other) = (batch.bind(i64::from(next)), batch.bind(i64::from(next)));
            format!("{column} = CASE WHEN {column} < {one} THEN {other} ELSE {column} END")
        });
        let set = set.collect::<Vec<_>>().join(", ");
        Ok(format!("UPDATE projects SET {set} WHERE id = {}", batch.bind(number(project))))
    };
    Ok(batch.add("projects", 2 * all.len() + 1, update).await?)
}
