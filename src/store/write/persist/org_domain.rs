//! Writes the e-mail domains of orgs, and the users whom somebody else removed.

use sea_orm::Value;

use super::collapse::Final;
use crate::store::StoreError;
use crate::store::ids::number;
use crate::store::schema::{org_domain, removed_member};
use crate::store::write::batch::Batch;
use crate::store::write::rows::{delete, upsert};

/// Writes the domains. An org has few, so they are all rewritten.
pub async fn domains(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    use org_domain::{Column, Entity, Model};
    let before = all.org_domains.iter().filter(|(_, last)| last.before.is_some());
    let before: Vec<Value> = before.flat_map(|(key, _)| [number(key.project).into(), number(key.id).into()]).collect();
    delete::<Entity>(batch, &[Column::Project, Column::Org], &before).await?;
    let written = all.org_domains.iter().filter_map(|(key, last)| Some((key, last.after?)));
    let rows = written.flat_map(|(key, domains)| {
        domains.iter().map(|rule| Model {
            project: number(key.project),
            org: number(key.id),
            domain: rule.domain.to_string(),
            role_set: rule.role_set.map(number),
            verified: rule.verified,
            apply_to_existing: rule.apply_to_existing,
        })
    });
    Ok(upsert::<Entity>(batch, &rows.collect::<Vec<_>>(), &[]).await?)
}

pub async fn removals(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    use removed_member::{Column, Entity, Model};
    let forgotten = all.removals.iter().filter(|(_, last)| last.is_deleted());
    let forgotten: Vec<Value> = forgotten
        .flat_map(|(key, _)| [number(key.project).into(), number(key.org).into(), key.user.as_str().into()])
        .collect();
    delete::<Entity>(batch, &[Column::Project, Column::Org, Column::UserId], &forgotten).await?;
    let recorded = all.removals.iter().filter(|(_, last)| last.after.is_some());
    let rows = recorded.map(|(key, _)| Model {
        project: number(key.project),
        org: number(key.org),
        user_id: key.user.to_string(),
    });
    Ok(upsert::<Entity>(batch, &rows.collect::<Vec<_>>(), &[]).await?)
}
