//! Writes the blocks of users.

use sea_orm::Value;

use super::collapse::Final;
use crate::store::StoreError;
use crate::store::ids::number;
use crate::store::schema::blocked_user::{Column, Entity, Model};
use crate::store::write::batch::Batch;
use crate::store::write::rows::{delete, upsert};

pub async fn blocks(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    let unblocked = all.blocks.iter().filter(|(_, last)| last.is_deleted());
    let unblocked: Vec<Value> =
        unblocked.flat_map(|(key, _)| [number(key.project).into(), key.user.as_str().into()]).collect();
    delete::<Entity>(batch, &[Column::Project, Column::UserId], &unblocked).await?;
    let blocked = all.blocks.iter().filter_map(|(key, last)| Some((key, last.after?)));
    let rows = blocked.map(|(key, block)| Model {
        project: number(key.project),
        user_id: key.user.to_string(),
        block_time: block.block_time.0,
    });
    Ok(upsert::<Entity>(batch, &rows.collect::<Vec<_>>(), &[]).await?)
}
