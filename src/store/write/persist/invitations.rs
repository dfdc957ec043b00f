//! Writes invitations.

use sea_orm::Value;

use super::collapse::Final;
use crate::domain::model::invitation::{InvitationRecord, Stage};
use crate::domain::state::change::InvitationKey;
use crate::store::StoreError;
use crate::store::ids::{number, revision_number, roles_text};
use crate::store::schema::invitation::{Column, Entity, Model};
use crate::store::write::batch::Batch;
use crate::store::write::rows::{delete, upsert};

/// Writes the invitations that the group wrote. `memberships` has replaced the role sets of the others.
pub async fn write(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    let gone = all.invitations.iter().filter(|(_, last)| last.is_deleted());
    let gone = gone.flat_map(|(key, _)| -> [Value; 3] {
        [number(key.project).into(), number(key.org).into(), key.id.to_string().into()]
    });
    delete::<Entity>(batch, &[Column::Project, Column::Org, Column::Id], &gone.collect::<Vec<_>>()).await?;
    settled_of_purged(batch, all).await?;
    let written = all.invitations.iter().filter_map(|(key, last)| Some((key, last.after?, last.revision)));
    let rows: Vec<Model> = written
        .map(|(key, record, revision)| Model { revision: revision_number(revision.number), ..row(key, record, all) })
        .collect();
    Ok(upsert::<Entity>(batch, &rows, &[]).await?)
}

fn row(key: &InvitationKey, record: &InvitationRecord, all: &Final<'_>) -> Model {
    let row = Model {
        project: number(key.project),
        org: number(key.org),
        id: key.id.to_string(),
        email: record.email.to_string(),
        inviter: record.inviter.as_ref().map(ToString::to_string),
        create_time: record.create_time.0,
        expire_time: record.expire_time.0,
        role_set: None,
        settled_at: None,
        accepted_by: None,
        roles: String::new(),
        revision: 0,
    };
    match &record.stage {
        Stage::Pending { role_set } => {
            Model { role_set: Some(number(*all.remapped_invitations.get(key).unwrap_or(role_set))), ..row }
        }
        Stage::Settled(settled) => Model {
            settled_at: Some(settled.at.0),
            accepted_by: settled.user.as_ref().map(ToString::to_string),
            roles: roles_text(&settled.roles),
            ..row
        },
    }
}

/// Deletes the accepted and revoked invitations of purged orgs. Only the database has them. The purger has deleted nearly
/// all of them before, in chunks.
async fn settled_of_purged(batch: &mut Batch<'_>, all: &Final<'_>) -> Result<(), StoreError> {
    let purged = all.orgs.iter().filter(|(_, last)| last.after.is_none_or(|record| record.lifecycle.is_purged()));
    let purged: Vec<Value> = purged.flat_map(|(key, _)| [number(key.project).into(), number(key.id).into()]).collect();
    Ok(delete::<Entity>(batch, &[Column::Project, Column::Org], &purged).await?)
}
