//! Writes the API keys of operators.

use sea_orm::Value;

use super::collapse::Final;
use crate::store::StoreError;
use crate::store::ids::{environment_number, number};
use crate::store::schema::api_key::{Column, Entity, Model};
use crate::store::write::batch::Batch;
use crate::store::write::rows::{delete, upsert};

pub async fn write(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    let deleted = all.api_keys.iter().filter(|(_, last)| last.is_deleted());
    let deleted: Vec<Value> =
        deleted.flat_map(|(key, _)| [number(key.project).into(), key.id.0.cast_signed().into()]).collect();
    delete::<Entity>(batch, &[Column::Project, Column::Id], &deleted).await?;
    let written = all.api_keys.iter().filter_map(|(key, last)| Some((key, last.after?)));
    let rows = written.map(|(id, key)| Model {
        project: number(id.project),
        id: id.id.0.cast_signed(),
        hash: key.hash.to_vec(),
        display_name: key.display_name.to_string(),
        operator: key.operator.to_string(),
        environment: environment_number(key.environment),
        checks_only: key.scope.checks_only,
        sidecar_only: key.scope.sidecar_only,
        acting_user_required: key.scope.acting_user_required,
        no_activity: key.scope.no_activity,
        scope_project: key.scope.project.map(number),
        scope_org: key.scope.org.map(number),
        creator: key.creator.to_string(),
        create_time: key.create_time.0,
        expire_time: key.expire_time.map(|time| time.0),
        archive_time: key.archive_time.map(|time| time.0),
    });
    Ok(upsert::<Entity>(batch, &rows.collect::<Vec<_>>(), &[]).await?)
}
